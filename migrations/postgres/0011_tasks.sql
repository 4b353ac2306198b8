-- Work that one process does at a time and that may be done twice without harm.
create table task_leases (
    name        text primary key,
    owner       uuid not null,
    lease_until timestamptz not null
);
