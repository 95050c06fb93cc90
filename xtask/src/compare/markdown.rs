//! The tables in Markdown: a short one for the README, and one with all figures.

use std::fmt::Write;

use super::FOLDER;
use super::report::{Figure, Report, Row};
use super::text::{dash, judged, median, number, ratio};

/// `docs/bench/table.md`.
pub(super) fn page(report: &Report) -> String {
    let mut page = String::from(
        "# Benchmarks: the last run\n\n\
         Written by `cargo xtask compare`; [how to read it](../benchmarks.md).\n\n\
         ![ramus to tokio, all workloads](chart.svg)\n\n",
    );
    page.push_str(&source(report));
    page.push_str("\n## Rows\n\n");
    page.push_str(&rows(report));
    page.push_str("\n## All figures\n");
    for row in &report.rows {
        page.push_str(&figures(row));
    }
    page
}

/// What the README shows.
pub(super) fn summary(report: &Report) -> String {
    format!("![ramus to tokio, all workloads]({FOLDER}/chart.svg)\n\n{}\n{}", source(report), short_rows(report))
}

/// The rows of the chart, without what a first look does not need.
fn short_rows(report: &Report) -> String {
    let mut table = String::from(
        "| | | unit | ramus | tokio | best peer | to tokio | to best |\n|---|---|---|---:|---:|---:|---:|---:|\n",
    );
    for (row, name) in report.rows.iter().filter_map(|row| Some((row, row.chart.as_ref()?))) {
        let Columns { ours, tokio, best, to_tokio, to_best } = columns(row);
        let (id, unit) = (&row.workload, &row.unit);
        writeln!(table, "| {id} | {name} | {unit} | {ours} | {tokio} | {best} | {to_tokio} | {to_best} |")
            .expect("a string takes everything");
    }
    table
}

/// What both tables say of a row.
struct Columns {
    ours: String,
    tokio: String,
    best: String,
    to_tokio: String,
    to_best: String,
}

fn columns(row: &Row) -> Columns {
    let of = |figure: Option<&Figure>| figure.map_or_else(dash, median);
    let ours = row.ours();
    Columns {
        ours: of(ours),
        tokio: of(row.tokio()),
        best: row.best().map_or_else(dash, |best| format!("{} ({})", median(best), best.peer)),
        to_tokio: compared(row, ours.and_then(|figure| figure.to_tokio)),
        to_best: compared(row, ours.and_then(|figure| figure.to_best)),
    }
}

fn source(report: &Report) -> String {
    let machine = &report.machine;
    let [rounds, slow] = report.rounds;
    let [met, missed, all] = report.score();
    let quick = if report.quick { " A quick run, for a look: short cases, few rounds." } else { "" };
    format!(
        "{}, {} cores, {}; {}; {}; commit {}. Two workers each, a process a case, medians of {rounds} interleaved rounds \
         ({slow} for slow workloads).{quick} Targets: {met} of {all} met, {missed} missed.\n",
        escaped(&machine.processor),
        machine.cores,
        machine.kernel,
        machine.compiler,
        machine.versions.join(", "),
        machine.commit,
    )
}

fn rows(report: &Report) -> String {
    let mut table = String::from(
        "| | | unit | ramus | tokio | best peer | floor | to tokio | to best | target | |\n\
         |---|---|---|---:|---:|---:|---:|---:|---:|---|---|\n",
    );
    let mut last = "";
    for row in &report.rows {
        // The further measures of a workload stand below it.
        let (id, what) = match row.workload == last {
            true => ("", format!("… {}", row.measure_text)),
            false => (row.workload.as_str(), format!("{}: {}", row.text, row.measure_text)),
        };
        last = &row.workload;
        let Columns { ours, tokio, best, to_tokio, to_best } = columns(row);
        let floor = row.floor().map_or_else(dash, median);
        let targets: Vec<&str> = row.verdicts.iter().map(|verdict| verdict.target.as_str()).collect();
        let met: Vec<&str> = row
            .verdicts
            .iter()
            .map(|verdict| match verdict.met {
                Some(true) => "met",
                Some(false) => "**missed**",
                None => "–",
            })
            .collect();
        writeln!(
            table,
            "| {id} | {what} | {} | {ours} | {tokio} | {best} | {floor} | {to_tokio} | {to_best} | {} | {} |",
            row.unit,
            targets.join("; "),
            met.join("; "),
        )
        .expect("a string takes everything");
    }
    table
}

/// A ratio, bold where we lose.
fn compared(row: &Row, value: Option<f64>) -> String {
    match value {
        None => dash(),
        Some(value) if (value > 1.0) != row.higher_is_better && value != 1.0 => format!("**{}**", ratio(value)),
        Some(value) => ratio(value),
    }
}

fn figures(row: &Row) -> String {
    let unit = if row.unit.is_empty() { String::new() } else { format!(" ({})", row.unit) };
    let mut text = format!(
        "\n### {} {}: {}{unit}\n\n| peer | median | minimum | spread | to tokio | to best |\n|---|---:|---:|---:|---:|---:|\n",
        row.workload, row.text, row.measure_text
    );
    for figure in &row.figures {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            figure.title,
            median(figure),
            figure.minimum.map_or_else(dash, number),
            figure.spread.map_or_else(dash, |spread| format!("{:.0} %", spread * 100.0)),
            figure.to_tokio.map_or_else(dash, ratio),
            figure.to_best.map_or_else(dash, ratio),
        )
        .expect("a string takes everything");
    }
    for failure in row.figures.iter().flat_map(|figure| &figure.failures) {
        writeln!(text, "\nFailed: {}", escaped(failure)).expect("a string takes everything");
    }
    for verdict in &row.verdicts {
        writeln!(text, "\nTarget {}: {}.", verdict.target, judged(verdict)).expect("a string takes everything");
    }
    text
}

/// What a program printed must not become markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::example;
    use super::*;

    #[test]
    fn every_row_has_the_columns_of_the_head() {
        for table in [summary(&example()), page(&example())] {
            let mut columns = 0;
            for line in table.lines() {
                match line.starts_with('|') {
                    true if columns == 0 => columns = line.matches('|').count(),
                    true => assert_eq!(line.matches('|').count(), columns, "{line}"),
                    false => columns = 0,
                }
            }
        }
    }

    #[test]
    fn rows_that_are_lost_and_targets_that_are_missed_stand_out() {
        let table = rows(&example());
        let line =
            |id: &str| table.lines().find(|line| line.starts_with(&format!("| {id} |"))).expect("a row").to_owned();
        assert!(line("W1").contains("| 0.12 | 0.23 | ≤ 0.25 × best peer; ≤ 0.06 × tokio, JoinSet | met; met |"));
        assert!(line("W2").ends_with("| 0.90 | 0.90 | ≤ 0.5 × tokio | **missed** |"));
        assert!(line("W13").contains("| 3.00 | 3.00 |"));
    }

    #[test]
    fn a_ratio_is_bold_where_we_lose() {
        let mut report = example();
        let row = &mut report.rows[0];
        assert_eq!(compared(row, Some(1.5)), "**1.50**");
        assert_eq!(compared(row, Some(1.0)), "1.00");
        assert_eq!(compared(row, None), "–");
        row.higher_is_better = true;
        assert_eq!((compared(row, Some(1.5)), compared(row, Some(0.5))), ("1.50".into(), "**0.50**".into()));
    }

    #[test]
    fn what_was_printed_elsewhere_is_no_markup() {
        let page = page(&example());
        assert!(page.contains("A &lt;fast&gt; processor"), "{page}");
        assert!(page.contains("Failed: no end after 60 s"), "{page}");
    }
}
