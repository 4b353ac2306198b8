//! How many may listen at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Streams of a process, and of one token.
const ALL: usize = 100;
const OF_ONE: usize = 10;

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crowded {
    /// The process has 100 streams.
    Process,
    /// The token has 10.
    Token,
}

impl Crowded {
    /// In words.
    pub(crate) fn detail(self) -> String {
        match self {
            Self::Process => format!("this process has {ALL} streams already: try again later"),
            Self::Token => {
                format!("this token has {OF_ONE} streams here already: close one of them")
            }
        }
    }
}

/// Who listens.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_name: HashMap<String, usize>,
}

impl Places {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more, until it is dropped.
    pub(crate) fn enter(places: &Arc<Self>, who: Option<String>) -> Result<Place, Crowded> {
        let mut taken = places.taken();
        if taken.all >= ALL {
            return Err(Crowded::Process);
        }
        if let Some(who) = &who {
            let own = taken.by_name.entry(who.clone()).or_default();
            if *own >= OF_ONE {
                return Err(Crowded::Token);
            }
            *own += 1;
        }
        taken.all += 1;
        Ok(Place { places: Arc::clone(places), who })
    }
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    who: Option<String>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all = taken.all.saturating_sub(1);
        if let Some(who) = &self.who
            && let Some(own) = taken.by_name.get_mut(who)
        {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.by_name.remove(who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_ten_and_the_process_a_hundred() {
        let places = Arc::<Places>::default();
        let enter = |who: &str| Places::enter(&places, Some(who.to_owned()));
        let mut held: Vec<_> = (0..10).map(|_| enter("a").unwrap()).collect();
        assert_eq!(enter("a").err(), Some(Crowded::Token));
        drop(held.pop());
        held.push(enter("a").unwrap());
        held.extend((0..90).map(|_| Places::enter(&places, None).unwrap()));
        assert_eq!(enter("b").err(), Some(Crowded::Process));
        drop(held);
        assert!(places.taken().by_name.is_empty() && places.taken().all == 0);
    }
}
