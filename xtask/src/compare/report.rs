//! What the run says: a row for each measure, with the figures of all peers, ratios, and the targets.

use serde::Serialize;

use super::catalogue::{Catalogue, Kind, Measure, Target, Workload};
use super::machine::Machine;
use super::options::Options;
use super::rounds::Measured;
use super::stats;

/// The results.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) quick: bool,
    /// Rounds of most workloads, and of slow ones.
    pub(super) rounds: [usize; 2],
    pub(super) rows: Vec<Row>,
    failures: usize,
}

/// One measure of one workload.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) workload: String,
    pub(super) text: String,
    pub(super) measure: String,
    pub(super) measure_text: String,
    pub(super) unit: String,
    #[serde(skip)]
    pub(super) chart: Option<String>,
    pub(super) higher_is_better: bool,
    pub(super) figures: Vec<Figure>,
    pub(super) verdicts: Vec<Verdict>,
}

/// What one peer needs.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    pub(super) peer: String,
    pub(super) title: String,
    #[serde(skip)]
    pub(super) kind: Kind,
    /// Of the medians of the rounds.
    pub(super) median: Option<f64>,
    pub(super) minimum: Option<f64>,
    /// From the best round to the worst, as a part of the median.
    pub(super) spread: Option<f64>,
    pub(super) to_tokio: Option<f64>,
    pub(super) to_best: Option<f64>,
    pub(super) failures: Vec<String>,
}

/// A target and what became of it.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) target: String,
    /// In the unit of the row; none if there is nothing to compare with.
    pub(super) limit: Option<f64>,
    /// Ours as a part of the limit.
    pub(super) of_limit: Option<f64>,
    pub(super) met: Option<bool>,
}

impl Report {
    pub(super) fn new(
        machine: Machine,
        options: &Options,
        catalogue: &Catalogue,
        chosen: &[&Workload],
        measured: &[Measured],
    ) -> Report {
        let rows = chosen.iter().flat_map(|workload| {
            let table = Table { catalogue, workload, measured };
            workload.measures.iter().map(move |measure| table.row(measure))
        });
        let rounds = [options.rounds(), options.slow_rounds()];
        let failures = measured.iter().map(|case| case.failures.len()).sum();
        Report { machine, quick: options.quick, rounds, rows: rows.collect(), failures }
    }

    /// How many cases failed.
    pub(super) fn failures(&self) -> usize {
        self.failures
    }

    /// Targets that are met, missed, and all.
    pub(super) fn score(&self) -> [usize; 3] {
        let verdicts = || self.rows.iter().flat_map(|row| &row.verdicts);
        let count = |met| verdicts().filter(|verdict| verdict.met == Some(met)).count();
        [count(true), count(false), verdicts().count()]
    }
}

impl Row {
    /// Our figure.
    pub(super) fn ours(&self) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.kind == Kind::Ours)
    }

    /// The best form of tokio.
    pub(super) fn tokio(&self) -> Option<&Figure> {
        self.best_of(|kind| kind == Kind::Tokio)
    }

    /// The best of all that are not ours, floors aside.
    pub(super) fn best(&self) -> Option<&Figure> {
        self.best_of(|kind| matches!(kind, Kind::Tokio | Kind::Peer))
    }

    pub(super) fn floor(&self) -> Option<&Figure> {
        self.best_of(|kind| kind == Kind::Floor)
    }

    fn best_of(&self, wanted: impl Fn(Kind) -> bool) -> Option<&Figure> {
        let figures = self.figures.iter().filter(|figure| wanted(figure.kind) && figure.median.is_some());
        let by_median = |a: &&Figure, b: &&Figure| {
            let order = a.median.unwrap_or(f64::MAX).total_cmp(&b.median.unwrap_or(f64::MAX));
            if self.higher_is_better { order.reverse() } else { order }
        };
        figures.min_by(by_median)
    }
}

