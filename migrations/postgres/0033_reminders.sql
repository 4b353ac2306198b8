-- Open incidents are told again: how often one was, and when last.
alter table incidents add column reminders integer not null default 0;
alter table incidents add column reminded_at timestamptz;
-- Which reminder an alert is, from 1; 0 is an opening or an end.
alter table notifications add column reminder integer not null default 0;
-- The newest day whose digest somebody took; digest_next_at is when it is tried again, and also
-- how long whoever took it may try: null once it is over.
alter table monitor_lease add column digest_day text collate "C";
alter table monitor_lease add column digest_tries integer not null default 0;
alter table monitor_lease add column digest_next_at timestamptz;
