//! The file of budgets: read, compared with what was measured, and written with lower values.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde::Deserialize;

use crate::Outcome;
use crate::mutants;

/// From the root of the workspace.
pub(super) const FILE: &str = "benches/budgets.toml";

const HEAD: &str = "\
# What one operation costs at most, in counts that do not depend on the machine: `cargo xtask budgets` holds what it
# measures against this. The values only go down, by `cargo xtask budgets --lower`; docs/testing.md says how to read them.
#
# rmw           read-modify-writes of the crates' own atomics and locks
# owned         cache lines taken from another thread by a write
# shared        cache lines fetched because another thread has written them
# allocations   calls of the allocator that allocate
# locked        locked instructions of the whole process (x86-64), with those of Arc, crossbeam-deque and libc
# instructions  of the whole process, by callgrind
";

/// The metrics in the order in which they are written.
const METRICS: [&str; 8] =
    ["rmw", "owned", "shared", "allocations", "locked", "instructions", "syscalls", "context_switches"];

/// How a scenario is run, which decides how exact its counts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// By one thread: exact, but for what a worker does every 32 polls.
    Alone,
    /// By one thread that waits for the clock: the slower the machine, the more often it looks.
    Timed,
    /// By two threads that take turns.
    Together,
    /// By two threads that race.
    Raced,
    /// By a server under load.
    Server,
}

impl Kind {
    /// The kind that the list of scenarios names so.
    pub(super) fn named(name: &str) -> Option<Kind> {
        match name {
            "alone" => Some(Kind::Alone),
            "timed" => Some(Kind::Timed),
            "together" => Some(Kind::Together),
            "raced" => Some(Kind::Raced),
            _ => None,
        }
    }
}

/// The costs of one operation by metric.
pub(super) type Costs = BTreeMap<String, f64>;
/// What was measured, by operation.
pub(super) type Measured = BTreeMap<String, (Kind, Costs)>;

/// How far above its budget a cost may be, and how far below before the budget should follow.
///
/// One read-modify-write, line, allocation or system call more in an operation is above it, unless threads race.
fn slack(kind: Kind, metric: &str, budget: f64, same_compiler: bool) -> f64 {
    match (kind, metric) {
        (Kind::Timed, "instructions") if same_compiler => budget * 0.15,
        (Kind::Timed, "locked") => 4.0,
        // Another compiler makes other code; then only a leap is noticed.
        (_, "instructions") => budget * if same_compiler { 0.04 } else { 0.2 },
        (Kind::Alone | Kind::Timed, "allocations") => 0.05,
        // How many rounds the clock takes is up to the machine.
        (Kind::Timed, _) => 3.0,
        (Kind::Alone, _) => 0.3 + budget * 0.005,
        (Kind::Together, "allocations") => 0.5,
        (Kind::Together, _) => 0.75 + budget * 0.1,
        (Kind::Raced, _) => 1.0 + budget,
        (Kind::Server, "syscalls") => budget * 0.15,
        (Kind::Server, _) => 0.5,
    }
}

/// The budgets.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Table {
    /// The compiler for which instructions were counted.
    #[serde(default)]
    compiler: String,
    #[serde(flatten)]
    operations: BTreeMap<String, Costs>,
}

/// What a comparison has found.
pub(super) struct Verdict {
    /// A table for people.
    pub(super) report: String,
    /// Each cost above its budget, in a few words.
    pub(super) exceeded: Vec<String>,
    /// How many budgets are too high.
    pub(super) lowerable: usize,
}

impl Table {
    pub(super) fn read(path: &Path) -> Result<Table, String> {
        if !path.exists() {
            return Ok(Table::default());
        }
        toml::from_str(&mutants::read(path)?).map_err(|error| format!("{FILE}: {error}"))
    }

    pub(super) fn budget(&self, operation: &str, metric: &str) -> Option<f64> {
        self.operations.get(operation)?.get(metric).copied()
    }

    /// Whether a cost that one thread alone has made is above its budget.
    pub(super) fn excess(&self, operation: &str, metric: &str, cost: Option<f64>) -> bool {
        match (self.budget(operation, metric), cost) {
            (Some(budget), Some(cost)) => cost > budget + slack(Kind::Alone, metric, budget, true),
            _ => false,
        }
    }

    pub(super) fn compare(&self, measured: &Measured, compiler: &str) -> Verdict {
        let mut verdict = Verdict { report: String::new(), exceeded: Vec::new(), lowerable: 0 };
        let same_compiler = self.compiler == compiler;
        if !same_compiler {
            verdict.report += &format!(
                "note: instructions were budgeted for `{}`, this is `{compiler}`: only a leap is noticed\n",
                self.compiler
            );
        }
        for operation in self.operations.keys().filter(|name| !measured.contains_key(*name) && *name != "request") {
            verdict.exceeded.push(format!("{operation}: no such operation, its budget has to go"));
        }
        for (operation, (kind, costs)) in measured {
            let mut line = format!("{operation:<16}");
            for metric in METRICS {
                let Some(&cost) = costs.get(metric) else { continue };
                let mark = match self.budget(operation, metric) {
                    None => {
                        verdict.exceeded.push(format!(
                            "{operation}: {metric} {} has no budget (`--lower` writes one)",
                            shown(metric, cost)
                        ));
                        " NEW"
                    }
                    Some(budget) => {
                        let slack = slack(*kind, metric, budget, same_compiler);
                        if cost > budget + slack {
                            let (budget, cost) = (shown(metric, budget), shown(metric, cost));
                            verdict.exceeded.push(format!("{operation}: {metric} {cost}, budget {budget}"));
                            " OVER"
                        } else if cost < budget - slack {
                            verdict.lowerable += 1;
                            " lower"
                        } else {
                            ""
                        }
                    }
                };
                let budget = self.budget(operation, metric).map_or("-".into(), |budget| shown(metric, budget));
                write!(line, "  {metric} {}/{budget}{mark}", shown(metric, cost)).expect("a text takes any text");
            }
            verdict.report += &line;
            verdict.report.push('\n');
        }
        verdict
    }

