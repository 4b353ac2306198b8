//! One look at a broker: the walk over what changed last, pairs in trouble, a part of the sweep.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use postrider_broker::{Broker, BrokerError, Pair, PairsPage, Scope, Survey, Version};
use postrider_domain::owed::Fate;
use postrider_store::MonitorLease;
use tokio::time::Instant;

use super::again::{Healer, Round};
use super::closely::{Closely, Seen, has_overwritten, of_pair, published};
use super::error::WatchError;
use super::list::{Listed, PAGES_MOST, excess, is_full, list};
use super::memory::{Found, Memory};
use super::order::{Order, Place, Reading};
use super::tell::Teller;
use crate::fold::Learned;
use crate::pairs::Pairs;

/// Pairs of a page.
const PAGE: u32 = 20;
/// Pairs that are looked at together while everything is read.
const TOGETHER: usize = 20;
/// Requests that are under way at one time: each pair asks one question after the other.
const SIDE_BY_SIDE: usize = 4;
/// Pairs in trouble that are looked at again in one look.
const TROUBLED_MOST: usize = 4;
/// Pairs that wait for a result, likewise.
const WAITING_MOST: usize = 2;
/// Pairs of which something changed that moves no pair, likewise.
const STIRRED_MOST: usize = 4;
/// Pairs at the front of the order, untouched as far as can be seen, that are asked once more.
const LEADING_MOST: usize = 3;

