-- Why: webhooks that are parked, and deliveries that are probed in turn.
--
-- Elsewhere than at GitHub a refused credential parks the webhook, not its lane: what waits for it
-- is held, the lane's other webhooks go on. hold_cause is null while it is not parked; good_gen is
-- the hold_gen at which something was accepted last; secrets_rev is raised by each new value of a
-- secret that it uses, and by each change of its request. probe_step counts probes in vain.
--
-- has_aside: deliveries may stand aside, their next_at lies in the year 3000, so many microseconds
-- behind its beginning as the webhook's row number says.
ALTER TABLE webhooks ADD COLUMN hold_cause TEXT;
ALTER TABLE webhooks ADD COLUMN hold_gen INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhooks ADD COLUMN held_since INTEGER;
ALTER TABLE webhooks ADD COLUMN good_gen INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhooks ADD COLUMN secrets_rev INTEGER NOT NULL DEFAULT 1;
ALTER TABLE webhooks ADD COLUMN next_probe_at INTEGER;
ALTER TABLE webhooks ADD COLUMN probe_step INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhooks ADD COLUMN probe_newest BLOB;
ALTER TABLE webhooks ADD COLUMN probe_last BLOB;
ALTER TABLE webhooks ADD COLUMN has_aside INTEGER NOT NULL DEFAULT 0;
CREATE INDEX webhooks_parked ON webhooks (lane_id) WHERE hold_cause IS NOT NULL;
CREATE INDEX webhooks_aside ON webhooks (id) WHERE has_aside;

ALTER TABLE lanes ADD COLUMN probe_step INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lanes ADD COLUMN probe_newest BLOB;
ALTER TABLE lanes ADD COLUMN probe_last BLOB;

-- The target asked for a longer wait than any is kept.
ALTER TABLE attempts ADD COLUMN retry_after_capped INTEGER NOT NULL DEFAULT 0;
