//! What is to be looked at when.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;

use crate::Millis;

/// At most one instant for each key. An instant that was moved stays in the heap and is skipped
/// when it comes.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    heap: BinaryHeap<Reverse<(Millis, K)>>,
    armed: HashMap<K, Millis>,
}

impl<K: Copy + Ord + Hash> Timers<K> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), armed: HashMap::new() }
    }

    /// Sets the key's instant, whatever it was.
    pub(crate) fn set(&mut self, key: K, at: Millis) {
        if self.armed.insert(key, at) != Some(at) {
            self.heap.push(Reverse((at, key)));
        }
    }

    /// Sets the key's instant unless it has an earlier one.
    pub(crate) fn bring_forward(&mut self, key: K, at: Millis) {
        if self.armed.get(&key).is_none_or(|armed| *armed > at) {
            self.set(key, at);
        }
    }

    /// Sets the key's instant unless it has one.
    pub(crate) fn arm(&mut self, key: K, at: Millis) {
        if !self.armed.contains_key(&key) {
            self.set(key, at);
        }
    }

    /// The key's instant.
    pub(crate) fn get(&self, key: K) -> Option<Millis> {
        self.armed.get(&key).copied()
    }

    /// The next key whose instant has come; it has none then.
    pub(crate) fn pop(&mut self, now: Millis) -> Option<K> {
        self.skip_stale();
        let Reverse((at, key)) = *self.heap.peek()?;
        if at > now {
            return None;
        }
        self.heap.pop();
        self.armed.remove(&key);
        Some(key)
    }

    /// The earliest instant. Exact after [`pop`](Self::pop) returned `None`, else perhaps early.
    pub(crate) fn next(&self) -> Option<Millis> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    fn skip_stale(&mut self) {
        while let Some(Reverse((at, key))) = self.heap.peek()
            && self.armed.get(key) != Some(at)
        {
            self.heap.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_instant_comes_once() {
        let mut timers = Timers::new();
        timers.set('a', Millis(10));
        timers.set('a', Millis(20));
        timers.set('a', Millis(10));
        timers.set('b', Millis(15));
        assert_eq!(timers.next(), Some(Millis(10)));
        assert_eq!(timers.pop(Millis(9)), None);
        assert_eq!(timers.pop(Millis(30)), Some('a'));
        assert_eq!(timers.pop(Millis(30)), Some('b'));
        assert_eq!(timers.pop(Millis(30)), None);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn hurry_never_delays_and_arm_never_moves() {
        let mut timers = Timers::new();
        timers.bring_forward('a', Millis(10));
        timers.bring_forward('a', Millis(20));
        timers.arm('a', Millis(5));
        assert_eq!(timers.pop(Millis(10)), Some('a'));
        timers.bring_forward('a', Millis(20));
        timers.bring_forward('a', Millis(10));
        assert_eq!(timers.pop(Millis(10)), Some('a'));
    }
}
