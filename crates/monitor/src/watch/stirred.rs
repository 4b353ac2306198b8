//! Pairs of which something changed that moves no pair: a provider's head, what is deployed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use postrider_broker::Pair;

/// A head, if there is one.
type Head = Option<String>;

/// Pairs that are looked at soon, and what tells that they should be.
#[derive(Debug, Default)]
pub(super) struct Stirred {
    /// The head of each provider's main branch, as last read; `None` before that.
    heads: BTreeMap<String, Option<Head>>,
    /// Longest waiting first.
    queue: VecDeque<Pair>,
    /// The provider whose head was asked for last.
    asked: Option<String>,
}

impl Stirred {
    /// A provider's head was read, by whoever looked at one of its pairs. Another one than before
    /// may have no result for any of its contracts.
    pub(super) fn note_head(&mut self, provider: &str, head: Option<&String>, pairs: &[Pair]) {
        let head = head.cloned();
        let before = self.heads.insert(provider.to_owned(), Some(head.clone())).flatten();
        if before.is_some_and(|before| before != head) {
            self.stir(pairs, |pair| pair.provider == provider);
        }
    }

    /// The newest head that is known of a provider.
    pub(super) fn head(&self, provider: &str) -> Option<&String> {
        self.heads.get(provider)?.as_ref()?.as_ref()
    }

    /// Other versions of these applications are deployed or supported than before.
    pub(super) fn note_moved(&mut self, names: &BTreeSet<String>, pairs: &[Pair]) {
        if !names.is_empty() {
            self.stir(pairs, |pair| {
                names.contains(&pair.provider) || names.contains(&pair.consumer)
            });
        }
    }

    /// Some pairs were looked at.
    pub(super) fn note_seen(&mut self, is_seen: impl Fn(&Pair) -> bool) {
        self.queue.retain(|pair| !is_seen(pair));
    }

    /// Those that are to be looked at, longest waiting first.
    pub(super) fn waiting(&self) -> &VecDeque<Pair> {
        &self.queue
    }

    /// The provider whose head is to be asked for now: one after the other.
    pub(super) fn next_provider(&self) -> Option<&String> {
        use std::ops::Bound::{Excluded, Unbounded};
        let after = match &self.asked {
            Some(asked) => self.heads.range::<String, _>((Excluded(asked), Unbounded)).next(),
            None => None,
        };
        after.or_else(|| self.heads.iter().next()).map(|(provider, _)| provider)
    }

    /// This provider's head was asked for.
    pub(super) fn note_asked(&mut self, provider: String) {
        self.asked = Some(provider);
    }

    /// These are all pairs: others are forgotten, and all their providers asked in turn.
    pub(super) fn keep(&mut self, pairs: &[Pair]) {
        let providers: BTreeSet<&String> = pairs.iter().map(|pair| &pair.provider).collect();
        self.heads.retain(|provider, _| providers.contains(provider));
        for provider in providers {
            if !self.heads.contains_key(provider) {
                self.heads.insert(provider.clone(), None);
            }
        }
        let pairs: BTreeSet<&Pair> = pairs.iter().collect();
        self.queue.retain(|pair| pairs.contains(pair));
    }

    fn stir(&mut self, pairs: &[Pair], is_meant: impl Fn(&Pair) -> bool) {
        let waiting: BTreeSet<&Pair> = self.queue.iter().collect();
        let new = pairs.iter().filter(|pair| is_meant(pair) && !waiting.contains(pair));
        let new: Vec<Pair> = new.cloned().collect();
        self.queue.extend(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(names: &[(&str, &str)]) -> Vec<Pair> {
        let pair = |(consumer, provider): &(&str, &str)| Pair {
            consumer: (*consumer).to_owned(),
            provider: (*provider).to_owned(),
        };
        names.iter().map(pair).collect()
    }

    fn next(stirred: &Stirred) -> Vec<Pair> {
        stirred.waiting().iter().cloned().collect()
    }

    #[test]
    fn another_head_stirs_the_pairs_of_its_provider() {
        let all = pairs(&[("a", "p"), ("b", "p"), ("p", "q"), ("c", "q")]);
        let mut stirred = Stirred::default();
        let [one, two, three] = ["1", "2", "3"].map(str::to_owned);
        stirred.note_head("p", Some(&one), &all);
        stirred.note_head("q", None, &all);
        stirred.note_head("p", Some(&one), &all);
        assert_eq!(next(&stirred), []);
        stirred.note_head("p", Some(&two), &all);
        assert_eq!(next(&stirred), all[..2]);
        stirred.note_head("p", Some(&three), &all);
        assert_eq!((next(&stirred), stirred.head("p")), (all[..2].to_vec(), Some(&three)));
        stirred.note_seen(|pair| pair.consumer == "a");
        assert_eq!(next(&stirred), all[1..2]);
        stirred.note_head("q", Some(&one), &all);
        assert_eq!(next(&stirred), all[1..]);
        stirred.keep(&all[..2]);
        assert_eq!((next(&stirred), stirred.head("q")), (all[1..2].to_vec(), None));
    }

    #[test]
    fn what_moves_stirs_both_sides() {
        let all = pairs(&[("a", "p"), ("p", "q"), ("b", "q")]);
        let mut stirred = Stirred::default();
        stirred.note_moved(&BTreeSet::new(), &all);
        assert_eq!(next(&stirred), []);
        stirred.note_moved(&BTreeSet::from(["p".to_owned()]), &all);
        assert_eq!(next(&stirred), all[..2]);
    }

    #[test]
    fn providers_are_asked_for_their_heads_in_turn() {
        let mut stirred = Stirred::default();
        assert_eq!(stirred.next_provider(), None);
        stirred.note_head("b", None, &[]);
        let all = pairs(&[("x", "c"), ("x", "a"), ("y", "a"), ("y", "b")]);
        stirred.keep(&all);
        let mut asked = String::new();
        for _ in 0..4 {
            let next = stirred.next_provider().unwrap().clone();
            asked.push_str(&next);
            stirred.note_asked(next);
        }
        assert_eq!(asked, "abca");
        // The first head that is read is no other than before.
        stirred.note_head("c", Some(&"1".to_owned()), &all);
        assert_eq!(next(&stirred), []);
    }
}
