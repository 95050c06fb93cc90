//! The table of planted faults, `loom-tests/faults.toml`: textual changes, one for each model.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A change to one file that its model must notice.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    /// The model that must fail: the stem of a file in `loom-tests/tests`.
    pub(crate) model: String,
    /// The file to change, from the root of the workspace.
    pub(crate) file: String,
    /// What to replace; it occurs once.
    find: String,
    replace: String,
}

impl Fault {
    pub(crate) fn new(model: &str, file: &str, find: &str, replace: &str) -> Fault {
        Fault { model: model.into(), file: file.into(), find: find.into(), replace: replace.into() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default, rename = "fault")]
    faults: Vec<Fault>,
}

/// Reads the table and holds it against the models that exist: each has exactly one fault.
pub(crate) fn read(table: &str, models: &[String]) -> Result<Vec<Fault>, String> {
    let Table { faults } = toml::from_str(table).map_err(|error| format!("faults.toml: {error}"))?;
    for (at, fault) in faults.iter().enumerate() {
        if !models.contains(&fault.model) {
            return Err(format!("faults.toml: no model `{}` in loom-tests/tests", fault.model));
        }
        if faults[..at].iter().any(|earlier| earlier.model == fault.model) {
            return Err(format!("faults.toml: two faults for the model `{}`", fault.model));
        }
    }
    match models.iter().find(|model| faults.iter().all(|fault| fault.model != **model)) {
        Some(model) => Err(format!("faults.toml: the model `{model}` has no planted fault")),
        None => Ok(faults),
    }
}

/// The faults of each file.
pub(crate) fn by_file(faults: &[Fault]) -> BTreeMap<&str, Vec<&Fault>> {
    let mut files: BTreeMap<&str, Vec<&Fault>> = BTreeMap::new();
    for fault in faults {
        files.entry(&fault.file).or_default().push(fault);
    }
    files
}

/// The text of a file with `faults`, all of which are faults of that file.
pub(crate) fn plant(text: &str, faults: &[&Fault]) -> Result<String, String> {
    let mut places = Vec::new();
    for fault in faults {
        let named = |what: &str| format!("faults.toml: the fault of `{}` {what} in {}", fault.model, fault.file);
        if fault.find == fault.replace {
            return Err(named("changes nothing"));
        }
        let mut found = text.match_indices(&fault.find).map(|(start, _)| start);
        match (found.next(), found.count()) {
            (Some(start), 0) => places.push((start, *fault)),
            (None, _) => return Err(named("is not found")),
            (Some(_), more) => return Err(named(&format!("is found {} times", more + 1))),
        }
    }
    places.sort_by_key(|(start, _)| *start);
    let mut planted = String::with_capacity(text.len());
    let mut copied = 0;
    for (start, fault) in places {
        let Some(between) = text.get(copied..start) else {
            return Err(format!("faults.toml: the fault of `{}` overlaps another in {}", fault.model, fault.file));
        };
        planted.push_str(between);
        planted.push_str(&fault.replace);
        copied = start + fault.find.len();
    }
    planted.push_str(&text[copied..]);
    Ok(planted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(model: &str, find: &str, replace: &str) -> Fault {
        Fault::new(model, "x.rs", find, replace)
    }

    #[test]
    fn faults_are_planted_in_one_pass() {
        // The first replacement contains what the second looks for: only the original text counts.
        let planted =
            plant("Release then Acquire", &[&fault("b", "Acquire", "Relaxed"), &fault("a", "Release", "Acquire")]);
        assert_eq!(planted.unwrap(), "Acquire then Relaxed");
    }

    #[test]
    fn a_fault_that_cannot_be_planted_is_named() {
        for (text, faults, said) in [
            ("none here", vec![fault("m", "fence", "")], "is not found"),
            ("fence fence", vec![fault("m", "fence", "")], "is found 2 times"),
            ("fence", vec![fault("m", "fence", "fence")], "changes nothing"),
            ("a fence here", vec![fault("m", "a fence", ""), fault("n", "fence here", "")], "overlaps another"),
        ] {
            let message = plant(text, &faults.iter().collect::<Vec<_>>()).expect_err(said);
            assert!(message.contains(said) && message.contains("x.rs"), "{message}");
        }
    }

    #[test]
    fn each_model_has_one_fault() {
        let row =
            |model: &str| format!("[[fault]]\nmodel = \"{model}\"\nfile = \"f\"\nfind = \"x\"\nreplace = \"y\"\n");
        let models = ["a".to_string(), "b".to_string()];
        assert_eq!(read(&[row("a"), row("b")].concat(), &models).unwrap().len(), 2);
        for (table, said) in [
            (row("a"), "`b` has no planted fault"),
            ([row("a"), row("b"), row("a")].concat(), "two faults for the model `a`"),
            ([row("a"), row("c")].concat(), "no model `c`"),
            (row("a").replace("find", "fnid"), "fnid"),
        ] {
            let message = read(&table, &models).expect_err(said);
            assert!(message.contains(said), "{message}");
        }
    }
}
