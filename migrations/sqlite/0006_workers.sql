-- Workers. Each beats its row while it lives, with or without leases; once it has been silent for
-- as long as its longest claim, the janitor gives back what it left and removes the row.
CREATE TABLE workers (
    id       BLOB PRIMARY KEY,
    beat_at  INTEGER NOT NULL,
    -- The longest claim and the longest lease that it asks for, microseconds.
    claim    INTEGER NOT NULL,
    lease    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
