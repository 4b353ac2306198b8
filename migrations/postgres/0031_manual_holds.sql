-- Why somebody held a lane, and when it opens by itself.
alter table lanes add column hold_reason text;
alter table lanes add column hold_until timestamptz;
