-- Merchants' endpoints. The secrets are in clear, since they have to sign: who can read this file can sign in the
-- gateway's name.
CREATE TABLE endpoints (
    id               TEXT    NOT NULL PRIMARY KEY,
    merchant         TEXT    NOT NULL,
    url              TEXT    NOT NULL,
    types            TEXT    NOT NULL,
    description      TEXT,
    secret           TEXT    NOT NULL,
    old_secret       TEXT,
    old_secret_until INTEGER,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    off_since        INTEGER,
    off_because      TEXT,
    failing_since    INTEGER,
    version          INTEGER NOT NULL
) STRICT;

CREATE TABLE endpoint_keys (
    merchant    TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    fingerprint TEXT    NOT NULL,
    endpoint_id TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (merchant, key)
) STRICT;

-- What an endpoint is told next of an order. Only while there is something to tell: the row goes with its agenda row.
CREATE TABLE cursors (
    endpoint_id TEXT    NOT NULL,
    order_id    TEXT    NOT NULL,
    again       INTEGER NOT NULL,
    next        INTEGER NOT NULL,
    last        INTEGER,
    failures    INTEGER NOT NULL,
    PRIMARY KEY (endpoint_id, order_id, again)
) STRICT, WITHOUT ROWID;

-- Deliveries are claimed endpoint by endpoint, so that none waits behind another's. An endpoint's id has 29 letters.
CREATE INDEX agenda_deliveries ON agenda (substr(subject, 1, 29), due_at) WHERE kind = 'deliver';

CREATE TABLE deliveries (
    position      INTEGER PRIMARY KEY,
    endpoint_id   TEXT    NOT NULL,
    order_id      TEXT    NOT NULL,
    event_id      TEXT    NOT NULL,
    event_type    TEXT    NOT NULL,
    notice        INTEGER NOT NULL,
    attempt       INTEGER NOT NULL,
    delivered     INTEGER NOT NULL,
    response_code INTEGER,
    error         TEXT,
    duration_ms   INTEGER NOT NULL,
    at            INTEGER NOT NULL
) STRICT;
CREATE INDEX deliveries_endpoint ON deliveries (endpoint_id, position);

-- The events that merchants are told of, by merchant. The time is there so that a range looks at this table alone.
CREATE TABLE notices (
    merchant TEXT    NOT NULL,
    event_id TEXT    NOT NULL,
    order_id TEXT    NOT NULL,
    sequence INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (merchant, event_id)
) STRICT, WITHOUT ROWID;
INSERT INTO notices
    SELECT orders.merchant, events.id, events.order_id, events.sequence, events.at
    FROM events JOIN orders ON orders.id = events.order_id WHERE events.notice IS NOT NULL;
