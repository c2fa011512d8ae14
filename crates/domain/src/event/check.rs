//! What other programs found out about a commit: suites of checks, workflow runs, commit statuses.

use chrono::{DateTime, Utc};

use super::{Missing, json::Object};
use crate::sentences;

/// Conclusions after which somebody has to look at the change.
const FAILED: [&str; 2] = ["failure", "timed_out"];

/// The end of a check of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name: the context of a status, the name of a workflow, the app of a suite.
    pub name: String,
    /// The commit.
    pub head_sha: String,
    /// Whether it speaks against the change. What was cancelled, skipped or is still at work does not.
    pub failed: bool,
    /// Where people read more.
    pub url: Option<String>,
    /// When it ended.
    pub at: DateTime<Utc>,
}

pub(super) fn read_suite(root: &Object<'_>) -> Result<Check, Missing> {
    let suite = root.object("check_suite");
    let name = suite.object("app").text("name").unwrap_or_else(|| "checks".to_owned());
    concluded(&suite, name, suite.text("html_url"))
}

pub(super) fn read_workflow_run(root: &Object<'_>) -> Result<Check, Missing> {
    let run = root.object("workflow_run");
    concluded(&run, run.text("name").unwrap_or_else(|| "workflow".to_owned()), run.text("html_url"))
}

pub(super) fn read_status(root: &Object<'_>) -> Result<Check, Missing> {
    let state = root.name("state").unwrap_or_default();
    Ok(Check {
        name: root.text("context").unwrap_or_else(|| "default".to_owned()),
        head_sha: root.name("sha").ok_or(Missing(sentences::which_commit()))?,
        failed: matches!(state.as_str(), "failure" | "error"),
        url: root.text("target_url"),
        at: root
            .time("updated_at")
            .or_else(|| root.time("created_at"))
            .ok_or(Missing(sentences::when_it_happened()))?,
    })
}

fn concluded(of: &Object<'_>, name: String, url: Option<String>) -> Result<Check, Missing> {
    Ok(Check {
        name,
        head_sha: of.name("head_sha").ok_or(Missing(sentences::which_commit()))?,
        failed: of.name("conclusion").is_some_and(|word| FAILED.contains(&word.as_str())),
        url,
        at: of.time("updated_at").ok_or(Missing(sentences::when_it_happened()))?,
    })
}
