-- Keys that stop standing for their event.
--
-- A broker's repeat carries no key of its own. The relay makes one of the event's content, and
-- such a key holds only until the call that brought the event was answered: null is "for ever",
-- otherwise the key is free for calls that arrive later than this.
alter table idempotency add column free_at timestamptz;

-- Repeats without a key were to be found by content; now nobody looks there.
-- events.keyed stays: processes of the version before write it until they are replaced.
drop index events_unkeyed;
