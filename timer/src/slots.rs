//! Generational storage whose values hang in doubly linked lists.
//!
//! Links are indices, not pointers, so there is no unsafe code and a stale [`Key`] is harmless: every removal advances
//! the generation of the place. A place whose generation is used up is never handed out again, so a key never comes to
//! mean another value, however long the program runs.

/// "No place": the end of a list.
const NIL: u32 = u32::MAX;

/// Names one stored value; it means nothing once the value is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

struct Slot<T> {
    generation: u32,
    prev: u32,
    /// In a list: the next value. Vacant: the next vacant place.
    next: u32,
    value: Option<T>,
}

/// One list's ends; its links are in [`Slots`].
#[derive(Clone, Copy)]
pub(crate) struct List {
    head: u32,
    tail: u32,
}

impl List {
    pub(crate) const EMPTY: List = List { head: NIL, tail: NIL };

    pub(crate) fn is_empty(&self) -> bool {
        self.head == NIL
    }
}

/// The values and their links. A value is in exactly one list, except between `insert` and `push_back` and between
/// `unlink` and `push_back`; which list that is, the caller knows.
pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    vacant: u32,
    len: usize,
}

impl<T> Slots<T> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), vacant: NIL, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Stores `value`, which is not in a list yet.
    pub(crate) fn insert(&mut self, value: T) -> Key {
        self.len += 1;
        if self.vacant != NIL {
            let index = self.vacant;
            let slot = &mut self.slots[index as usize];
            self.vacant = slot.next;
            slot.value = Some(value);
            return Key { index, generation: slot.generation };
        }
        let index = u32::try_from(self.slots.len()).ok().filter(|index| *index != NIL);
        let index = index.expect("fewer than 2^32 - 1 timers are alive at once");
        self.slots.push(Slot { generation: 0, prev: NIL, next: NIL, value: Some(value) });
        Key { index, generation: 0 }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.index as usize)?;
        if slot.generation == key.generation { slot.value.as_ref() } else { None }
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation == key.generation { slot.value.as_mut() } else { None }
    }

    /// Takes out a value that is in no list.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation != key.generation {
            return None;
        }
        let value = slot.value.take()?;
        self.len -= 1;
        // The last generation is not used up but kept out of circulation together with its place.
        if let Some(generation) = slot.generation.checked_add(1) {
            slot.generation = generation;
            slot.next = self.vacant;
            self.vacant = key.index;
        }
        Some(value)
    }

    /// The first of `list`.
    pub(crate) fn front(&self, list: &List) -> Option<Key> {
        let slot = self.slots.get(list.head as usize)?;
        Some(Key { index: list.head, generation: slot.generation })
    }

    /// Appends a stored value that is in no list.
    pub(crate) fn push_back(&mut self, list: &mut List, key: Key) {
        debug_assert!(self.get(key).is_some());
        let slot = &mut self.slots[key.index as usize];
        slot.prev = list.tail;
        slot.next = NIL;
        match list.tail {
            NIL => list.head = key.index,
            tail => self.slots[tail as usize].next = key.index,
        }
        list.tail = key.index;
    }

    /// Takes a stored value out of `list`, the list it is in; it stays stored.
    pub(crate) fn unlink(&mut self, list: &mut List, key: Key) {
        debug_assert!(self.get(key).is_some());
        let Slot { prev, next, .. } = self.slots[key.index as usize];
        match prev {
            NIL => list.head = next,
            prev => self.slots[prev as usize].next = next,
        }
        match next {
            NIL => list.tail = prev,
            next => self.slots[next as usize].prev = prev,
        }
    }

    /// All values, in no order.
    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        self.slots.into_iter().filter_map(|slot| slot.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(slots: &mut Slots<u32>, list: &mut List) -> Vec<u32> {
        let mut values = Vec::new();
        while let Some(key) = slots.front(list) {
            slots.unlink(list, key);
            values.extend(slots.remove(key));
        }
        values
    }

    #[test]
    fn lists_keep_their_order_when_values_leave_anywhere() {
        for gone in 0..4 {
            let mut slots = Slots::new();
            let mut list = List::EMPTY;
            let keys: Vec<Key> = (0..4).map(|value| slots.insert(value)).collect();
            keys.iter().for_each(|key| slots.push_back(&mut list, *key));
            slots.unlink(&mut list, keys[gone]);
            assert_eq!(slots.remove(keys[gone]), Some(gone as u32));
            let kept: Vec<u32> = (0..4).filter(|value| *value != gone as u32).collect();
            assert_eq!(drain(&mut slots, &mut list), kept);
            assert!(list.is_empty());
            assert_eq!(slots.len(), 0);
        }
    }

    #[test]
    fn a_stale_key_finds_nothing_in_a_reused_place() {
        let mut slots = Slots::new();
        let old = slots.insert('a');
        assert_eq!(slots.remove(old), Some('a'));
        let new = slots.insert('b');
        assert_eq!(new.index, old.index);
        assert_eq!(slots.get(old), None);
        assert_eq!(slots.get_mut(old), None);
        assert_eq!(slots.remove(old), None);
        assert_eq!(slots.get(new), Some(&'b'));
        assert_eq!(slots.len(), 1);
    }

    #[test]
    fn a_place_with_no_generation_left_is_retired() {
        let mut slots = Slots::new();
        let first = slots.insert('a');
        slots.slots[0].generation = u32::MAX;
        let last = Key { generation: u32::MAX, ..first };
        assert_eq!(slots.remove(last), Some('a'));
        assert_eq!(slots.remove(last), None);
        assert_ne!(slots.insert('b').index, first.index);
    }
}
