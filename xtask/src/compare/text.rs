//! The table on the terminal, and how figures are written everywhere.

use std::fmt::Write;

use super::report::{Figure, Report, Row, Verdict};

/// All rows with all figures.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    let mut last = "";
    for row in &report.rows {
        if row.workload != last {
            writeln!(text, "\n{}  {}", row.workload, row.text).expect("a string takes everything");
            last = &row.workload;
        }
        text.push_str(&block(row));
    }
    let [met, missed, all] = report.score();
    writeln!(text, "\ntargets: {met} of {all} met, {missed} missed").expect("a string takes everything");
    text
}

fn block(row: &Row) -> String {
    let mut text = String::new();
    let unit = if row.unit.is_empty() { String::new() } else { format!(", {}", row.unit) };
    let head = format!("{}{unit}", row.measure_text);
    let mut line = |parts: [&str; 6]| {
        let [name, median, minimum, spread, tokio, best] = parts;
        writeln!(text, "  {name:<38} {median:>10} {minimum:>10} {spread:>8} {tokio:>9} {best:>9}")
            .expect("a string takes everything");
    };
    line([&head, "median", "minimum", "spread", "to tokio", "to best"]);
    for figure in &row.figures {
        line([
            &format!("  {}", figure.title),
            &median(figure),
            &figure.minimum.map_or_else(dash, number),
            &figure.spread.map_or_else(dash, |spread| format!("{:.0} %", spread * 100.0)),
            &figure.to_tokio.map_or_else(dash, ratio),
            &figure.to_best.map_or_else(dash, ratio),
        ]);
    }
    for verdict in &row.verdicts {
        writeln!(text, "    target {}: {}", verdict.target, judged(verdict)).expect("a string takes everything");
    }
    text
}

/// What became of a target, and by how much it was missed.
pub(super) fn judged(verdict: &Verdict) -> String {
    let limit = verdict.limit.map_or_else(dash, number);
    match (verdict.met, verdict.of_limit) {
        (None, _) => "not measured".into(),
        (Some(true), _) => format!("met (limit {limit})"),
        (Some(false), Some(of_limit)) => format!("missed (limit {limit}, {} × that)", ratio(of_limit)),
        (Some(false), None) => format!("missed (limit {limit})"),
    }
}

/// The median, with a word about rounds that failed.
pub(super) fn median(figure: &Figure) -> String {
    match (figure.median, figure.failures.len()) {
        (None, 0) => dash(),
        (None, _) => "failed".into(),
        (Some(median), 0) => number(median),
        (Some(median), failed) => format!("{} ({failed} failed)", number(median)),
    }
}

pub(super) fn dash() -> String {
    "–".into()
}

/// At least three digits that count.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        small if small < 9.995 => format!("{value:.2}"),
        middle if middle < 99.95 => format!("{value:.1}"),
        large if large < 1e7 => format!("{value:.0}"),
        _ => format!("{value:.2e}"),
    }
}

pub(super) fn ratio(value: f64) -> String {
    if value < 0.095 {
        format!("{value:.3}")
    } else if value < 99.5 {
        format!("{value:.2}")
    } else {
        number(value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::example;
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_count() {
        assert_eq!(
            [0.0, 1.234, 12.34, 123.4, 1234.5, 123_456.0, 1.5e8, -3.0].map(number),
            ["0", "1.23", "12.3", "123", "1234", "123456", "1.50e8", "-3.00"]
        );
        assert_eq!([0.0512, 0.25, 12.0, 120.0].map(ratio), ["0.051", "0.25", "12.00", "120"]);
    }

    #[test]
    fn each_figure_has_its_line() {
        let text = render(&example());
        let line = |start: &str| {
            let found = text.lines().find(|line| line.trim_start().starts_with(start));
            found.unwrap_or_else(|| panic!("no {start} in\n{text}")).split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("ramus"), "ramus 70.0 60.0 29 % 0.12 0.23");
        assert_eq!(line("tokio, JoinSet"), "tokio, JoinSet 1200 1200 – 2.00 4.00");
        assert_eq!(line("smol"), "smol failed – – – –");
        assert_eq!(line("target ≤ 0.25 × best peer"), "target ≤ 0.25 × best peer: met (limit 75.0)");
        assert_eq!(line("target ≤ 0.5 × tokio"), "target ≤ 0.5 × tokio: missed (limit 25.0, 1.80 × that)");
        assert!(text.ends_with("\ntargets: 3 of 4 met, 1 missed\n"), "{text}");
    }
}
