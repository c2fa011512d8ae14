//! Check runs that failed, and the logs behind them.
//!
//! GitHub shows them to Apps with the permissions Checks and Actions (read), and those of public repositories to everybody.

use serde::Deserialize;

use super::{GitHub, transport::Call, wire::or_default};
use crate::{
    ForgeError, RepoRef,
    ids::{CheckRunId, CommitSha},
    model::{Annotation, FailedCheck},
};

/// Check runs of a commit that are looked at.
const MAX_CHECKS: &str = "100";

/// Conclusions after which somebody has to look at the change.
const FAILED: [&str; 2] = ["failure", "timed_out"];

/// Whose check runs are jobs of a workflow, with a log.
const ACTIONS: &str = "github-actions";

#[derive(Deserialize)]
struct WireCheckRuns {
    check_runs: Vec<WireCheckRun>,
}

#[derive(Deserialize)]
struct WireCheckRun {
    id: i64,
    name: String,
    conclusion: Option<String>,
    html_url: Option<String>,
    details_url: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    output: WireOutput,
    app: Option<WireSlug>,
}

#[derive(Default, Deserialize)]
struct WireOutput {
    title: Option<String>,
    summary: Option<String>,
    #[serde(default)]
    annotations_count: u64,
}

#[derive(Deserialize)]
struct WireSlug {
    slug: Option<String>,
}

#[derive(Deserialize)]
struct WireAnnotation {
    path: String,
    start_line: u64,
    annotation_level: Option<String>,
    title: Option<String>,
    message: Option<String>,
}

impl GitHub {
    pub(super) async fn read_failed_checks(
        &self,
        repo: &RepoRef,
        sha: &CommitSha,
    ) -> Result<Vec<FailedCheck>, ForgeError> {
        let route = self.repo_route(repo, &["commits", sha.as_str(), "check-runs"])?;
        let route = route.query("status", "completed").query("filter", "latest").query("per_page", MAX_CHECKS);
        let runs: WireCheckRuns = self.call(repo, Call::get(route)).await?.json()?;
        let failed = |run: &WireCheckRun| run.conclusion.as_deref().is_some_and(|word| FAILED.contains(&word));
        Ok(runs.check_runs.into_iter().filter(failed).map(FailedCheck::from).collect())
    }

    pub(super) async fn read_annotations(
        &self,
        repo: &RepoRef,
        check: CheckRunId,
        limit: usize,
    ) -> Result<Vec<Annotation>, ForgeError> {
        let route = self.repo_route(repo, &["check-runs", &check.to_string(), "annotations"])?;
        let wire: Vec<WireAnnotation> = self.list(repo, route, limit).await?;
        Ok(wire.into_iter().map(Annotation::from).collect())
    }

    pub(super) async fn read_job_log(
        &self,
        repo: &RepoRef,
        job: CheckRunId,
        max_bytes: usize,
    ) -> Result<String, ForgeError> {
        let route = self.repo_route(repo, &["actions", "jobs", &job.to_string(), "logs"])?;
        // Not through `call`: a redirect is the answer here, and says nothing about the repository's name.
        let reply = self.send(Call::get(route).end_of_log(max_bytes)).await?;
        Ok(String::from_utf8_lossy(&reply.body).into_owned())
    }
}

impl From<WireCheckRun> for FailedCheck {
    fn from(wire: WireCheckRun) -> Self {
        let job = wire.app.and_then(|app| app.slug).is_some_and(|slug| slug == ACTIONS);
        let id = CheckRunId(wire.id);
        Self {
            id,
            name: wire.name,
            title: wire.output.title.unwrap_or_default(),
            summary: wire.output.summary.unwrap_or_default(),
            annotations: wire.output.annotations_count,
            url: wire.html_url.or_else(|| wire.details_url.clone()),
            job: job.then(|| wire.details_url.as_deref().and_then(job_of).unwrap_or(id)),
        }
    }
}

/// `https://github.com/OWNER/NAME/actions/runs/RUN/job/JOB`.
fn job_of(url: &str) -> Option<CheckRunId> {
    let (_, rest) = url.rsplit_once("/job/")?;
    let digits = rest.split(['?', '#', '/']).next()?;
    digits.parse().ok().map(CheckRunId)
}

impl From<WireAnnotation> for Annotation {
    fn from(wire: WireAnnotation) -> Self {
        Self {
            path: wire.path,
            line: wire.start_line,
            level: wire.annotation_level.unwrap_or_default(),
            title: wire.title.unwrap_or_default(),
            message: wire.message.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_of_a_check_run_is_in_its_address() {
        for (url, expected) in [
            ("https://github.com/a/b/actions/runs/12/job/34", Some(34)),
            ("https://github.com/a/b/actions/runs/12/job/34?pr=5", Some(34)),
            ("https://github.com/a/b/runs/34", None),
            ("https://ci.example/job/x", None),
        ] {
            assert_eq!(job_of(url), expected.map(CheckRunId), "{url}");
        }
    }
}
