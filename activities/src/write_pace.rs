//! Keeps the pace of writes to the forge, and has those who may not write yet come back one after another.
//!
//! The pace ([`store::pacing`]) knows only when the next write may go out, and tells that to everybody who asks. A hundred runs
//! that are to be shown would all come back in that second, ask the database, and be sent away but for one. So each is given a turn
//! some seconds after the one before. It is an estimate of this worker and no right to write: that is had from the database, when asked
//! again. Who comes in a turn, or has made a write of several, waits in front for a while. A run can ask for its turn before it comes.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{CredentialId, RunId};
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
    pub(crate) async fn take(
        &self,
        of: CredentialId,
        who: Option<RunId>,
        (urgency, line): (Urgency, Line),
    ) -> Result<(), StepError> {
        if !self.kept {
            return Ok(());
        }
        let waiter = Waiter { of, urgency, who };
        let mut in_front = (line == Line::Front).then(|| (self.clock)());
        loop {
            let now = (self.clock)();
            if in_front.is_none() && self.waiting.comes_in_turn(waiter, now) {
                in_front = Some(now);
            }
            let taken = match in_front.take() {
                Some(since) => self.wait_in_front(waiter, since).await?,
                None => self.ask_for(of, urgency, now).await?,
            };
            let Taken::At(earliest) = taken else {
                self.waiting.leave(waiter);
                return Ok(());
            };
            let at = self.waiting.line_up(waiter, earliest);
            let wait = at - (self.clock)();
            if wait > SLEPT_WAIT {
                return Err(StepError::NotBefore {
                    at,
                    message: domain::sentences::write_limit_reached(at.format("%Y-%m-%d %H:%M:%S UTC")),
                });
            }
            sleep(wait).await;
        }
    }

    /// Those in front wait one behind the other, so that only the first asks. There may be several: who has been there for [`SLEPT_WAIT`] lines
    /// up again.
    async fn wait_in_front(
        &self,
        Waiter { of, urgency, .. }: Waiter,
        since: DateTime<Utc>,
    ) -> Result<Taken, StepError> {
        let until = since + SLEPT_WAIT;
        let first = self.waiting.first(of, urgency);
        let patience = (until - (self.clock)()).to_std().unwrap_or_default();
        let Ok(mut next) = tokio::time::timeout(patience, first.lock()).await else { return Ok(Taken::At(until)) };
        let mut has_waited = false;
        loop {
            let now = (self.clock)();
            if let Some(known) = next.filter(|known| *known > now && *known <= until) {
                sleep(known - now).await;
                has_waited = true;
            }
            let now = (self.clock)();
            match self.ask_for(of, urgency, now).await? {
                Taken::Now => {
                    // Where this one had to wait, the next will have to.
                    *next = has_waited.then(|| now + pacing::APART);
                    return Ok(Taken::Now);
                }
                Taken::At(earliest) if earliest > until => return Ok(Taken::At(earliest)),
                Taken::At(earliest) => *next = Some(earliest),
            }
        }
    }

    /// Gives a run its turn to make an ordinary write, where it has none, and says how long it has to wait for it: not at all, if
    /// [`Self::take`] would sleep for as long.
    pub(crate) fn turn(&self, of: CredentialId, run: RunId) -> Duration {
        let now = (self.clock)();
        if !self.kept {
            return Duration::ZERO;
        }
        let wait = self.waiting.line_up(Waiter { of, urgency: Urgency::Ordinary, who: Some(run) }, now) - now;
        if wait > SLEPT_WAIT { wait.to_std().unwrap_or_default() } else { Duration::ZERO }
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

/// Somebody who is to write. Turns of a run are its own; others' are for whoever of them comes.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    of: CredentialId,
    urgency: Urgency,
    who: Option<RunId>,
}

/// Waits, but not for nothing at all: clocks differ.
async fn sleep(wait: TimeDelta) {
    tokio::time::sleep(wait.to_std().unwrap_or_default().max(Duration::from_millis(20))).await;
}

/// When the next of those in front may write, by what the one before was told.
type First = Arc<tokio::sync::Mutex<Option<DateTime<Utc>>>>;

/// When it is whose turn, in order.
type Turns = VecDeque<(DateTime<Utc>, Option<RunId>)>;

/// Who waits for which credential. What must be said waits for less, so it has a line of its own.
#[derive(Default)]
struct WriteQueue {
    lines: Mutex<HashMap<(CredentialId, Urgency), Turns>>,
    first: Mutex<HashMap<(CredentialId, Urgency), First>>,
}

impl WriteQueue {
    /// The turn of one who may not write before `earliest`: the one it has, or a new one behind the others.
    fn line_up(&self, waiter: Waiter, earliest: DateTime<Utc>) -> DateTime<Utc> {
        let mut lines = self.lines();
        let turns = lines.entry((waiter.of, waiter.urgency)).or_default();
        let own = waiter.who.and_then(|_| turns.iter().position(|(_, who)| *who == waiter.who));
        if let Some((own, turn)) = own.and_then(|own| Some((own, turns.get(own)?.0))) {
            if earliest <= turn + APART {
                return earliest.max(turn);
            }
            // Others were told the same moment.
            turns.remove(own);
        }
        let turn = turns.back().map_or(earliest, |(last, _)| earliest.max(*last + APART));
        turns.push_back((turn, waiter.who));
        turn
    }

