//! The layers of the test suite.

use std::path::Path;

use clap::ValueEnum;

/// A part of the tests that can be run alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Layer {
    /// The pure rules.
    Domain,
    /// The SQL, on fresh databases.
    Store,
    /// The provider interface and its GitHub adapter.
    Forge,
    /// The program inside the Job, with the real Codex CLI.
    Runner,
    /// Commands on their way to the engine.
    Dispatch,
    /// Decisions, and recorded histories replayed.
    Workflows,
    /// The side effects.
    Activities,
    /// Webhooks, the runner endpoint and the model gateway.
    Gateway,
    /// The stand-in for GitHub and the scripted model.
    Github,
    /// The devkit's own parts.
    Devkit,
    /// The whole platform, in user verbs.
    Platform,
}

impl Layer {
    /// What cargo is asked for, after `cargo test`.
    pub(super) fn arguments(self, tree: &Path) -> Vec<String> {
        let words: &[&str] = match self {
            Self::Domain => &["-p", "domain"],
            Self::Store => &["-p", "store"],
            Self::Forge => &["-p", "forge"],
            Self::Runner => &["-p", "runner"],
            Self::Dispatch => &["-p", "dispatch"],
            Self::Workflows => &["-p", "workflows"],
            Self::Activities => &["-p", "activities"],
            Self::Gateway => &["-p", "gateway"],
            Self::Github | Self::Platform => &["-p", "devkit"],
            Self::Devkit => &["-p", "devkit", "--lib", "--bins"],
        };
        let mut arguments: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        for program in test_programs(&tree.join("crates/devkit/tests")) {
            if self.owns(&program) {
                arguments.push("--test".to_owned());
                arguments.push(program);
            }
        }
        arguments
    }

    /// The layer that a test program of a package belongs to.
    pub(super) fn of(package: &str, program: &str) -> Option<Self> {
        match package {
            "domain" => Some(Self::Domain),
            "store" => Some(Self::Store),
            "forge" => Some(Self::Forge),
            "runner" => Some(Self::Runner),
            "dispatch" => Some(Self::Dispatch),
            "workflows" => Some(Self::Workflows),
            "activities" => Some(Self::Activities),
            "gateway" => Some(Self::Gateway),
            "devkit" if Self::Github.owns(program) => Some(Self::Github),
            "devkit" if program == "devkit" || program == "dev" => Some(Self::Devkit),
            "devkit" => Some(Self::Platform),
            _ => None,
        }
    }

    /// Whether a test program of the devkit belongs to this layer.
    fn owns(self, program: &str) -> bool {
        let stand_in = ["github", "model"].iter().any(|prefix| program.starts_with(prefix));
        match self {
            Self::Github => stand_in,
            Self::Platform => !stand_in,
            _ => false,
        }
    }

    /// Its name on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

fn test_programs(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let path = entry.path();
            let is_program = path.extension().is_some_and(|kind| kind == "rs") || path.join("main.rs").is_file();
            let name = path.file_stem()?.to_str()?.to_owned();
            is_program.then_some(name)
        })
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_program_has_its_layer() {
        for (package, program, layer) in [
            ("domain", "domain", Some(Layer::Domain)),
            ("gateway", "ingest", Some(Layer::Gateway)),
            ("devkit", "devkit", Some(Layer::Devkit)),
            ("devkit", "github_contract", Some(Layer::Github)),
            ("devkit", "crashes", Some(Layer::Platform)),
            ("codex-k8s", "codex_k8s", None),
        ] {
            assert_eq!(Layer::of(package, program), layer, "{package} {program}");
        }
    }

    #[test]
    fn a_layer_names_its_test_programs() {
        let tree = tempfile::tempdir().unwrap();
        let tests = tree.path().join("crates/devkit/tests");
        std::fs::create_dir_all(tests.join("platform")).unwrap();
        for file in ["github_api.rs", "crashes.rs", "platform/main.rs", "note.md"] {
            std::fs::write(tests.join(file), "").unwrap();
        }
        let platform = ["-p", "devkit", "--test", "crashes", "--test", "platform"];
        assert_eq!(Layer::Platform.arguments(tree.path()), platform);
        let github = ["-p", "devkit", "--test", "github_api"];
        assert_eq!(Layer::Github.arguments(tree.path()), github);
    }
}
