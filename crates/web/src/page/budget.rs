//! What GitHub said is left of a lane's hourly budget: its newest answer says it, until the hour of
//! which it speaks is over.

use jiff::Timestamp;
use postrider_api::{DeliveryDetail, DeliveryList};
use serde_json::Value;

use crate::page::answer::Fault;
use crate::page::show::Moment;
use crate::page::visit::Visit;
use crate::page::words::Words;

/// Deliveries of a lane that are looked at: the newest of them may be waiting still.
const LOOKED_AT: &str = "3";
/// Budgets begin anew after an hour: what was said before tells nothing.
const WINDOW: &str = "1h";

/// In words; nothing where GitHub said nothing that still holds.
pub(super) async fn of(visit: &Visit, lane: &str) -> Result<Option<String>, Fault> {
    let newest = Words::from([("lane", lane), ("since", WINDOW), ("limit", LOOKED_AT)]);
    let list: DeliveryList = visit.get(&newest.at("/api/v1/deliveries")).await?;
    for delivery in list.deliveries.iter().filter(|delivery| delivery.attempts > 0) {
        let path = format!("/api/v1/deliveries/{}", delivery.id);
        let detail: DeliveryDetail = visit.get(&path).await?;
        let answers = detail.attempts.iter().rev().filter(|one| one.github_request_id.is_some());
        let mut told = answers.filter_map(|answer| told(&answer.response, visit.frame.now));
        if let Some(words) = told.next() {
            return Ok(Some(words));
        }
    }
    Ok(None)
}

/// What an answer, as it is kept, says of the budget.
fn told(answer: &Value, now: Timestamp) -> Option<String> {
    let number = |name: &str| answer["headers"][name].as_str()?.trim().parse::<u64>().ok();
    let (remaining, limit) = (number("x-ratelimit-remaining")?, number("x-ratelimit-limit")?);
    let resets = i64::try_from(number("x-ratelimit-reset")?).ok()?;
    let resets = Timestamp::from_second(resets).ok().filter(|resets| *resets > now)?;
    let resets = Moment::of(resets, now).words;
    Some(format!("GitHub: remaining {remaining} of {limit}, resets {resets}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_budget_holds_until_it_begins_anew() {
        let answer = json!({"status": 204, "headers": {
            "x-ratelimit-limit": "5000", "x-ratelimit-remaining": "4870",
            "x-ratelimit-reset": "1795350000",
        }});
        let at = |second: i64| told(&answer, Timestamp::from_second(second).unwrap());
        let expected = "GitHub: remaining 4870 of 5000, resets in 20 min";
        assert_eq!(at(1_795_350_000 - 1_200).unwrap(), expected);
        assert_eq!(at(1_795_350_000), None);
        for odd in [json!({}), json!(null), json!({"headers": {"x-ratelimit-limit": "many"}})] {
            assert_eq!(told(&odd, Timestamp::UNIX_EPOCH), None, "{odd}");
        }
    }
}
