-- How long providers take from dispatch to result. Events write nothing here.

-- times: JSON, the last 200 in milliseconds, oldest first; threshold_ms: what is learned from
-- them, NULL while there are too few; is_silent: several debts are late by it without a result
-- since.
CREATE TABLE provider_times (
    broker       TEXT NOT NULL,
    provider     TEXT NOT NULL,
    times        TEXT NOT NULL,
    seen         INTEGER NOT NULL,
    threshold_ms INTEGER,
    is_silent    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (broker, provider)
) STRICT, WITHOUT ROWID;
