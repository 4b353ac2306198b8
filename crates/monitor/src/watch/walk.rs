//! One look at a broker: the walk over what changed last, pairs in trouble, a part of the sweep.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use postrider_broker::{Broker, BrokerError, Pair, Scope, Survey, Version};
use postrider_domain::PairKey;
use postrider_domain::owed::Fate;
use postrider_store::{MonitorLease, StoreError};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::again::{Healer, Round};
use super::examine::{Examined, examine};
use super::memory::{Found, Memory};
use super::order::{Order, Place, Reading};
use super::tell::{TellError, Teller};
use super::took;
use crate::fold::Learned;
use crate::pairs::Pairs;

/// Pairs of a page of the walk, and of the listing of all.
const PAGE: u32 = 20;
const LISTING: u32 = 500;
/// Pairs that are looked at together while everything is read.
const TOGETHER: usize = 20;
/// More pages than any broker has.
const PAGES_MOST: u32 = 10_000;
/// Requests that are under way at one time: each pair asks one question after the other.
const SIDE_BY_SIDE: usize = 4;
/// Pairs in trouble that are looked at again in one look.
const TROUBLED_MOST: usize = 4;
/// Pairs that wait for a result, likewise.
const WAITING_MOST: usize = 2;

/// Why a look did not come to its end.
#[derive(Debug)]
pub(crate) enum WalkError {
    Broker(BrokerError),
    Store(StoreError),
    /// Another monitor is active.
    LeaseLost,
}

impl From<BrokerError> for WalkError {
    fn from(error: BrokerError) -> Self {
        Self::Broker(error)
    }
}

impl From<StoreError> for WalkError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What a look needs.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    name: &'a str,
    broker: &'a Broker,
    pairs: &'a Pairs,
    teller: &'a Teller,
    healer: &'a Healer,
    lease: MonitorLease,
    /// When it began.
    pub(crate) began: Timestamp,
    /// Reads for what changed, and for what is only looked at again.
    fresh: Survey<'a>,
    swept: Survey<'a>,
    examined: BTreeSet<Pair>,
    /// Pairs that say something of the broker, those of them that it could not tell of, and why.
    judged: usize,
    troubled: usize,
    refused: Option<BrokerError>,
    walked: Walked,
    /// Pairs of one provider are looked at beside each other, and learn one after the other.
    learning: Mutex<()>,
}

/// What a look came to.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// Pairs that were looked at closely.
    pub(crate) examined: usize,
    /// Events that were made.
    pub(crate) told: usize,
    /// Debts that were owed when the broker was met.
    pub(crate) first_contact: usize,
    /// All pairs were looked at since then.
    pub(crate) swept_since: Option<Timestamp>,
    found: Found,
}

/// What a look at one pair found.
struct Visit {
    pair: Pair,
    place: Place,
    has_news: bool,
    /// `None` when nothing of it changed.
    result: Option<Result<Seen, BrokerError>>,
}

