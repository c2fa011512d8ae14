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
    /// The way out of a Job, through the real proxy.
    Egress,
    /// The stand-in for GitHub and the scripted model.
    Github,
    /// The devkit's own parts.
    Devkit,
    /// The commands of the production binary.
    Cli,
    /// The whole platform, in user verbs.
    Platform,
    /// What needs a real cluster.
    Kubernetes,
    /// The staff console, in a real browser.
    Console,
}

impl Layer {
    /// What cargo is asked for, after `cargo test`; one list for each time it is called.
    pub(super) fn calls(self, tree: &Path) -> Vec<Vec<String>> {
        let mut calls = Vec::new();
        match self {
            Self::Devkit => calls.push(words(&["-p", "devkit", "--lib", "--bins"])),
            // What staff type at a terminal, and what the platform's image holds, is the production binary; building it is all.
            Self::Platform | Self::Kubernetes => calls.push(words(&["-p", "codex-k8s", "--test", "cli", "--no-run"])),
            Self::Github | Self::Console => {}
            Self::Cli => calls.push(words(&["-p", "codex-k8s"])),
            _ => calls.push(words(&["-p", &self.name()])),
        }
        let mut of_devkit = words(&["-p", "devkit"]);
        for program in test_programs(&tree.join("crates/devkit/tests")) {
            if Self::of("devkit", &program) == Some(self) {
                of_devkit.extend(words(&["--test", &program]));
            }
        }
        if of_devkit.len() > 2 {
            calls.push(of_devkit);
        }
        calls
    }

    /// The layer that a test program of a package belongs to.
    ///
    /// The devkit has tests of other layers too, where these need its stand-ins: the program's name says whose.
    pub(super) fn of(package: &str, program: &str) -> Option<Self> {
        match package {
            "devkit" if program == "devkit" || program == "dev" => Some(Self::Devkit),
            "devkit" => Self::value_variants()
                .iter()
                .copied()
                .find(|layer| program.starts_with(&layer.name()))
                .or_else(|| program.starts_with("model").then_some(Self::Github))
                .or(Some(Self::Platform)),
            "github" | "platform" | "cli" | "console" | "kubernetes" => None,
            // Cargo names a program with underscores.
            "codex-k8s" | "codex_k8s" => Some(Self::Cli),
            _ => Self::value_variants().iter().copied().find(|layer| layer.name() == package),
        }
    }

    /// Its name on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
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
            ("devkit", "model", Some(Layer::Github)),
            ("devkit", "runner", Some(Layer::Runner)),
            ("devkit", "crashes", Some(Layer::Platform)),
            ("devkit", "kubernetes", Some(Layer::Kubernetes)),
            ("devkit", "console", Some(Layer::Console)),
            ("codex_k8s", "codex_k8s", Some(Layer::Cli)),
            ("codex_k8s", "cli", Some(Layer::Cli)),
        ] {
            assert_eq!(Layer::of(package, program), layer, "{package} {program}");
        }
    }

    #[test]
    fn a_layer_names_its_test_programs() {
        let tree = tempfile::tempdir().unwrap();
        let tests = tree.path().join("crates/devkit/tests");
        std::fs::create_dir_all(tests.join("platform")).unwrap();
        std::fs::create_dir_all(tests.join("kubernetes")).unwrap();
        for file in ["github_api.rs", "crashes.rs", "platform/main.rs", "kubernetes/main.rs", "runner.rs", "note.md"] {
            std::fs::write(tests.join(file), "").unwrap();
        }
        let calls = |layer: Layer| layer.calls(tree.path());
        let program = vec!["-p", "codex-k8s", "--test", "cli", "--no-run"];
        let platform = vec!["-p", "devkit", "--test", "crashes", "--test", "platform"];
        assert_eq!(calls(Layer::Platform), [program.clone(), platform]);
        assert_eq!(calls(Layer::Github), [["-p", "devkit", "--test", "github_api"]]);
        assert_eq!(calls(Layer::Kubernetes), [program, vec!["-p", "devkit", "--test", "kubernetes"]]);
        assert_eq!(calls(Layer::Runner), [vec!["-p", "runner"], vec!["-p", "devkit", "--test", "runner"]]);
        assert_eq!(calls(Layer::Domain), [["-p", "domain"]]);
    }
}
