//! Scenario files: what the scripted model does, step by step.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use domain::job::Usage;
use serde::Deserialize;

/// The scenarios that come with the devkit.
const BUILT_IN: &[(&str, &str)] = &[
    ("broken-tests", include_str!("../../assets/scenarios/broken-tests.toml")),
    ("cut-stream", include_str!("../../assets/scenarios/cut-stream.toml")),
    ("endless-loop", include_str!("../../assets/scenarios/endless-loop.toml")),
    ("good-fix", include_str!("../../assets/scenarios/good-fix.toml")),
    ("held", include_str!("../../assets/scenarios/held.toml")),
    ("huge-output", include_str!("../../assets/scenarios/huge-output.toml")),
    ("injected-push", include_str!("../../assets/scenarios/injected-push.toml")),
    ("leftover-process", include_str!("../../assets/scenarios/leftover-process.toml")),
    ("limited-once", include_str!("../../assets/scenarios/limited-once.toml")),
    ("no-change", include_str!("../../assets/scenarios/no-change.toml")),
    ("own-commit", include_str!("../../assets/scenarios/own-commit.toml")),
    ("plan", include_str!("../../assets/scenarios/plan.toml")),
    ("print-environment", include_str!("../../assets/scenarios/print-environment.toml")),
    ("quota-exceeded", include_str!("../../assets/scenarios/quota-exceeded.toml")),
    ("rate-limited", include_str!("../../assets/scenarios/rate-limited.toml")),
    ("review", include_str!("../../assets/scenarios/review.toml")),
    ("revise", include_str!("../../assets/scenarios/revise.toml")),
    ("run-probe", include_str!("../../assets/scenarios/run-probe.toml")),
    ("seek-token", include_str!("../../assets/scenarios/seek-token.toml")),
    ("server-error", include_str!("../../assets/scenarios/server-error.toml")),
    ("slow", include_str!("../../assets/scenarios/slow.toml")),
    ("stall", include_str!("../../assets/scenarios/stall.toml")),
    ("streamed", include_str!("../../assets/scenarios/streamed.toml")),
    ("ticking", include_str!("../../assets/scenarios/ticking.toml")),
    ("two-halves", include_str!("../../assets/scenarios/two-halves.toml")),
    ("unauthorised", include_str!("../../assets/scenarios/unauthorised.toml")),
    ("way-out", include_str!("../../assets/scenarios/way-out.toml")),
];

/// One scenario file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One line for people.
    pub about: String,
    /// Tokens reported by each answered request.
    #[serde(default = "default_usage")]
    pub usage: Usage,
    /// After the last step, start again with the first one, for ever.
    #[serde(default)]
    pub endless: bool,
    /// One step a request.
    pub steps: Vec<Step>,
}

/// What one request is answered with.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// Call the shell tool.
    Run {
        /// Run by the shell that Codex uses, in the root of the work tree.
        command: String,
        /// Wait this long before the answer.
        #[serde(default)]
        delay_ms: u64,
        /// Wait until [`super::ScriptedModel::let_go`] names something in the conversation.
        #[serde(default)]
        held: bool,
    },
    /// Apply the known fix for the repository, if an earlier output names one of its files; else write `FIXED.md`.
    Fix {
        /// Wait this long before the answer.
        #[serde(default)]
        delay_ms: u64,
    },
    /// The final message; it ends the agent's turn.
    Answer {
        /// The text; `{line comment}` stands for the number of the first comment on a line in the prompt.
        text: String,
        /// Wait this long before the answer.
        #[serde(default)]
        delay_ms: u64,
    },
    /// Refuse the request.
    Fail {
        /// HTTP status.
        status: u16,
        /// `error.code` in the body.
        code: String,
        /// `error.message` in the body.
        message: String,
        /// Value of the header `retry-after`.
        #[serde(default)]
        retry_after_secs: Option<u64>,
        /// Refuse only so many requests of this scenario, then go on with the next step; none: every one.
        #[serde(default)]
        times: Option<usize>,
    },
    /// The final message, told piece by piece; it ends the agent's turn.
    Stream {
        /// How many pieces.
        pieces: u32,
        /// Bytes of each.
        piece_bytes: usize,
        /// Wait this long before each.
        #[serde(default)]
        pause_ms: u64,
    },
    /// Begin the event stream, then drop the connection.
    Cut,
    /// Accept the request and never send even the headers.
    Stall,
}

/// All scenarios by name.
#[derive(Clone, Debug)]
pub struct Scenarios(BTreeMap<String, Scenario>);

