-- Why: what is written once for both databases names the same columns in both; lanes that nothing
-- refers to go.
ALTER TABLE meta RENAME COLUMN canary TO key_canary;
ALTER TABLE incidents RENAME COLUMN next TO next_step;

-- Ids of secrets are the 16 bytes of a UUID, as all others are.
CREATE TABLE new_secrets (
    name        TEXT PRIMARY KEY,
    uuid        BLOB NOT NULL UNIQUE,
    rev         INTEGER NOT NULL DEFAULT 1,
    key_id      TEXT NOT NULL,
    sealed      TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    description TEXT,
    team_uuid   TEXT
) STRICT;
INSERT INTO new_secrets (name, uuid, rev, key_id, sealed, created_at, updated_at, description,
                         team_uuid)
SELECT name, unhex(uuid, '-'), rev, key_id, sealed, created_at, updated_at, description, team_uuid
FROM secrets;
DROP TABLE secrets;
ALTER TABLE new_secrets RENAME TO secrets;

-- Nothing ever read it.
ALTER TABLE deliveries DROP COLUMN held_base;

-- Since when no webhook refers to it.
ALTER TABLE lanes ADD COLUMN unused_since INTEGER;
