//! Is what was seen among what the rules allow?

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::rules::{Machine, Run, Step};
use super::{Key, Seen};

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    /// Not in any order. What one order says that was not seen, or nothing: then more was seen than it says.
    Forbidden(Option<(Key, Seen, u64)>),
    /// Not found within the limit.
    Unknown,
}

/// Looks through all orders of steps, depth first, for one that says exactly what was seen.
pub fn search(run: &Run<'_>, limit: usize) -> Verdict {
    let mut known = HashSet::new();
    let mut open = vec![Machine::new(run)];
    // Of the order that says most of what was seen.
    let mut wrong = (0, None);
    while let Some(machine) = open.pop() {
        if machine.wrong.is_some() {
            if wrong.1.is_none() || machine.said > wrong.0 {
                wrong = (machine.said, machine.wrong);
            }
            continue;
        }
        let mut hasher = DefaultHasher::new();
        machine.hash(&mut hasher);
        if !known.insert(hasher.finish()) {
            continue;
        }
        if known.len() > limit {
            return Verdict::Unknown;
        }
        let steps = machine.steps(run);
        if steps.is_empty() && machine.said == run.outcome.len() {
            return Verdict::Allowed;
        }
        // The last one is looked at first: the time moves when nothing else can happen.
        let time = |step: &&Step| matches!(step, Step::Wait(_));
        let order = steps.iter().filter(time).chain(steps.iter().filter(|step| !time(step)).rev());
        open.extend(order.map(|step| {
            let mut next = machine.clone();
            next.take(run, *step);
            next
        }));
    }
    Verdict::Forbidden(wrong.1)
}
