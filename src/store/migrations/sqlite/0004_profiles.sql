-- Stored payment methods and the sessions that store them. The version is the lock: who writes one that is there
-- already was too slow.
CREATE TABLE profile_sessions (
    id          TEXT    NOT NULL PRIMARY KEY,
    account     TEXT    NOT NULL,
    reference   TEXT,
    return_hash TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    body        TEXT    NOT NULL,
    -- The order that was submitted with it: at most one.
    order_id    TEXT
) STRICT;
CREATE UNIQUE INDEX profile_sessions_return ON profile_sessions (return_hash);

CREATE TABLE profiles (
    id        TEXT    NOT NULL PRIMARY KEY,
    merchant  TEXT    NOT NULL,
    customer  TEXT    NOT NULL,
    account   TEXT    NOT NULL,
    reference TEXT    NOT NULL,
    forgotten INTEGER NOT NULL,
    version   INTEGER NOT NULL,
    body      TEXT    NOT NULL
) STRICT;
-- A method of a provider's is one merchant's.
CREATE UNIQUE INDEX profiles_reference ON profiles (account, reference);
CREATE INDEX profiles_customer ON profiles (merchant, customer, id);

CREATE TABLE profile_keys (
    merchant    TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    fingerprint TEXT    NOT NULL,
    session_id  TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (merchant, key)
) STRICT;
