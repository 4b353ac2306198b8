-- Why: lists that cost a bounded amount of work.

-- The events of a pair: the first eight bytes of a hash of broker, consumer and provider. Events
-- of before get theirs from the monitor, little by little; until then lists look for them one by
-- one.
ALTER TABLE events ADD COLUMN pair_hash INTEGER;
CREATE INDEX events_pair ON events (pair_hash, id) WHERE pair_hash IS NOT NULL;
CREATE INDEX events_unhashed ON events (id) WHERE pair_hash IS NULL;

CREATE INDEX pairs_consumer ON pairs (consumer);
CREATE INDEX pairs_provider ON pairs (provider);

-- Deliveries that came to nothing, which are few. A row may be older than the delivery's status.
CREATE TABLE not_delivered (
    delivery_id BLOB PRIMARY KEY,
    status      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX not_delivered_status ON not_delivered (status, delivery_id);
INSERT INTO not_delivered (delivery_id, status)
SELECT id, status FROM deliveries WHERE status IN ('failed', 'discarded');

CREATE TRIGGER not_delivered AFTER UPDATE OF status ON deliveries
WHEN new.status IN ('failed', 'discarded') AND old.status <> new.status
BEGIN
    INSERT INTO not_delivered (delivery_id, status) VALUES (new.id, new.status)
    ON CONFLICT (delivery_id) DO UPDATE SET status = excluded.status;
END;

-- Replays and discards by filter, each a walk that may be interrupted and taken up again. filter
-- is JSON; deliveries made until started_at take part, and wait again as of then; place is the
-- last candidate that was looked at, done how many deliveries were changed.
CREATE TABLE bulk_acts (
    id          BLOB PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('replay', 'discard')),
    filter      TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    place       BLOB,
    done        INTEGER NOT NULL DEFAULT 0,
    finished_at INTEGER
) STRICT, WITHOUT ROWID;
-- The act that changed a delivery last: it takes part in each once.
ALTER TABLE deliveries ADD COLUMN bulk_act BLOB;
