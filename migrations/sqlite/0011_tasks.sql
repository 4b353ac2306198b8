-- Why: work that one process does at a time and that may be done twice without harm.
CREATE TABLE task_leases (
    name        TEXT PRIMARY KEY,
    owner       BLOB NOT NULL,
    lease_until INTEGER NOT NULL
) STRICT;
