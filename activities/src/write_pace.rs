//! Keeps the pace of writes to the forge, and has those who may not write yet come back one after another.
//!
//! The pace ([`store::pacing`]) knows only when the next write may go out, and tells that to everybody who asks. A hundred runs
//! that are to be shown would all come back in that second, ask the database, and be sent away but for one. So each is told to come back
//! a second after the one before. It is an estimate of this worker and no right to write: that is had from the database, when asked again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::CredentialId;
use forge::Clock;
use store::{
    Store,
    pacing::{self, Taken, Urgency},
};

use crate::failure::StepError;

/// A wait shorter than this is slept, behind a few others; a longer one is given back to the engine, which can show it.
const SLEPT_WAIT: Duration = Duration::from_secs(10);

/// Between two writes when there are many.
const APART: TimeDelta = TimeDelta::seconds(1);

/// The pace of all credentials' writes.
pub(crate) struct WritePace {
    store: Store,
    clock: Clock,
    kept: bool,
    waiting: WriteQueue,
}

impl WritePace {
    pub(crate) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, kept: true, waiting: WriteQueue::default() }
    }

    /// Writes go out as they come.
    pub(crate) fn unkept(self) -> Self {
        Self { kept: false, ..self }
    }

    /// Waits until a write is allowed, and counts it. Nobody may hold a connection to the database meanwhile.
    ///
    /// # Errors
    /// [`StepError::NotBefore`] when the wait is long enough to be worth showing; the database is away.
    pub(crate) async fn take(&self, of: CredentialId, urgency: Urgency) -> Result<(), StepError> {
        if !self.kept {
            return Ok(());
        }
        loop {
            let now = (self.clock)();
            let at = match self.ask_for(of, urgency, now).await? {
                Taken::Now => return Ok(()),
                Taken::At(earliest) => self.waiting.line_up(of, urgency, earliest),
            };
            let wait = (at - now).to_std().unwrap_or_default();
            if wait > SLEPT_WAIT {
                return Err(StepError::NotBefore {
                    at,
                    message: domain::sentences::write_limit_reached(at.format("%Y-%m-%d %H:%M:%S UTC")),
                });
            }
            tokio::time::sleep(wait.max(Duration::from_millis(20))).await;
        }
    }

    /// Counts a write that is worth no waiting if it may go out now, and says whether it may.
    ///
    /// # Errors
    /// The database is away.
    pub(crate) async fn take_if_free(&self, of: CredentialId, urgency: Urgency) -> Result<bool, StepError> {
        Ok(!self.kept || self.ask_for(of, urgency, (self.clock)()).await? == Taken::Now)
    }

    async fn ask_for(&self, of: CredentialId, urgency: Urgency, now: DateTime<Utc>) -> Result<Taken, StepError> {
        let mut tx = self.store.begin().await?;
        let taken = pacing::take(&mut tx, of, urgency, now).await?;
        tx.commit().await.map_err(store::StoreError::from)?;
        Ok(taken)
    }
}

/// When the last of those who were sent away comes back. What must be said waits for less, so it has a queue of its own.
#[derive(Default)]
struct WriteQueue(Mutex<HashMap<(CredentialId, Urgency), DateTime<Utc>>>);

impl WriteQueue {
    /// When to come back, for one who may not write before `earliest`.
    fn line_up(&self, of: CredentialId, urgency: Urgency, earliest: DateTime<Utc>) -> DateTime<Utc> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = last.entry((of, urgency)).or_insert(earliest - APART);
        *last = earliest.max(*last + APART);
        *last
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn at(secs: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(secs)
    }

    #[test]
    fn who_is_sent_away_comes_back_after_the_one_before() {
        let (queue, one, other) = (
            WriteQueue::default(),
            CredentialId::from_uuid(Uuid::from_u128(1)),
            CredentialId::from_uuid(Uuid::from_u128(2)),
        );
        let told: Vec<_> = (0..3).map(|_| queue.line_up(one, Urgency::Ordinary, at(10))).collect();
        assert_eq!(told, [at(10), at(11), at(12)]);
        assert_eq!(queue.line_up(other, Urgency::Ordinary, at(10)), at(10), "another credential has its own pace");
        assert_eq!(queue.line_up(one, Urgency::Final, at(10)), at(10), "an end does not wait behind the ordinary");
        assert_eq!(queue.line_up(one, Urgency::Ordinary, at(60)), at(60), "nobody is in line any more");
    }
}
