-- What the watch of a broker knows between two looks. Events write nothing here.

-- How far a broker was read.
-- first_contact_at: when its first walk began: what was owed then is nobody's event.
-- began_at: when the last walk began that came to its end.
-- changed_last: JSON, the pairs that changed last, newest change first.
CREATE TABLE broker_walks (
    broker           TEXT PRIMARY KEY,
    first_contact_at INTEGER NOT NULL,
    began_at         INTEGER NOT NULL,
    changed_last     TEXT NOT NULL DEFAULT '[]'
) STRICT;

-- Provider versions that owe a result and need no event any more.
-- why: told (by whatever event), watch (by the watch's own), first_contact, observed.
-- event_id: the event that told of it.
CREATE TABLE broker_debts (
    broker           TEXT NOT NULL,
    consumer         TEXT NOT NULL,
    provider         TEXT NOT NULL,
    consumer_version TEXT NOT NULL,
    provider_version TEXT NOT NULL,
    why              TEXT NOT NULL,
    event_id         BLOB,
    seen_at          INTEGER NOT NULL,
    PRIMARY KEY (broker, consumer, provider, consumer_version, provider_version)
) STRICT, WITHOUT ROWID;
CREATE INDEX broker_debts_seen ON broker_debts (broker, seen_at);
