//! Lanes that want to be served, in three rings.

use super::standing::Class;

#[derive(Debug, Clone, Copy, Default)]
struct Link {
    class: Option<Class>,
    before: Option<usize>,
    after: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Ends {
    head: Option<usize>,
    tail: Option<usize>,
}

/// Three rings of lanes, one a class. A lane is in one of them at most, and at most once: its
/// place is kept with the lane. Everything is O(1).
#[derive(Debug, Default)]
pub(crate) struct Rings {
    links: Vec<Link>,
    ends: [Ends; Class::COUNT],
}

impl Rings {
    /// Puts a lane at the end of a ring; out of another one, if it was there. One that is
    /// already in this ring keeps its place.
    pub(crate) fn push(&mut self, class: Class, lane: usize) {
        if self.class_of(lane) == Some(class) {
            return;
        }
        self.remove(lane);
        if self.links.len() <= lane {
            self.links.resize(lane + 1, Link::default());
        }
        let ends = &mut self.ends[class.index()];
        self.links[lane] = Link { class: Some(class), before: ends.tail, after: None };
        match ends.tail.replace(lane) {
            Some(tail) => self.links[tail].after = Some(lane),
            None => ends.head = Some(lane),
        }
    }

    /// Takes the lane that is served next out of its ring.
    pub(crate) fn pop(&mut self, class: Class) -> Option<usize> {
        let head = self.ends[class.index()].head?;
        self.remove(head);
        Some(head)
    }

    /// Takes a lane out of its ring, if it is in one.
    pub(crate) fn remove(&mut self, lane: usize) {
        let Some(link) = self.links.get_mut(lane).map(std::mem::take) else { return };
        let Some(class) = link.class else { return };
        let ends = &mut self.ends[class.index()];
        match link.before {
            Some(before) => self.links[before].after = link.after,
            None => ends.head = link.after,
        }
        match link.after {
            Some(after) => self.links[after].before = link.before,
            None => ends.tail = link.before,
        }
    }

    /// In which ring a lane is.
    pub(crate) fn class_of(&self, lane: usize) -> Option<Class> {
        self.links.get(lane).and_then(|link| link.class)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against three plain queues.
        #[test]
        fn behaves_like_queues_without_repetition(
            steps in prop::collection::vec((0_usize..3, 0_usize..6, 0_u8..3), 0..200),
        ) {
            let mut rings = Rings::default();
            let mut queues: [VecDeque<usize>; Class::COUNT] = Default::default();
            for (class, lane, what) in steps {
                let class = Class::ALL[class];
                match what {
                    0 => {
                        rings.push(class, lane);
                        if !queues[class.index()].contains(&lane) {
                            for queue in &mut queues {
                            queue.retain(|each| *each != lane);
                        }
                            queues[class.index()].push_back(lane);
                        }
                    }
                    1 => prop_assert_eq!(rings.pop(class), queues[class.index()].pop_front()),
                    _ => {
                        rings.remove(lane);
                        for queue in &mut queues {
                            queue.retain(|each| *each != lane);
                        }
                    }
                }
                for lane in 0..6 {
                    let class = Class::ALL.into_iter().find(|c| queues[c.index()].contains(&lane));
                    prop_assert_eq!(rings.class_of(lane), class);
                }
            }
        }
    }
}
