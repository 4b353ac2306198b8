//! How far a walk has to go: the pairs in the order of their last change, as remembered and as
//! read anew.

use std::collections::{HashMap, HashSet};

use postrider_broker::Pair;

/// A pair that overtook no more than so many others does not keep a walk going by that alone: a
/// pair that is gone makes all that follow it look as if they had overtaken it.
const FEW: usize = 2;

/// Pairs, newest change first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order {
    list: Vec<Pair>,
    places: HashMap<Pair, usize>,
}

impl Order {
    pub(crate) fn new(list: Vec<Pair>) -> Self {
        let places = list.iter().cloned().enumerate().map(|(place, pair)| (pair, place)).collect();
        Self { list, places }
    }

    pub(crate) fn pairs(&self) -> &[Pair] {
        &self.list
    }

    pub(crate) fn has(&self, pair: &Pair) -> bool {
        self.places.contains_key(pair)
    }

    /// Those of them that are among all pairs, and then the others of all.
    pub(crate) fn of_all(self, all: &Self) -> Self {
        let Self { list, places } = self;
        let others = all.list.iter().filter(|pair| !places.contains_key(*pair)).cloned();
        let known = list.into_iter().filter(|pair| all.has(pair));
        Self::new(known.chain(others).collect())
    }
}

/// Where a pair stands that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It was read already: pairs move while pages are read.
    Read,
    /// It was not remembered.
    New,
    /// It overtook so many others that are not read yet, of many the first.
    Overtook(usize),
}

impl Place {
    /// Whether something of it changed for certain.
    pub(crate) fn has_moved(self) -> bool {
        match self {
            Self::New => true,
            Self::Overtook(others) => others > 0,
            Self::Read => false,
        }
    }
}

/// A reading of the pairs, newest change first.
#[derive(Debug)]
pub(crate) struct Reading {
    before: Order,
    /// Which of the remembered ones are read, and the first that is not.
    is_read: Vec<bool>,
    first_unread: usize,
    read: Vec<Pair>,
    all_read: HashSet<Pair>,
    /// Pairs in a row of which nothing changed.
    untouched: usize,
}

impl Reading {
    pub(crate) fn new(before: Order) -> Self {
        let is_read = vec![false; before.list.len()];
        let (read, all_read) = (Vec::new(), HashSet::new());
        Self { before, is_read, first_unread: 0, read, all_read, untouched: 0 }
    }

    /// Whether nothing is remembered, so that everything is read.
    pub(crate) fn is_first(&self) -> bool {
        self.before.list.is_empty()
    }

    /// Reads the next pair.
    pub(crate) fn next(&mut self, pair: &Pair) -> Place {
        if !self.all_read.insert(pair.clone()) {
            return Place::Read;
        }
        self.read.push(pair.clone());
        let Some(place) = self.before.places.get(pair) else { return Place::New };
        let between = self.is_read.get(self.first_unread..*place).unwrap_or_default();
        let overtaken = between.iter().filter(|is_read| !**is_read).take(FEW + 1).count();
        if let Some(is_read) = self.is_read.get_mut(*place) {
            *is_read = true;
        }
        while self.is_read.get(self.first_unread) == Some(&true) {
            self.first_unread += 1;
        }
        Place::Overtook(overtaken)
    }

    /// Notes what was found of a pair.
    pub(crate) fn saw(&mut self, place: Place, has_news: bool) {
        let is_touched = match place {
            Place::Read => return,
            Place::New => true,
            Place::Overtook(others) => has_news || others > FEW,
        };
        self.untouched = if is_touched { 0 } else { self.untouched + 1 };
    }

    /// Whether nothing more changed: so many pairs in a row were untouched.
    pub(crate) fn is_done(&self, in_a_row: usize) -> bool {
        self.untouched >= in_a_row
    }

    /// What is to be remembered: what was read, then what was not. After a reading of all pairs
    /// only what was read; the others are gone.
    pub(crate) fn into_order(self, has_read_all: bool) -> Order {
        let mut list = self.read;
        if !has_read_all {
            let read = self.all_read;
            list.extend(self.before.list.into_iter().filter(|pair| !read.contains(pair)));
        }
        Order::new(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(names: &str) -> Vec<Pair> {
        let pair = |name: char| Pair { consumer: name.to_string(), provider: "P".to_owned() };
        names.chars().map(pair).collect()
    }

    fn names(order: &Order) -> String {
        order.list.iter().map(|pair| pair.consumer.as_str()).collect()
    }

    /// Reads until `in_a_row` pairs are untouched: those that moved, and what is remembered then.
    fn walk(before: &str, now: &str, in_a_row: usize) -> (String, String) {
        let mut reading = Reading::new(Order::new(pairs(before)));
        let mut moved = String::new();
        let mut has_read_all = true;
        for pair in pairs(now) {
            let place = reading.next(&pair);
            if place.has_moved() {
                moved.push_str(&pair.consumer);
            }
            reading.saw(place, false);
            if reading.is_done(in_a_row) {
                has_read_all = false;
                break;
            }
        }
        (moved, names(&reading.into_order(has_read_all)))
    }

    #[test]
    fn what_overtook_others_has_moved() {
        let (moved, order) = walk("abcdefghij", "gabcdefhij", 3);
        assert_eq!((moved.as_str(), order.as_str()), ("g", "gabcdefhij"));
        let (moved, _) = walk("abcdefghij", "jihabcdefg", 3);
        assert_eq!(moved, "jih");
        let (moved, _) = walk("abcdefghij", "abcdefghij", 3);
        assert_eq!(moved, "");
        let (moved, order) = walk("", "abc", 3);
        assert_eq!((moved.as_str(), order.as_str()), ("abc", "abc"));
        let (moved, _) = walk("abcdefgh", "xabcdefgh", 5);
        assert_eq!(moved, "x");
    }

    #[test]
    fn a_pair_that_is_gone_does_not_keep_the_walk_going() {
        // `a` is gone: what follows looks as if it had overtaken it, and the walk ends all the same.
        let (moved, order) = walk("abcdefghijkl", "bcdefghijkl", 3);
        assert_eq!((moved.as_str(), order.as_str()), ("bcd", "bcdaefghijkl"));
        let (moved, _) = walk("bcdaefghijkl", "bcdefghijkl", 3);
        assert_eq!(moved, "");
    }

    #[test]
    fn what_all_pairs_are_makes_an_order_whole() {
        let order = Order::new(pairs("cab")).of_all(&Order::new(pairs("abd")));
        assert_eq!(names(&order), "abd");
        assert_eq!(order.places.len(), 3);
    }

    #[test]
    fn a_pair_that_moves_between_two_pages_is_read_once() {
        let mut reading = Reading::new(Order::new(pairs("abcd")));
        for (pair, expected) in [
            ("a", Place::Overtook(0)),
            ("b", Place::Overtook(0)),
            ("b", Place::Read),
            ("x", Place::New),
            ("x", Place::Read),
        ] {
            assert_eq!(reading.next(&pairs(pair)[0]), expected, "{pair}");
        }
    }

    #[test]
    fn news_keep_a_walk_going() {
        let mut reading = Reading::new(Order::new(pairs("abcd")));
        for (pair, has_news) in [("a", false), ("b", true), ("c", false)] {
            let place = reading.next(&pairs(pair)[0]);
            reading.saw(place, has_news);
        }
        assert!(!reading.is_done(2));
        let place = reading.next(&pairs("d")[0]);
        reading.saw(place, false);
        assert!(reading.is_done(2));
    }
}
