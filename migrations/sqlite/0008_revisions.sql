-- Why: requests that can be rendered again.
--
-- A request that was plainly accepted is not kept as text: with the webhook's revision, the
-- request's span and the renderer's version it can be rendered again from its event. Everything
-- else keeps its text, as evidence. span_id is the eight bytes of the span's id, request_bytes how
-- long the body was.
ALTER TABLE attempts ADD COLUMN webhook_rev INTEGER;
ALTER TABLE attempts ADD COLUMN span_id INTEGER;
ALTER TABLE attempts ADD COLUMN renderer INTEGER;
ALTER TABLE attempts ADD COLUMN request_bytes INTEGER;

-- What a webhook's document said before it was changed, credentials written into it starred. A
-- document was in force up to the revision until_rev; the one in force stands in webhooks.
CREATE TABLE webhook_revisions (
    webhook_id    INTEGER NOT NULL,
    until_rev     INTEGER NOT NULL,
    document      TEXT NOT NULL,
    superseded_at INTEGER NOT NULL,
    PRIMARY KEY (webhook_id, until_rev)
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_revisions_superseded ON webhook_revisions (superseded_at);
