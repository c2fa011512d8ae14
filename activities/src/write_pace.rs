//! Keeps the pace of writes to the forge, and has those who may not write yet come back one after another.
//!
//! The pace ([`store::pacing`]) knows only when the next write may go out, and tells that to everybody who asks. A hundred runs
//! that are to be shown would all come back in that second, ask the database, and be sent away but for one. So each is given a turn
//! some seconds after the one before. It is an estimate of this worker and no right to write: that is had from the database, when asked
//! again. Who comes in a turn, or has made a write of several, waits in front for a while.

use std::{
    collections::{HashMap, VecDeque},
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
const SLEPT_WAIT: TimeDelta = TimeDelta::seconds(10);

/// Between two turns when there are many: most make two writes, of which one may go out each second. An end makes more, so that of many some
/// are in front at once, and may have to line up again.
const APART: TimeDelta = TimeDelta::seconds(2);

/// A turn that nobody has come for.
const LAPSED: TimeDelta = TimeDelta::seconds(30);

/// Where in the line somebody waits to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Behind those who were sent away.
    End,
    /// Before them: it has made a write, and this one belongs to it.
    Front,
}

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
    pub(crate) async fn take(&self, of: CredentialId, urgency: Urgency, line: Line) -> Result<(), StepError> {
        if !self.kept {
            return Ok(());
        }
        let mut in_front = (line == Line::Front).then(|| (self.clock)());
        loop {
            let now = (self.clock)();
            if in_front.is_none() && self.waiting.comes_in_turn(of, urgency, now) {
                in_front = Some(now);
            }
            let earliest = match self.ask_for(of, urgency, now).await? {
                Taken::Now => return Ok(()),
                Taken::At(earliest) => earliest,
            };
            // In front, too, nobody waits for ever: there may be several.
            let at = match in_front {
                Some(since) if earliest - since <= SLEPT_WAIT => earliest,
                _ => {
                    in_front = None;
                    self.waiting.line_up(of, urgency, earliest)
                }
            };
            let wait = at - now;
            if wait > SLEPT_WAIT {
                return Err(StepError::NotBefore {
                    at,
                    message: domain::sentences::write_limit_reached(at.format("%Y-%m-%d %H:%M:%S UTC")),
                });
            }
            let wait = wait.to_std().unwrap_or_default();
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

/// The turns of those who were sent away, in order.
type Turns = VecDeque<DateTime<Utc>>;

/// Who waits for which credential. What must be said waits for less, so it has a line of its own.
#[derive(Default)]
struct WriteQueue(Mutex<HashMap<(CredentialId, Urgency), Turns>>);

impl WriteQueue {
    /// Gives a turn to one who may not write before `earliest`.
    fn line_up(&self, of: CredentialId, urgency: Urgency, earliest: DateTime<Utc>) -> DateTime<Utc> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = lines.entry((of, urgency)).or_default();
        let turn = turns.back().map_or(earliest, |last| earliest.max(*last + APART));
        turns.push_back(turn);
        turn
    }

    /// Whether somebody's turn has come: who asks then is taken for that one, and the turn is over.
    fn comes_in_turn(&self, of: CredentialId, urgency: Urgency, now: DateTime<Utc>) -> bool {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(turns) = lines.get_mut(&(of, urgency)) else { return false };
        while turns.front().is_some_and(|turn| *turn + LAPSED < now) {
            turns.pop_front();
        }
        turns.pop_front_if(|turn| *turn <= now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn at(secs: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(secs)
    }

    fn credential(number: u128) -> CredentialId {
        CredentialId::from_uuid(Uuid::from_u128(number))
    }

    #[test]
    fn who_is_sent_away_comes_back_after_the_one_before() {
        let (queue, one, other) = (WriteQueue::default(), credential(1), credential(2));
        let told: Vec<_> = (0..3).map(|_| queue.line_up(one, Urgency::Ordinary, at(10))).collect();
        assert_eq!(told, [at(10), at(12), at(14)]);
        assert_eq!(queue.line_up(other, Urgency::Ordinary, at(10)), at(10), "another credential has its own pace");
        assert_eq!(queue.line_up(one, Urgency::Final, at(10)), at(10), "an end does not wait behind the ordinary");
        assert_eq!(queue.line_up(one, Urgency::Ordinary, at(60)), at(60), "nobody is in line any more");
    }

    #[test]
    fn a_turn_is_for_one_and_lapses() {
        let (queue, one) = (WriteQueue::default(), credential(1));
        let comes = |secs| queue.comes_in_turn(one, Urgency::Ordinary, at(secs));
        assert!(!comes(10), "nobody was sent away");
        for _ in 0..4 {
            queue.line_up(one, Urgency::Ordinary, at(10));
        }
        assert!(!comes(9), "the first turn is not yet");
        assert!(!queue.comes_in_turn(one, Urgency::Final, at(10)), "it is the ordinary's");
        assert!(comes(10));
        assert!(!comes(11), "the first turn is over and the second is not yet");
        assert!(comes(43) && comes(43) && !comes(43), "nobody came for the second turn, and two are in time");
        assert_eq!(queue.line_up(one, Urgency::Ordinary, at(44)), at(44), "nobody is in line any more");
    }
}