/// A pair that was looked at closely.
struct Seen {
    examined: Examined,
    versions: BTreeSet<String>,
    told: usize,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        (name, broker): (&'a str, &'a Broker),
        pairs: &'a Pairs,
        (teller, healer): (&'a Teller, &'a Healer),
        lease: MonitorLease,
        memory: &Memory,
    ) -> Self {
        let known = memory.places(Instant::now());
        let swept = known.map_or_else(
            || Survey::new(broker, Scope::Many),
            |places| Survey::knowing(broker, places),
        );
        let scope = if memory.is_first_contact() { Scope::Many } else { Scope::Few };
        Self {
            name,
            broker,
            pairs,
            teller,
            healer,
            lease,
            began: Timestamp::now(),
            fresh: Survey::new(broker, scope),
            swept,
            examined: BTreeSet::new(),
            judged: 0,
            troubled: 0,
            refused: None,
            walked: Walked::default(),
            learning: Mutex::default(),
        }
    }

    /// Looks, and remembers what was learned if it came to its end.
    pub(crate) async fn run(mut self, memory: &mut Memory) -> Result<Walked, WalkError> {
        let (order, has_read_all) = self.walk(memory).await?;
        if has_read_all {
            self.forget_gone(&order).await?;
        }
        self.heal(memory).await?;
        self.look_again(memory).await?;
        self.sweep(memory).await?;
        self.has_told_of_any()?;
        let found = std::mem::take(&mut self.walked.found);
        memory.remember(self.began, order, found, Instant::now());
        Ok(self.walked)
    }

    /// From the newest change on, until nothing changed.
    async fn walk(&mut self, memory: &Memory) -> Result<(Order, bool), WalkError> {
        let mut reading = Reading::new(memory.order().clone());
        let in_a_row = memory.untouched(Instant::now());
        let at_once = if reading.is_first() { TOGETHER } else { in_a_row };
        for page in 1..=PAGES_MOST {
            let pairs = self.broker.pairs_page(page, PAGE).await?;
            for chunk in pairs.chunks(at_once) {
                let placed: Vec<(Pair, Place)> =
                    chunk.iter().map(|pair| (pair.clone(), reading.next(pair))).collect();
                for (place, has_news) in self.visit_all(memory, placed).await? {
                    reading.saw(place, has_news);
                }
                if reading.is_done(in_a_row) {
                    return Ok((reading.into_order(false), false));
                }
            }
            if !is_full(&pairs, PAGE) {
                break;
            }
        }
        Ok((reading.into_order(true), true))
    }

    /// Looks at some pairs side by side; whether each had something new.
    async fn visit_all(
        &mut self,
        memory: &Memory,
        placed: Vec<(Pair, Place)>,
    ) -> Result<Vec<(Place, bool)>, WalkError> {
        let this = &*self;
        let unread = placed.into_iter().filter(|(_, place)| *place != Place::Read);
        let visits: Vec<Result<Visit, WalkError>> = stream::iter(unread)
            .map(|(pair, place)| this.visit(memory, pair, place))
            .buffered(SIDE_BY_SIDE)
            .collect()
            .await;
        let visits: Vec<Visit> = visits.into_iter().collect::<Result<_, _>>()?;
        let seen = visits.iter().map(|visit| (visit.place, visit.has_news)).collect();
        self.learn(memory, visits).await?;
        Ok(seen)
    }

    /// One request says whether the consumer published anything new; only then, or if the pair
    /// moved, it is looked at closely.
    async fn visit(&self, memory: &Memory, pair: Pair, place: Place) -> Result<Visit, WalkError> {
        let published = match published(&self.fresh, memory, &pair).await {
            Ok(published) => published,
            Err(error) => {
                return Ok(Visit { pair, place, has_news: true, result: Some(Err(error)) });
            }
        };
        let has_news = published.iter().any(|version| memory.is_news(&pair, version));
        if !has_news && !place.has_moved() {
            return Ok(Visit { pair, place, has_news, result: None });
        }
        let unknown = published.iter().filter(|version| !memory.knows(&pair, &version.number));
        let unknown = numbers(unknown);
        let versions = (numbers(&published), &unknown);
        let result = self.look(&self.fresh, memory, &pair, versions).await?;
        Ok(Visit { pair, place, has_news, result: Some(result) })
    }

    /// Looks closely at a pair and makes events of what is to be told. Trouble of the broker with
    /// this pair alone is an answer, too.
    async fn look(
        &self,
        survey: &Survey<'_>,
        memory: &Memory,
        pair: &Pair,
        (versions, asked): (BTreeSet<String>, &BTreeSet<String>),
    ) -> Result<Result<Seen, BrokerError>, WalkError> {
        let examined = match examine(survey, memory, pair, asked, self.began).await {
            Ok(examined) => examined,
            Err(error) => return Ok(Err(error)),
        };
        let told = self.teller.settle(self.lease, survey, pair, &examined.debts).await;
        let key = self.key(pair);
        let learned = {
            let _alone = self.learning.lock().await;
            took::learn(self.pairs.store(), self.lease, &key, &examined.contracts).await
        };
        let learned = of_pair(learned)?;
        Ok(learned.and(of_pair(told)?).map(|told| Seen { examined, versions, told }))
    }

    /// Keeps what was found of pairs. Trouble that every pair has is an error.
    async fn learn(&mut self, memory: &Memory, visits: Vec<Visit>) -> Result<(), WalkError> {
        let mut learned = Vec::new();
        for Visit { pair, has_news, result, .. } in visits {
            let Some(result) = result else { continue };
            self.walked.examined += 1;
            self.examined.insert(pair.clone());
            // Whose trouble is known says nothing of the broker.
            if !memory.is_troubled(&pair) {
                self.judged += 1;
                self.troubled += usize::from(result.is_err());
            }
            let key = self.key(&pair);
            match result {
                Ok(Seen { examined, versions, told }) => {
                    let is_old = |(_, fate): &&(_, Fate)| *fate == Fate::FirstContact;
                    self.walked.told += told;
                    self.walked.first_contact += examined.debts.iter().filter(is_old).count();
                    self.walked.found.has_news |= has_news || told > 0;
                    if examined.waits() {
                        self.walked.found.waiting.push(pair.clone());
                    }
                    learned.push((key, Learned::Facts(Box::new(examined.facts))));
                    self.walked.found.mended.insert(pair.clone());
                    self.walked.found.contracts.push((pair, versions));
                }
                Err(error @ (BrokerError::Credential { .. } | BrokerError::RateLimited { .. })) => {
                    return Err(error.into());
                }
                Err(error) => {
                    let trouble = error.to_string();
                    tracing::debug!(broker = self.name, pair = %key, trouble, "broker.pair_unknown");
                    learned.push((key, Learned::Trouble(trouble, self.began)));
                    self.refused = Some(error);
                    self.walked.found.troubled.push(pair);
                }
            }
        }
        if self.pairs.learn(self.lease, &learned).await? {
            Ok(())
        } else {
            Err(WalkError::LeaseLost)
        }
    }

    /// That the broker could not tell of any of several pairs is trouble of the broker.
    fn has_told_of_any(&mut self) -> Result<(), WalkError> {
        match self.refused.take() {
            Some(error) if self.troubled > 1 && self.troubled == self.judged => Err(error.into()),
            Some(_) | None => Ok(()),
        }
    }

    /// Pairs whose dispatch led to nothing, or failed.
    async fn heal(&mut self, memory: &Memory) -> Result<(), WalkError> {
        let round = self.healer.round(self.began, |pair| memory.is_troubled(pair)).await?;
        let Some(round) = round else { return Ok(()) };
        self.look_at_all(memory, round.pairs.clone(), Some(&round)).await?;
        self.healer.tell(&round);
        Ok(())
    }

    /// Pairs in trouble, and those that wait for a result, before the sweep comes to them.
    async fn look_again(&mut self, memory: &Memory) -> Result<(), WalkError> {
        let mut again = memory.troubled(TROUBLED_MOST);
        let waiting = memory.waiting(WAITING_MOST).into_iter();
        again.extend(waiting.filter(|pair| !memory.is_troubled(pair)));
        self.look_at_all(memory, again, None).await
    }

    /// Consumers whose turn it is, whether they changed or not.
    async fn sweep(&mut self, memory: &mut Memory) -> Result<(), WalkError> {
        let now = Instant::now();
        if memory.is_first_contact() {
            return Ok(());
        }
        if memory.sweep.is_over(now) {
            let all = self.list().await?;
            self.forget_gone(&Order::new(all.clone())).await?;
            self.walked.swept_since = memory.begin_sweep(&all, self.began, now);
        }
        let turn = memory.sweep.take(now);
        if !turn.is_empty() && memory.places(now).is_none() {
            let places = self.swept.places().await?;
            memory.keep_places(places, now);
        }
        for (_, pairs) in turn {
            self.look_at_all(memory, pairs, None).await?;
        }
        Ok(())
    }

    /// Looks closely at pairs that need not have changed, and were not looked at just now.
    async fn look_at_all(
        &mut self,
        memory: &Memory,
        pairs: Vec<Pair>,
        round: Option<&Round>,
    ) -> Result<(), WalkError> {
        let this = &*self;
        let pairs = pairs.into_iter().filter(|pair| !this.examined.contains(pair));
        let visits: Vec<Result<Visit, WalkError>> = stream::iter(pairs)
            .map(|pair| async move {
                let result = this.look_again_at(memory, &pair, round).await?;
                Ok(Visit { pair, place: Place::Read, has_news: false, result: Some(result) })
            })
            .buffered(SIDE_BY_SIDE)
            .collect()
            .await;
        self.learn(memory, visits.into_iter().collect::<Result<_, _>>()?).await
    }

    /// Looks closely at a pair and at all its newest contracts.
    async fn look_again_at(
        &self,
        memory: &Memory,
        pair: &Pair,
        round: Option<&Round>,
    ) -> Result<Result<Seen, BrokerError>, WalkError> {
        let asked = match published(&self.swept, memory, pair).await {
            Ok(published) => numbers(&published),
            Err(error) => return Ok(Err(error)),
        };
        let seen = self.look(&self.swept, memory, pair, (asked.clone(), &asked)).await?;
        let (Ok(looked), Some(round)) = (&seen, round) else { return Ok(seen) };
        let owed = (pair, looked.examined.debts.as_slice());
        let healed = self.healer.heal(self.lease, self.teller, &self.swept, owed, round).await;
        Ok(of_pair(healed)?.and(seen))
    }

    async fn list(&self) -> Result<Vec<Pair>, BrokerError> {
        let mut all = Vec::new();
        for page in 1..=PAGES_MOST {
            let pairs = self.broker.pairs_page(page, LISTING).await?;
            let is_last = !is_full(&pairs, LISTING);
            all.extend(pairs);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    /// What the broker said of pairs that it does not name any more counts no longer.
    async fn forget_gone(&self, named: &Order) -> Result<(), WalkError> {
        let named = named.pairs().iter().map(|pair| self.key(pair)).collect();
        if self.pairs.forget_gone(self.lease, self.name, &named).await? {
            Ok(())
        } else {
            Err(WalkError::LeaseLost)
        }
    }

    fn key(&self, pair: &Pair) -> PairKey {
        PairKey {
            broker: self.name.to_owned(),
            consumer: pair.consumer.clone(),
            provider: pair.provider.clone(),
        }
    }
}

/// Trouble of the broker with one pair is an answer.
fn of_pair<T>(done: Result<T, TellError>) -> Result<Result<T, BrokerError>, WalkError> {
    match done {
        Ok(done) => Ok(Ok(done)),
        Err(TellError::Broker(error)) => Ok(Err(error)),
        Err(TellError::Store(error)) => Err(error.into()),
        Err(TellError::LeaseLost) => Err(WalkError::LeaseLost),
    }
}

/// The newest versions of the consumer that have a contract with the provider.
async fn published(
    survey: &Survey<'_>,
    memory: &Memory,
    pair: &Pair,
) -> Result<Vec<Version>, BrokerError> {
    let newest = survey.newest_versions(&pair.consumer, memory.looked_at()).await?;
    let with = newest.iter().filter(|version| version.providers.contains(&pair.provider));
    Ok(with.cloned().collect())
}

fn numbers<'v>(versions: impl IntoIterator<Item = &'v Version>) -> BTreeSet<String> {
    versions.into_iter().map(|version| version.number.clone()).collect()
}

fn is_full(page: &[Pair], size: u32) -> bool {
    u32::try_from(page.len()).is_ok_and(|length| length >= size)
}
