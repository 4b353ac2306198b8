-- What a worker's machine lacks, and since when; null while it lacks nothing.
alter table workers
    add column trouble text,
    add column trouble_since timestamptz;
