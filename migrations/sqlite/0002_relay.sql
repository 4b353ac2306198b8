-- Why: keys that stop standing for their event.
--
-- A broker's repeat carries no key of its own. The relay makes one of the event's content, and
-- such a key holds only until the call that brought the event was answered: NULL is "for ever",
-- otherwise the key is free for calls that arrive later than this.
ALTER TABLE idempotency ADD COLUMN free_at INTEGER;

-- Repeats without a key were to be found by content; now nobody looks there.
DROP INDEX events_fingerprint;
