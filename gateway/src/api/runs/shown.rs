//! Runs as callers see them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    event::SubjectKind,
    ids::{DeliveryId, RepositoryId, RunId},
    job::{CheckResult, Usage},
    people::ProjectRole,
    run::{Outcome, RunState, Step},
    sentences::{self, Coded},
    triggers::{Trigger, VerdictKind},
};
use serde::Serialize;
use store::{PgConnection, attempts::AttemptRecord, repositories, runs, steps::StepRow};
use utoipa::ToSchema;

use crate::{auth::Caller, problem::Problem};

/// A run, as it stands in lists.
#[derive(Clone, Serialize, ToSchema)]
pub(in crate::api) struct Run {
    pub(super) id: RunId,
    /// Short name of the project.
    project: String,
    repository: RunRepository,
    subject: RunSubject,
    /// Name of the agent.
    agent: String,
    trigger: Trigger,
    /// Login of who asked.
    requested_by: String,
    state: RunState,
    /// The step it is in, or ended in.
    step: Option<Step>,
    /// How it ended.
    outcome: Option<Outcome>,
    /// Why, as a sentence.
    cause: Option<String>,
    /// The same by its code.
    cause_coded: Option<Coded>,
    /// The newest attempt.
    attempt: u32,
    /// Place in the queue for a slot, 1 being next.
    slot_place: Option<u32>,
    /// Our pull request.
    pull_request: Option<i64>,
    /// Its address.
    pull_request_url: Option<String>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

/// Where a run works.
#[derive(Clone, Serialize, ToSchema)]
pub(in crate::api) struct RunRepository {
    id: RepositoryId,
    /// `owner/name`
    full_name: String,
}

/// What a run is about.
#[derive(Clone, Serialize, ToSchema)]
pub(in crate::api) struct RunSubject {
    kind: SubjectKind,
    number: i64,
    /// Its title when the run was asked for.
    title: String,
    /// Its address, where the forge's is known.
    url: Option<String>,
}

/// A run with everything that is known about it.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct RunDetail {
    pub(super) run: Run,
    /// What the caller may do in its project.
    pub(super) my_role: ProjectRole,
    /// Why it does not go on now.
    pub(super) waiting: Option<Waiting>,
    /// How many others ended by the same failure.
    pub(super) same_failure: Option<SameFailure>,
    /// What whoever asked said beyond the command.
    pub(super) instructions: String,
    pub(super) branch: Option<String>,
    pub(super) base_sha: Option<String>,
    pub(super) head_sha: Option<String>,
    /// The runs that led to this one, oldest first.
    pub(super) cause_chain: Vec<RunId>,
    /// Whether an agent's work is kept, which a retry could go on from.
    pub(super) kept_work_at: Option<DateTime<Utc>>,
    /// The first first.
    pub(super) attempts: Vec<RunAttempt>,
    /// What came in and started, told or found it, the first first.
    pub(super) deliveries: Vec<RunDelivery>,
}

/// Others that ended by the same failure.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct SameFailure {
    /// Its name: lists of runs can be asked for it.
    pub(super) name: String,
    /// How many other runs of the project.
    pub(super) others: u64,
    /// So many days back.
    pub(super) days: u32,
}

/// Why a run does not go on now.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(in crate::api) enum Waiting {
    /// For a slot of its project.
    Slot {
        /// Place in the queue, 1 being next.
        place: u32,
    },
    /// For a machine of the cluster.
    Node {
        /// What the cluster says.
        reason: String,
    },
    /// Until a limit allows the next step.
    Limit {
        step: Step,
        until: DateTime<Utc>,
        /// Who said so, as a sentence.
        reason: Option<String>,
        /// The same by its code.
        reason_coded: Option<Coded>,
    },
}

/// An attempt of a run.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct RunAttempt {
    attempt: u32,
    /// Where it began; none is the start.
    from_step: Option<Step>,
    /// The attempt whose kept work it goes on from.
    continues: Option<u32>,
    /// The version of its agent that it works by, whatever became of the agent since; none before its prompt is written.
    agent_version: Option<u32>,
    /// `none`, `launching`, `running` or `ended`.
    job_state: String,
    /// When its Job was last heard of.
    job_heartbeat_at: Option<DateTime<Utc>>,
    cancel_requested_at: Option<DateTime<Utc>>,
    outcome: Option<Outcome>,
    cause: Option<String>,
    /// The same by its code.
    cause_coded: Option<Coded>,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    /// Nobody was entitled to it: the run kept the end that it had.
    withdrawn: bool,
    /// In order.
    steps: Vec<RunStep>,
    /// The project's own checks.
    checks: Vec<CheckResult>,
    /// The agent's last message.
    last_message: Option<String>,
    /// Calls to the model that were begun.
    model_calls: u32,
    /// Tokens, as far as reported.
    usage: Usage,
    /// What its calls cost.
    cost: AttemptCost,
}

/// What the calls of an attempt cost.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct AttemptCost {
    /// In billionths of a US dollar, of the calls whose model has a price.
    nano_usd: u64,
    /// Calls whose model has none.
    unpriced_calls: u32,
    /// Calls that broke off, and were booked with the most that they could have used.
    estimated_calls: u32,
}

