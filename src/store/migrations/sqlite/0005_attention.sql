-- The account that an attention is about; empty for a merchant's own collection.
ALTER TABLE attention ADD COLUMN account TEXT NOT NULL DEFAULT '';
UPDATE attention SET account = coalesce(
    (SELECT account FROM payments WHERE id = json_extract(attention.body, '$.payment')), '');
CREATE INDEX attention_newest ON attention (merchant, id);
CREATE INDEX attention_open ON attention (merchant, open, id);

-- Whether somebody waits for what becomes of a payment, for the age of the oldest.
ALTER TABLE payments ADD COLUMN unsettled INTEGER NOT NULL DEFAULT 0;
UPDATE payments SET unsettled = 1
    WHERE status IN ('PENDING', 'REQUIRES_ACTION', 'PROCESSING', 'FAILED')
        AND EXISTS (SELECT 1 FROM agenda WHERE kind = 'fetch_status' AND subject = payments.id);
CREATE INDEX payments_unsettled ON payments (account, id) WHERE unsettled = 1;

-- For notifications of a range of time that are acted on again.
CREATE INDEX inbox_received ON inbox (received_at, id);
