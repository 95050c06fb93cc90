//! The arguments after `compare`.

/// What to run.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    /// Names of workloads; none means all.
    pub(super) only: Vec<String>,
    rounds: Option<usize>,
    /// Shorter cases, fewer rounds.
    pub(super) quick: bool,
    no_write: bool,
    /// Only say what there is.
    pub(super) list: bool,
}

/// Reads the arguments.
pub(crate) fn options(args: &[&str]) -> Result<Options, String> {
    let mut options = Options { only: Vec::new(), rounds: None, quick: false, no_write: false, list: false };
    let mut args = args.iter();
    while let Some(option) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{option} needs a value"));
        match *option {
            "--only" => options.only = names(value()?)?,
            "--rounds" => options.rounds = Some(rounds(value()?)?),
            "--quick" => options.quick = true,
            "--no-write" => options.no_write = true,
            "--list" => options.list = true,
            other => return Err(format!("unknown argument `{other}` for `compare` (see `cargo xtask help`)")),
        }
    }
    Ok(options)
}

fn names(list: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = list.split(',').map(|name| name.trim().to_owned()).collect();
    if names.iter().any(String::is_empty) {
        return Err(format!("--only needs names of workloads, separated by commas, not `{list}`"));
    }
    Ok(names)
}

fn rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("--rounds needs a number above zero, not `{text}`")),
        Ok(rounds) => Ok(rounds),
    }
}

impl Options {
    /// Rounds of quick workloads.
    pub(super) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 3 } else { 9 })
    }

    /// Rounds of slow ones. They are long, so each says more.
    pub(super) fn slow_rounds(&self) -> usize {
        self.rounds().div_ceil(3)
    }

    /// Whether the results are kept: those of a part of the table are not.
    pub(super) fn writes(&self) -> bool {
        self.only.is_empty() && !self.no_write
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, String> {
        options(&line.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read() {
        let options = parsed("--only W1,W7a --rounds 5 --quick").expect("all are known");
        assert_eq!(options.only, ["W1", "W7a"]);
        assert_eq!((options.rounds(), options.slow_rounds(), options.quick), (5, 2, true));
    }

    #[test]
    fn only_the_whole_table_is_kept() {
        assert!(parsed("").expect("nothing needs to be said").writes());
        assert!(parsed("--quick --rounds 1").expect("all are known").writes());
        assert!(!parsed("--only W1").expect("all are known").writes());
        assert!(!parsed("--no-write").expect("all are known").writes());
    }

    #[test]
    fn a_quick_run_has_fewer_rounds() {
        let (full, quick) = (parsed("").expect("fine"), parsed("--quick").expect("fine"));
        assert!(quick.rounds() < full.rounds() && quick.slow_rounds() < full.slow_rounds());
    }

    #[test]
    fn bad_options_are_refused_by_name() {
        for (line, named) in [
            ("--only", "--only"),
            ("--only W1,", "`W1,`"),
            ("--rounds 0", "`0`"),
            ("--rounds many", "`many`"),
            ("--fast", "`--fast`"),
            ("W1", "`W1`"),
        ] {
            let message = parsed(line).expect_err(line);
            assert!(message.contains(named), "{line}: {message}");
        }
    }
}