/// A step of an attempt.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct RunStep {
    step: Step,
    /// `running`, `done`, `failed` or `skipped`.
    state: String,
    /// How often it was begun.
    tries: u32,
    /// Why it failed, or failed the last time.
    error: Option<String>,
    /// The same by its code.
    error_coded: Option<Coded>,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    wait_until: Option<DateTime<Utc>>,
}

/// Something that came in about a run.
#[derive(Serialize, ToSchema)]
pub(in crate::api) struct RunDelivery {
    pub(super) id: DeliveryId,
    pub(super) event: String,
    pub(super) action: Option<String>,
    pub(super) sender: Option<String>,
    pub(super) verdict: VerdictKind,
    pub(super) reason: String,
    /// The same by its code.
    pub(super) reason_coded: Option<Coded>,
    pub(super) received_at: DateTime<Utc>,
}

impl RunStep {
    fn of(row: &StepRow) -> Self {
        Self {
            step: row.step,
            state: row.state.as_str().to_owned(),
            tries: row.tries,
            error: row.error.clone(),
            error_coded: row.error.as_deref().and_then(sentences::read),
            started_at: row.started_at,
            finished_at: row.finished_at,
            wait_until: row.wait_until,
        }
    }
}

/// What is known about an attempt beside its row.
pub(super) struct Known {
    pub(super) report: Option<domain::job::JobReport>,
    pub(super) spent: store::model_calls::Spent,
}

impl RunAttempt {
    /// Whether its Job is asked for, and has not been heard of.
    pub(super) fn is_launching(&self) -> bool {
        self.job_state == "launching"
    }

    pub(super) fn of(row: AttemptRecord, steps: &[StepRow], known: Known) -> Self {
        let (checks, last_message) =
            known.report.map(|report| (report.checks, report.last_message)).unwrap_or_default();
        Self {
            attempt: row.attempt.0,
            from_step: row.from_step,
            continues: row.continues.map(|attempt| attempt.0),
            agent_version: row.agent_version,
            job_state: row.job_state.as_str().to_owned(),
            job_heartbeat_at: row.job_heartbeat_at,
            cancel_requested_at: row.cancel_requested_at,
            outcome: row.outcome,
            cause_coded: row.cause.as_deref().and_then(sentences::read),
            cause: row.cause,
            started_at: row.started_at,
            finished_at: row.finished_at,
            withdrawn: row.withdrawn,
            steps: steps.iter().filter(|step| step.attempt == row.attempt).map(RunStep::of).collect(),
            checks,
            last_message,
            model_calls: known.spent.calls,
            usage: known.spent.usage,
            cost: AttemptCost {
                nano_usd: known.spent.cost.known.nano(),
                unpriced_calls: known.spent.cost.unpriced_calls,
                estimated_calls: known.spent.cost.estimated_calls,
            },
        }
    }
}

/// Rows of runs as callers see them, in their order.
///
/// # Errors
/// 503 if the database does not answer.
pub(super) async fn shown(caller: &Caller, conn: &mut PgConnection, rows: &[runs::Run]) -> Result<Vec<Run>, Problem> {
    let mut ids: Vec<RepositoryId> = rows.iter().map(|run| run.repository_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let names: BTreeMap<RepositoryId, repositories::Names> =
        repositories::names(conn, &ids).await?.into_iter().map(|names| (names.id, names)).collect();
    Ok(rows.iter().filter_map(|run| Some(one(caller, run, names.get(&run.repository_id)?))).collect())
}

fn one(caller: &Caller, run: &runs::Run, names: &repositories::Names) -> Run {
    let page = |place: &str, number| {
        let forge = caller.app().sign_in()?.forge_page(&names.full_name());
        Some(format!("{forge}/{place}/{number}"))
    };
    let place = match run.subject.kind {
        SubjectKind::Issue => "issues",
        SubjectKind::PullRequest => "pull",
    };
    Run {
        id: run.id,
        project: names.project.clone(),
        repository: RunRepository { id: names.id, full_name: names.full_name() },
        subject: RunSubject {
            kind: run.subject.kind,
            number: run.subject.number,
            title: run.subject_title.clone(),
            url: page(place, run.subject.number),
        },
        agent: run.agent.as_str().to_owned(),
        trigger: run.trigger.clone(),
        requested_by: run.requested_by_login.clone(),
        state: run.state,
        step: run.step,
        outcome: run.outcome,
        cause: run.cause.clone(),
        cause_coded: run.cause.as_deref().and_then(sentences::read),
        attempt: run.attempt.0,
        slot_place: run.slot_place,
        pull_request: run.pr_number,
        pull_request_url: run.pr_number.and_then(|number| page("pull", number)),
        created_at: run.created_at,
        started_at: run.started_at,
        finished_at: run.finished_at,
    }
}

/// Why the run does not go on now, as its row and its steps say.
pub(super) fn waiting(run: &runs::Run, steps: &[StepRow], node: Option<String>, now: DateTime<Utc>) -> Option<Waiting> {
    if run.state == RunState::Finished {
        return None;
    }
    if let Some(place) = run.slot_place {
        return Some(Waiting::Slot { place });
    }
    if let Some(reason) = node {
        return Some(Waiting::Node { reason });
    }
    let step = steps.iter().rev().find(|step| step.attempt == run.attempt && step.finished_at.is_none())?;
    let until = step.wait_until.filter(|until| *until > now)?;
    let reason_coded = step.error.as_deref().and_then(sentences::read);
    Some(Waiting::Limit { step: step.step, until, reason: step.error.clone(), reason_coded })
}
