-- What is written once for both databases names the same columns in both; lanes that nothing
-- refers to go.

-- Nothing ever read them.
alter table lanes drop column held_total;
alter table deliveries drop column held_base;

-- A lane's numbers are its limit's: from now on they are not written, and a later migration drops
-- them. Processes of the version before still write them.
alter table lanes alter column burst set default 1;
alter table lanes alter column concurrency set default 1;
-- Nothing reads it; processes of the version before still write it.
alter table events alter column keyed set default true;

alter table lanes
    -- Since when no webhook refers to it.
    add column unused_since timestamptz;
