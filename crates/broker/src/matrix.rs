//! The matrix: which versions of a pair have been verified against each other, and when.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::answer::{Answer, error_text};
use crate::client::{Broker, encoded};
use crate::error::BrokerError;
use crate::listing::Pair;

/// How many rows are asked for. The broker answers the newest actions first and 100 of them
/// unless told otherwise (Pact Broker 2.120); so many publications may follow the newest
/// verification before it is out of sight.
const LIMIT: u16 = 500;
/// Rows that are enough to know by whom a contract was verified.
const FEW: u16 = 5;
/// Versions of one side that one question names: of both sides together fewer rows than
/// [`LIMIT`], in a URL that a broker's server takes.
const SIDE: usize = 20;

/// One version of a pact, with one provider version's result for it if there is any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixRow {
    /// The consumer version that published.
    pub consumer_version: String,
    /// Its branch.
    pub consumer_branch: Option<String>,
    /// The provider version that verified; `None` when none has.
    pub provider_version: Option<String>,
    /// The provider version's branch.
    pub provider_branch: Option<String>,
    /// When the consumer version published.
    pub published_at: Timestamp,
    /// Where the pact can be read; empty when the broker doesn't say.
    pub pact_url: String,
    /// The result; `None` when no provider version has verified this content.
    pub verification: Option<Verification>,
}

/// A provider's result for a pact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Whether the provider keeps the contract.
    pub success: bool,
    /// When it was verified.
    pub verified_at: Timestamp,
    /// Number of the result within its pact version.
    pub number: Option<u64>,
    /// Where the result can be read; empty when the broker doesn't say.
    pub url: String,
}

impl Broker {
    /// The pair's newest rows, newest action first, of each pair of versions the latest result
    /// (`GET /matrix?…&latestby=cvpv`).
    pub async fn matrix(&self, pair: &Pair) -> Result<Vec<MatrixRow>, BrokerError> {
        let (consumer, provider) = (encoded(&pair.consumer), encoded(&pair.provider));
        let query = format!(
            "q[][pacticipant]={consumer}&q[][pacticipant]={provider}&latestby=cvpv&limit={LIMIT}"
        );
        self.rows(&query, pair).await
    }

    /// The rows of exactly these versions of a pair: for each consumer version one row for each
    /// of these provider versions that has a result for its content, else one row without a
    /// result. Nothing is cut, however many versions there are: rows of a pair without versions
    /// are cut before the latest of each are chosen (Pact Broker 2.120).
    pub async fn results(
        &self,
        pair: &Pair,
        consumer_versions: &[&str],
        provider_versions: &[&str],
    ) -> Result<Vec<MatrixRow>, BrokerError> {
        let mut rows = Vec::new();
        for consumers in consumer_versions.chunks(SIDE) {
            for providers in provider_versions.chunks(SIDE) {
                rows.extend(self.named(pair, consumers, providers).await?);
            }
        }
        Ok(rows)
    }

    /// The newest results of any provider version for what a consumer version published; a few
    /// are enough to know by whom it was verified.
    pub async fn results_of(
        &self,
        pair: &Pair,
        consumer_version: &str,
    ) -> Result<Vec<MatrixRow>, BrokerError> {
        let (consumer, provider) = (encoded(&pair.consumer), encoded(&pair.provider));
        let version = encoded(consumer_version);
        let query = format!(
            "q[][pacticipant]={consumer}&q[][version]={version}&q[][pacticipant]={provider}\
             &latestby=cvpv&limit={FEW}"
        );
        self.rows(&query, pair).await
    }

    async fn named(
        &self,
        pair: &Pair,
        consumer_versions: &[&str],
        provider_versions: &[&str],
    ) -> Result<Vec<MatrixRow>, BrokerError> {
        let query = format!(
            "{}{}latestby=cvpv&limit={LIMIT}",
            selectors(&pair.consumer, consumer_versions),
            selectors(&pair.provider, provider_versions),
        );
        let mut rows = self.rows(&query, pair).await?;
        // An application that is its own provider has rows of other versions, too.
        rows.retain(|row| consumer_versions.contains(&row.consumer_version.as_str()));
        Ok(rows)
    }

    async fn rows(&self, query: &str, pair: &Pair) -> Result<Vec<MatrixRow>, BrokerError> {
        let answer = self.get_json(&format!("/matrix?{query}")).await?;
        let names = unknown_names(&answer, pair);
        if !names.is_empty() {
            return Err(BrokerError::UnknownName { broker: self.address().to_owned(), names });
        }
        let document = self.ok(answer)?;
        read_rows(&document, pair).map_err(|what| self.unexpected(what))
    }
}

/// What a question says to name versions of an application.
fn selectors(name: &str, versions: &[&str]) -> String {
    let (name, versions) = (encoded(name), versions.iter());
    let selector =
        |version: &&str| format!("q[][pacticipant]={name}&q[][version]={}&", encoded(version));
    versions.map(selector).collect()
}

