-- Calls of a broker that were taken for one publication with an event which the watch had made.
-- why: just_made, one_publication, relay_unknown, broker_unasked.
CREATE TABLE merged_calls (
    event_id BLOB PRIMARY KEY,
    calls    INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    why      TEXT NOT NULL
) STRICT;
CREATE INDEX merged_calls_last ON merged_calls (last_at);
