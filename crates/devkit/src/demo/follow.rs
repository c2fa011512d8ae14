//! Telling a run's steps as they happen.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use domain::{
    event::{Subject, SubjectKind},
    ids::RepositoryId,
    run::{RunState, Step},
};
use store::{
    StepState, Store, repositories,
    runs::{self, Run},
    steps::{self, StepRow},
};
use tokio::time::{Instant, sleep};

use super::{DemoError, NAME, OWNER};
use crate::console::{say, seconds};

const PAUSE: Duration = Duration::from_millis(100);
/// How long a label may go unnoticed before that is worth an error.
const PATIENCE: Duration = Duration::from_secs(30);

/// Follows the run that a label at `asked_at` started, until it ends.
pub(super) async fn follow(store: &Store, issue: i64, asked_at: DateTime<Utc>) -> Result<Run, DemoError> {
    let repository = repository(store).await?;
    let mut run = await_run(store, repository, issue, asked_at).await?;
    say(format_args!("Run {} of the agent `{}`", run.id, run.agent));
    let mut teller = Teller::default();
    loop {
        let rows = steps::list(&mut *store.acquire().await?, run.id).await?;
        teller.tell(&run, &rows);
        if run.state == RunState::Finished {
            let outcome = run.outcome.map_or("ended", |outcome| outcome.describe());
            let took = run.finished_at.and_then(|end| (end - run.created_at).to_std().ok()).unwrap_or_default();
            say(format_args!("  = {outcome}, after {}", seconds(took)));
            if let Some(cause) = run.cause.as_deref() {
                say(format_args!("    {cause}"));
            }
            return Ok(run);
        }
        sleep(PAUSE).await;
        run = runs::get(&mut *store.acquire().await?, run.id).await?;
    }
}

async fn repository(store: &Store) -> Result<RepositoryId, DemoError> {
    let known = repositories::list(&mut *store.acquire().await?).await?;
    let wanted = known.into_iter().find(|known| known.owner == OWNER && known.name == NAME);
    wanted.map(|known| known.id).ok_or(DemoError::NotConnected)
}

async fn await_run(
    store: &Store,
    repository: RepositoryId,
    issue: i64,
    asked_at: DateTime<Utc>,
) -> Result<Run, DemoError> {
    let subject = Subject { kind: SubjectKind::Issue, number: issue };
    let began = Instant::now();
    loop {
        let newest = runs::latest_for_subject(&mut *store.acquire().await?, repository, subject).await?;
        if let Some(run) = newest.filter(|run| run.created_at >= asked_at) {
            return Ok(run);
        }
        if began.elapsed() > PATIENCE {
            return Err(DemoError::NoRun { seconds: PATIENCE.as_secs() });
        }
        sleep(PAUSE).await;
    }
}

/// Remembers what was told already.
#[derive(Default)]
struct Teller {
    told: BTreeMap<Step, StepState>,
    place: Option<u32>,
}

impl Teller {
    fn tell(&mut self, run: &Run, rows: &[StepRow]) {
        if run.slot_place != self.place {
            self.place = run.slot_place;
            if let Some(place) = run.slot_place {
                say(format_args!("  … {:<12} all slots are taken; place {place} in the queue", "slot"));
            }
        }
        for row in rows.iter().filter(|row| row.attempt == run.attempt) {
            if self.told.insert(row.step, row.state) != Some(row.state) {
                say(line(row));
            }
        }
    }
}

fn line(row: &StepRow) -> String {
    let (name, about) = (row.step.as_str(), row.step.describe());
    let took = row.finished_at.and_then(|end| (end - row.started_at).to_std().ok()).map(seconds).unwrap_or_default();
    match row.state {
        StepState::Running => format!("  … {name:<12} {about}"),
        StepState::Done => format!("  ✓ {name:<12} done ({took})"),
        StepState::Skipped => format!("  - {name:<12} not needed"),
        StepState::Failed => {
            format!("  ✗ {name:<12} {} ({took})", row.error.as_deref().unwrap_or("failed"))
        }
    }
}
