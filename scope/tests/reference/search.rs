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

/// How often it is looked for anew, in another order each time: one that takes long in one is often soon found in another.
const ATTEMPTS: u64 = 12;

/// Looks through all orders of steps, depth first, for one that says exactly what was seen; in each attempt until it has
/// seen `limit` states.
pub fn search(run: &Run<'_>, limit: usize) -> Verdict {
    match attempts(run, limit) {
        Verdict::Forbidden(_) if run.parallel && !run.fine => attempts(&Run { fine: true, ..*run }, limit),
        verdict => verdict,
    }
}

fn attempts(run: &Run<'_>, limit: usize) -> Verdict {
    let verdicts = (0..ATTEMPTS).map(|attempt| look(run, limit, attempt));
    let mut decided = verdicts.filter(|verdict| *verdict != Verdict::Unknown);
    decided.next().unwrap_or(Verdict::Unknown)
}

fn look(run: &Run<'_>, limit: usize, attempt: u64) -> Verdict {
    let mut known = HashSet::new();
    let mut open = vec![Machine::new(run)];
    // Of the order that says most of what was seen.
    let mut wrong = (0, None);
    let mut drawn = attempt;
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
        let mut steps = machine.steps(run);
        if steps.is_empty() && machine.said == run.outcome.len() {
            return Verdict::Allowed;
        }
        // The last one is looked at first: the time moves when nothing else can happen.
        steps.reverse();
        steps.sort_by_key(|step| !matches!(step, Step::Wait(_)));
        if attempt > 0 {
            drawn = drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let middle = (drawn >> 33) as usize % steps.len().max(1);
            steps.rotate_left(middle);
        }
        open.extend(steps.into_iter().map(|step| {
            let mut next = machine.clone();
            next.take(run, step);
            next
        }));
    }
    Verdict::Forbidden(wrong.1)
}
