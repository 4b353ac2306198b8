//! Pairs of which something changed that moves no pair: a provider's head, what is deployed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use postrider_broker::Pair;

/// Pairs that are looked at soon, and what tells that they should be.
#[derive(Debug, Default)]
pub(super) struct Stirred {
    /// The head of each provider's main branch, as last read.
    heads: BTreeMap<String, Option<String>>,
    /// Longest waiting first.
    queue: VecDeque<Pair>,
    /// The provider whose head was asked for last.
    asked: Option<String>,
}

impl Stirred {
    /// A provider's head was read, by whoever looked at one of its pairs. Another one than before
    /// may have no result for any of its contracts.
    pub(super) fn note_head(&mut self, provider: String, head: Option<String>, pairs: &[Pair]) {
        if self.heads.get(&provider).is_some_and(|before| *before != head) {
            self.stir(pairs, |pair| pair.provider == provider);
        }
        self.heads.insert(provider, head);
    }

    /// Other versions of these applications are deployed or supported than before.
    pub(super) fn note_moved(&mut self, names: &BTreeSet<String>, pairs: &[Pair]) {
        if !names.is_empty() {
            self.stir(pairs, |pair| {
                names.contains(&pair.provider) || names.contains(&pair.consumer)
            });
        }
    }

    /// These pairs were looked at.
    pub(super) fn note_seen(&mut self, seen: &BTreeSet<Pair>) {
        self.queue.retain(|pair| !seen.contains(pair));
    }

    /// Those that waited longest.
    pub(super) fn next(&self, most: usize) -> Vec<Pair> {
        self.queue.iter().take(most).cloned().collect()
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

    /// Providers of no pair any more are forgotten.
    pub(super) fn keep(&mut self, pairs: &[Pair]) {
        let providers: BTreeSet<&String> = pairs.iter().map(|pair| &pair.provider).collect();
        self.heads.retain(|provider, _| providers.contains(provider));
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

    #[test]
    fn another_head_stirs_the_pairs_of_its_provider() {
        let all = pairs(&[("a", "p"), ("b", "p"), ("p", "q"), ("c", "q")]);
        let mut stirred = Stirred::default();
        let head = |number: &str| Some(number.to_owned());
        stirred.note_head("p".to_owned(), head("1"), &all);
        stirred.note_head("q".to_owned(), None, &all);
        stirred.note_head("p".to_owned(), head("1"), &all);
        assert_eq!(stirred.next(9), []);
        stirred.note_head("p".to_owned(), head("2"), &all);
        assert_eq!(stirred.next(9), all[..2]);
        stirred.note_head("p".to_owned(), head("3"), &all);
        assert_eq!(stirred.next(1), all[..1]);
        stirred.note_seen(&all[..1].iter().cloned().collect());
        assert_eq!(stirred.next(9), all[1..2]);
        stirred.note_head("q".to_owned(), head("1"), &all);
        assert_eq!(stirred.next(9), all[1..]);
        stirred.keep(&all[..2]);
        assert_eq!(stirred.next(9), all[1..2]);
    }

    #[test]
    fn what_moves_stirs_both_sides() {
        let all = pairs(&[("a", "p"), ("p", "q"), ("b", "q")]);
        let mut stirred = Stirred::default();
        stirred.note_moved(&BTreeSet::new(), &all);
        assert_eq!(stirred.next(9), []);
        stirred.note_moved(&BTreeSet::from(["p".to_owned()]), &all);
        assert_eq!(stirred.next(9), all[..2]);
    }

    #[test]
    fn heads_are_asked_for_in_turn() {
        let mut stirred = Stirred::default();
        assert_eq!(stirred.next_provider(), None);
        for provider in ["b", "a", "c"] {
            stirred.note_head(provider.to_owned(), None, &[]);
        }
        let mut asked = String::new();
        for _ in 0..4 {
            let next = stirred.next_provider().unwrap().clone();
            asked.push_str(&next);
            stirred.note_asked(next);
        }
        assert_eq!(asked, "abca");
    }
}
