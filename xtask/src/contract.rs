//! `cargo xtask contract`: the column of tests in `docs/contract.md`, written from the names of the tests.
//!
//! A test covers the rules that its name begins with (`d06_d11_...`, `rule4_...`, `spot2_...`), a loom model those that a
//! line `Covers:` of its header names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Outcome;

const PAGE: &str = "docs/contract.md";
/// Where tests are.
const PLACES: [&str; 9] = [
    "benches",
    "examples",
    "loom-tests/tests",
    "macros/src",
    "runtime/src",
    "runtime/tests",
    "scope/src",
    "scope/tests",
    "timer/src",
];

/// Rewrites the page; with `check` it only says whether that would change something, and whether a rule has no test.
pub(crate) fn run(check: bool) -> Outcome {
    let page = fs::read_to_string(PAGE).map_err(|error| format!("{PAGE}: {error}"))?;
    let mut tests = BTreeMap::new();
    for place in PLACES {
        collect(Path::new(place), &mut tests)?;
    }
    let (written, empty) = fill(&page, &tests);
    if check && written != page {
        return Err(format!("{PAGE} is out of date: run `cargo xtask contract`"));
    }
    if !check {
        fs::write(PAGE, written).map_err(|error| format!("{PAGE}: {error}"))?;
    }
    let strangers: Vec<&str> =
        tests.iter().filter(|(rule, _)| !has_row(&page, rule)).map(|(_, tests)| tests[0].as_str()).collect();
    if !strangers.is_empty() {
        return Err(format!("no such rule in {PAGE}: {}", strangers.join(", ")));
    }
    let covered: usize = tests.values().map(Vec::len).sum();
    println!("contract: {} rules, {covered} entries of tests", tests.len());
    if empty.is_empty() { Ok(()) } else { Err(format!("{PAGE}: no test for {}", empty.join(", "))) }
}

fn collect(place: &Path, tests: &mut BTreeMap<String, Vec<String>>) -> Outcome {
    let error = |error| format!("{}: {error}", place.display());
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(place).map_err(error)? {
        entries.push(entry.map_err(error)?.path());
    }
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, tests)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let file = path.display().to_string().replace('\\', "/");
            for (rule, test) in in_file(&file, &text) {
                tests.entry(rule).or_default().push(test);
            }
        }
    }
    Ok(())
}

/// The rules that are covered in one file, each with the entry of its test.
fn in_file(file: &str, text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if let Some(rules) = line.strip_prefix("//! Covers:") {
            let rules = rules.split(',').map(|rule| rule.trim().trim_end_matches('.').to_lowercase());
            found.extend(rules.map(|rule| (rule, format!("`{file}`"))));
        } else if line.starts_with("#[") {
            let attribute = line.split(['(', ']']).next().unwrap_or_default();
            is_test |= attribute == "#[test" || attribute.ends_with("::test");
        } else if let Some((_, rest)) = line.split_once("fn ") {
            if std::mem::take(&mut is_test) {
                let name = rest.split(['(', '<']).next().unwrap_or_default();
                found.extend(rules_of(name).into_iter().map(|rule| (rule, format!("`{file}`: `{name}`"))));
            }
        }
    }
    found
}

/// The rules that the name of a test begins with.
fn rules_of(name: &str) -> Vec<String> {
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|digit| digit.is_ascii_digit());
    let rule = |word: &str| {
        let (kind, number) = ["rule", "spot", "d"].iter().find_map(|kind| Some((*kind, word.strip_prefix(kind)?)))?;
        let number = Some(number).filter(|number| is_number(number))?.parse::<u32>().ok()?;
        Some(if kind == "d" { format!("d{number}") } else { format!("{kind} {number}") })
    };
    name.split('_').map_while(rule).collect()
}

/// The rule of a row of the page's tables.
fn rule_of(line: &str) -> Option<String> {
    let first = line.strip_prefix("| ")?.split(" |").next()?.to_lowercase();
    let known =
        ["rule ", "spot ", "d"].iter().any(|kind| first.strip_prefix(kind).is_some_and(|n| n.parse::<u32>().is_ok()));
    known.then_some(first)
}

fn has_row(page: &str, rule: &str) -> bool {
    page.lines().filter_map(rule_of).any(|row| row == rule)
}

/// The page with its last columns filled in, and the rules without a test.
fn fill(page: &str, tests: &BTreeMap<String, Vec<String>>) -> (String, Vec<String>) {
    let mut empty = Vec::new();
    let mut out = String::with_capacity(page.len());
    for line in page.lines() {
        match rule_of(line) {
            Some(rule) => {
                let mut columns = line.split('|').skip(1);
                let (name, text) = (columns.next().unwrap_or_default(), columns.next().unwrap_or_default());
                let entries = tests.get(&rule).map(|tests| tests.join("<br>")).unwrap_or_default();
                if entries.is_empty() {
                    empty.push(rule);
                }
                out.push_str(format!("|{name}|{text}| {entries}").trim_end());
                out.push_str(" |\n");
            }
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    (out, empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
        //! Covers: D27, rule 4.
        #[test]
        fn d06_d11_rule4_something() {}
        #[ramus::test(worker_threads = 1)]
        async fn spot7_else() {}
        fn d01_is_no_test() {}
        #[test]
        #[should_panic]
        fn dropped_d02_late() {}
    ";

    #[test]
    fn names_and_headers_are_read() {
        let found: Vec<String> =
            in_file("f.rs", FILE).into_iter().map(|(rule, test)| format!("{rule} {test}")).collect();
        let name = "`f.rs`: `d06_d11_rule4_something`";
        let expected = [
            "d27 `f.rs`",
            "rule 4 `f.rs`",
            &format!("d6 {name}"),
            &format!("d11 {name}"),
            &format!("rule 4 {name}"),
            "spot 7 `f.rs`: `spot7_else`",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn rows_are_filled_again_and_again() {
        let page = "text | with bars\n| D2 | a rule | old |\n| rule 1 | none |  |\n|---|---|---|\n";
        let tests = BTreeMap::from([("d2".to_owned(), vec!["`a`".to_owned(), "`b`".to_owned()])]);
        let (once, empty) = fill(page, &tests);
        assert_eq!(once, "text | with bars\n| D2 | a rule | `a`<br>`b` |\n| rule 1 | none | |\n|---|---|---|\n");
        assert_eq!(empty, ["rule 1"]);
        assert_eq!(fill(&once, &tests).0, once);
        assert!(has_row(page, "d2") && !has_row(page, "d3"));
    }
}
