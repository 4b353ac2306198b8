-- Retention walks over keys in the order of their age, a chunk a statement. Once room that keys
-- left is taken by younger ones, each range of pages holds all ages, and an index of ranges finds
-- nothing any more: every chunk read all keys. Intake waits while this index is made, about a
-- second for a million keys.
create index idempotency_age on idempotency (at);
drop index idempotency_at;
