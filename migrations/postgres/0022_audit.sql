-- Who changed what: written in the transaction of the change. No value of a secret stands here.
create table audit (
    id     uuid primary key,
    at     timestamptz not null default now(),
    -- The name of the token that was used; local, settings.
    who    text not null,
    -- Method and path of the request.
    route  text not null,
    -- webhook, secret, lane, limit, incident, delivery.
    kind   text not null,
    object text not null,
    action text not null,
    detail text not null default ''
);
create index audit_at on audit (at, id);
