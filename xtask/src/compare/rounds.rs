//! The rounds: every case once in each, so that a machine whose mood changes treats all alike.

use indicatif::{ProgressBar, ProgressStyle};

use super::case::{self, Binaries};
use super::catalogue::Workload;
use super::options::Options;
use super::stats;

/// What has been measured of a workload on a peer.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) workload: String,
    pub(super) peer: String,
    pub(super) rounds: Vec<case::Samples>,
    /// Why the others failed.
    pub(super) failures: Vec<String>,
}

impl Measured {
    /// The median of each round.
    pub(super) fn medians(&self, measure: &str) -> Vec<f64> {
        self.rounds.iter().filter_map(|samples| stats::median(samples.get(measure)?)).collect()
    }

    /// The smallest of all samples.
    pub(super) fn minimum(&self, measure: &str) -> Option<f64> {
        let smallest = self.rounds.iter().filter_map(|samples| stats::minimum(samples.get(measure)?));
        stats::minimum(&smallest.collect::<Vec<_>>())
    }
}

/// Runs all cases that there are binaries for.
pub(super) fn run(chosen: &[&Workload], binaries: &Binaries, options: &Options) -> Vec<Measured> {
    let mut measured = Vec::new();
    for workload in chosen {
        for peer in workload.peers.iter().filter(|peer| binaries.of(peer).is_some()) {
            measured.push(Measured { workload: workload.id.clone(), peer: peer.clone(), ..Measured::default() });
        }
    }
    let slow = |id: &str| chosen.iter().any(|workload| workload.id == id && workload.slow);
    let last = |id: &str| if slow(id) { options.slow_rounds() } else { options.rounds() };
    let cases: usize = measured.iter().map(|case| last(&case.workload)).sum();
    let bar = bar(cases);
    for round in 0..options.rounds() {
        if bar.is_hidden() {
            eprintln!("round {} of {}", round + 1, options.rounds());
        }
        for place in order(&measured, round) {
            let case = &mut measured[place];
            let Some(binary) = binaries.of(&case.peer) else { continue };
            if round >= last(&case.workload) {
                continue;
            }
            bar.set_message(format!("round {} of {}: {} {}", round + 1, options.rounds(), case.workload, case.peer));
            match case::run(binary, &case.workload, &case.peer, options.quick) {
                Ok(samples) => case.rounds.push(samples),
                Err(error) => {
                    bar.suspend(|| eprintln!("{} on {} failed: {error}", case.workload, case.peer));
                    case.failures.push(error);
                }
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    measured
}

/// Workload by workload; in odd rounds the peers of each the other way round.
fn order(measured: &[Measured], round: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..measured.len()).collect();
    if round % 2 == 1 {
        for group in order.chunk_by_mut(|a, b| measured[*a].workload == measured[*b].workload) {
            group.reverse();
        }
    }
    order
}

fn bar(cases: usize) -> ProgressBar {
    let bar = ProgressBar::new(cases as u64);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} cases, {elapsed} gone, {eta} to go\n{msg}");
    bar.set_style(style.expect("the template is well-formed"));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(workload: &str, peer: &str) -> Measured {
        Measured { workload: workload.into(), peer: peer.into(), ..Measured::default() }
    }

    #[test]
    fn peers_take_turns_at_being_first() {
        let cases = [measured("A", "x"), measured("A", "y"), measured("B", "x"), measured("B", "y")];
        assert_eq!(order(&cases, 0), [0, 1, 2, 3]);
        assert_eq!(order(&cases, 1), [1, 0, 3, 2]);
    }

    #[test]
    fn a_round_counts_by_its_median_and_the_minimum_is_of_all() {
        let samples = |values: &[f64]| case::Samples::from([("ns".to_owned(), values.to_vec())]);
        let mut case = measured("A", "x");
        case.rounds = vec![samples(&[5.0, 1.0, 6.0]), samples(&[4.0])];
        assert_eq!(case.medians("ns"), [5.0, 4.0]);
        assert_eq!(case.minimum("ns"), Some(1.0));
        assert_eq!(case.minimum("us"), None);
    }
}
