-- Calls of relays that were refused for their token, by the relay that made them: one that is taken
-- says nothing of another. A relay that names itself does so by its uuid at the broker; others share
-- the empty text. refused: how many since refused_since.
CREATE TABLE relay_refusals (
    broker        TEXT NOT NULL,
    relay         TEXT NOT NULL,
    refused_since INTEGER NOT NULL,
    refused_at    INTEGER NOT NULL,
    refused       INTEGER NOT NULL,
    PRIMARY KEY (broker, relay)
) STRICT, WITHOUT ROWID;
ALTER TABLE relay_calls DROP COLUMN refused_since;
ALTER TABLE relay_calls DROP COLUMN refused_at;
ALTER TABLE relay_calls DROP COLUMN refused;
-- The run of a dispatch of a late debt is known to have failed, or none started.
ALTER TABLE pairs ADD COLUMN run_failed INTEGER NOT NULL DEFAULT 0;
