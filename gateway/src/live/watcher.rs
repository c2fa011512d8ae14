//! One open page: what it is about, who looks at it, and what it has not been told yet.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use domain::ids::{Attempt, PersonId, ProjectId, RunId};
use store::live::Horizon;
use tokio::sync::Notify;

use crate::auth::Via;

/// So many runs wait for a slow reader; after that it is told to load everything again.
const MOST_RUNS: usize = 200;

/// What a page is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// One run of a project, and its log.
    Run(RunId, ProjectId),
    /// Every run that one sees, and what comes in.
    Everything,
}

/// Which projects somebody sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sees {
    /// All, and what belongs to none.
    All,
    /// These.
    Projects(BTreeSet<ProjectId>),
}

impl Sees {
    pub(super) fn covers(&self, project: Option<ProjectId>) -> bool {
        match (self, project) {
            (Self::All, _) => true,
            (Self::Projects(some), Some(project)) => some.contains(&project),
            (Self::Projects(_), None) => false,
        }
    }
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// The token is at its end; a new one opens the next stream.
    Token,
    /// The sign-in is over, the token was taken back, or the person was locked out.
    SignedOut,
    /// The run may no longer be seen.
    Unseen,
    /// The gateway stops.
    Restart,
}

impl Over {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::SignedOut => "signed_out",
            Self::Unseen => "unseen",
            Self::Restart => "restart",
        }
    }
}

/// What a page is told at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// The page is to load what it shows.
    pub(crate) ready: bool,
    /// Runs that have changed.
    pub(crate) runs: BTreeSet<RunId>,
    /// How far the log of the run's newest attempt is.
    pub(crate) log: Option<(Attempt, u64)>,
    /// Something came in.
    pub(crate) deliveries: bool,
    /// More has happened than is told one by one.
    pub(crate) reload: bool,
    /// From where to resume after this.
    pub(crate) horizon: Option<Horizon>,
    /// Nothing comes after this.
    pub(crate) over: Option<Over>,
}

impl Told {
    /// Whether it is more than a place to resume from.
    pub(crate) fn is_news(&self) -> bool {
        *self != Self { horizon: self.horizon, ..Self::default() }
    }
}

/// An open page.
pub(crate) struct Watcher {
    topic: Topic,
    /// Of the run that it is about.
    pub(super) project: Option<ProjectId>,
    pub(super) person: PersonId,
    pub(super) via: Via,
    sees: Mutex<Sees>,
    waiting: Mutex<Told>,
    /// How far the log is that it was told of last.
    log: Mutex<Option<(Attempt, u64)>>,
    ready: Notify,
}

impl Watcher {
    pub(crate) fn new(topic: Topic, (person, via): (PersonId, Via), sees: Sees) -> Self {
        let project = match topic {
            Topic::Run(_, project) => Some(project),
            Topic::Everything => None,
        };
        let (waiting, log) = (Mutex::default(), Mutex::default());
        Self { topic, project, person, via, sees: Mutex::new(sees), waiting, log, ready: Notify::new() }
    }

    /// The run that the page is about.
    pub(crate) const fn run(&self) -> Option<RunId> {
        match self.topic {
            Topic::Run(run, _) => Some(run),
            Topic::Everything => None,
        }
    }

    /// When the token that opened it dies.
    pub(crate) fn until(&self) -> DateTime<Utc> {
        match self.via {
            Via::Session { until, .. } | Via::ApiToken { until, .. } => until,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Told> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody sees what belongs to a project, or to none.
    pub(crate) fn covers(&self, project: Option<ProjectId>) -> bool {
        self.sees.lock().unwrap_or_else(PoisonError::into_inner).covers(project)
    }

    pub(super) fn set_sees(&self, sees: Sees) {
        *self.sees.lock().unwrap_or_else(PoisonError::into_inner) = sees;
    }

    /// Whether it wants to know of a run.
    pub(crate) fn wants(&self, run: RunId, project: ProjectId) -> bool {
        self.run().is_none_or(|mine| mine == run) && self.covers(Some(project))
    }

    /// Puts something to what it is told next.
    pub(crate) fn tell(&self, what: impl FnOnce(&mut Told)) {
        let mut waiting = self.waiting();
        what(&mut waiting);
        if waiting.runs.len() > MOST_RUNS {
            waiting.runs.clear();
            waiting.reload = true;
        }
        drop(waiting);
        self.ready.notify_one();
    }

    /// Tells it once how far the log is.
    pub(super) fn log_is_at(&self, attempt: Attempt, next: u64) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if *log < Some((attempt, next)) {
            *log = Some((attempt, next));
            drop(log);
            self.tell(|told| told.log = Some((attempt, next)));
        }
    }

    /// Notes from where to resume once what waits was told; that alone is no news.
    pub(crate) fn reached(&self, horizon: Horizon) {
        self.waiting().horizon = Some(horizon);
    }

    pub(crate) fn end(&self, over: Over) {
        self.tell(|told| {
            told.over.get_or_insert(over);
        });
    }

    /// Takes all that there is to tell.
    pub(crate) fn take(&self) -> Told {
        std::mem::take(&mut *self.waiting())
    }

    /// Waits until there may be something to tell.
    pub(crate) async fn ready(&self) {
        self.ready.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::SessionId;
    use uuid::Uuid;

    use super::*;

    fn watcher(topic: Topic, sees: Sees) -> Watcher {
        let via = Via::Session { id: SessionId::from_uuid(Uuid::nil()), until: Utc::now() };
        Watcher::new(topic, (PersonId::from_uuid(Uuid::nil()), via), sees)
    }

    fn run(number: u128) -> RunId {
        RunId::from_uuid(Uuid::from_u128(number))
    }

    #[test]
    fn a_slow_reader_costs_no_more_than_a_few_words() {
        let slow = watcher(Topic::Everything, Sees::All);
        for number in 0..10_000 {
            slow.tell(|told| {
                told.runs.insert(run(number));
            });
        }
        let told = slow.take();
        assert!(told.reload && told.runs.len() <= MOST_RUNS, "{}", told.runs.len());
        assert_eq!(slow.take(), Told::default());
    }

    #[test]
    fn nobody_hears_of_what_they_do_not_see() {
        let (mine, other) = (ProjectId::from_uuid(Uuid::from_u128(1)), ProjectId::from_uuid(Uuid::from_u128(2)));
        let member = watcher(Topic::Everything, Sees::Projects([mine].into()));
        assert!(member.wants(run(1), mine) && !member.wants(run(1), other));
        assert!(!member.covers(None) && Sees::All.covers(None));
        let page = watcher(Topic::Run(run(1), mine), Sees::All);
        assert!(page.wants(run(1), other) && !page.wants(run(2), other));
    }

    #[test]
    fn the_first_end_is_the_reason() {
        let page = watcher(Topic::Everything, Sees::All);
        page.end(Over::SignedOut);
        page.end(Over::Token);
        assert_eq!(page.take().over, Some(Over::SignedOut));
    }
}
