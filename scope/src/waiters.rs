//! The wakers of whoever waits for a scope's cancel or stop, by their keys.

use std::collections::BTreeMap;
use std::task::Waker;

/// Most scopes that are waited for at all are waited for once, and a map's first node has room for eleven: the first
/// waiter has a place of its own.
#[derive(Default)]
pub(crate) struct Waiters {
    first: Option<(u64, Waker)>,
    rest: BTreeMap<u64, Waker>,
}

impl Waiters {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none() && self.rest.is_empty()
    }

    pub(crate) fn contains_key(&self, key: &u64) -> bool {
        self.is_first(*key) || self.rest.contains_key(key)
    }

    /// The waker that was there under `key`.
    pub(crate) fn insert(&mut self, key: u64, waker: Waker) -> Option<Waker> {
        if self.is_first(key) || (self.first.is_none() && !self.rest.contains_key(&key)) {
            return self.first.replace((key, waker)).map(|(_, older)| older);
        }
        self.rest.insert(key, waker)
    }

    pub(crate) fn remove(&mut self, key: &u64) -> Option<Waker> {
        if self.is_first(*key) {
            return self.first.take().map(|(_, waker)| waker);
        }
        self.rest.remove(key)
    }

    /// All of them, in no order.
    pub(crate) fn into_values(self) -> impl Iterator<Item = Waker> {
        self.first.into_iter().map(|(_, waker)| waker).chain(self.rest.into_values())
    }

    fn is_first(&self, key: u64) -> bool {
        self.first.as_ref().is_some_and(|first| first.0 == key)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Wake, Waker};

    use super::Waiters;

    struct Nothing;

    impl Wake for Nothing {
        fn wake(self: Arc<Self>) {}
    }

    fn waker() -> (Arc<Nothing>, Waker) {
        let nothing = Arc::new(Nothing);
        (Arc::clone(&nothing), Waker::from(nothing))
    }

    #[test]
    fn each_key_has_one_waker_wherever_it_is_kept() {
        let mut waiters = Waiters::default();
        let (count, waker) = waker();
        for key in 1..=3 {
            assert!(waiters.insert(key, waker.clone()).is_none());
        }
        assert!(waiters.insert(1, waker.clone()).is_some());
        assert!(waiters.insert(3, waker.clone()).is_some());
        assert!(waiters.remove(&1).is_some());
        assert!(waiters.remove(&1).is_none() && !waiters.contains_key(&1));
        // The first place is free, and 3 has another one.
        assert!(waiters.insert(3, waker.clone()).is_some());
        assert!(waiters.insert(4, waker.clone()).is_none());
        assert!((2..=4).all(|key| waiters.contains_key(&key)));
        assert_eq!(waiters.into_values().count(), 3);
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 1);
    }
}
