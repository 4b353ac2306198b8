-- What is known of the brokers' own webhooks. Events write nothing here.

-- Calls of relays, of each broker the last one that was taken and the last one that was refused
-- for its token. refused: how many since refused_since.
CREATE TABLE relay_calls (
    broker        TEXT PRIMARY KEY,
    taken_at      INTEGER,
    refused_since INTEGER,
    refused_at    INTEGER,
    refused       INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- The webhook at a broker that relays to here: enabled, disabled, removed, since when that is known.
CREATE TABLE broker_relays (
    broker TEXT PRIMARY KEY,
    uuid   TEXT NOT NULL,
    state  TEXT NOT NULL,
    since  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
