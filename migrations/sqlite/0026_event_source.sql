-- How an event came in: api, relay, watch, reconcile. NULL: taken in by a version that did not
-- keep it.
ALTER TABLE events ADD COLUMN source TEXT;

-- What somebody wants to know of the runs that deliveries started; a worker asks GitHub.
CREATE TABLE run_questions (
    delivery_id   BLOB PRIMARY KEY,
    asked_at      INTEGER NOT NULL,
    claimed_until INTEGER,
    finished_at   INTEGER,
    -- JSON: what was found, or why it can't be read.
    result        TEXT
) STRICT;
CREATE INDEX run_questions_open ON run_questions (asked_at) WHERE finished_at IS NULL;
