-- PactFlow's secrets: a description, and the team whose webhooks may use it (none: webhooks
-- without a team).
ALTER TABLE secrets ADD COLUMN description TEXT;
ALTER TABLE secrets ADD COLUMN team_uuid TEXT;
