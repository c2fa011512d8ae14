//! The whole job, from the first call of the gateway to the accepted report.

use std::{error::Error, io, time::Duration};

use chrono::{DateTime, Utc};
use domain::job::{AgentEnd, AgentFailure, CheckResult, JobReport, JobSpec, Resumed, Usage};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    agent::{Agent, AgentTurn},
    checkpoint::{Keeper, Kept, Progress},
    commands::{self, Purpose},
    descendants,
    environment::Folders,
    gateway::{Gateway, GatewayError, persist},
    output::Output,
    repository::{self, Before},
    resume::{self, Beginning, Restorer},
    settings::Settings,
    setup::SetUp,
    shipper, signals,
};

/// How long a gateway that is away is waited for, at the start and for each thing to hand over.
const GATEWAY_BOUND: Duration = Duration::from_secs(600);
/// Who cancels a job does not wait for its last lines.
const CANCELLED_DRAIN: Duration = Duration::from_secs(5);

/// The last look at the work, of a job that nobody waits for and of one that somebody does.
const LAST_CHECKPOINT: Duration = Duration::from_secs(60);
const CANCELLED_CHECKPOINT: Duration = Duration::from_secs(6);

/// The job could not be reported. Everything else is told to the platform in the report.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The process could not be prepared to be the root of others.
    #[error("the runner cannot watch its signals and descendants")]
    Process(#[source] io::Error),
    /// The work folder was used before: an agent's turn is never started twice, and another runner may still be at it.
    #[error("a job was started in this work folder before")]
    StartedBefore,
    /// The gateway did not say what to do, or did not take the report.
    #[error("the gateway could not be reached or refused the run")]
    Gateway(#[from] GatewayError),
}

/// What was found out, as the report will say it.
struct Evidence {
    end: AgentEnd,
    thread_id: Option<String>,
    last_message: Option<String>,
    usage: Usage,
    resumed: Option<Resumed>,
    checks: Vec<CheckResult>,
    changes: Option<repository::Changes>,
}

/// Why a completed turn has no result.
enum NotHandedOver {
    Cancelled,
    Failed(String),
}

struct Job<'a> {
    settings: &'a Settings,
    gateway: &'a Gateway,
    spec: JobSpec,
    output: Output,
    cancel: CancellationToken,
}

/// Does one job and reports it. Call it in a process of its own: at the end all descendants are killed.
///
/// # Errors
/// If the platform could not be told what happened.
pub async fn run(settings: Settings) -> Result<(), RunnerError> {
    let started_at = Utc::now();
    let cancel = CancellationToken::new();
    signals::cancel_on_signals(&cancel).map_err(RunnerError::Process)?;
    descendants::hide().map_err(RunnerError::Process)?;
    descendants::adopt_orphans().map_err(RunnerError::Process)?;
    let folders = match Folders::create(&settings.work_dir, settings.tools.as_deref()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(RunnerError::StartedBefore),
        created => created,
    };
    let gateway = Gateway::new(&settings)?;

    let fetched = tokio::select! {
        biased;
        () = cancel.cancelled() => None,
        spec = begin(&gateway) => Some(spec?),
    };
    let Some(spec) = fetched else {
        persist(GATEWAY_BOUND, || gateway.claim()).await?;
        let report = Evidence::without_turn(AgentEnd::Cancelled).report(started_at, 0);
        return Ok(persist(GATEWAY_BOUND, || gateway.report(&report)).await?);
    };

    let output = Output::new(spec.limits.log_bytes);
    let mut shipper = tokio::spawn(shipper::ship(gateway.clone(), output.clone(), cancel.clone()));
    let job = Job { settings: &settings, gateway: &gateway, spec, output: output.clone(), cancel: cancel.clone() };
    let evidence = job.work(folders.map(|folders| job.with_way_out(folders))).await;
    if let Err(error) = descendants::kill_all().await {
        output.say(&format!("not every process could be ended: {error}"));
    }

    output.close();
    let drain = if cancel.is_cancelled() { CANCELLED_DRAIN } else { GATEWAY_BOUND };
    if tokio::time::timeout(drain, &mut shipper).await.is_err() {
        shipper.abort();
    }
    let report = evidence.report(started_at, output.dropped());
    Ok(persist(GATEWAY_BOUND, || gateway.report(&report)).await?)
}

/// Claims the attempt and asks what to do in it.
async fn begin(gateway: &Gateway) -> Result<JobSpec, GatewayError> {
    persist(GATEWAY_BOUND, || gateway.claim()).await?;
    persist(GATEWAY_BOUND, || gateway.job()).await
}

