-- The account that an attention is about; empty for a merchant's own collection.
ALTER TABLE attention ADD COLUMN account TEXT NOT NULL DEFAULT '';
UPDATE attention SET account = coalesce(
    (SELECT account FROM payments WHERE id = json_extract(attention.body, '$.payment')), '');
CREATE INDEX attention_newest ON attention (merchant, id);
CREATE INDEX attention_open ON attention (merchant, open, id);

-- For the age of the oldest payment that has come to nothing yet. The few that wait are all that it holds.
CREATE INDEX payments_unsettled ON payments (account, id)
    WHERE status IN ('PENDING', 'REQUIRES_ACTION', 'PROCESSING');

-- For notifications of a range of time that are acted on again.
CREATE INDEX inbox_received ON inbox (received_at, id);
