//! Asks the runs of a repository to end, where that is wanted; counts those that have not ended, or whose end the forge is still to
//! be shown: comment, label and status are written with the credential, too.

use chrono::TimeDelta;
use domain::event::Sender;
use ingest::by_hand::{self, Asker, ByHandError};
use store::{StoreError, connections::Connection, ends, runs};
use workflows::messages::RunsLeft;

use crate::{failure::StepError, platform::Platform};

/// A forge that has not taken an end for so long does not hold the rest up.
const SHOWN_WITHIN: TimeDelta = TimeDelta::minutes(10);

pub(super) async fn run(platform: &Platform, connection: Connection) -> Result<RunsLeft, StepError> {
    let id = super::repository(&connection)?;
    let left = runs::unfinished_in(&mut *platform.store.acquire().await?, id).await?;
    let by = connection.wish.by.as_ref().filter(|_| connection.wish.cancel_runs);
    if let Some((login, number)) = by {
        let by = Sender { id: *number, login: login.clone(), is_bot: false };
        let reason = connection.wish.reason.as_deref().unwrap_or_default();
        let because = domain::sentences::detached_for(format_args!("{}/{}", connection.owner, connection.name), reason);
        for run in left.iter().filter(|run| !run.asked_to_end) {
            // Each for itself: one that ends meanwhile must not keep the others at work.
            let asker = Asker {
                by: &by,
                reason: Some(&because),
                instance: platform.dispatcher.instance(),
                now: platform.now(),
            };
            let mut tx = platform.store.begin().await?;
            match by_hand::cancel(&mut tx, run.id, asker).await {
                Ok(followed) => {
                    tx.commit().await.map_err(StoreError::from)?;
                    platform.store.ring(run.id);
                    followed.workflow_id.into_iter().for_each(|workflow| platform.dispatcher.spawn(workflow));
                }
                Err(ByHandError::Store(error)) => return Err(error.into()),
                Err(_) => {}
            }
        }
    }
    let since = platform.now() - SHOWN_WITHIN;
    let unshown = ends::count_unshown(&mut *platform.store.acquire().await?, id, since).await?;
    Ok(RunsLeft { runs: left.len() + unshown })
}