    /// Takes each measured cost that is below its budget by more than noise, and what has no budget yet.
    pub(super) fn lower(&mut self, measured: &Measured, compiler: &str) {
        let same_compiler = self.compiler == compiler;
        for (operation, (kind, costs)) in measured {
            let budgets = self.operations.entry(operation.clone()).or_default();
            for (metric, &cost) in costs {
                match budgets.get_mut(metric) {
                    None => {
                        budgets.insert(metric.clone(), cost);
                    }
                    Some(budget) if cost < *budget - slack(*kind, metric, *budget, same_compiler) => *budget = cost,
                    Some(_) => {}
                }
            }
        }
        // The counts of another compiler stay until somebody takes all of them anew.
        if self.compiler.is_empty() {
            self.compiler = compiler.to_owned();
        }
    }

    pub(super) fn write(&self, path: &Path) -> Outcome {
        std::fs::write(path, self.text()).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn text(&self) -> String {
        let mut text = format!("{HEAD}\ncompiler = \"{}\"\n", self.compiler);
        for (operation, costs) in &self.operations {
            text += &format!("\n[{operation}]\n");
            for metric in METRICS {
                if let Some(cost) = costs.get(metric) {
                    text += &format!("{metric} = {}\n", shown(metric, *cost));
                }
            }
        }
        text
    }
}

/// A cost as the file has it: instructions are whole, the others have two digits.
fn shown(metric: &str, cost: f64) -> String {
    if metric == "instructions" { format!("{cost:.1}") } else { format!("{cost:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(kind: Kind, metric: &str, cost: f64) -> Measured {
        BTreeMap::from([("wake".to_owned(), (kind, BTreeMap::from([(metric.to_owned(), cost)])))])
    }

    fn table(metric: &str, budget: f64) -> Table {
        toml::from_str(&format!("compiler = \"c\"\n[wake]\n{metric} = {budget:?}\n")).unwrap()
    }

    #[test]
    fn one_more_of_anything_is_over_budget() {
        for metric in ["rmw", "owned", "shared", "allocations", "locked"] {
            for budget in [0.0, 2.0, 40.0] {
                let verdict = table(metric, budget).compare(&measured(Kind::Alone, metric, budget + 1.0), "c");
                assert_eq!(verdict.exceeded.len(), 1, "{metric} {budget}");
                assert!(verdict.report.contains("OVER"), "{}", verdict.report);
            }
        }
        let over = table("syscalls", 2.2).compare(&measured(Kind::Server, "syscalls", 3.2), "c");
        assert_eq!(over.exceeded, ["wake: syscalls 3.20, budget 2.20"]);
    }

    #[test]
    fn noise_is_neither_over_budget_nor_below_it() {
        for cost in [1.9, 2.0, 2.1] {
            let verdict = table("rmw", 2.0).compare(&measured(Kind::Alone, "rmw", cost), "c");
            assert!(verdict.exceeded.is_empty() && verdict.lowerable == 0, "{}", verdict.report);
        }
    }

    #[test]
    fn instructions_of_another_compiler_are_told_apart() {
        let table = table("instructions", 100.0);
        let more = measured(Kind::Alone, "instructions", 110.0);
        assert_eq!(table.compare(&more, "c").exceeded.len(), 1);
        let other = table.compare(&more, "d");
        assert!(other.exceeded.is_empty() && other.report.contains("`d`"), "{}", other.report);
    }

    #[test]
    fn budgets_only_go_down() {
        for (cost, budget) in [(1.0, 1.0), (3.0, 2.0), (1.95, 2.0)] {
            let mut table = table("rmw", 2.0);
            table.lower(&measured(Kind::Alone, "rmw", cost), "c");
            assert_eq!(table.budget("wake", "rmw"), Some(budget), "{cost}");
        }
    }

    #[test]
    fn what_has_no_budget_fails_until_it_has_one() {
        let new = measured(Kind::Alone, "rmw", 2.0);
        let mut table: Table = toml::from_str("compiler = \"c\"\n").unwrap();
        assert_eq!(table.compare(&new, "c").exceeded.len(), 1);
        table.lower(&new, "c");
        assert!(table.compare(&new, "c").exceeded.is_empty());
        let gone = table.compare(&BTreeMap::new(), "c");
        assert_eq!(gone.exceeded.len(), 1);
    }

    #[test]
    fn the_file_is_written_as_it_is_read() {
        let text = mutants::read(&crate::cargo::root().join(FILE)).unwrap();
        let table: Table = toml::from_str(&text).unwrap();
        assert!(table.operations.len() >= 15, "{} operations", table.operations.len());
        assert_eq!(table.text(), text);
    }
}