impl Job<'_> {
    /// Never fails: what goes wrong is part of the evidence.
    async fn work(&self, folders: io::Result<Folders>) -> Evidence {
        self.output.say(&format!(
            "run {} attempt {}: agent `{}` on {} at {}",
            self.spec.run, self.spec.attempt, self.spec.agent, self.spec.repository, self.spec.base_sha
        ));
        let folders = match self.unless_cancelled(self.prepare(folders)).await {
            Ok(Ok(folders)) => folders,
            Ok(Err(message)) => return self.not_started(message),
            Err(_) => return Evidence::without_turn(AgentEnd::Cancelled),
        };
        let before = match self.set_up(&folders).await {
            Ok(before) => before,
            Err(evidence) => return evidence,
        };
        let (turn, resumed) = match self.have_the_agent_work(&folders, &before).await {
            Ok(done) => done,
            Err(evidence) => return evidence,
        };
        self.output.say(&format!("the agent's turn ended: {}", in_words(&turn.end)));
        let mut evidence = Evidence {
            end: turn.end,
            thread_id: turn.turn.thread_id,
            last_message: turn.last_message,
            usage: turn.turn.usage,
            resumed,
            checks: Vec::new(),
            changes: None,
        };
        if self.spec.wants_changes && evidence.end == AgentEnd::Completed {
            match self.hand_over(&folders, &before, &mut evidence).await {
                Ok(changes) => evidence.changes = changes,
                Err(NotHandedOver::Cancelled) => evidence.end = AgentEnd::Cancelled,
                Err(NotHandedOver::Failed(message)) => {
                    self.output.say(&message);
                    evidence.end = AgentEnd::Failed { class: AgentFailure::Other, message };
                }
            }
        }
        evidence
    }

    /// Programs go out with a token of their own, under the run's name.
    fn with_way_out(&self, mut folders: Folders) -> Folders {
        if let Some(proxy) = &self.settings.egress_proxy {
            let (user, token) = (format!("run-{}", self.spec.run), self.gateway.session().egress_token());
            folders.programs.through(proxy, &user, &token, [&self.settings.gateway_url, &self.settings.model_url]);
        }
        folders
    }

    async fn prepare(&self, folders: io::Result<Folders>) -> Result<Folders, String> {
        let folders = folders.map_err(|error| format!("the work folder cannot be made: {error}"))?;
        persist(GATEWAY_BOUND, || self.gateway.workspace(&folders.workspace_bundle))
            .await
            .map_err(|error| format!("the workspace cannot be fetched: {}", chain(&error)))?;
        repository::unpack(&folders, &self.spec.base_sha)
            .await
            .map_err(|error| format!("the workspace cannot be unpacked: {}", chain(&error)))?;
        Ok(folders)
    }

    /// Has the project get the work tree ready, then looks at it: what is there now is no change of the agent's.
    async fn set_up(&self, folders: &Folders) -> Result<Before, Evidence> {
        let set_up = SetUp {
            gateway: self.gateway,
            folders,
            spec: &self.spec.setup,
            output: &self.output,
            cancel: &self.cancel,
        };
        match set_up.run().await {
            Ok(None) => {}
            Ok(Some(end)) => return Err(Evidence::without_turn(end)),
            Err(error) => return Err(self.not_started(format!("set-up cannot be run: {}", chain(&error)))),
        }
        match self.unless_cancelled(repository::before(folders, &self.spec.base_sha)).await {
            Ok(Ok(before)) => Ok(before),
            Ok(Err(error)) => Err(self.not_started(format!("the work tree cannot be read: {}", chain(&error)))),
            Err(_) => Err(Evidence::without_turn(AgentEnd::Cancelled)),
        }
    }

    /// The agent's turn, from kept work where there is some. The work is kept on the way and at the end, however it ends.
    async fn have_the_agent_work(
        &self,
        folders: &Folders,
        before: &Before,
    ) -> Result<(AgentTurn, Option<Resumed>), Evidence> {
        let mut beginning = self.beginning(folders, before).await?;
        let agent = Agent {
            settings: self.settings,
            session: self.gateway.session(),
            folders,
            spec: &self.spec,
            output: &self.output,
            cancel: &self.cancel,
        };
        let every = Duration::from_secs(self.spec.limits.checkpoint_secs.max(1));
        let keeper =
            Keeper::new(self.gateway, folders, &self.output, &Kept { base: &self.spec.base_sha, before, every });
        loop {
            let (progress, seen) = watch::channel(Progress::default());
            let turn = tokio::select! {
                turn = agent.take_turn(&beginning, &progress) => turn,
                never = keeper.keep(seen) => match never {},
            };
            let turn = turn.map_err(|error| self.not_started(chain(&error)))?;
            if let Some(resume) = self.spec.resume.as_ref().filter(|_| beginning.thread.is_some() && turn.never_began())
            {
                self.output.say(&resume::refusal(&turn.stderr));
                beginning = resume::without_thread(resume);
                continue;
            }
            let bound = if self.cancel.is_cancelled() { CANCELLED_CHECKPOINT } else { LAST_CHECKPOINT };
            if turn.turn.items > 0 {
                keeper.keep_now(turn.turn.thread_id.as_deref(), bound).await;
            }
            return Ok((turn, beginning.resumed));
        }
    }

    async fn beginning<'a>(&'a self, folders: &Folders, before: &Before) -> Result<Beginning<'a>, Evidence> {
        let Some(resume) = &self.spec.resume else {
            return Ok(Beginning { resumed: None, thread: None, prompt: &self.spec.prompt });
        };
        let restorer =
            Restorer { gateway: self.gateway, folders, output: &self.output, base: &self.spec.base_sha, before };
        match self.unless_cancelled(restorer.restore(resume, &self.spec.prompt)).await {
            Ok(Ok(beginning)) => Ok(beginning),
            Ok(Err(error)) => Err(self.not_started(chain(&error))),
            Err(_) => Err(Evidence::without_turn(AgentEnd::Cancelled)),
        }
    }

    /// Takes the commits, then runs the checks: what they produce belongs to nobody's change.
    async fn hand_over(
        &self,
        folders: &Folders,
        before: &Before,
        evidence: &mut Evidence,
    ) -> Result<Option<repository::Changes>, NotHandedOver> {
        let failed = |what: &str, error: &dyn Error| NotHandedOver::Failed(format!("{what}: {}", chain(error)));
        let changes = self
            .unless_cancelled(repository::collect(folders, &self.spec, before))
            .await?
            .map_err(|error| failed("the changes cannot be collected", &error))?;
        let Some(changes) = changes else {
            self.output.say("nothing was changed");
            return Ok(None);
        };
        self.output.say(&format!("changed files: {}, head {}", changes.files, changes.head));
        for check in &self.spec.checks {
            // It ends its processes itself when the job is cancelled.
            let result = commands::run(folders, Purpose::Check, check, &self.output, &self.cancel)
                .await
                .map_err(|error| failed(&format!("check `{}` cannot be run", check.name), &error))?;
            evidence.checks.push(result.ok_or(NotHandedOver::Cancelled)?);
        }
        self.unless_cancelled(persist(GATEWAY_BOUND, || self.gateway.result(&folders.result_bundle)))
            .await?
            .map_err(|error| failed("the changes cannot be handed over", &error))?;
        Ok(Some(changes))
    }

    async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, NotHandedOver> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(NotHandedOver::Cancelled),
            done = work => Ok(done),
        }
    }

    fn not_started(&self, message: String) -> Evidence {
        self.output.say(&message);
        // A cancel also ends what was under way.
        let end = if self.cancel.is_cancelled() { AgentEnd::Cancelled } else { AgentEnd::NotStarted { message } };
        Evidence::without_turn(end)
    }
}

