-- Open incidents are told again: how often one was, and when last.
ALTER TABLE incidents ADD COLUMN reminders INTEGER NOT NULL DEFAULT 0;
ALTER TABLE incidents ADD COLUMN reminded_at INTEGER;
-- Which reminder an alert is, from 1; 0 is an opening or an end.
ALTER TABLE notifications ADD COLUMN reminder INTEGER NOT NULL DEFAULT 0;
-- The newest day whose digest somebody took; digest_next_at is when it is tried again, and also
-- how long whoever took it may try: NULL once it is over.
ALTER TABLE monitor_lease ADD COLUMN digest_day TEXT;
ALTER TABLE monitor_lease ADD COLUMN digest_tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE monitor_lease ADD COLUMN digest_next_at INTEGER;
