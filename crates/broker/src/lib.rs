//! Client of a Pact Broker's API: the matrix, integrations, webhooks, PactFlow's secrets.
