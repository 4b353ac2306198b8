//! What a broker has: pairs and pacticipants.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::Broker;
use crate::error::BrokerError;

/// A consumer and a provider that have, or had, a contract.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// The consumer's name.
    pub consumer: String,
    /// The provider's name.
    pub provider: String,
}

/// A page of pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairsPage {
    /// The pairs of the page.
    pub pairs: Vec<Pair>,
    /// How many pairs there are in all; `None` where the broker does not say.
    pub total: Option<usize>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Integration {
    consumer: Named,
    provider: Named,
}

impl Broker {
    /// Every pair that the broker has an integration for (`GET /integrations`).
    pub async fn pairs(&self) -> Result<Vec<Pair>, BrokerError> {
        Ok(self.integrations("/integrations").await?.pairs)
    }

    /// A page of the pairs, newest change first; pages count from 1, and one that is not full is
    /// the last. Pairs of one publication have no order of their own (Pact Broker 2.120).
    pub async fn pairs_page(&self, page: u32, size: u32) -> Result<PairsPage, BrokerError> {
        self.integrations(&format!("/integrations?pageNumber={page}&pageSize={size}")).await
    }

    async fn integrations(&self, link: &str) -> Result<PairsPage, BrokerError> {
        let answer = self.ok(self.get_json(link).await?)?;
        let integrations: Vec<Integration> = self.embedded(&answer, "integrations")?;
        let pair = |found: Integration| Pair {
            consumer: found.consumer.name,
            provider: found.provider.name,
        };
        let total = answer.pointer("/page/totalElements").and_then(Value::as_u64);
        Ok(PairsPage {
            pairs: integrations.into_iter().map(pair).collect(),
            total: total.and_then(|total| usize::try_from(total).ok()),
        })
    }

    /// Every pacticipant's name (`GET /pacticipants`).
    pub async fn pacticipants(&self) -> Result<Vec<String>, BrokerError> {
        let answer = self.ok(self.get_json("/pacticipants").await?)?;
        let pacticipants: Vec<Named> = self.embedded(&answer, "pacticipants")?;
        Ok(pacticipants.into_iter().map(|pacticipant| pacticipant.name).collect())
    }

    /// The list of this name below `_embedded`.
    pub(crate) fn embedded<T: DeserializeOwned>(
        &self,
        answer: &Value,
        name: &str,
    ) -> Result<Vec<T>, BrokerError> {
        let list = answer
            .pointer(&format!("/_embedded/{name}"))
            .ok_or_else(|| self.unexpected(format!("no _embedded.{name}")))?;
        Vec::<T>::deserialize(list)
            .map_err(|error| self.unexpected(format!("_embedded.{name}: {error}")))
    }
}
