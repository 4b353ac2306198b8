-- Number of the worker's last UNCLAIM that was carried out: one with a smaller number comes late.
ALTER TABLE workers ADD COLUMN unclaim_no INTEGER NOT NULL DEFAULT 0;