/// A workload with what was measured.
#[derive(Clone, Copy)]
struct Table<'a> {
    catalogue: &'a Catalogue,
    workload: &'a Workload,
    measured: &'a [Measured],
}

impl Table<'_> {
    fn row(self, measure: &Measure) -> Row {
        let mut row = self.figures(measure);
        let median = |figure: Option<&Figure>| figure.and_then(|figure| figure.median);
        let (tokio, best) = (median(row.tokio()), median(row.best()));
        for figure in &mut row.figures {
            let to = |other: Option<f64>| stats::ratio(figure.median?, other?);
            (figure.to_tokio, figure.to_best) = (to(tokio), to(best));
        }
        let ours = median(row.ours());
        row.verdicts = measure.targets.iter().map(|target| self.verdict(measure, target, ours)).collect();
        row
    }

    fn figures(self, measure: &Measure) -> Row {
        let figures = self.workload.peers.iter().filter_map(|name| {
            let peer = self.catalogue.peer(name)?;
            let case = self.measured.iter().find(|case| case.workload == self.workload.id && case.peer == *name)?;
            let medians = case.medians(&measure.key);
            Some(Figure {
                peer: name.clone(),
                title: peer.title.clone(),
                kind: peer.kind,
                median: stats::median(&medians),
                minimum: case.minimum(&measure.key),
                spread: stats::spread(&medians),
                to_tokio: None,
                to_best: None,
                failures: case.failures.clone(),
            })
        });
        Row {
            workload: self.workload.id.clone(),
            text: self.workload.text.clone(),
            measure: measure.key.clone(),
            measure_text: measure.text.clone(),
            unit: measure.unit.clone(),
            chart: measure.chart.clone(),
            higher_is_better: measure.higher,
            figures: figures.collect(),
            verdicts: Vec::new(),
        }
    }

    fn verdict(self, measure: &Measure, target: &Target, ours: Option<f64>) -> Verdict {
        let factor = target.at_most.or(target.at_least);
        let limit = match &target.of {
            None => factor,
            Some(of) => factor.zip(self.reference(measure, target, of)).map(|(factor, other)| factor * other),
        };
        let met =
            ours.zip(limit).map(|(ours, limit)| if target.at_most.is_some() { ours <= limit } else { ours >= limit });
        let of_limit = ours.zip(limit).and_then(|(ours, limit)| stats::ratio(ours, limit));
        Verdict { target: self.name(measure, target), limit, of_limit, met }
    }

    /// The figure that a target is a part of. One below zero, a difference that noise has turned round, is none.
    fn reference(self, measure: &Measure, target: &Target, of: &str) -> Option<f64> {
        let measure = match &target.measure {
            None => measure,
            Some(key) => self.workload.measures.iter().find(|measure| measure.key == *key)?,
        };
        let row = self.figures(measure);
        let figure = match of {
            "tokio" => row.tokio(),
            "best" => row.best(),
            name => row.figures.iter().find(|figure| figure.peer == name),
        };
        figure?.median.filter(|median| *median >= 0.0)
    }

    fn name(self, measure: &Measure, target: &Target) -> String {
        let sign = if target.at_most.is_some() { "≤" } else { "≥" };
        let factor = target.at_most.or(target.at_least).unwrap_or_default();
        let Some(of) = &target.of else {
            return format!("{sign} {factor} {}", measure.unit).trim_end().to_owned();
        };
        let of = match of.as_str() {
            "best" => "best peer",
            "tokio" => "tokio",
            name => self.catalogue.peer(name).map_or(name, |peer| &peer.title),
        };
        let other =
            target.measure.as_ref().and_then(|key| self.workload.measures.iter().find(|other| other.key == *key));
        let which = other.map_or_else(String::new, |other| format!(", {}", other.text));
        format!("{sign} {factor} × {of}{which}")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{case, options};
    use super::*;

    /// A report of made-up figures: W1 and W13 with targets met and missed, W2 with a peer that failed.
    pub(in super::super) fn example() -> Report {
        let catalogue = Catalogue::load().expect("the table is well-formed");
        let names: Vec<String> = ["W1", "W2", "W13"].map(String::from).into();
        let chosen = catalogue.choose(&names).expect("all are known");
        let case = |workload: &str, peer: &str, measure: &str, rounds: &[f64]| Measured {
            workload: workload.into(),
            peer: peer.into(),
            rounds: rounds.iter().map(|value| case::Samples::from([(measure.into(), vec![*value])])).collect(),
            failures: Vec::new(),
        };
        let mut measured = vec![
            case("W1", "ramus", "ns", &[70.0, 80.0, 60.0]),
            case("W1", "tokio", "ns", &[600.0]),
            case("W1", "tokio-joinset", "ns", &[1200.0]),
            case("W1", "async-executor", "ns", &[300.0]),
            case("W2", "ramus", "ns", &[45.0]),
            case("W2", "tokio", "ns", &[50.0]),
            case("W2", "smol", "ns", &[]),
            case("W13", "ramus", "scaling", &[1.5]),
            case("W13", "tokio-tracker", "scaling", &[0.5]),
        ];
        measured[6].failures.push("no end after 60 s".into());
        let options = options::options(&["--quick"]).expect("it is known");
        Report::new(Machine::example(), &options, &catalogue, &chosen, &measured)
    }

    fn row<'a>(report: &'a Report, workload: &str) -> &'a Row {
        report.rows.iter().find(|row| row.workload == workload).expect("it was chosen")
    }

    #[test]
    fn ratios_are_to_the_best_form_of_tokio_and_to_the_best_peer() {
        let report = example();
        let w1 = row(&report, "W1");
        let ours = w1.ours().expect("it was measured");
        assert_eq!((ours.median, ours.minimum), (Some(70.0), Some(60.0)));
        assert_eq!((ours.to_tokio, ours.to_best), (Some(70.0 / 600.0), Some(70.0 / 300.0)));
        assert_eq!(w1.best().map(|figure| figure.peer.as_str()), Some("async-executor"));
        let w13 = row(&report, "W13");
        assert_eq!(w13.ours().and_then(|figure| figure.to_best), Some(3.0));
    }

    #[test]
    fn targets_are_held_against_our_median() {
        let report = example();
        let met = |workload| row(&report, workload).verdicts.iter().map(|verdict| verdict.met).collect::<Vec<_>>();
        assert_eq!(met("W1"), [Some(true), Some(true)]);
        assert_eq!(met("W2"), [Some(false)]);
        assert_eq!(met("W13"), [Some(true)]);
        let w2 = &row(&report, "W2").verdicts[0];
        assert_eq!((w2.limit, w2.of_limit), (Some(25.0), Some(1.8)));
        assert_eq!(w2.target, "≤ 0.5 × tokio");
        assert_eq!(report.score(), [3, 1, 4]);
    }

    #[test]
    fn a_peer_that_failed_stays_in_its_row() {
        let report = example();
        let w2 = row(&report, "W2");
        let smol = w2.figures.iter().find(|figure| figure.peer == "smol").expect("it was tried");
        assert_eq!((smol.median, smol.failures.len()), (None, 1));
        assert_eq!(w2.best().map(|figure| figure.peer.as_str()), Some("tokio"));
        assert_eq!(report.failures(), 1);
    }

    #[test]
    fn a_target_without_the_other_is_neither_met_nor_missed() {
        let catalogue = Catalogue::load().expect("the table is well-formed");
        let workload = catalogue.workloads.iter().find(|workload| workload.id == "W1").expect("there is one");
        let table = Table { catalogue: &catalogue, workload, measured: &[] };
        let row = table.row(&workload.measures[0]);
        assert_eq!((row.verdicts[0].limit, row.verdicts[0].met), (None, None));
    }
}
