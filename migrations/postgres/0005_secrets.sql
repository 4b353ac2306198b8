-- PactFlow's secrets: a description, and the team whose webhooks may use it (none: webhooks
-- without a team).
alter table secrets add column description text;
alter table secrets add column team_uuid text;
