//! Looks for what has changed, and tells the pages that want to know.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::TimeDelta;
use domain::{
    ids::{ApiTokenId, DeliveryId, PersonId, RunId, SessionId},
    people::PlatformRole,
};
use store::{
    StoreError,
    doorbell::{Ear, Ring},
    live::{self, Change, Horizon, LogEnd},
};
use tokio::time::{Instant, sleep_until};

use super::{Over, Sees, Watcher};
use crate::{app::AppState, auth::Via};

/// It is looked this often, whatever was rung.
const PERIOD: Duration = Duration::from_secs(1);

/// However often it rings, between two looks there is this much time.
const GAP: Duration = Duration::from_millis(40);

/// A connection that can't be had is tried again after this.
const REST: Duration = Duration::from_secs(3);

/// More changes at a look than this are told as "load everything again".
pub(crate) const MOST_CHANGES: u32 = 5_000;

/// A delivery that is seen this long after it was received is news all the same: no transaction of ours takes longer.
const DELIVERY_WINDOW: TimeDelta = TimeDelta::seconds(60);
const MOST_DELIVERIES: u32 = 300;

/// What was told already, as far as it may be found again.
#[derive(Default)]
struct Memory {
    changes: BTreeSet<Change>,
    deliveries: Option<BTreeSet<DeliveryId>>,
}

/// Looks while somebody has a page open.
pub(super) async fn keep_looking(app: AppState) {
    let mut memory = Memory::default();
    let mut ear = None;
    let mut listen_after = Instant::now();
    // When it is looked in any case, and when it may be looked again because somebody rang.
    let (mut next, mut again) = (Instant::now(), Instant::now());
    let mut wanted = false;
    while !nobody_is_there(&app) {
        if ear.is_none() && Instant::now() >= listen_after {
            ear = app.store().ear().await.ok();
            listen_after = Instant::now() + REST;
        }
        tokio::select! {
            ring = heard(&mut ear) => {
                wanted |= ring.as_ref().is_none_or(|ring| !ring.runs.is_empty());
                tell_logs(&app, &ring.unwrap_or_default());
            }
            () = app.live().joined.notified() => wanted = true,
            () = sleep_until(if wanted { again.min(next) } else { next }) => {}
        }
        let now = Instant::now();
        let due = now >= next;
        if !(due || wanted && now >= again) {
            continue;
        }
        if due {
            next = now + PERIOD;
        }
        (wanted, again) = (false, now + GAP);
        if let Err(error) = look(&app, &mut memory, due).await {
            // The pages hear nothing, and say that they may be old.
            tracing::warn!(%error, "pages that are open can't be told what has changed");
            next = Instant::now() + PERIOD;
        }
    }
}

/// True if the task ends: the next page starts it anew.
fn nobody_is_there(app: &AppState) -> bool {
    let live = app.live();
    let mut state = live.state();
    if !live.watchers().is_empty() && !state.closed {
        return false;
    }
    state.at_work = false;
    state.horizon = None;
    true
}

/// The next ring; none: what was rung is not known, and is to be found by looking.
async fn heard(ear: &mut Option<Ear>) -> Option<Ring> {
    let Some(listening) = ear else { return std::future::pending().await };
    match listening.next().await {
        Ok(ring) => ring,
        Err(error) => {
            tracing::info!(%error, "the doorbell is not heard for a while");
            *ear = None;
            None
        }
    }
}

fn tell_logs(app: &AppState, ring: &Ring) {
    if ring.logs.is_empty() {
        return;
    }
    for watcher in app.live().all() {
        let Some(run) = watcher.run() else { continue };
        let Some(((_, attempt), next)) = ring.logs.iter().rfind(|((of, _), _)| *of == run) else { continue };
        watcher.log_is_at(*attempt, *next);
    }
}

async fn look(app: &AppState, memory: &mut Memory, due: bool) -> Result<(), StoreError> {
    // Those who come later find what is told below when they look themselves.
    let watchers = app.live().all();
    if due {
        end_those_over(app, &watchers).await?;
    }
    changes(app, memory, &watchers).await?;
    if due {
        logs(app, &watchers).await?;
        deliveries(app, memory, &watchers).await?;
    }
    Ok(())
}

/// Runs that have changed, to those who see them; each once, though a long transaction has them found again and again.
async fn changes(app: &AppState, memory: &mut Memory, watchers: &[Arc<Watcher>]) -> Result<(), StoreError> {
    let before = app.live().state().horizon;
    let mut conn = app.store().acquire().await?;
    let Some(before) = before else {
        // What was before the first look, a page loads by itself.
        let horizon = live::horizon(&mut conn).await?;
        memory.changes.clear();
        app.live().begin_at(horizon);
        return Ok(());
    };
    let look = live::since(&mut conn, before, MOST_CHANGES).await?;
    drop(conn);
    if look.changes.len() >= MOST_CHANGES as usize {
        watchers.iter().for_each(|watcher| watcher.tell(|told| told.reload = true));
    } else {
        for change in look.changes.iter().filter(|change| !memory.changes.contains(change)) {
            for watcher in watchers.iter().filter(|watcher| watcher.wants(change.run, change.project)) {
                watcher.tell(|told| {
                    told.runs.insert(change.run);
                });
            }
        }
    }
    memory.changes = look.changes.into_iter().filter(|change| change.xid >= look.horizon.0).collect();
    reached(app, watchers, look.horizon);
    Ok(())
}

