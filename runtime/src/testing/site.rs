//! Where in the source a future stands: found in the stack at the moment when what it waits for takes its waker.

use std::backtrace::Backtrace;
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};

/// Parts of the paths of sources that are not the user's: the standard library and published crates.
const NOT_USERS: [&str; 4] = ["/rustc/", "/.cargo/registry/", "/.cargo/git/", "/rustlib/"];

/// This crate's folder, as the compiler was given it.
const HOME: &str = env!("CARGO_MANIFEST_DIR");

/// The crates that belong to this one, where they lie beside it and not among the published ones.
const BESIDE: [&str; 4] = ["scope", "timer", "ramus-scope", "ramus-timer"];

/// A place in the source.
///
/// ```
/// fn show(site: &ramus::testing::Site) {
///     println!("{}, line {}", site.file(), site.line());
/// }
/// # let _ = show;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Site {
    file: String,
    line: u32,
    column: u32,
}

impl Site {
    /// The file, as the compiler was given it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, from 1.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// The column, from 1.
    pub fn column(&self) -> u32 {
        self.column
    }
}

impl fmt::Display for Site {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The place at which a poll was suspended, from the stacks at which it gave its waker away, in order.
///
/// The last one counts: what came before did not suspend, or belongs to a branch beside it. Boundaries take the waker as
/// well, after what is inside of them has, so an earlier stack that goes on where the last one ends is better still.
///
/// The innermost place first, then those that wait for it. Empty if the stacks do not tell.
pub(crate) fn suspended_at(stacks: &[Backtrace]) -> Vec<Site> {
    let mut stacks = stacks.iter().rev().map(|stack| sites(&stack.to_string()));
    let Some(mut best) = stacks.find(|sites| !sites.is_empty()) else { return Vec::new() };
    for sites in stacks {
        if sites.len() > best.len() && sites.ends_with(&best) {
            best = sites;
        }
    }
    best
}

/// Where the frames of the code under test stand, innermost first: those between the waker and the probe that are in no
/// published crate. Only their files are looked at: names come in too many forms.
fn sites(stack: &str) -> Vec<Site> {
    let own = |file: &str| Path::new(HOME).join("src").join(file);
    let (waker, probe) = (own("task/cell/tap.rs"), own("testing/probe.rs"));
    let folder = env::current_dir().unwrap_or_default();
    let places = stack.lines().filter_map(|line| Site::parse(line.trim().strip_prefix("at ")?));
    let places = places.map(|site| (folder.join(&site.file), site));
    let mut places = places.skip_while(|(path, _)| *path != waker).skip_while(|(path, _)| *path == waker);
    let mut sites = Vec::new();
    for (path, site) in places.by_ref() {
        if path == probe {
            return sites;
        }
        if is_users(&path) {
            sites.push(site);
        }
    }
    // Not polled by the probe: it was another thread that took the waker.
    Vec::new()
}

impl Site {
    fn parse(place: &str) -> Option<Site> {
        let (rest, column) = place.rsplit_once(':')?;
        let (file, line) = rest.rsplit_once(':')?;
        let file = file.strip_prefix("./").unwrap_or(file).to_owned();
        Some(Site { file, line: line.parse().ok()?, column: column.parse().ok()? })
    }
}

fn is_users(path: &Path) -> bool {
    let home = PathBuf::from(HOME);
    let beside = BESIDE.iter().filter_map(|name| Some(home.parent()?.join(name)));
    let is_ours = beside.chain([home.clone()]).any(|folder| path.starts_with(folder.join("src")));
    !is_ours && !NOT_USERS.iter().any(|part| path.to_string_lossy().contains(part))
}

#[cfg(test)]
mod tests {
    use super::{HOME, sites};

    fn stack(files: &[&str]) -> String {
        files
            .iter()
            .zip(0..)
            .map(|(file, number)| format!("  {number}: name\n             at {file}:{number}:1\n"))
            .collect()
    }

    #[test]
    fn the_frames_of_the_code_under_test_are_found() {
        let (waker, probe) = (format!("{HOME}/src/task/cell/tap.rs"), format!("{HOME}/src/testing/probe.rs"));
        let time = format!("{HOME}/src/time.rs");
        let files = [
            &probe,
            "/rustc/0/library/alloc/src/boxed.rs",
            &waker,
            &waker,
            "/root/.cargo/registry/src/x/recv.rs",
            "./tests/relay.rs",
            &time,
            "/elsewhere/serve.rs",
            &probe,
            "./tests/all.rs",
        ];
        let found = |files: &[&str]| sites(&stack(files)).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(found(&files), ["tests/relay.rs:5:1", "/elsewhere/serve.rs:7:1"]);
        assert_eq!(found(&files[..8]), [""; 0], "another thread");
        assert_eq!(found(&[]), [""; 0]);
    }
}
