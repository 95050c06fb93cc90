//! Every function that waits says what a cancel does to it, in one of five fixed sentences.
#![allow(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

/// The classes, each by the sentence that its section begins with.
const CLASSES: [(&str, &str); 5] = [
    ("observes", "Cancel safe: it only observes, and a cut or dropped wait has no effect."),
    ("whole", "Cancel safe: it either completes or has no effect."),
    ("counted", "Not atomic: a cut may come after a part, and the error or the value says how far it came."),
    ("boundary", "A boundary: it holds back the drop of the code around it until what is open inside has ended."),
    ("restart", "Cancel safe to drop, but what was under way inside is lost with it"),
];

const TITLE: &str = "# Cancel safety";

/// The text of the documentation that stands directly before line `at`, attributes left out.
fn docs_before(lines: &[&str], at: usize) -> Vec<String> {
    let mut docs = Vec::new();
    for line in lines[..at].iter().rev().map(|line| line.trim()) {
        match line.strip_prefix("///") {
            Some(text) => docs.push(text.trim().to_owned()),
            None if line.starts_with("#[") || line.ends_with(")]") => {}
            None => break,
        }
    }
    docs.reverse();
    docs
}

/// Whether a line begins a public function that waits.
fn waits(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("pub async fn ") || (line.starts_with("pub fn ") && line.contains("-> impl Future"))
}

fn check(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut complaints = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if waits(line) && !docs_before(&lines, at).iter().any(|doc| doc == TITLE) {
            complaints.push(format!("{path}:{}: no section `{TITLE}`: {}", at + 1, line.trim()));
        }
        let Some(doc) = line.trim().strip_prefix("///") else { continue };
        if doc.trim() == TITLE {
            let section: Vec<&str> = lines[at + 1..]
                .iter()
                .map_while(|line| line.trim().strip_prefix("///"))
                .map(str::trim)
                .skip_while(|line| line.is_empty())
                .take_while(|line| !line.is_empty())
                .collect();
            let section = section.join(" ");
            if !CLASSES.iter().any(|(_, sentence)| section.starts_with(sentence)) {
                complaints.push(format!("{path}:{}: none of the fixed sentences: {section}", at + 1));
            }
        }
    }
    complaints
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn whatever_waits_says_what_a_cancel_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for folder in ["runtime/src", "scope/src", "timer/src"] {
        files(&root.join(folder), &mut found);
    }
    let complaints: Vec<String> =
        found.iter().flat_map(|path| check(&path.display().to_string(), &fs::read_to_string(path).unwrap())).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn what_does_not_is_noticed() {
    let silent = "/// Waits.\npub async fn wait() {}\npub fn also(x: u8) -> impl Future<Output = ()> {}";
    assert_eq!(check("a.rs", silent).len(), 2);
    let free = "/// # Cancel safety\n///\n/// Nothing happens,\n/// really.\n#[inline]\npub async fn wait() {}";
    assert_eq!(check("a.rs", free).len(), 1);
    let right = format!("/// {TITLE}\n///\n/// {}\npub async fn wait() {{}}", CLASSES[1].1);
    assert_eq!(check("a.rs", &right), [""; 0]);
}
