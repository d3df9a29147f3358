-- Ids are 16 bytes, times are microseconds since 1970 in UTC, merchants and accounts are numbers of `names`.
-- Small rows that are found by their key are WITHOUT ROWID; whatever carries a text that may be long is a rowid table,
-- since long rows in a WITHOUT ROWID table spill to overflow pages.

CREATE TABLE names (
    id   INTEGER NOT NULL PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE
) STRICT;

-- The history: one row for each change, with all its events. The sequence of its first event is the lock. The position
-- grows with every change of any subject.
CREATE TABLE changes (
    position      INTEGER NOT NULL PRIMARY KEY,
    subject       BLOB    NOT NULL,
    sequence      INTEGER NOT NULL,
    events        INTEGER NOT NULL,
    public_before INTEGER NOT NULL,
    public        INTEGER NOT NULL,
    merchant      INTEGER NOT NULL,
    at            INTEGER NOT NULL,
    record        TEXT    NOT NULL,
    hash          BLOB    NOT NULL,
    UNIQUE (subject, sequence)
) STRICT;
CREATE INDEX changes_public ON changes (merchant, position) WHERE public > 0;

-- The erasable values of the change at a position, one per line.
CREATE TABLE personal (
    position INTEGER NOT NULL PRIMARY KEY,
    body     TEXT    NOT NULL
) STRICT;

-- A long history is loaded from its last snapshot. A step that belongs to a release in which subjects serialise
-- otherwise deletes all rows: the history is read from its start then.
CREATE TABLE snapshots (
    subject  BLOB    NOT NULL PRIMARY KEY,
    sequence INTEGER NOT NULL,
    body     TEXT    NOT NULL
) STRICT;

CREATE TABLE subjects (
    id         BLOB    NOT NULL PRIMARY KEY,
    kind       INTEGER NOT NULL,
    merchant   INTEGER NOT NULL,
    state      TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX subjects_state ON subjects (merchant, kind, state, id);

-- Lookup rows.
CREATE TABLE order_references (
    merchant  INTEGER NOT NULL,
    reference TEXT    NOT NULL,
    subject   BLOB    NOT NULL,
    PRIMARY KEY (merchant, reference)
) STRICT, WITHOUT ROWID;

CREATE TABLE provider_references (
    account   INTEGER NOT NULL,
    reference TEXT    NOT NULL,
    subject   BLOB    NOT NULL,
    PRIMARY KEY (account, reference, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE payments (
    merchant   INTEGER NOT NULL,
    account    INTEGER NOT NULL,
    status     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    id         BLOB    NOT NULL,
    open       INTEGER NOT NULL,
    PRIMARY KEY (merchant, account, status, created_at, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX payments_open ON payments (account, created_at) WHERE open = 1;

CREATE TABLE attention (
    merchant  INTEGER NOT NULL,
    open      INTEGER NOT NULL,
    raised_at INTEGER NOT NULL,
    id        BLOB    NOT NULL,
    account   INTEGER NOT NULL,
    code      TEXT    NOT NULL,
    PRIMARY KEY (merchant, open, raised_at, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE customer_profiles (
    merchant INTEGER NOT NULL,
    customer TEXT    NOT NULL,
    id       BLOB    NOT NULL,
    PRIMARY KEY (merchant, customer, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE profile_references (
    account   INTEGER NOT NULL,
    reference TEXT    NOT NULL,
    subject   BLOB    NOT NULL,
    PRIMARY KEY (account, reference)
) STRICT, WITHOUT ROWID;

CREATE TABLE used_profile_sessions (
    session BLOB NOT NULL PRIMARY KEY,
    subject BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    merchant    INTEGER NOT NULL,
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL,
    subject     BLOB    NOT NULL,
    sequence    INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (merchant, key)
) STRICT, WITHOUT ROWID;

-- When a subject is due next in each lane: 0 is the general lane, else the number of the account. Which jobs run is
-- computed from the subject. `version` is the subject's sequence that the due time was computed from; `wakes` counts
-- the wakes since the last run, `attempt` is the number of the woken attempt, or 0 for all.
CREATE TABLE jobs (
    subject BLOB    NOT NULL,
    lane    INTEGER NOT NULL,
    kind    INTEGER NOT NULL,
    urgency INTEGER NOT NULL,
    due_at  INTEGER NOT NULL,
    tries   INTEGER NOT NULL,
    version INTEGER NOT NULL,
    wakes   INTEGER NOT NULL,
    attempt INTEGER,
    PRIMARY KEY (subject, lane)
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_due ON jobs (lane, urgency, due_at);

-- The next event of an order to deliver to an endpoint; a row exists only while something is to be delivered.
CREATE TABLE delivery_streams (
    endpoint BLOB    NOT NULL,
    subject  BLOB    NOT NULL,
    replay   INTEGER NOT NULL,
    next     INTEGER NOT NULL,
    last     INTEGER,
    failures INTEGER NOT NULL,
    due_at   INTEGER NOT NULL,
    enqueued INTEGER NOT NULL,
    -- Whether the retry of the next event was brought forward when the endpoint worked again.
    hastened INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (endpoint, subject, replay)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_streams_due ON delivery_streams (endpoint, due_at);

CREATE TABLE deliveries (
    position        INTEGER NOT NULL PRIMARY KEY,
    endpoint        BLOB    NOT NULL,
    subject         BLOB    NOT NULL,
    event           BLOB    NOT NULL,
    event_type      TEXT    NOT NULL,
    public_sequence INTEGER NOT NULL,
    attempt         INTEGER NOT NULL,
    delivered       INTEGER NOT NULL,
    response_code   INTEGER,
    error           TEXT,
    duration_ms     INTEGER NOT NULL,
    at              INTEGER NOT NULL
) STRICT;
CREATE INDEX deliveries_endpoint ON deliveries (endpoint, position);

CREATE TABLE failing_endpoints (
    endpoint BLOB    NOT NULL PRIMARY KEY,
    since    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE inbox (
    id          BLOB    NOT NULL PRIMARY KEY,
    account     TEXT    NOT NULL,
    identity    TEXT    NOT NULL,
    headers     TEXT    NOT NULL,
    body        BLOB    NOT NULL,
    targets     TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    UNIQUE (account, identity)
) STRICT;
CREATE INDEX inbox_received ON inbox (received_at, id);

CREATE TABLE checkpoints (
    number   INTEGER NOT NULL PRIMARY KEY,
    at       INTEGER NOT NULL,
    position INTEGER NOT NULL,
    changes  INTEGER NOT NULL,
    hash     BLOB    NOT NULL
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
