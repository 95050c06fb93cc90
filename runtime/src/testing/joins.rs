//! Who waits for whose handle, for the report of a simulation that is stuck.
//!
//! A handle that has to wait is noted with the waker that it registered. If that is the waiting task's own, the wait is
//! renewed by each of its polls; if it is a waker of a combinator's, which polls only those that were woken, it stays until
//! the task that is waited for has ended.

use std::collections::HashMap;
use std::task::Waker;

use crate::context;
use crate::task::Id;

/// Who waits: a task, or the future of `block_on`.
pub(crate) type Waiting = Option<Id>;

#[derive(Debug)]
struct Edge {
    joined: Id,
    is_own: bool,
}

/// The waits that are known.
#[derive(Debug, Default)]
pub(crate) struct Joins(HashMap<Waiting, Vec<Edge>>);

impl Joins {
    /// `who` is about to be polled: waits with its own waker are renewed or over.
    pub(crate) fn begin(&mut self, who: Waiting) {
        if let Some(edges) = self.0.get_mut(&who) {
            edges.retain(|edge| !edge.is_own);
        }
        drop(context::take_joins());
    }

    /// `who` was polled. `is_own` tells its waker.
    pub(crate) fn end(&mut self, who: Waiting, is_own: impl Fn(&Waker) -> bool) {
        let noted = context::take_joins();
        if noted.is_empty() {
            return;
        }
        let edges = self.0.entry(who).or_default();
        for join in noted {
            let edge = Edge { joined: join.joined, is_own: is_own(&join.joiner) };
            if !edges.iter().any(|known| known.joined == edge.joined) {
                edges.push(edge);
            }
        }
    }

    /// The task has ended: it waits for nobody, and nobody waits for it.
    pub(crate) fn ended(&mut self, id: Id) {
        self.0.remove(&Some(id));
        self.0.retain(|_, edges| {
            edges.retain(|edge| edge.joined != id);
            !edges.is_empty()
        });
    }

    /// Whom `who` waits for.
    pub(crate) fn of(&self, who: Waiting) -> Vec<Id> {
        self.0.get(&who).into_iter().flatten().map(|edge| edge.joined).collect()
    }

    /// The circles of tasks that wait for each other, each told once.
    pub(crate) fn cycles(&self) -> Vec<Vec<Id>> {
        let mut cycles: Vec<Vec<Id>> = Vec::new();
        let mut starts: Vec<Id> = self.0.keys().flatten().copied().collect();
        starts.sort();
        for start in starts {
            if cycles.iter().any(|cycle| cycle.contains(&start)) {
                continue;
            }
            cycles.extend(self.circle(start));
        }
        cycles
    }

    /// A way from `start` back to it, found depth first without recursion.
    fn circle(&self, start: Id) -> Option<Vec<Id>> {
        let mut way = vec![(start, self.of(Some(start)).into_iter())];
        let mut seen = vec![start];
        while let Some((_, ahead)) = way.last_mut() {
            match ahead.next() {
                Some(next) if next == start => return Some(way.into_iter().map(|(id, _)| id).collect()),
                Some(next) if seen.contains(&next) => {}
                Some(next) => {
                    seen.push(next);
                    way.push((next, self.of(Some(next)).into_iter()));
                }
                None => {
                    way.pop();
                }
            }
        }
        None
    }
}
