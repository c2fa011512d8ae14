//! Until when agents wait for the model API: read once for all of them, since this worker may watch the Jobs of hundreds.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use domain::{
    ids::{Attempt, RunId},
    run::Step,
};
use store::steps;
use tokio::sync::watch;
use workflows::messages::RunRef;

use crate::{platform::Platform, sweeps::pause_after};

/// How often is looked.
const PERIOD: Duration = Duration::from_secs(2);

/// Until when, of all who wait.
type Waiting = HashMap<(RunId, Attempt), DateTime<Utc>>;

/// Tells of waits as they come and go.
#[derive(Default)]
pub struct AgentWaits(watch::Sender<Waiting>);

/// What one is told of them.
pub(crate) struct Told(watch::Receiver<Waiting>);

impl AgentWaits {
    /// What is told from now on, beginning with what is known.
    pub(crate) fn told(&self) -> Told {
        let mut told = self.0.subscribe();
        told.mark_changed();
        Told(told)
    }
}

impl Told {
    /// Waits for news of anybody; until when this one waits, then, if it does.
    pub(crate) async fn next(&mut self, at: RunRef) -> Option<DateTime<Utc>> {
        if self.0.changed().await.is_err() {
            // There is no more news.
            std::future::pending::<()>().await;
        }
        self.0.borrow_and_update().get(&(at.run, at.attempt)).copied()
    }
}

/// Looks, while somebody wants to know.
pub(crate) async fn keep(platform: &Platform) {
    loop {
        pause_after(look(platform).await, "waits of agents", PERIOD).await;
    }
}

async fn look(platform: &Platform) -> store::Result<()> {
    if platform.agent_waits.0.receiver_count() == 0 {
        // Whoever comes next is to be told nothing old.
        platform.agent_waits.0.send_replace(Waiting::new());
        return Ok(());
    }
    let waiting = steps::waiting_at(&mut *platform.store.acquire().await?, Step::Agent).await?;
    let waiting: Waiting = waiting.into_iter().map(|(run, attempt, until)| ((run, attempt), until)).collect();
    platform.agent_waits.0.send_if_modified(|told| {
        let is_new = *told != waiting;
        *told = waiting;
        is_new
    });
    Ok(())
}
