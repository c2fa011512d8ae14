//! When those come back who may not write to the forge yet: one after another.
//!
//! The pace of writes ([`store::pacing`]) knows only when the next one may go out, and tells that to everybody who asks. A hundred runs
//! that are to be shown would all come back in that second, ask the database, and be sent away but for one. So each is told to come back
//! a second after the one before. It is an estimate of this worker and no right to write: that is had from the database, when asked again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::CredentialId;
use store::pacing::Urgency;

/// Between two writes when there are many.
const APART: TimeDelta = TimeDelta::seconds(1);

/// When the last of those who were sent away comes back. What must be said waits for less, so it has a queue of its own.
#[derive(Default)]
pub(crate) struct WriteQueue(Mutex<HashMap<(CredentialId, Urgency), DateTime<Utc>>>);

impl WriteQueue {
    /// When to come back, for one who may not write before `earliest`.
    pub(crate) fn line_up(&self, of: CredentialId, urgency: Urgency, earliest: DateTime<Utc>) -> DateTime<Utc> {
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
