//! Several deliveries in one transaction: what they have in common is read once, and the disk is waited for once.
//!
//! A group that is written waits for nobody, so that no two groups, of whatever gateways, ever wait for each other:
//!
//! - It judges only those events whose turn is nobody else's at the moment; it does not queue for the others.
//! - It only adds rows. An event that changes rows which others may hold (of a run that is there, of a repository) is recorded
//!   alone, which then is what it would be without groups; and so is what comes behind it about the same thing.
//!
//! Should one fail all the same, all of it is rolled back, and each of its events can be recorded alone: so a bad one does
//! not harm its neighbours. There are no savepoints, which would cost each good event two statements for the sake of the rare
//! bad one.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use domain::{ids::Instance, triggers::Effect};
use store::{
    PgConnection, Result, Store, StoreError, locks,
    repositories::{self, Repository},
};

use crate::record::{About, Arrival, Recorded, is_row_alone, judge, keep, keep_rows};

/// What became of an event of a group.
#[derive(Debug)]
pub enum Grouped {
    /// It is stored and committed.
    Recorded(Recorded),
    /// It is to be recorded alone: somebody else works on what it is about, or it changes what others may hold.
    Alone,
}

/// A group could not be recorded. Nothing of it is.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// There was no connection: alone, no event of it would fare better.
    #[error("there is no connection to the database")]
    NotBegun(#[source] StoreError),
    /// One event or the database failed on the way: each event is to be recorded alone.
    #[error("the group was rolled back")]
    RolledBack(#[source] StoreError),
}

/// Stores and judges events as [`record`](crate::record()) does, as many as can be in one transaction; says of each, in
/// their order, what became of it.
///
/// # Errors
/// See [`GroupError`].
pub async fn record_group(
    store: &Store,
    instance: &Instance,
    arrivals: &[Arrival<'_>],
) -> Result<Vec<Grouped>, GroupError> {
    let mut tx = store.begin().await.map_err(GroupError::NotBegun)?;
    let grouped = write(&mut tx, instance, arrivals).await.map_err(GroupError::RolledBack)?;
    tx.commit().await.map_err(|error| GroupError::RolledBack(error.into()))?;
    Ok(grouped)
}

async fn write(tx: &mut PgConnection, instance: &Instance, arrivals: &[Arrival<'_>]) -> Result<Vec<Grouped>> {
    let mut repositories = Repositories::default();
    let mut abouts = Vec::with_capacity(arrivals.len());
    for arrival in arrivals {
        let repository = repositories.named_by(tx, arrival).await?;
        abouts.push(About::of(tx, arrival, repository).await?);
    }
    let turns: Vec<_> = abouts.iter().zip(arrivals).map(|(about, arrival)| about.turn(arrival)).collect();
    let mut ours = locks::take_free(tx, &turns).await?;
    let mut grouped: Vec<Grouped> = arrivals.iter().map(|_| Grouped::Alone).collect();
    // Most deliveries come to nothing but their row. Who is judged later does not read those, so they are written together.
    let mut rows = Vec::new();
    for (place, (arrival, about)) in arrivals.iter().zip(&abouts).enumerate() {
        if !ours[place] {
            continue;
        }
        let judged = judge(tx, arrival, about).await?;
        if is_row_alone(&judged.0) {
            rows.push((place, judged.0));
        } else if only_adds(&judged.0.effect) || arrivals.len() == 1 {
            grouped[place] = Grouped::Recorded(keep(tx, (instance, arrival), about, judged).await?);
        } else {
            // What comes behind it about the same thing must not overtake it.
            for (later, turn) in turns.iter().enumerate().skip(place) {
                ours[later] &= *turn != turns[place];
            }
        }
    }
    let (places, judged): (Vec<usize>, Vec<_>) =
        rows.into_iter().map(|(place, verdict)| (place, (&arrivals[place], &abouts[place], verdict))).unzip();
    for (place, recorded) in places.into_iter().zip(keep_rows(tx, judged).await?) {
        grouped[place] = Grouped::Recorded(recorded);
    }
    Ok(grouped)
}

/// Whether all that an effect writes is new, and so nobody else can hold it.
fn only_adds(effect: &Effect) -> bool {
    match effect {
        Effect::None | Effect::Start(_) | Effect::MarkCancel(_) => true,
        Effect::Cancel(_) | Effect::Retry(_) | Effect::RefreshConfig { .. } | Effect::UpdateRepository(_) => false,
    }
}

/// The repositories that a group is about, each read once. What changes one is never in a group with others.
#[derive(Default)]
struct Repositories(HashMap<i64, Option<Arc<Repository>>>);

impl Repositories {
    async fn named_by(&mut self, conn: &mut PgConnection, arrival: &Arrival<'_>) -> Result<Option<Arc<Repository>>> {
        let Some(named) = &arrival.event.repository else { return Ok(None) };
        match self.0.entry(named.forge_id) {
            Entry::Occupied(known) => Ok(known.get().clone()),
            Entry::Vacant(place) => {
                let found = repositories::find_by_forge_id(conn, named.forge_id).await?.map(Arc::new);
                Ok(place.insert(found).clone())
            }
        }
    }
}
