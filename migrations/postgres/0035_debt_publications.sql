-- When the contract was published that a debt is of: one that is overwritten under its version, or
-- deleted and published again, is another. Empty where the debt was known before.
alter table broker_debts add column published_at timestamptz;