    /// Whether somebody's turn has come: who asks then is taken for that one, and the turn is over.
    fn comes_in_turn(&self, waiter: Waiter, now: DateTime<Utc>) -> bool {
        let mut lines = self.lines();
        let Some(turns) = lines.get_mut(&(waiter.of, waiter.urgency)) else { return false };
        while turns.front().is_some_and(|(turn, _)| *turn + LAPSED < now) {
            turns.pop_front();
        }
        let own = turns.iter().position(|(turn, who)| *who == waiter.who && *turn <= now);
        own.and_then(|own| turns.remove(own)).is_some()
    }

    /// One that has written needs no turn any more, and one whose end is told no ordinary one either. It can't be known whose those are that
    /// are nobody's own.
    fn leave(&self, waiter: Waiter) {
        if waiter.who.is_none() {
            return;
        }
        let mut lines = self.lines();
        for urgency in [Urgency::Ordinary, Urgency::Final] {
            if let Some(turns) = lines.get_mut(&(waiter.of, urgency)) {
                turns.retain(|(_, who)| *who != waiter.who);
            }
        }
    }

    /// Held by the first of those in front.
    fn first(&self, of: CredentialId, urgency: Urgency) -> First {
        Arc::clone(self.first.lock().unwrap_or_else(PoisonError::into_inner).entry((of, urgency)).or_default())
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<(CredentialId, Urgency), Turns>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn at(secs: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(secs)
    }

    /// Somebody who is to write with a credential.
    fn somebody(credential: u128, urgency: Urgency) -> Waiter {
        Waiter { of: CredentialId::from_uuid(Uuid::from_u128(credential)), urgency, who: None }
    }

    fn run(number: u128) -> Waiter {
        Waiter { who: Some(RunId::from_uuid(Uuid::from_u128(number))), ..somebody(1, Urgency::Ordinary) }
    }

    #[test]
    fn who_is_sent_away_comes_back_after_the_one_before() {
        let (queue, one) = (WriteQueue::default(), somebody(1, Urgency::Ordinary));
        let told: Vec<_> = (0..3).map(|_| queue.line_up(one, at(10))).collect();
        assert_eq!(told, [at(10), at(12), at(14)]);
        let other = somebody(2, Urgency::Ordinary);
        assert_eq!(queue.line_up(other, at(10)), at(10), "another credential has its own pace");
        let end = somebody(1, Urgency::Final);
        assert_eq!(queue.line_up(end, at(10)), at(10), "an end does not wait behind the ordinary");
        assert_eq!(queue.line_up(one, at(60)), at(60), "nobody is in line any more");
    }

    #[test]
    fn a_turn_is_for_one_and_lapses() {
        let (queue, one) = (WriteQueue::default(), somebody(1, Urgency::Ordinary));
        let comes = |secs| queue.comes_in_turn(one, at(secs));
        assert!(!comes(10), "nobody was sent away");
        for _ in 0..4 {
            queue.line_up(one, at(10));
        }
        assert!(!comes(9), "the first turn is not yet");
        assert!(!queue.comes_in_turn(somebody(1, Urgency::Final), at(10)), "it is the ordinary's");
        assert!(comes(10));
        assert!(!comes(11), "the first turn is over and the second is not yet");
        assert!(comes(43) && comes(43) && !comes(43), "nobody came for the second turn, and two are in time");
        assert_eq!(queue.line_up(one, at(44)), at(44), "nobody is in line any more");
    }

    #[test]
    fn a_runs_turn_is_its_own() {
        let queue = WriteQueue::default();
        let told: Vec<_> = (1..=3).map(|number| queue.line_up(run(number), at(10))).collect();
        assert_eq!(told, [at(10), at(12), at(14)]);
        assert_eq!(queue.line_up(run(2), at(10)), at(12), "it is in line already");
        assert_eq!(queue.line_up(run(2), at(13)), at(13), "and may not write before it may");
        assert!(!queue.comes_in_turn(run(4), at(14)) && !queue.comes_in_turn(somebody(1, Urgency::Ordinary), at(14)));
        assert!(queue.comes_in_turn(run(3), at(14)) && !queue.comes_in_turn(run(3), at(14)));
        assert!(queue.comes_in_turn(run(1), at(14)), "one that is late still comes before those who have no turn");
        queue.leave(run(2));
        assert!(!queue.comes_in_turn(run(2), at(14)), "it has written by chance");
        assert_eq!(queue.line_up(run(2), at(14)), at(14));
        assert_eq!(queue.line_up(run(5), at(14)), at(16));
        queue.leave(Waiter { urgency: Urgency::Final, ..run(2) });
        assert!(!queue.comes_in_turn(run(2), at(14)), "its end is told");
        assert_eq!(queue.line_up(run(5), at(40)), at(40), "its turn is long before it may write");
        assert_eq!(queue.line_up(run(6), at(40)), at(42), "so it has another");
    }
}