/// What a look needs.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    name: &'a str,
    broker: &'a Broker,
    pairs: &'a Pairs,
    healer: &'a Healer,
    lease: MonitorLease,
    closely: Closely<'a>,
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
    /// All pairs as far as they are known, and how many the broker says that it has.
    order: Order,
    total: Option<usize>,
    /// Untouched pairs at the front that were asked once more.
    leading: usize,
    /// Whether what is deployed and supported is to be read.
    reads_places: bool,
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
        let began = Timestamp::now();
        Self {
            name,
            broker,
            pairs,
            healer,
            lease,
            closely: Closely::new(pairs.store(), teller, lease, began),
            began,
            fresh: Survey::new(broker, scope),
            swept,
            examined: BTreeSet::new(),
            judged: 0,
            troubled: 0,
            refused: None,
            walked: Walked::default(),
            order: Order::default(),
            total: None,
            leading: 0,
            reads_places: known.is_none(),
        }
    }

    /// Looks, and remembers what was learned if it came to its end.
    pub(crate) async fn run(mut self, memory: &mut Memory) -> Result<Walked, WatchError> {
        let (order, has_read_all) = self.walk(memory).await?;
        self.order = order;
        if has_read_all {
            self.forget_gone(&self.order).await?;
            self.walked.found.excess = excess(&self.order, self.total);
            self.walked.found.is_whole = true;
        } else if memory.lacks(&self.order, self.total) && memory.may_list(Instant::now()) {
            self.leave_out_gone().await?;
        }
        self.read_places(memory).await?;
        self.heal(memory).await?;
        self.look_again(memory).await?;
        self.look_at_a_head(memory).await?;
        self.sweep(memory).await?;
        self.has_told_of_any()?;
        let found = std::mem::take(&mut self.walked.found);
        memory.remember(self.began, self.order, found, Instant::now());
        Ok(self.walked)
    }

    /// From the newest change on, until nothing changed.
    async fn walk(&mut self, memory: &Memory) -> Result<(Order, bool), WatchError> {
        let mut reading = Reading::new(memory.order().clone());
        let in_a_row = memory.untouched(Instant::now());
        let at_once = if reading.is_first() { TOGETHER } else { in_a_row };
        for page in 1..=PAGES_MOST {
            let PairsPage { pairs, total } = self.broker.pairs_page(page, PAGE).await?;
            self.total = total;
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
    ) -> Result<Vec<(Place, bool)>, WatchError> {
        let this = &*self;
        let unread = placed.into_iter().filter(|(_, place)| *place != Place::Read);
        let visits: Vec<Result<Visit, WatchError>> = stream::iter(unread)
            .map(|(pair, place)| this.visit(memory, pair, place))
            .buffered(SIDE_BY_SIDE)
            .collect()
            .await;
        let mut visits: Vec<Visit> = visits.into_iter().collect::<Result<_, _>>()?;
        self.look_at_leading(memory, &mut visits).await?;
        let seen = visits.iter().map(|visit| (visit.place, visit.has_news)).collect();
        self.learn(memory, visits).await?;
        Ok(seen)
    }

    /// One request says whether the consumer published anything new; only then, or if the pair
    /// moved, it is looked at closely.
    async fn visit(&self, memory: &Memory, pair: Pair, place: Place) -> Result<Visit, WatchError> {
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
        let result = self.closely.look(&self.fresh, memory, &pair, &numbers(&published)).await?;
        Ok(Visit { pair, place, has_news, result: Some(result) })
    }

    /// Pairs that lead the order and change once more move nowhere, and a contract that was
    /// overwritten under its version, or published again under it, is no version that was not
    /// there. So the first pairs are asked for when their contracts were published; those that are
    /// not remembered, and those of which that can't be read, are looked at closely.
    async fn look_at_leading(
        &mut self,
        memory: &Memory,
        visits: &mut [Visit],
    ) -> Result<(), WatchError> {
        let left = LEADING_MOST.saturating_sub(self.leading);
        for visit in visits.iter_mut().filter(|visit| visit.result.is_none()).take(left) {
            self.leading += 1;
            let found = match memory.contracts(&visit.pair) {
                None => Some(false),
                Some(known) => {
                    match has_overwritten(&self.fresh, memory, &visit.pair, known).await {
                        Ok(false) => None,
                        Ok(true) => Some(true),
                        Err(error) if is_of_all(&error) => return Err(error.into()),
                        Err(_) => Some(false),
                    }
                }
            };
            let Some(has_news) = found else { continue };
            visit.has_news = has_news;
            let asked = published(&self.fresh, memory, &visit.pair).await;
            visit.result = Some(match asked {
                Ok(asked) => {
                    let versions = numbers(&asked);
                    self.closely.look(&self.fresh, memory, &visit.pair, &versions).await?
                }
                Err(error) => Err(error),
            });
        }
        Ok(())
    }

    /// Keeps what was found of pairs. Trouble that every pair has is an error.
    async fn learn(&mut self, memory: &Memory, visits: Vec<Visit>) -> Result<(), WatchError> {
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
            let key = self.closely.teller.key(&pair);
            match result {
                Ok(Seen { examined, contracts, told }) => {
                    let is_old = |(_, fate): &&(_, Fate)| *fate == Fate::FirstContact;
                    self.walked.told += told;
                    let is_new = memory.contracts(&pair).is_none() && !memory.is_troubled(&pair);
                    let old = examined.debts.iter().filter(is_old).filter(|_| is_new);
                    self.walked.first_contact += old.count();
                    self.walked.found.has_news |= has_news || told > 0;
                    if examined.waits() {
                        self.walked.found.waiting.push(pair.clone());
                    }
                    if examined.facts.says.is_some() {
                        self.walked.found.heads.push((pair.clone(), examined.head));
                    }
                    learned.push((key, Learned::Facts(Box::new(examined.facts))));
                    self.walked.found.mended.insert(pair.clone());
                    self.walked.found.contracts.push((pair, contracts));
                }
                Err(error) if is_of_all(&error) => return Err(error.into()),
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
            Err(WatchError::LeaseLost)
        }
    }

    /// That the broker could not tell of any of several pairs is trouble of the broker.
    fn has_told_of_any(&mut self) -> Result<(), WatchError> {
        match self.refused.take() {
            Some(error) if self.troubled > 1 && self.troubled == self.judged => Err(error.into()),
            Some(_) | None => Ok(()),
        }
    }

    /// Pairs whose dispatch led to nothing, or failed.
    async fn heal(&mut self, memory: &Memory) -> Result<(), WatchError> {
        let round = self.healer.round(self.began, |pair| memory.is_troubled(pair)).await?;
        let Some(round) = round else { return Ok(()) };
        self.look_at_all(memory, round.pairs.clone(), Some(&round)).await?;
        self.healer.tell(&round);
        Ok(())
    }

    /// Pairs in trouble, those that wait for a result, and those of which something changed that
    /// moves no pair, before the sweep comes to them.
    async fn look_again(&mut self, memory: &Memory) -> Result<(), WatchError> {
        let others = memory.waiting(WAITING_MOST).into_iter().chain(memory.stirred(STIRRED_MOST));
        let others: BTreeSet<Pair> = others.collect();
        let again = memory.troubled(TROUBLED_MOST).into_iter().chain(others).collect();
        self.look_at_all(memory, again, None).await
    }

    /// What is deployed and supported, if that was read too long ago. Where it can't be read it is
    /// asked for again; the pairs that it concerns tell.
    async fn read_places(&mut self, memory: &Memory) -> Result<(), WatchError> {
        // Who meets a broker has read it just now.
        let survey = if memory.is_first_contact() { &self.fresh } else { &self.swept };
        if !self.reads_places {
            return Ok(());
        }
        match survey.places().await {
            Ok(places) => self.walked.found.places = Some(places),
            Err(error) if is_of_all(&error) => return Err(error.into()),
            Err(error) => tracing::debug!(broker = self.name, %error, "broker.places_unknown"),
        }
        Ok(())
    }

    /// A build that verifies nothing moves no pair: providers are asked for their heads in turn.
    /// After something new, when a walk goes further, only looks that find more ask so.
    async fn look_at_a_head(&mut self, memory: &Memory) -> Result<(), WatchError> {
        if memory.is_lively(Instant::now()) && !self.walked.found.has_news {
            return Ok(());
        }
        let Some(provider) = memory.next_provider() else { return Ok(()) };
        self.walked.found.asked = Some(provider.clone());
        match self.swept.head(provider).await {
            Ok(head) => self.walked.found.head_asked = Some((provider.clone(), head)),
            Err(error) if is_of_all(&error) => return Err(error.into()),
            Err(error) => {
                tracing::debug!(broker = self.name, provider, %error, "broker.head_unknown");
            }
        }
        Ok(())
    }

    /// Consumers whose turn it is, whether they changed or not.
    async fn sweep(&mut self, memory: &mut Memory) -> Result<(), WatchError> {
        let now = Instant::now();
        if memory.is_first_contact() {
            return Ok(());
        }
        if memory.sweep.is_over(now) {
            let listed = list(self.broker).await?;
            self.only(&listed).await?;
            self.walked.swept_since = memory.begin_sweep(self.order.pairs(), self.began, now);
        }
        for (_, pairs) in memory.sweep.take(now) {
            self.look_at_all(memory, pairs, None).await?;
        }
        Ok(())
    }

    /// Looks closely at pairs that need not have changed, are not gone, and were not looked at just
    /// now.
    async fn look_at_all(
        &mut self,
        memory: &Memory,
        pairs: Vec<Pair>,
        round: Option<&Round>,
    ) -> Result<(), WatchError> {
        let this = &*self;
        let is_due = |pair: &Pair| !this.examined.contains(pair) && this.order.has(pair);
        let pairs = pairs.into_iter().filter(is_due);
        let visits: Vec<Result<Visit, WatchError>> = stream::iter(pairs)
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
    ) -> Result<Result<Seen, BrokerError>, WatchError> {
        let asked = match published(&self.swept, memory, pair).await {
            Ok(published) => numbers(&published),
            Err(error) => return Ok(Err(error)),
        };
        let seen = self.closely.look(&self.swept, memory, pair, &asked).await?;
        let (Ok(looked), Some(round)) = (&seen, round) else { return Ok(seen) };
        let owed = (pair, looked.examined.debts.as_slice());
        let healed =
            self.healer.heal(self.lease, self.closely.teller, &self.swept, owed, round).await;
        Ok(of_pair(healed)?.and(seen))
    }

    /// Reads all pairs because some are gone, and forgets those, unless more are deleted meanwhile.
    async fn leave_out_gone(&mut self) -> Result<(), WatchError> {
        self.walked.found.has_listed = true;
        let listed = list(self.broker).await?;
        if listed.is_steady { self.only(&listed).await } else { Ok(()) }
    }

    async fn only(&mut self, Listed { all, total, .. }: &Listed) -> Result<(), WatchError> {
        self.forget_gone(all).await?;
        self.order = std::mem::take(&mut self.order).of_all(all);
        self.walked.found.excess = excess(&self.order, *total);
        self.walked.found.is_whole = true;
        Ok(())
    }

    /// What the broker said of pairs that it does not name any more counts no longer.
    async fn forget_gone(&self, named: &Order) -> Result<(), WatchError> {
        let named = named.pairs().iter().map(|pair| self.closely.teller.key(pair)).collect();
        if self.pairs.forget_gone(self.lease, self.name, &named).await? {
            Ok(())
        } else {
            Err(WatchError::LeaseLost)
        }
    }
}

fn numbers<'v>(versions: impl IntoIterator<Item = &'v Version>) -> BTreeSet<String> {
    versions.into_iter().map(|version| version.number.clone()).collect()
}

/// Trouble of all questions.
fn is_of_all(error: &BrokerError) -> bool {
    matches!(error, BrokerError::Credential { .. } | BrokerError::RateLimited { .. })
}
