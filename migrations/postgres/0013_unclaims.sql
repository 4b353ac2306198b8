-- Number of the worker's last UNCLAIM that was carried out: one with a smaller number comes late.
alter table workers add column unclaim_no bigint not null default 0;
