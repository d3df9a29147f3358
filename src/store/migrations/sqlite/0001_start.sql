-- Ids are text, times are microseconds since 1970 in UTC, bodies are JSON.
-- Whatever carries a body is a rowid table: long rows in a WITHOUT ROWID table spill to overflow pages.

CREATE TABLE orders (
    id         TEXT    NOT NULL PRIMARY KEY,
    merchant   TEXT    NOT NULL,
    reference  TEXT,
    state      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    sequence   INTEGER NOT NULL,
    notices    INTEGER NOT NULL,
    head       TEXT    NOT NULL,
    body       TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX orders_reference ON orders (merchant, reference) WHERE reference IS NOT NULL;
-- The time is there so that a list by time looks at the index alone.
CREATE INDEX orders_newest ON orders (merchant, id, created_at);
CREATE INDEX orders_state ON orders (merchant, state, id, created_at);

CREATE TABLE sessions (
    id       TEXT NOT NULL PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (id),
    body     TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_order ON sessions (order_id, id);

CREATE TABLE attempts (
    id          TEXT    NOT NULL PRIMARY KEY,
    order_id    TEXT    NOT NULL REFERENCES orders (id),
    account     TEXT    NOT NULL,
    reference   TEXT,
    open        INTEGER NOT NULL,
    return_hash TEXT,
    body        TEXT    NOT NULL
) STRICT;
CREATE INDEX attempts_order ON attempts (order_id, id);
CREATE UNIQUE INDEX attempts_open ON attempts (order_id) WHERE open = 1;
CREATE INDEX attempts_reference ON attempts (account, reference) WHERE reference IS NOT NULL;
CREATE UNIQUE INDEX attempts_return ON attempts (return_hash) WHERE return_hash IS NOT NULL;

CREATE TABLE payments (
    id       TEXT NOT NULL PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (id),
    merchant TEXT NOT NULL,
    account  TEXT NOT NULL,
    status   TEXT NOT NULL,
    body     TEXT NOT NULL
) STRICT;
CREATE INDEX payments_order ON payments (order_id, id);
CREATE INDEX payments_newest ON payments (merchant, id);
CREATE INDEX payments_status ON payments (merchant, status, id);
CREATE INDEX payments_account ON payments (merchant, account, id);

CREATE TABLE refunds (
    id       TEXT NOT NULL PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (id),
    body     TEXT NOT NULL
) STRICT;
CREATE INDEX refunds_order ON refunds (order_id, id);

CREATE TABLE attention (
    id       TEXT    NOT NULL PRIMARY KEY,
    order_id TEXT    NOT NULL REFERENCES orders (id),
    merchant TEXT    NOT NULL,
    code     TEXT    NOT NULL,
    open     INTEGER NOT NULL,
    body     TEXT    NOT NULL
) STRICT;
CREATE INDEX attention_order ON attention (order_id, id);

-- The place in the order is the lock. The position grows with every event, for those who follow all of them.
-- No reference to the order: an order's first events are written before its row, so that a conflict is the
-- first thing to fail.
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    order_id TEXT    NOT NULL,
    sequence INTEGER NOT NULL,
    id       TEXT    NOT NULL,
    notice   INTEGER,
    at       INTEGER NOT NULL,
    text     TEXT    NOT NULL,
    hash     TEXT    NOT NULL,
    UNIQUE (order_id, sequence)
) STRICT;

-- Personal data; deleting a row erases it.
CREATE TABLE sealed (
    order_id TEXT NOT NULL,
    digest   TEXT NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (order_id, digest)
) STRICT;

CREATE TABLE agenda (
    kind     TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    order_id TEXT,
    due_at   INTEGER NOT NULL,
    tries    INTEGER NOT NULL,
    lease    INTEGER,
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX agenda_due ON agenda (kind, due_at);

CREATE TABLE inbox (
    id          TEXT    NOT NULL PRIMARY KEY,
    account     TEXT    NOT NULL,
    identity    TEXT    NOT NULL,
    headers     TEXT    NOT NULL,
    body        BLOB    NOT NULL,
    hints       TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    UNIQUE (account, identity)
) STRICT;

CREATE TABLE idempotency (
    merchant    TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    fingerprint TEXT    NOT NULL,
    order_id    TEXT    NOT NULL,
    sequence    INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (merchant, key)
) STRICT;

CREATE TABLE api_keys (
    hash       TEXT    NOT NULL PRIMARY KEY,
    hint       TEXT    NOT NULL,
    merchant   TEXT    NOT NULL,
    scopes     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
