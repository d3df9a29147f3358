-- What every event up to a position hashes to, so that a whole order cannot vanish unseen.
CREATE TABLE checkpoints (
    number   INTEGER NOT NULL PRIMARY KEY,
    at       INTEGER NOT NULL,
    position INTEGER NOT NULL,
    events   INTEGER NOT NULL,
    hash     TEXT    NOT NULL
) STRICT;
