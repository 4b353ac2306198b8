-- Why: a limit and a lane are two things.
--
-- A limit is what shares a rate, an hour's budget, a concurrency and pauses. A lane is what shares
-- one fate: a credential at a host, with its hold and its backlog. Each lane names its limit, which
-- has the lane's own name unless settings join several lanes under one.
--
-- epoch grows with each acquisition, each change of kind and each lane that comes or goes; 0 is
-- "no lease". next_send_at is when the request after all that were claimed so far is in its turn;
-- it never moves back.
CREATE TABLE limits (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    limited      INTEGER NOT NULL,
    rate_count   INTEGER,
    rate_per_ms  INTEGER,
    burst        INTEGER NOT NULL,
    concurrency  INTEGER NOT NULL,
    per_hour     INTEGER,
    pause_until  INTEGER,
    pause_step   INTEGER NOT NULL DEFAULT 0,
    owner        BLOB,
    epoch        INTEGER NOT NULL DEFAULT 0,
    lease_until  INTEGER,
    next_send_at INTEGER NOT NULL DEFAULT 0,
    last_send_at INTEGER
) STRICT;

-- Claims of limited lanes by the minute (rule HOUR_CARRY).
CREATE TABLE limit_minutes (
    limit_id INTEGER NOT NULL,
    minute   INTEGER NOT NULL,
    n        INTEGER NOT NULL,
    PRIMARY KEY (limit_id, minute)
) STRICT, WITHOUT ROWID;

-- Every lane had a limit of its own. The last request of the process before is at most a window
-- away from the first of the next one.
INSERT INTO limits (name, limited, rate_count, rate_per_ms, burst, concurrency, per_hour,
                    pause_until, pause_step, epoch, last_send_at, next_send_at)
SELECT name, limited, rate_count, rate_per_ms, burst, concurrency, per_hour,
       pause_until, pause_step, epoch, last_send_at,
       CASE WHEN limited THEN coalesce(last_send_at + (coalesce(rate_per_ms, 0) + 2000) * 1000, 0)
            ELSE 0 END
FROM lanes ORDER BY id;

ALTER TABLE lanes ADD COLUMN limit_id INTEGER REFERENCES limits (id);
UPDATE lanes SET limit_id = m.id FROM limits m WHERE m.name = lanes.name;
CREATE INDEX lanes_limit ON lanes (limit_id);

INSERT INTO limit_minutes (limit_id, minute, n)
SELECT l.limit_id, c.minute, c.n FROM lane_minutes c JOIN lanes l ON l.id = c.lane_id;
DROP TABLE lane_minutes;

-- lanes.limited is from now on a copy of the limit's.
ALTER TABLE lanes DROP COLUMN rate_count;
ALTER TABLE lanes DROP COLUMN rate_per_ms;
ALTER TABLE lanes DROP COLUMN burst;
ALTER TABLE lanes DROP COLUMN concurrency;
ALTER TABLE lanes DROP COLUMN per_hour;
ALTER TABLE lanes DROP COLUMN pause_until;
ALTER TABLE lanes DROP COLUMN pause_step;
ALTER TABLE lanes DROP COLUMN owner;
ALTER TABLE lanes DROP COLUMN epoch;
ALTER TABLE lanes DROP COLUMN lease_until;
ALTER TABLE lanes DROP COLUMN last_send_at;
-- Nothing ever read it. held_base of deliveries is as useless, but to drop it would rewrite them
-- all.
ALTER TABLE lanes DROP COLUMN held_total;

-- How long a request of the webhook may take, milliseconds; NULL: as long as settings say.
ALTER TABLE webhooks ADD COLUMN timeout_ms INTEGER;
