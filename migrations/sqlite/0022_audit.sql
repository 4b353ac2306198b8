-- Why: who changed what, written in the transaction of the change. No value of a secret stands
-- here. who: the name of the token that was used, local, settings. route: method and path of the
-- request. kind: webhook, secret, lane, limit, incident, delivery.
CREATE TABLE audit (
    id     BLOB PRIMARY KEY,
    at     INTEGER NOT NULL,
    who    TEXT NOT NULL,
    route  TEXT NOT NULL,
    kind   TEXT NOT NULL,
    object TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX audit_at ON audit (at, id);
