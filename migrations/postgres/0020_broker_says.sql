-- What brokers say of pairs by their own rule, and the newest publication that an event told of.
alter table pairs
    add column told_publication_at timestamptz,
    -- JSON: debts, failures, what holds back, and since when; null while the broker was not asked.
    add column says                text;
