//! Every activity done twice, failed before its work, and failed after it: the end is that of an undisturbed run.
//!
//! The runs in here use all activities between them. A new one that is not met by the trouble fails these tests.

use std::collections::BTreeSet;

use devkit::harness::{Options, Platform, REPOSITORY, Tamper};
use domain::{
    event::SubjectKind,
    run::{Outcome, RunState, STATUS_CONTEXT, Step, answer_marker, comment_marker},
};
use store::{
    StepState, attempts, histories,
    runs::Run,
    steps::{self, StepRow},
};
use tokio::sync::OnceCell;

/// The activities as they are declared.
const DECLARATIONS: &str = include_str!("../../../../workflows/src/steps.rs");

/// How a run ended, in every place where it can be seen; what differs from run to run is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct End {
    what: &'static str,
    outcome: Option<Outcome>,
    cause: String,
    step: Option<Step>,
    branches: usize,
    pulls: usize,
    sticky_comments: usize,
    answers: usize,
    reviews: usize,
    labels: Vec<String>,
    last_status: Option<String>,
    steps: Vec<(Step, StepState)>,
    archived: bool,
    /// Requests of the scenario, where their number is no matter of time.
    model_requests: Option<usize>,
}

fn declared() -> BTreeSet<String> {
    let names = DECLARATIONS.split("#[activity(name = \"").skip(1).filter_map(|rest| rest.split('"').next());
    names.map(str::to_owned).collect()
}

/// One run to each kind of end, all at once; how they ended.
async fn all_kinds_of_runs(platform: &Platform) -> anyhow::Result<Vec<End>> {
    let fix = platform.open_issue("good-fix")?;
    platform.label(fix, "run:dev")?;
    let plan = platform.open_issue("plan")?;
    platform.label(plan, "run:planner")?;
    let cancelled = platform.open_issue("endless-loop")?;
    platform.label(cancelled, "run:dev")?;
    let lost = platform.open_issue("endless-loop")?;
    platform.label(lost, "run:dev")?;
    let refused = platform.open_issue("good-fix")?;
    platform.forge.comment("outsider", REPOSITORY, refused, "/run dev please")?;
    let change = [("greeter/extra.py", Some("WORD = 'hello'\n"))];
    platform.forge.commit("writer", REPOSITORY, "topic", &change).await?;
    let pull = platform.forge.open_pull("writer", REPOSITORY, "topic", "Add a word [scenario:review]").await?.number;
    platform.label(pull, "need:reviewer")?;

    let at_work = |run: &Run| run.step == Some(Step::Agent);
    platform.await_run(cancelled, "at work", at_work).await?;
    // Somebody else than who asked: their right is looked up.
    platform.forge.comment("writer", REPOSITORY, cancelled, "/cancel")?;
    let run = platform.await_run(lost, "at work", at_work).await?;
    platform.kill_job(run.id, run.attempt).await?;

    let issue = SubjectKind::Issue;
    Ok(vec![
        end(platform, "fix", (issue, fix), Some("good-fix")).await?,
        end(platform, "plan", (issue, plan), Some("plan")).await?,
        end(platform, "cancelled", (issue, cancelled), None).await?,
        end(platform, "lost", (issue, lost), None).await?,
        end(platform, "refused", (issue, refused), None).await?,
        end(platform, "review", (SubjectKind::PullRequest, pull), Some("review")).await?,
    ])
}

async fn end(
    platform: &Platform,
    what: &'static str,
    (kind, number): (SubjectKind, u64),
    scenario: Option<&str>,
) -> anyhow::Result<End> {
    let run = platform
        .await_run_about(kind, number, &format!("finished ({what})"), |run| run.state == RunState::Finished)
        .await?;
    platform.await_agreement(number).await?;
    // The very last activity: what it finds may be more than what is seen from here.
    let archived = platform
        .await_that("the history is kept", async || {
            let mut conn = platform.store().acquire().await?;
            Ok(histories::get(&mut conn, run.id, run.attempt).await?.map(|_| true))
        })
        .await?;
    let mut conn = platform.store().acquire().await?;
    assert!(attempts::get(&mut conn, run.id, run.attempt).await?.finished_at.is_some());
    let steps = steps::list(&mut conn, run.id).await?;
    drop(conn);
    let comments = platform.forge.comments(REPOSITORY, number)?;
    let with = |marker: &str| comments.iter().filter(|comment| comment.body.contains(marker)).count();
    let of_branch = format!("refs/heads/codex/{number}-");
    let refs = platform.forge.refs(REPOSITORY).await?;
    let branch = run.branch.clone().unwrap_or_default();
    let pulls = platform.forge.pulls(REPOSITORY)?;
    let requests = platform.model.requests();
    Ok(End {
        what,
        outcome: run.outcome,
        cause: plain_cause(&run),
        step: run.step,
        branches: refs.keys().filter(|name| name.starts_with(&of_branch)).count(),
        pulls: pulls.iter().filter(|pull| pull.pull.as_ref().is_some_and(|of| of.head_ref == branch)).count(),
        sticky_comments: with(&comment_marker(run.id)),
        answers: with(&answer_marker(run.id)),
        reviews: if kind == SubjectKind::PullRequest { platform.forge.reviews(REPOSITORY, number)?.len() } else { 0 },
        labels: platform.forge.labels(REPOSITORY, number)?,
        last_status: last_status(platform, &run)?,
        steps: steps.iter().map(|row: &StepRow| (row.step, row.state)).collect(),
        archived,
        model_requests: scenario
            .map(|name| requests.iter().filter(|request| request.scenario.as_deref() == Some(name)).count()),
    })
}

