-- Why: what is known of credentials, and how one takes another's place.
--
-- pending: the value that is to follow, sealed as the one in use, its number and since when it is
-- there. previous: the value that was used before, until it is seen refused, and since when it is
-- not used.
ALTER TABLE secrets ADD COLUMN pending TEXT;
ALTER TABLE secrets ADD COLUMN pending_no INTEGER NOT NULL DEFAULT 0;
ALTER TABLE secrets ADD COLUMN pending_at INTEGER;
ALTER TABLE secrets ADD COLUMN previous TEXT;
ALTER TABLE secrets ADD COLUMN previous_at INTEGER;

-- What answers said of a secret's value. Workers write it when it changes. scopes: JSON, a list;
-- NULL where there are none. is_github: its answers come from GitHub.
CREATE TABLE credential_facts (
    name            TEXT PRIMARY KEY,
    owner           TEXT,
    scopes          TEXT,
    expires_at      INTEGER,
    last_success_at INTEGER,
    last_refusal_at INTEGER,
    is_github       INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Reads that are to find out whether a value is taken. One for each value of a secret. which:
-- current, pending, previous. value_no: of the value that is asked about, its revision, or the
-- number of the pending one. is_whole: repositories are asked for too. verdict: ok, insufficient,
-- refused, limited, unknown, nothing. result: JSON, what was found; no secret.
CREATE TABLE credential_probes (
    name          TEXT NOT NULL,
    which         TEXT NOT NULL,
    no            INTEGER NOT NULL,
    value_no      INTEGER NOT NULL,
    is_whole      INTEGER NOT NULL,
    asked_at      INTEGER NOT NULL,
    claimed_until INTEGER,
    finished_at   INTEGER,
    verdict       TEXT,
    result        TEXT,
    PRIMARY KEY (name, which)
) STRICT, WITHOUT ROWID;
CREATE INDEX credential_probes_open ON credential_probes (asked_at) WHERE finished_at IS NULL;
