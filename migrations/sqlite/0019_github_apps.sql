-- Secrets whose value is an installation token of a GitHub App.
--
-- Null: the secret's value itself is sealed. Else what `sealed` holds is the app's private key, and
-- this describes the app (JSON, nothing secret).
ALTER TABLE secrets ADD COLUMN github_app TEXT;
