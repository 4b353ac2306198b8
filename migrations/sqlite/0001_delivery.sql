-- Why: the tables of the embedded store, equal to the Postgres ones but for partitions.
--
-- Instants are microseconds since the epoch, written and compared by the one process that
-- writes the file (rule DB_CLOCK). Booleans are 0 and 1, ids are the 16 bytes of a UUID.
-- No foreign keys: rows of the hot path are written in batches and pruned in chunks.

-- One row. Intake commits are conditional on webhooks_version; canary opens only under the
-- master key that seals what is stored here.
CREATE TABLE meta (
    id               INTEGER PRIMARY KEY CHECK (id = 1),
    webhooks_version INTEGER NOT NULL,
    canary           TEXT
) STRICT;
INSERT INTO meta (id, webhooks_version) VALUES (1, 1);

-- What shares one limit and one fate. rate_count requests each rate_per_ms; NULL is
-- unlimited. Held while hold_cause is not NULL.
-- strikes counts refused credentials in a row that did not suffice to hold the lane, and
-- strike_webhook names the webhook of the last of them.
CREATE TABLE lanes (
    id             INTEGER PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE,
    limited        INTEGER NOT NULL,
    rate_count     INTEGER,
    rate_per_ms    INTEGER,
    burst          INTEGER NOT NULL,
    concurrency    INTEGER NOT NULL,
    per_hour       INTEGER,
    hold_cause     TEXT CHECK (hold_cause IN ('credential', 'secret_missing', 'manual')),
    hold_gen       INTEGER NOT NULL DEFAULT 0,
    held_since     INTEGER,
    held_total     INTEGER NOT NULL DEFAULT 0,
    secret_rev     INTEGER NOT NULL DEFAULT 1,
    pause_until    INTEGER,
    pause_step     INTEGER NOT NULL DEFAULT 0,
    owner          BLOB,
    epoch          INTEGER NOT NULL DEFAULT 0,
    lease_until    INTEGER,
    next_probe_at  INTEGER,
    strikes        INTEGER NOT NULL DEFAULT 0,
    strike_webhook INTEGER,
    last_send_at   INTEGER
) STRICT;

-- Claims of a lane with an hourly budget, by minute (rule HOUR_CARRY).
CREATE TABLE lane_minutes (
    lane_id INTEGER NOT NULL,
    minute  INTEGER NOT NULL,
    n       INTEGER NOT NULL,
    PRIMARY KEY (lane_id, minute)
) STRICT, WITHOUT ROWID;

-- document is sealed where it holds credentials. needs_sweep: the webhook moved, was disabled
-- or deleted, so deliveries may be left behind for the janitor (rules REHOME, DISCARD).
CREATE TABLE webhooks (
    id           INTEGER PRIMARY KEY,
    uuid         TEXT NOT NULL,
    rev          INTEGER NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('enabled', 'disabled', 'deleted')),
    lane_id      INTEGER NOT NULL,
    secret_names TEXT NOT NULL,
    document     TEXT NOT NULL,
    needs_sweep  INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX webhooks_uuid ON webhooks (uuid) WHERE state <> 'deleted';
CREATE INDEX webhooks_lane ON webhooks (lane_id);
CREATE INDEX webhooks_sweep ON webhooks (id) WHERE needs_sweep = 1;

-- Streaks, kept as outcomes are recorded so that the monitor reads one row a webhook.
CREATE TABLE webhook_health (
    webhook_id       INTEGER PRIMARY KEY,
    failures         INTEGER NOT NULL DEFAULT 0,
    failing_since    INTEGER,
    last_outcome     TEXT,
    last_status_code INTEGER,
    last_success_at  INTEGER
) STRICT;

CREATE TABLE secrets (
    name       TEXT PRIMARY KEY,
    uuid       TEXT NOT NULL,
    rev        INTEGER NOT NULL,
    key_id     TEXT NOT NULL,
    sealed     TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
    id          BLOB PRIMARY KEY,
    name        TEXT NOT NULL,
    broker      TEXT NOT NULL,
    consumer    TEXT NOT NULL,
    provider    TEXT NOT NULL,
    body        TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    traceparent TEXT,
    received_at INTEGER NOT NULL
) STRICT;
CREATE INDEX events_fingerprint ON events (fingerprint, received_at);
CREATE INDEX events_received ON events (received_at);

CREATE TABLE idempotency (
    key         TEXT PRIMARY KEY,
    event_id    BLOB NOT NULL,
    fingerprint BLOB NOT NULL,
    at          INTEGER NOT NULL
) STRICT;
CREATE INDEX idempotency_at ON idempotency (at);

-- next_at means "look at this row again at" and is NULL when the row is final: the one index
-- over it serves retries, fresh rows, expired claims and, in a limited lane, oldest first.
CREATE TABLE deliveries (
    id                BLOB PRIMARY KEY,
    event_id          BLOB NOT NULL,
    webhook_id        INTEGER NOT NULL,
    lane_id           INTEGER NOT NULL,
    status            TEXT NOT NULL
        CHECK (status IN ('waiting', 'sending', 'delivered', 'failed', 'discarded')),
    attempt           INTEGER NOT NULL DEFAULT 0,
    claim_no          INTEGER NOT NULL DEFAULT 0,
    claimed_by        BLOB,
    claim_epoch       INTEGER NOT NULL DEFAULT 0,
    claimed_until     INTEGER,
    next_at           INTEGER,
    maybe_sent        INTEGER NOT NULL DEFAULT 0,
    lost_claims       INTEGER NOT NULL DEFAULT 0,
    refusals          INTEGER NOT NULL DEFAULT 0,
    attempts_recorded INTEGER NOT NULL DEFAULT 0,
    last_outcome      TEXT,
    last_status_code  INTEGER,
    held_base         INTEGER NOT NULL DEFAULT 0,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (lane_id, next_at, id) WHERE next_at IS NOT NULL;
CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, id);
CREATE INDEX deliveries_of_event ON deliveries (event_id);
CREATE INDEX deliveries_poisoned ON deliveries (updated_at) WHERE last_outcome = 'poison';

CREATE TABLE attempts (
    delivery_id        BLOB NOT NULL,
    claim_no           INTEGER NOT NULL,
    number             INTEGER NOT NULL,
    started_at         INTEGER NOT NULL,
    duration           INTEGER NOT NULL,
    outcome            TEXT NOT NULL,
    status_code        INTEGER,
    github_request_id  TEXT,
    possible_duplicate INTEGER NOT NULL,
    request            TEXT NOT NULL,
    response           TEXT NOT NULL,
    PRIMARY KEY (delivery_id, claim_no)
) STRICT;

CREATE TABLE incidents (
    id          BLOB PRIMARY KEY,
    kind        TEXT NOT NULL,
    subject     TEXT NOT NULL,
    summary     TEXT NOT NULL,
    next        TEXT NOT NULL,
    opened_at   INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    resolved_at INTEGER
) STRICT;
CREATE UNIQUE INDEX incidents_open ON incidents (kind, subject) WHERE resolved_at IS NULL;
CREATE INDEX incidents_opened ON incidents (opened_at);

-- One row: the active monitor.
CREATE TABLE monitor_lease (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    owner       BLOB,
    epoch       INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER
) STRICT;
INSERT INTO monitor_lease (id) VALUES (1);