/// The names of the pair of which the broker says that it doesn't know them, in its words for
/// the matrix or for other resources (Pact Broker 2.120).
fn unknown_names(answer: &Answer, pair: &Pair) -> Vec<String> {
    if !matches!(answer.status.as_u16(), 400 | 404) {
        return Vec::new();
    }
    let said = error_text(&answer.body).unwrap_or_default();
    let unknown = |name: &&String| {
        said.contains(&format!("Pacticipant {name} not found"))
            || said.contains(&format!("with name '{name}' found"))
    };
    [&pair.consumer, &pair.provider].into_iter().filter(unknown).cloned().collect()
}

/// Reads a pair's rows of a matrix document. Members that we don't know are no concern of ours. Of
/// two applications that are each other's consumers both sides' rows are answered.
fn read_rows(document: &Value, pair: &Pair) -> Result<Vec<MatrixRow>, String> {
    let rows = document.get("matrix").and_then(Value::as_array).ok_or("no matrix in it")?;
    let row = |(index, row): (usize, &Value)| {
        let wire = WireRow::deserialize(row);
        wire.map_err(|error| format!("row {index} of the matrix: {error}"))
    };
    let rows: Vec<WireRow> = rows.iter().enumerate().map(row).collect::<Result<_, _>>()?;
    Ok(rows.into_iter().filter(|row| row.is_of(pair)).map(WireRow::into_row).collect())
}

#[derive(Deserialize)]
struct WireRow {
    consumer: WireSide<WireVersion>,
    provider: Option<WireSide<Option<WireVersion>>>,
    pact: WirePact,
    #[serde(rename = "verificationResult")]
    verification_result: Option<WireResult>,
}

#[derive(Deserialize)]
struct WireSide<V> {
    #[serde(default)]
    name: String,
    version: V,
}

impl<V> WireSide<V> {
    /// A broker may be set to take names in any case.
    fn is_called(&self, name: &str) -> bool {
        self.name.is_empty() || self.name.to_lowercase() == name.to_lowercase()
    }
}

#[derive(Deserialize)]
struct WireVersion {
    number: String,
    branch: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePact {
    created_at: Timestamp,
    #[serde(default, rename = "_links")]
    links: Links,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireResult {
    success: bool,
    verified_at: Timestamp,
    number: Option<u64>,
    #[serde(default, rename = "_links")]
    links: Links,
}

#[derive(Deserialize, Default)]
struct Links {
    #[serde(rename = "self")]
    own: Option<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

impl Links {
    fn href(self) -> String {
        self.own.map(|link| link.href).unwrap_or_default()
    }
}

impl WireRow {
    fn is_of(&self, pair: &Pair) -> bool {
        let provider = self.provider.as_ref();
        self.consumer.is_called(&pair.consumer)
            && provider.is_none_or(|provider| provider.is_called(&pair.provider))
    }

    fn into_row(self) -> MatrixRow {
        let provider = self.provider.and_then(|side| side.version);
        let (provider_version, provider_branch) =
            provider.map_or((None, None), |version| (Some(version.number), version.branch));
        MatrixRow {
            consumer_version: self.consumer.version.number,
            consumer_branch: self.consumer.version.branch,
            provider_version,
            provider_branch,
            published_at: self.pact.created_at,
            pact_url: self.pact.links.href(),
            verification: self.verification_result.map(WireResult::into_verification),
        }
    }
}

impl WireResult {
    fn into_verification(self) -> Verification {
        let url = self.links.href();
        let in_url = || url.rsplit_once("/verification-results/")?.1.parse().ok();
        let number = self.number.or_else(in_url);
        Verification { success: self.success, verified_at: self.verified_at, number, url }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row() -> Value {
        json!({
            "consumer": {"name": "C", "version": {"number": "1"}},
            "pact": {"createdAt": "2026-11-22T00:00:00+00:00"},
        })
    }

    fn pair() -> Pair {
        Pair { consumer: "C".to_owned(), provider: "P".to_owned() }
    }

    #[test]
    fn rows_of_the_pair_the_other_way_round_are_left_out() {
        let side = |name: &str| json!({"name": name, "version": {"number": "1"}});
        let pact = json!({"createdAt": "2026-11-22T00:00:00+00:00"});
        let of = |consumer, provider| json!({"consumer": side(consumer), "provider": side(provider), "pact": pact});
        let matrix = json!({"matrix": [of("P", "C"), of("c", "P"), of("P", "P")]});
        assert_eq!(read_rows(&matrix, &pair()).unwrap().len(), 1);
    }

    #[test]
    fn a_row_may_be_bare() {
        let rows = read_rows(&json!({"matrix": [row()], "later": true}), &pair()).unwrap();
        assert_eq!(rows[0].consumer_version, "1");
        assert_eq!(rows[0].pact_url, "");
        assert_eq!((&rows[0].verification, &rows[0].provider_version), (&None, &None));
    }

    #[test]
    fn what_cannot_be_understood_is_no_empty_matrix() {
        assert_eq!(read_rows(&json!({}), &pair()).unwrap_err(), "no matrix in it");
        let mut without_date = row();
        without_date["pact"] = json!({});
        let error = read_rows(&json!({"matrix": [row(), without_date]}), &pair()).unwrap_err();
        assert!(error.starts_with("row 1 of the matrix: missing field `createdAt`"), "{error}");
    }
}
