//! Every atomic operation has a label in its comment, and every label a row in `docs/ordering.md`.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Source, contains_path};

/// How far above an atomic operation its comment may begin.
const COMMENT_REACH: usize = 12;

/// The labels in `text`: `[file:W1]`.
fn labels(text: &str) -> Vec<&str> {
    let brackets = text.split('[').skip(1).filter_map(|rest| rest.split(']').next());
    brackets.filter(|inside| is_label(inside)).collect()
}

fn is_label(text: &str) -> bool {
    let Some((place, number)) = text.split_once(':') else { return false };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '/');
    let digits = number.trim_start_matches(|c: char| c.is_ascii_uppercase());
    place.starts_with(|c: char| c.is_ascii_lowercase())
        && place.chars().all(plain)
        && digits.len() < number.len()
        && !digits.is_empty()
        && digits.chars().all(|c| c.is_ascii_digit())
}

/// The labels that the comments of a file define: the one after each `Ordering:`.
fn defined(source: &Source) -> Vec<&str> {
    let comments = source.comments.split("Ordering:").skip(1);
    comments.filter_map(|comment| labels(comment.lines().next().unwrap_or_default()).first().copied()).collect()
}

/// True for the path of a `use`: the orderings themselves are named without one, or by their type.
fn is_import(path: &str) -> bool {
    ["sync", "super", "crate"].iter().any(|segment| path.split("::").any(|part| part == *segment))
}

/// Atomic operations without a labelled comment above them.
pub(crate) fn check_labelled(path: &str, source: &Source) -> Vec<String> {
    const ORDERINGS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];
    let comments: Vec<&str> = source.comments.lines().collect();
    let is_labelled = |line: usize| {
        let above = &comments[line.saturating_sub(COMMENT_REACH)..line.min(comments.len())];
        above.iter().any(|comment| comment.split_once("Ordering:").is_some_and(|(_, rest)| !labels(rest).is_empty()))
    };
    let orderings = source
        .paths()
        .into_iter()
        .filter(|(_, named)| ORDERINGS.iter().any(|ordering| contains_path(named, ordering)) && !is_import(named));
    orderings
        .filter(|(line, _)| !is_labelled(*line))
        .map(|(line, named)| format!("{path}:{line}: `{named}` without an `Ordering:` comment and its label"))
        .collect()
}

/// The rows of the ledger: a label, and the labels in the rest of its row.
fn rows(ledger: &str) -> Vec<(&str, Vec<&str>)> {
    let rows = ledger.lines().filter_map(|line| line.trim().strip_prefix('|')?.split_once('|'));
    rows.filter_map(|(first, rest)| {
        let first = first.trim().trim_matches('`').trim_start_matches('[').trim_end_matches(']');
        is_label(first).then(|| (first, labels(rest)))
    })
    .collect()
}

pub(crate) fn check(files: &[(String, Source)], ledger: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut places: BTreeMap<&str, &str> = BTreeMap::new();
    for (path, source) in files {
        for label in defined(source) {
            if let Some(earlier) = places.insert(label, path) {
                complaints.push(format!("{path}: [{label}] is the label of another operation too, in {earlier}"));
            }
        }
    }
    let rows = rows(ledger);
    let listed: BTreeSet<&str> = rows.iter().map(|(label, _)| *label).collect();
    if listed.len() < rows.len() {
        complaints.push("docs/ordering.md: a label has two rows".into());
    }
    for (label, path) in &places {
        if !listed.contains(label) {
            complaints.push(format!("{path}: [{label}] has no row in docs/ordering.md"));
        }
    }
    for (path, source) in files {
        let named = labels(&source.comments).into_iter().filter(|label| !places.contains_key(label));
        complaints.extend(named.map(|label| format!("{path}: [{label}] is no operation's label")));
    }
    for (label, partners) in &rows {
        for label in std::iter::once(label).chain(partners) {
            if !places.contains_key(label) {
                complaints.push(format!("docs/ordering.md: [{label}] is not in the code"));
            }
        }
    }
    complaints
}

#[test]
fn a_gap_in_the_ledger_is_noticed() {
    let file = |comment: &str| vec![("a.rs".to_owned(), Source::new(comment))];
    let code = file("// Ordering: [task:W1] Release, with [task:R1].\n// Ordering: [task:R1] Acquire.");
    let both = "| label |\n|---|\n| `task:W1` | store | Release | [task:R1] |\n| [task:R1] | load |\n";
    assert_eq!(check(&code, both), [] as [&str; 0]);
    assert_eq!(check(&code, "| `task:W1` | store |\n").len(), 1);
    assert_eq!(check(&code, &format!("{both}| task:W2 | load |\n")).len(), 1);
    assert_eq!(check(&code, &format!("{both}| task:W1 | load |\n")).len(), 1);
    assert_eq!(check(&code, &both.replace("[task:R1] |\n|", "[task:R9] |\n|")).len(), 1);
    assert_eq!(check(&file("// see [task:W1]"), "").len(), 1);
    let twice = file("// Ordering: [a:W1] x\n// Ordering: [a:W1] y");
    assert_eq!(check(&twice, "| a:W1 | |\n").len(), 1);

    let bare = Source::new("x.load(Ordering::Acquire)");
    assert_eq!(check_labelled("a.rs", &bare).len(), 1);
    assert_eq!(check_labelled("a.rs", &Source::new("// Ordering: none\nfence(SeqCst)")).len(), 1);
    assert_eq!(check_labelled("a.rs", &Source::new("// Ordering: [a:L1] Acquire\nx.load(Acquire)")).len(), 0);
}