impl Evidence {
    fn without_turn(end: AgentEnd) -> Self {
        Self {
            end,
            thread_id: None,
            last_message: None,
            usage: Usage::default(),
            resumed: None,
            checks: Vec::new(),
            changes: None,
        }
    }

    fn report(self, started_at: DateTime<Utc>, dropped_log_bytes: u64) -> JobReport {
        let (head_sha, changed_files) = self.changes.map_or((None, 0), |changes| (Some(changes.head), changes.files));
        JobReport {
            end: self.end,
            thread_id: self.thread_id,
            last_message: self.last_message,
            usage: self.usage,
            checks: self.checks,
            head_sha,
            changed_files,
            dropped_log_bytes,
            resumed: self.resumed,
            started_at,
            finished_at: Utc::now(),
        }
    }
}

fn in_words(end: &AgentEnd) -> String {
    match end {
        AgentEnd::Completed => "completed".to_owned(),
        AgentEnd::Failed { message, .. } => format!("failed: {message}"),
        AgentEnd::DeadlineExceeded => "its time was over".to_owned(),
        AgentEnd::Cancelled => "cancelled".to_owned(),
        AgentEnd::SetupFailed { .. } => "not started: set-up failed".to_owned(),
        AgentEnd::NotStarted { message } => format!("not started: {message}"),
    }
}

/// An error with its causes, for people.
fn chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        words = format!("{words}: {next}");
        cause = next.source();
    }
    words
}
