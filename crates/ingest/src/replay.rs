//! A delivery of the ledger once more: judged by the same rules as when it came, with what is known now.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::{
    event::Event,
    ids::{DeliveryId, Instance, RepositoryId},
    triggers::{DeliverySource, Verdict},
};
use serde_json::json;
use store::{
    PgConnection, StoreError,
    audit::{self, NewFlowEvent},
    deliveries::{self, Delivery, NO_HOOK},
    hooks,
};

use crate::record::{Arrival, Recorded, foresee, record_within};

/// Why a delivery can't be judged once more.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It was the moment of a schedule, or a wish by hand: no forge sent it.
    #[error("no forge sent this")]
    NotSent,
    /// Retention has dropped its body, or it had none.
    #[error("the body is no longer kept")]
    BodyGone,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who has an event judged once more, and why.
#[derive(Clone, Copy, Debug)]
pub struct Replaying<'a> {
    /// Their name in the audit.
    pub actor: &'a str,
    /// Why, in their words.
    pub reason: &'a str,
    /// This installation.
    pub instance: &'a Instance,
    /// Now.
    pub now: DateTime<Utc>,
}

/// What would be decided about it now. Nothing follows.
///
/// # Errors
/// [`ReplayError`]
pub async fn decide_now(
    conn: &mut PgConnection,
    delivery: &Delivery,
    now: DateTime<Utc>,
) -> Result<Verdict, ReplayError> {
    let kept = Kept::load(conn, delivery).await?;
    Ok(foresee(conn, &kept.arrival(&format!("{}", delivery.id), now)).await?)
}

/// Judges it once more, with everything that follows, as a delivery of its own.
///
/// # Errors
/// [`ReplayError`]
pub async fn replay(
    conn: &mut PgConnection,
    delivery: &Delivery,
    replaying: Replaying<'_>,
) -> Result<Recorded, ReplayError> {
    let kept = Kept::load(conn, delivery).await?;
    let guid = format!("replay:{}", uuid::Uuid::now_v7());
    let recorded = record_within(conn, replaying.instance, &kept.arrival(&guid, replaying.now)).await?;
    deliveries::set_replay_of(conn, recorded.delivery, kept.first).await?;
    let detail = json!({
        "of": kept.first, "reason": replaying.reason, "verdict": recorded.verdict, "verdict_before": delivery.verdict,
    });
    let event = NewFlowEvent {
        run: recorded.run,
        repository: delivery.repository,
        delivery: Some(recorded.delivery),
        ..NewFlowEvent::new(replaying.now, replaying.actor, "delivery.replayed", detail)
    };
    audit::append(conn, event).await?;
    Ok(recorded)
}

/// An event as it once came.
struct Kept {
    first: DeliveryId,
    spoken_for: Option<RepositoryId>,
    event: Event,
    body: Bytes,
}

impl Kept {
    async fn load(conn: &mut PgConnection, delivery: &Delivery) -> Result<Self, ReplayError> {
        let first = match delivery.replay_of {
            Some(first) => deliveries::get(conn, first).await?.ok_or(ReplayError::BodyGone)?,
            None => delivery.clone(),
        };
        if !matches!(first.source, DeliverySource::Webhook | DeliverySource::ReadBack) {
            return Err(ReplayError::NotSent);
        }
        let body = deliveries::payload(conn, first.id).await?.ok_or(ReplayError::BodyGone)?;
        // What is in the ledger was read once; what can't be read any more is as good as gone.
        let event = Event::parse(&first.event, &body).map_err(|_| ReplayError::BodyGone)?;
        // The hook that brought it still speaks for no more than its own repository.
        let hook = hooks::secrets_for(conn, first.hook_key).await?;
        Ok(Self { first: first.id, spoken_for: hook.and_then(|hook| hook.repository), event, body: body.into() })
    }

    fn arrival<'a>(&'a self, guid: &'a str, now: DateTime<Utc>) -> Arrival<'a> {
        Arrival {
            hook_key: NO_HOOK,
            guid,
            spoken_for: self.spoken_for,
            event: &self.event,
            body: &self.body,
            received_at: now,
            source: DeliverySource::Manual,
        }
    }
}
