-- When the contract was published that a debt is of: one that is overwritten under its version, or
-- deleted and published again, is another. Empty where the debt was known before.
ALTER TABLE broker_debts ADD COLUMN published_at INTEGER;