/// After everything before it was told.
fn reached(app: &AppState, watchers: &[Arc<Watcher>], horizon: Horizon) {
    let mut state = app.live().state();
    state.horizon = Some(horizon);
    state.looked_at = Some(Instant::now());
    drop(state);
    watchers.iter().for_each(|watcher| watcher.reached(horizon));
}

/// How far the logs are of runs whose pages are open, should a ring have been lost.
async fn logs(app: &AppState, watchers: &[Arc<Watcher>]) -> Result<(), StoreError> {
    let mut runs: Vec<RunId> = watchers.iter().filter_map(|watcher| watcher.run()).collect();
    runs.sort_unstable();
    runs.dedup();
    if runs.is_empty() {
        return Ok(());
    }
    let ends = live::log_ends(&mut *app.store().acquire().await?, &runs).await?;
    let ends: BTreeMap<RunId, LogEnd> = ends.into_iter().map(|end| (end.run, end)).collect();
    for watcher in watchers {
        if let Some(end) = watcher.run().and_then(|run| ends.get(&run)) {
            watcher.log_is_at(end.attempt, end.next);
        }
    }
    Ok(())
}

/// That something came in, to those who see it.
async fn deliveries(app: &AppState, memory: &mut Memory, watchers: &[Arc<Watcher>]) -> Result<(), StoreError> {
    if watchers.iter().all(|watcher| watcher.run().is_some()) {
        memory.deliveries = None;
        return Ok(());
    }
    let since = app.now() - DELIVERY_WINDOW;
    let found = live::deliveries_since(&mut *app.store().acquire().await?, since, MOST_DELIVERIES).await?;
    if let Some(known) = &memory.deliveries {
        let projects: BTreeSet<_> = found.iter().filter(|(id, _)| !known.contains(id)).map(|(_, of)| *of).collect();
        for watcher in watchers.iter().filter(|watcher| watcher.run().is_none()) {
            if projects.iter().any(|project| watcher.covers(*project)) {
                watcher.tell(|told| told.deliveries = true);
            }
        }
    }
    memory.deliveries = Some(found.into_iter().map(|(id, _)| id).collect());
    Ok(())
}

/// Ends the streams of those who are locked out or signed out, and tells the others' what they see now.
async fn end_those_over(app: &AppState, watchers: &[Arc<Watcher>]) -> Result<(), StoreError> {
    if watchers.is_empty() {
        return Ok(());
    }
    let now = app.now();
    let (mut people, mut sessions, mut tokens) = (BTreeSet::new(), Vec::new(), Vec::new());
    for watcher in watchers {
        people.insert(watcher.person);
        match watcher.via {
            Via::Session { id, .. } => sessions.push(id),
            Via::ApiToken { id, .. } => tokens.push(id),
        }
    }
    let people: Vec<PersonId> = people.into_iter().collect();
    let mut conn = app.store().acquire().await?;
    let sights = live::sights(&mut conn, &people).await?;
    let sessions: BTreeSet<SessionId> = live::living_sessions(&mut conn, &sessions, now).await?.into_iter().collect();
    let tokens: BTreeSet<ApiTokenId> = live::living_tokens(&mut conn, &tokens, now).await?.into_iter().collect();
    drop(conn);
    let sights: BTreeMap<PersonId, Sees> = sights.into_iter().map(|sight| (sight.person, sees(sight))).collect();
    for watcher in watchers {
        let lives = match &watcher.via {
            Via::Session { id, .. } => sessions.contains(id),
            Via::ApiToken { id, .. } => tokens.contains(id),
        };
        match sights.get(&watcher.person) {
            Some(sees) if lives => {
                watcher.set_sees(sees.clone());
                if watcher.until() <= now {
                    watcher.end(Over::Token);
                } else if watcher.project.is_some_and(|project| !sees.covers(Some(project))) {
                    watcher.end(Over::Unseen);
                }
            }
            _ => watcher.end(Over::SignedOut),
        }
    }
    Ok(())
}

/// What a person sees.
pub(crate) fn sees(sight: live::Sight) -> Sees {
    if sight.role.includes(PlatformRole::Admin) {
        Sees::All
    } else {
        Sees::Projects(sight.projects.into_iter().collect())
    }
}
