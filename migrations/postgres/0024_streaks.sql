-- A streak counts deliveries as well as attempts: one delivery that is tried seven times is not
-- yet a target that fails.
alter table webhook_health add column failing_deliveries bigint not null default 0;
update webhook_health set failing_deliveries = failures where failures > 0;
