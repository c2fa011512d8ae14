//! Ends when the Job's report is stored, or when the Job is gone or silent without one.
//!
//! The report wakes the workflow by a signal; this watch is for the Job that can no longer send one. What proves its end is
//! kept before anything of it goes.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    job::JobReport,
    job_ending::{FailureClass, JobEnding},
    sentences,
};
use jobs::JobRef;
use store::{
    JobState, attempts,
    job_failures::{self, Evidence, JobFailure},
};
use tokio::time::Instant;
use workflows::messages::{JobEnd, RunRef};

use crate::{failure::StepError, job_story, platform::Platform, run_context::RunContext};

/// How often is looked for a report and a sign of life. Nothing on the way of a run waits for this, and hundreds look.
const PERIOD: Duration = Duration::from_secs(10);

/// A runner that is alive says so every 5 s; this silence is taken for its end.
const SILENCE: TimeDelta = TimeDelta::seconds(90);

/// After the Job's end its last words may still be on their way.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Until the runner is heard of, what the cluster says is all there is to tell. It is kept after this, or after so long where nothing is known
/// to be wrong, and then ever more seldom: where hundreds wait for room, each asking makes the API server read all that is said in the
/// namespace.
const STORY: Duration = Duration::from_secs(20);
const STORY_OF_WELL: Duration = Duration::from_secs(2 * 60);
const STORY_AT_MOST: Duration = Duration::from_secs(5 * 60);

/// A Job that was asked to end is over this long after its report at the latest: its grace and what the node needs.
const LEAVING: Duration = Duration::from_secs(30);

/// What is known of a Job's report.
enum Heard {
    /// It is there.
    Report,
    /// It says that the Job was asked to end, and nobody of ours had asked.
    Interrupted,
    /// There is none, and we have asked the Job to end ourselves.
    Stopped,
    /// There is none; when the runner was last heard of, if ever.
    Nothing(Option<DateTime<Utc>>),
}

/// Waits for the Job's report, or its end without one.
///
/// Hundreds of these wait at once, for hours: what each does now and then is boxed, so that none keeps room for it meanwhile.
///
/// # Errors
/// See [`StepError`].
pub async fn run(platform: &Platform, at: RunRef) -> Result<JobEnd, StepError> {
    let job = Box::pin(RunContext::load(platform, at)).await?.job();
    let begun = platform.now();
    let mut ended = std::pin::pin!(platform.launcher.ended(&job));
    let (mut story, watching) = (STORY, Instant::now());
    let mut story_at = watching + story;
    loop {
        match Box::pin(heard(platform, at)).await? {
            Heard::Report => return Ok(JobEnd::Reported),
            Heard::Interrupted => {
                let ending = tokio::time::timeout(LEAVING, &mut ended).await.unwrap_or(Ok(JobEnding::Interrupted))?;
                return Box::pin(lost(platform, at, &job, ending.of_interrupted())).await;
            }
            Heard::Nothing(Some(heard)) => {
                let silent = platform.now() - heard.max(begun);
                if silent > SILENCE {
                    return Box::pin(give_up(platform, at, &job, silent)).await;
                }
            }
            Heard::Nothing(None) if Instant::now() >= story_at => {
                if watching.elapsed() >= STORY_OF_WELL || !platform.launcher.is_well(&job) {
                    Box::pin(job_story::keep(platform, at, &job)).await;
                    story = STORY_AT_MOST.min(story * 2);
                    story_at = Instant::now() + story;
                }
            }
            Heard::Nothing(None) | Heard::Stopped => {}
        }
        tokio::select! {
            ending = &mut ended => {
                tokio::time::sleep(LAST_WORDS).await;
                return match Box::pin(heard(platform, at)).await? {
                    Heard::Report => Ok(JobEnd::Reported),
                    Heard::Interrupted => Box::pin(lost(platform, at, &job, ending?.of_interrupted())).await,
                    // Nothing that anybody has to be told of.
                    Heard::Stopped => Ok(JobEnd::Lost { cause: told(&ending?) }),
                    Heard::Nothing(_) => Box::pin(lost(platform, at, &job, ending?)).await,
                };
            }
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

async fn lost(platform: &Platform, at: RunRef, job: &JobRef, ending: JobEnding) -> Result<JobEnd, StepError> {
    let (class, cause) = (ending.class(), told(&ending));
    keep(platform, at, job, class, Some(ending)).await?;
    Ok(JobEnd::Lost { cause })
}

fn told(ending: &JobEnding) -> String {
    sentences::ended_and_next(ending.sentence(), ending.class().next_step())
}

async fn give_up(platform: &Platform, at: RunRef, job: &JobRef, silent: TimeDelta) -> Result<JobEnd, StepError> {
    let node = platform.launcher.lost_node(job).await.unwrap_or_else(|error| {
        tracing::warn!(job = job.name(), %error, "whether the node of a silent Job is there is not known");
        None
    });
    let ending = node.map(|node| JobEnding::NodeLost { node });
    let class = ending.as_ref().map_or(FailureClass::Silent, JobEnding::class);
    let silence = sentences::job_silent(silent.num_seconds());
    let sentence = ending.as_ref().map_or(silence, JobEnding::sentence);
    let cause = sentences::ended_and_next(sentence, class.next_step());
    keep(platform, at, job, class, ending).await?;
    platform.launcher.stop(job, Duration::from_secs(5)).await?;
    Ok(JobEnd::Lost { cause })
}

async fn keep(
    platform: &Platform,
    at: RunRef,
    job: &JobRef,
    class: FailureClass,
    ending: Option<JobEnding>,
) -> Result<(), StepError> {
    let last_output = platform.launcher.last_output(job).await.unwrap_or_else(|error| {
        tracing::warn!(job = job.name(), %error, "the last output of a lost Job could not be read");
        None
    });
    job_story::keep(platform, at, job).await;
    let failure = JobFailure { class, evidence: Evidence { ending, last_output } };
    let mut conn = platform.store.acquire().await?;
    job_failures::set(&mut conn, at.run, at.attempt, &failure).await?;
    Ok(())
}

async fn heard(platform: &Platform, at: RunRef) -> Result<Heard, StepError> {
    let mut conn = platform.store.acquire().await?;
    let heard = attempts::last_heard(&mut conn, at.run, at.attempt).await?;
    if let Some(report) = heard.report {
        // What can't be read is found out by who judges it.
        let report = serde_json::from_value::<JobReport>(report).ok();
        let interrupted = report.is_some_and(|report| report.is_of_interrupted(heard.is_asked_to_end));
        return Ok(if interrupted { Heard::Interrupted } else { Heard::Report });
    }
    if heard.is_stopped {
        return Ok(Heard::Stopped);
    }
    let is_heard_of = matches!(heard.state, JobState::Running | JobState::Ended);
    Ok(Heard::Nothing(heard.heartbeat_at.filter(|_| is_heard_of)))
}
