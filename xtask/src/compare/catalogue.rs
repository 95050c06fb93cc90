//! `benches/compare.toml`: the workloads, their measures and targets, and the peers.

use std::fmt::Write;

use serde::Deserialize;

/// The whole table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Catalogue {
    #[serde(rename = "peer")]
    pub(super) peers: Vec<Peer>,
    #[serde(rename = "workload")]
    pub(super) workloads: Vec<Workload>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Peer {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) kind: Kind,
}

/// What a peer is compared as.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Ours,
    /// A form of tokio.
    Tokio,
    Peer,
    /// Shown, and not compared with: a runtime of another kind.
    Check,
    /// No runtime: the least work that does the job.
    Floor,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Workload {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) peers: Vec<String>,
    #[serde(default)]
    pub(super) slow: bool,
    #[serde(rename = "measure")]
    pub(super) measures: Vec<Measure>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Measure {
    pub(super) key: String,
    pub(super) text: String,
    pub(super) unit: String,
    /// What the chart calls it, if it is drawn there.
    pub(super) chart: Option<String>,
    /// Whether more is better.
    #[serde(default)]
    pub(super) higher: bool,
    #[serde(default)]
    pub(super) targets: Vec<Target>,
}

/// A limit, by itself or times a figure of somebody else's.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    pub(super) at_most: Option<f64>,
    pub(super) at_least: Option<f64>,
    /// `tokio`, `best`, or a peer.
    pub(super) of: Option<String>,
    /// The other's measure, if it is not the same.
    pub(super) measure: Option<String>,
}

impl Catalogue {
    pub(super) fn load() -> Result<Catalogue, String> {
        Catalogue::parse(include_str!("../../../benches/compare.toml"))
    }

    fn parse(text: &str) -> Result<Catalogue, String> {
        let catalogue: Catalogue = toml::from_str(text).map_err(|error| format!("benches/compare.toml: {error}"))?;
        catalogue.check().map_err(|error| format!("benches/compare.toml: {error}"))?;
        Ok(catalogue)
    }

    fn check(&self) -> Result<(), String> {
        for workload in &self.workloads {
            let id = &workload.id;
            for peer in &workload.peers {
                self.peer(peer).ok_or_else(|| format!("{id} is run on `{peer}`, which is no peer"))?;
            }
            for target in workload.measures.iter().flat_map(|measure| &measure.targets) {
                if target.at_most.is_some() == target.at_least.is_some() {
                    return Err(format!("a target of {id} has not one limit"));
                }
                if let Some(of) = &target.of {
                    if of != "best" && of != "tokio" && !workload.peers.contains(of) {
                        return Err(format!("a target of {id} is against `{of}`, which does not run it"));
                    }
                }
                if let Some(key) = &target.measure {
                    if workload.measures.iter().all(|measure| measure.key != *key) {
                        return Err(format!("a target of {id} is against `{key}`, which is not measured"));
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn peer(&self, name: &str) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.name == name)
    }

    /// The workloads of these names, in the order of the table; all if there are none. `W9` means all that begin with `W9-`,
    /// `W6` all of `W6a`, `W6b`, ….
    pub(super) fn choose(&self, names: &[String]) -> Result<Vec<&Workload>, String> {
        if names.is_empty() {
            return Ok(self.workloads.iter().collect());
        }
        for name in names {
            if !self.workloads.iter().any(|workload| self.means(name, &workload.id)) {
                let known: Vec<&str> = self.workloads.iter().map(|workload| workload.id.as_str()).collect();
                return Err(format!("unknown workload `{name}`; there are {}", known.join(", ")));
            }
        }
        let chosen = |workload: &&Workload| names.iter().any(|name| self.means(name, &workload.id));
        Ok(self.workloads.iter().filter(chosen).collect())
    }

    fn means(&self, name: &str, id: &str) -> bool {
        let Some(rest) = id.strip_prefix(name) else { return false };
        let exact = self.workloads.iter().any(|workload| workload.id == name);
        match rest.chars().next() {
            None | Some('-') => true,
            Some(letter) => !exact && letter.is_ascii_lowercase() && name.ends_with(|c: char| c.is_ascii_digit()),
        }
    }

    /// A line for each workload.
    pub(super) fn list(&self) -> String {
        let mut list = String::new();
        for workload in &self.workloads {
            writeln!(list, "{:<12} {} ({})", workload.id, workload.text, workload.peers.join(", "))
                .expect("a string takes everything");
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(names: &[&str]) -> Result<Vec<String>, String> {
        let names: Vec<String> = names.iter().map(|name| (*name).into()).collect();
        let catalogue = Catalogue::load()?;
        Ok(catalogue.choose(&names)?.iter().map(|workload| workload.id.clone()).collect())
    }

    #[test]
    fn a_name_means_itself_or_a_family() {
        assert_eq!(chosen(&["W7a", "W1"]), Ok(vec!["W1".into(), "W7a".into()]));
        assert_eq!(chosen(&["W4"]), Ok(vec!["W4".into()]));
        assert_eq!(chosen(&["W6a"]), Ok(vec!["W6a-1".into(), "W6a-2".into()]));
        assert_eq!(chosen(&["W7"]), Ok(vec!["W7a".into(), "W7b".into(), "W7c".into()]));
        assert_eq!(chosen(&["W9"]).map(|ids| ids.len()), Ok(4));
        assert_eq!(chosen(&[]).map(|ids| ids.len()), Catalogue::load().map(|table| table.workloads.len()));
    }

    #[test]
    fn an_unknown_name_is_refused_with_those_that_are_known() {
        let message = chosen(&["W1", "W99"]).expect_err("there is none");
        assert!(message.contains("`W99`") && message.contains("W6a-1"), "{message}");
        assert!(chosen(&["W"]).is_err());
        assert!(chosen(&[""]).is_err());
    }

    #[test]
    fn a_table_that_contradicts_itself_is_refused() {
        let table = |peers: &str, target: &str| {
            let text = format!(
                "[[peer]]\nname = \"a\"\ntitle = \"A\"\nkind = \"ours\"\n[[workload]]\nid = \"X\"\ntext = \"x\"\npeers = \
                 [{peers}]\n[[workload.measure]]\nkey = \"ns\"\ntext = \"t\"\nunit = \"ns\"\ntargets = [{{ {target} }}]\n"
            );
            Catalogue::parse(&text).map(|_| ())
        };
        assert_eq!(table("\"a\"", "at_most = 1"), Ok(()));
        assert!(table("\"b\"", "at_most = 1").is_err());
        assert!(table("\"a\"", "at_most = 1, at_least = 1").is_err());
        assert!(table("\"a\"", "at_most = 1, of = \"c\"").is_err());
        assert!(table("\"a\"", "at_most = 1, of = \"best\", measure = \"us\"").is_err());
    }
}
