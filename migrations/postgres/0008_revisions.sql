-- Requests that can be rendered again.
--
-- A request that was plainly accepted is not kept as text: with the webhook's revision, the
-- request's span and the renderer's version it can be rendered again from its event. Everything
-- else keeps its text, as evidence. attempts.request is empty then, which workers and intakes of
-- the version before read as "nothing is kept".
alter table attempts
    add column webhook_rev   bigint,
    -- The eight bytes of the span's id.
    add column span_id       bigint,
    add column renderer      integer,
    -- How long the body was.
    add column request_bytes integer;

-- What a webhook's document said before it was changed, credentials written into it starred. A
-- document was in force up to the revision `until_rev`; the one in force stands in webhooks.
create table webhook_revisions (
    webhook_id    bigint not null,
    until_rev     bigint not null,
    document      text not null,
    superseded_at timestamptz not null default now(),
    primary key (webhook_id, until_rev)
);
create index webhook_revisions_superseded on webhook_revisions (superseded_at);