/// A scenario could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file is not a scenario.
    #[error("scenario `{name}` is not valid")]
    Syntax {
        /// Its name.
        name: String,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// The steps do not come to an end.
    #[error("scenario `{name}` must end in a step other than `run` and `fix`, or be `endless`")]
    NoEnd {
        /// Its name.
        name: String,
    },
    /// The folder or a file in it could not be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// What was read.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl Scenarios {
    /// The built-in scenarios, and those of `directory`, which win over built-in ones of the same name.
    ///
    /// # Errors
    /// If a file cannot be read or is not a scenario.
    pub fn load(directory: Option<&Path>) -> Result<Self, ScenarioError> {
        let mut all = BTreeMap::new();
        for (name, text) in BUILT_IN {
            all.insert((*name).to_owned(), parse(name, text)?);
        }
        if let Some(directory) = directory {
            for (name, path) in files(directory)? {
                let text = std::fs::read_to_string(&path)
                    .map_err(|source| ScenarioError::Unreadable { path: path.clone(), source })?;
                let scenario = parse(&name, &text)?;
                all.insert(name, scenario);
            }
        }
        Ok(Self(all))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The scenario of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Scenario> {
        self.0.get(name)
    }
}

impl Scenario {
    /// The step for a request whose conversation already holds `done` tool outputs, after `refused` requests of this scenario
    /// were refused.
    #[must_use]
    pub fn step(&self, done: usize, refused: usize) -> Option<&Step> {
        let over = matches!(self.steps.first(), Some(Step::Fail { times: Some(times), .. }) if refused >= *times);
        let done = done + usize::from(over);
        let last = self.steps.len().checked_sub(1)?;
        let place = if self.endless { done % self.steps.len() } else { done.min(last) };
        self.steps.get(place)
    }
}

const fn default_usage() -> Usage {
    Usage { input_tokens: 1_200, cached_input_tokens: 800, output_tokens: 90, reasoning_output_tokens: 30 }
}

fn parse(name: &str, text: &str) -> Result<Scenario, ScenarioError> {
    let scenario: Scenario = toml::from_str(text)
        .map_err(|source| ScenarioError::Syntax { name: name.to_owned(), source: Box::new(source) })?;
    let ends = match scenario.steps.last() {
        None => false,
        Some(Step::Run { .. } | Step::Fix { .. }) => scenario.endless,
        Some(_) => true,
    };
    if ends { Ok(scenario) } else { Err(ScenarioError::NoEnd { name: name.to_owned() }) }
}

fn files(directory: &Path) -> Result<Vec<(String, PathBuf)>, ScenarioError> {
    let unreadable = |source| ScenarioError::Unreadable { path: directory.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml")
            && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
        {
            found.push((name.to_owned(), path.clone()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_scenarios_are_valid_and_hold_the_default() {
        use super::super::request::DEFAULT;
        let scenarios = Scenarios::load(None).unwrap();
        assert_eq!(scenarios.names().count(), BUILT_IN.len());
        assert!(scenarios.get(DEFAULT).is_some());
    }

    #[test]
    fn every_file_of_the_folder_is_built_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/scenarios");
        let mut names: Vec<_> = files(&folder).unwrap().into_iter().map(|(name, _)| name).collect();
        names.sort();
        assert_eq!(names, BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
    }

    #[test]
    fn a_folder_adds_scenarios_and_replaces_built_in_ones() {
        let folder = tempfile::tempdir().unwrap();
        let text = "about = 'mine'\n[[steps]]\ndo = 'answer'\ntext = 'hello'\n";
        std::fs::write(folder.path().join("mine.toml"), text).unwrap();
        std::fs::write(folder.path().join("plan.toml"), text).unwrap();
        let scenarios = Scenarios::load(Some(folder.path())).unwrap();
        assert_eq!(scenarios.get("mine").unwrap().about, "mine");
        assert_eq!(scenarios.get("plan").unwrap().about, "mine");
    }

    #[test]
    fn a_scenario_without_an_end_is_refused() {
        let text = "about = 'x'\n[[steps]]\ndo = 'run'\ncommand = 'true'\n";
        assert!(matches!(parse("x", text), Err(ScenarioError::NoEnd { .. })));
        assert!(parse("x", &format!("endless = true\n{text}")).is_ok());
        assert!(matches!(parse("x", "about = 'x'\nsteps = []"), Err(ScenarioError::NoEnd { .. })));
    }

    #[test]
    fn endless_steps_start_again_and_others_stay_at_the_last() {
        let text = "about = 'x'\n[[steps]]\ndo = 'run'\ncommand = 'a'\n[[steps]]\ndo = 'answer'\ntext = 'b'\n";
        let once = parse("x", text).unwrap();
        assert!(matches!(once.step(7, 0), Some(Step::Answer { .. })));
        let endless = parse("x", &format!("endless = true\n{text}")).unwrap();
        assert!(matches!(endless.step(2, 0), Some(Step::Run { .. })));
    }
}
