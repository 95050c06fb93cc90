//! Instructions per operation: a scenario of the release build under callgrind, run with some rounds and with twice as many.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::objects;
use crate::cargo;
use crate::mutants;

const ROUNDS: u64 = 16;
/// Operations in a round: `ROUND` in `benches/budgets/src/scenario.rs`.
const ROUND: u64 = 64;
/// Rows that an explanation shows.
const ROWS: usize = 25;

/// Where instructions were executed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Place {
    object: String,
    function: String,
    address: u64,
}

/// What the second half of the rounds executed, by place.
pub(super) struct Profile(Vec<(Place, f64)>);

/// Runs the scenario `name` of `binary`.
pub(super) fn profile(binary: &Path, name: &str) -> Result<Profile, String> {
    let once = run(binary, name, ROUNDS)?;
    let twice = run(binary, name, 2 * ROUNDS)?;
    let operations = (ROUNDS * ROUND) as f64;
    // What ran less often than before counts too: it belongs to the beginning and the end, and cancels out.
    let mut more: HashMap<Place, f64> = twice.into_iter().map(|(place, count)| (place, count as f64)).collect();
    for (place, count) in once {
        *more.entry(place).or_default() -= count as f64;
    }
    Ok(Profile(more.into_iter().map(|(place, count)| (place, count / operations)).collect()))
}

impl Profile {
    /// Instructions per operation.
    pub(super) fn instructions(&self) -> f64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// Locked instructions per operation; nothing where it is not known which they are.
    pub(super) fn locked(&self) -> Result<Option<f64>, String> {
        Ok(self.locked_places()?.map(|places| places.iter().map(|(_, count)| count).sum()))
    }

    fn locked_places(&self) -> Result<Option<Vec<&(Place, f64)>>, String> {
        let mut locked = Vec::new();
        for place in &self.0 {
            match objects::locked(&place.0.object)? {
                None => return Ok(None),
                Some(addresses) if addresses.contains(&place.0.address) => locked.push(place),
                Some(_) => {}
            }
        }
        Ok(Some(locked))
    }

    /// The functions that take most instructions, and those that have locked ones.
    pub(super) fn explain(&self) -> Result<String, String> {
        let mut text = format!("\n{:.1} instructions per operation, by function:\n", self.instructions());
        text += &by_function(self.0.iter());
        if let Some(places) = self.locked_places()? {
            text += "\nlocked instructions, by function:\n";
            text += &by_function(places.into_iter());
        }
        Ok(text)
    }
}

fn by_function<'a>(places: impl Iterator<Item = &'a (Place, f64)>) -> String {
    let mut functions: HashMap<&str, f64> = HashMap::new();
    for (place, count) in places {
        *functions.entry(&place.function).or_default() += count;
    }
    let mut functions: Vec<(&str, f64)> = functions.into_iter().filter(|(_, count)| *count >= 0.005).collect();
    functions.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let mut text = String::new();
    for (function, count) in functions.into_iter().take(ROWS) {
        writeln!(text, "{count:8.2}  {function}").expect("a text takes any text");
    }
    text
}

fn run(binary: &Path, name: &str, rounds: u64) -> Result<HashMap<Place, u64>, String> {
    let out: PathBuf = cargo::target().join(format!("callgrind.{name}.{rounds}"));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--dump-instr=yes", "--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(binary)
        .args(["run", name, &rounds.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind did not start: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{name}` under callgrind failed ({}):\n{said}", output.status));
    }
    let places = read(&mutants::read(&out)?);
    std::fs::remove_file(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    Ok(places)
}

/// The instructions of each place in a callgrind file; its format is in the manual of valgrind, "Callgrind Format
/// Specification".
fn read(text: &str) -> HashMap<Place, u64> {
    let mut places = HashMap::new();
    let (mut object, mut function) = ("", "");
    let mut is_call = false;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("ob=") {
            object = name;
        } else if let Some(name) = line.strip_prefix("fn=") {
            function = name;
        } else if line.starts_with("calls=") {
            // The next line has what was called, which counts at its own place.
            is_call = true;
        } else if line.starts_with("0x") && !std::mem::take(&mut is_call) {
            let mut fields = line.split(' ');
            let address = fields.next().and_then(|field| u64::from_str_radix(field.trim_start_matches("0x"), 16).ok());
            let count = fields.nth(1).and_then(|field| field.parse::<u64>().ok());
            if let (Some(address), Some(count)) = (address, count) {
                let place = Place { object: object.to_owned(), function: function.to_owned(), address };
                *places.entry(place).or_default() += count;
            }
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callgrind_file_is_read() {
        let text = "positions: instr line\nevents: Ir\n\nob=/bin/a\nfl=a.rs\nfn=main\n0x10 3 5\ncfn=run\n\
            calls=1 0x20 9\n0x14 4 700\n0x14 4 1\n\nfn=run\n0x20 9 2\n0x20 9 3\n";
        let read = read(text);
        let place = |function: &str, address| Place { object: "/bin/a".into(), function: function.into(), address };
        assert_eq!(read, HashMap::from([(place("main", 0x10), 5), (place("main", 0x14), 1), (place("run", 0x20), 5)]));
    }

    #[test]
    fn functions_are_sorted_by_cost() {
        let place = |function: &str| Place { object: String::new(), function: function.into(), address: 0 };
        let text = by_function([(place("a"), 1.0), (place("b"), 2.5), (place("a"), 0.5), (place("c"), 0.0)].iter());
        assert_eq!(text, "    2.50  b\n    1.50  a\n");
    }
}
