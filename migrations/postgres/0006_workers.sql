-- Workers. Each beats its row while it lives, with or without leases; once it has been silent for
-- as long as its longest claim, the janitor gives back what it left and removes the row.
create table workers (
    id       uuid primary key,
    beat_at  timestamptz not null default now(),
    -- The longest claim and the longest lease that it asks for, milliseconds.
    claim_ms bigint not null,
    lease_ms bigint not null
) with (fillfactor = 50);
