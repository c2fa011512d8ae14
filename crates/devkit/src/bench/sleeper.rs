//! Jobs that do nothing but live until a file appears, and then report that nothing was to be changed. A file beside it, with the
//! ending `life`, may say for how many seconds they live, in the mean: some half, some half as long again, so that they do not end together.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::Utc;
use domain::{
    ids::ProjectSlug,
    job::{AgentEnd, JobPresence, JobReport, LogBatch, Usage},
    job_ending::JobEnding,
    job_tokens::{ClaimRequest, session_token},
};
use jobs::{FoundJob, JobEvent, JobLauncher, JobOrder, JobRef, LaunchError};
use tokio::time::{Instant, sleep};

/// As a runner: a sign of life at least so often.
const BEAT: Duration = Duration::from_secs(4);

/// Ending of the file that says how long they live.
pub(super) const LIFE: &str = "life";

const LOOK: Duration = Duration::from_millis(200);

/// Runs sleepers within the worker's process.
pub struct SleeperLauncher {
    /// The file that ends them all.
    release: PathBuf,
    client: reqwest::Client,
    jobs: Arc<Mutex<HashMap<String, JobPresence>>>,
}

impl SleeperLauncher {
    /// Sleepers that end once `release` is there.
    #[must_use]
    pub fn new(release: PathBuf) -> Self {
        Self { release, client: reqwest::Client::new(), jobs: Arc::default() }
    }

    fn set(&self, name: &str, presence: JobPresence) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), presence);
    }
}

#[async_trait]
impl JobLauncher for SleeperLauncher {
    async fn launch(&self, order: &JobOrder) -> Result<(), LaunchError> {
        let name = order.job.name();
        if self.presence(&order.job).await? != JobPresence::Absent {
            return Ok(());
        }
        self.set(&name, JobPresence::Running);
        let (order, release, client) = (order.clone(), self.release.clone(), self.client.clone());
        let jobs = Arc::clone(&self.jobs);
        tokio::spawn(async move {
            if let Err(error) = sleep_and_report(&order, &release, &client).await {
                tracing::warn!(job = name, %error, "a sleeper could not report");
            }
            jobs.lock().unwrap_or_else(PoisonError::into_inner).insert(name, JobPresence::Ended);
        });
        Ok(())
    }

    async fn presence(&self, job: &JobRef) -> Result<JobPresence, LaunchError> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(jobs.get(&job.name()).copied().unwrap_or(JobPresence::Absent))
    }

    async fn ended(&self, job: &JobRef) -> Result<JobEnding, LaunchError> {
        while self.presence(job).await? == JobPresence::Running {
            sleep(BEAT).await;
        }
        Ok(JobEnding::Vanished)
    }

    async fn last_output(&self, _job: &JobRef) -> Result<Option<String>, LaunchError> {
        Ok(None)
    }

    async fn stop(&self, job: &JobRef, _grace: Duration) -> Result<(), LaunchError> {
        self.set(&job.name(), JobPresence::Ended);
        Ok(())
    }

    async fn events(&self, _job: &JobRef) -> Result<Vec<JobEvent>, LaunchError> {
        Ok(Vec::new())
    }

    async fn remove(&self, _job: &JobRef) -> Result<(), LaunchError> {
        Ok(())
    }

    async fn list(&self) -> Result<Vec<FoundJob>, LaunchError> {
        Ok(Vec::new())
    }

    async fn projects(&self) -> Result<Vec<ProjectSlug>, LaunchError> {
        Ok(Vec::new())
    }

    async fn remove_project(&self, _project: &ProjectSlug) -> Result<(), LaunchError> {
        Ok(())
    }
}

async fn sleep_and_report(order: &JobOrder, release: &std::path::Path, client: &reqwest::Client) -> anyhow::Result<()> {
    let started_at = Utc::now();
    let address = |path: &str| order.gateway_url.join(path);
    let session = session_token(rand::random());
    let claim = ClaimRequest { pod_uid: order.job.name(), session: session.clone() };
    let claimed = client.post(address("/runner/v1/claim")?).bearer_auth(order.token.expose()).json(&claim);
    claimed.send().await?.error_for_status()?;
    let mut beat_at = Instant::now();
    let life = std::fs::read_to_string(release.with_extension(LIFE)).ok().and_then(|text| text.trim().parse().ok());
    let share: f64 = rand::random_range(0.5..1.5);
    let end_at = life.map(|life| Instant::now() + Duration::from_secs(life).mul_f64(share));
    while !release.exists() && end_at.is_none_or(|end| Instant::now() < end) {
        if Instant::now() >= beat_at {
            beat_at = Instant::now() + BEAT;
            let beat = client.post(address("/runner/v1/logs")?).bearer_auth(&session);
            beat.json(&LogBatch::default()).send().await?.error_for_status()?;
        }
        sleep(LOOK).await;
    }
    let report = JobReport {
        end: AgentEnd::Completed,
        thread_id: None,
        last_message: Some("There was nothing to do.".to_owned()),
        usage: Usage::default(),
        checks: Vec::new(),
        head_sha: None,
        changed_files: 0,
        dropped_log_bytes: 0,
        resumed: None,
        started_at,
        finished_at: Utc::now(),
    };
    let told = client.post(address("/runner/v1/report")?).bearer_auth(&session).json(&report);
    told.send().await?.error_for_status()?;
    Ok(())
}