/// Without the number of the pull request.
fn plain_cause(run: &Run) -> String {
    let cause = run.cause.clone().unwrap_or_default();
    run.pr_number.map_or(cause.clone(), |number| cause.replace(&format!("#{number}"), "#N"))
}

/// The state that counts; no state was written twice.
fn last_status(platform: &Platform, run: &Run) -> anyhow::Result<Option<String>> {
    let Some(head) = &run.head_sha else { return Ok(None) };
    let all = platform.forge.statuses(REPOSITORY, head)?;
    let ours: Vec<_> = all.iter().filter(|status| status.context == STATUS_CONTEXT).collect();
    let told: BTreeSet<_> = ours.iter().map(|status| (&status.state, &status.description)).collect();
    assert_eq!(told.len(), ours.len(), "{ours:?}");
    Ok(ours.last().map(|status| status.state.clone()))
}

async fn series(tamper: Option<Tamper>) -> anyhow::Result<(Vec<End>, BTreeSet<String>)> {
    let platform = super::with(Options { slots: 6, tamper, ..super::defaults() }).await?;
    let ends = all_kinds_of_runs(&platform).await?;
    let met = platform.tampered_with();
    platform.finish().await?;
    Ok((ends, met))
}

/// Once for all of these tests.
async fn undisturbed() -> anyhow::Result<&'static Vec<End>> {
    static UNDISTURBED: OnceCell<Vec<End>> = OnceCell::const_new();
    UNDISTURBED.get_or_try_init(async || Ok(series(None).await?.0)).await
}

async fn ends_as_if_undisturbed(tamper: Tamper) -> anyhow::Result<()> {
    let (ends, met) = series(Some(tamper)).await?;
    for (disturbed, plain) in ends.iter().zip(undisturbed().await?) {
        assert_eq!(disturbed, plain, "{tamper:?}");
    }
    let missing: Vec<String> = declared().difference(&met).cloned().collect();
    assert!(missing.is_empty(), "{tamper:?} was not tried on {missing:?}: no run in here comes to them");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runs_of_these_tests_end_as_they_should() -> anyhow::Result<()> {
    assert!(declared().len() >= 14, "{:?}", declared());
    let ends = undisturbed().await?;
    let outcomes: Vec<_> = ends.iter().filter_map(|end| end.outcome).collect();
    let wanted = [
        Outcome::PullRequestOpen,
        Outcome::AnswerPosted,
        Outcome::Cancelled,
        Outcome::Lost,
        Outcome::Refused,
        Outcome::ReviewPosted,
    ];
    assert_eq!(outcomes, wanted, "{ends:?}");
    let counts: Vec<_> =
        ends.iter().map(|end| (end.branches, end.pulls, end.sticky_comments, end.answers, end.reviews)).collect();
    let wanted = [(1, 1, 1, 0, 0), (0, 0, 1, 1, 0), (0, 0, 1, 0, 0), (0, 0, 1, 0, 0), (0, 0, 0, 0, 0), (0, 0, 1, 0, 1)];
    assert_eq!(counts, wanted, "branches, pull requests, sticky comments, answers, reviews: {ends:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_activity_may_be_done_twice() -> anyhow::Result<()> {
    ends_as_if_undisturbed(Tamper::Twice).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_activity_may_fail_before_its_work() -> anyhow::Result<()> {
    ends_as_if_undisturbed(Tamper::FailBefore).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_activity_may_lose_its_answer() -> anyhow::Result<()> {
    ends_as_if_undisturbed(Tamper::LoseAnswer).await
}
