//! Shows on the forge that the agent waits for the model API's rate limit, and that it no longer does.
//!
//! The model gateway knows and writes it down, but reaches no forge; whoever watches the Job looks.

use std::{convert::Infallible, time::Duration};

use chrono::TimeDelta;
use domain::run::Step;
use store::steps;
use workflows::messages::RunRef;

use super::show_state;
use crate::{failure::StepError, platform::Platform, progress};

/// How often it is looked for.
const PERIOD: Duration = Duration::from_secs(2);

/// A shorter wait is over before anybody has read about it.
const WORTH_SHOWING: TimeDelta = TimeDelta::seconds(4);

/// Shows waits as they come and go, until dropped.
pub(super) async fn watch(platform: &Platform, at: RunRef) -> Infallible {
    let mut shown = None;
    loop {
        tokio::time::sleep(PERIOD).await;
        match look(platform, at).await {
            Ok(now) if now != shown => {
                let longer = now.is_none_or(|until| until - platform.now() >= WORTH_SHOWING);
                if longer {
                    show_state::show_wait(platform, at).await;
                    shown = now;
                }
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(run = %at.run, %error, "waits of the agent could not be looked for"),
        }
    }
}

async fn look(platform: &Platform, at: RunRef) -> Result<Option<chrono::DateTime<chrono::Utc>>, StepError> {
    let mut conn = platform.store.acquire().await?;
    Ok(steps::wait_until(&mut conn, progress::key(at, Step::Agent)).await?)
}
