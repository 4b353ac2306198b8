-- What the monitor keeps: facts of pairs, incidents with cause and severity, alerts to send.

-- cause is the class of what is wrong: an outcome, a hold's cause, ... Somebody has seen an
-- acknowledged incident; it stays open all the same.
ALTER TABLE incidents ADD COLUMN cause TEXT NOT NULL DEFAULT '';
ALTER TABLE incidents ADD COLUMN severity TEXT NOT NULL DEFAULT 'warning';
ALTER TABLE incidents ADD COLUMN acknowledged_at INTEGER;

-- Up to where the events are folded into pairs.
ALTER TABLE monitor_lease ADD COLUMN events_until BLOB;

-- Facts of a consumer and a provider at one broker. Events write nothing here: the monitor folds
-- them in later, so that taking events in stays as cheap as it is.
-- owing: JSON, instants of publications that want a verification, after the newest one.
-- watched: JSON, ids of events whose deliveries are looked at for the last dispatch.
-- seen_at: when an event or the broker's list last named it.
CREATE TABLE pairs (
    broker                    TEXT NOT NULL,
    consumer                  TEXT NOT NULL,
    provider                  TEXT NOT NULL,
    first_publication_at      INTEGER,
    last_publication_at       INTEGER,
    owing                     TEXT NOT NULL DEFAULT '[]',
    last_verification_at      INTEGER,
    last_verification_success INTEGER,
    last_dispatch_at          INTEGER,
    watched                   TEXT NOT NULL DEFAULT '[]',
    seen_at                   INTEGER NOT NULL,
    PRIMARY KEY (broker, consumer, provider)
) STRICT, WITHOUT ROWID;

-- Whether the brokers that are asked do answer; failing_since and cause (away, credential,
-- rate_limited, unexpected) are NULL while they do.
CREATE TABLE broker_reads (
    broker        TEXT PRIMARY KEY,
    answered_at   INTEGER,
    failing_since INTEGER,
    cause         TEXT,
    detail        TEXT NOT NULL DEFAULT ''
) STRICT;

-- Alerts, one for each channel and each change of an incident; written with the change.
-- next_at is also how long whoever took it may try; finished_at is NULL while it is to be sent.
CREATE TABLE notifications (
    id          BLOB PRIMARY KEY,
    incident_id BLOB NOT NULL,
    channel     TEXT NOT NULL,
    status      TEXT NOT NULL CHECK (status IN ('firing', 'resolved')),
    created_at  INTEGER NOT NULL,
    next_at     INTEGER NOT NULL,
    tries       INTEGER NOT NULL DEFAULT 0,
    finished_at INTEGER,
    delivered   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX notifications_open ON notifications (channel, next_at) WHERE finished_at IS NULL;
CREATE INDEX notifications_incident ON notifications (incident_id);
