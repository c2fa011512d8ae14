//! One transaction: the delivery with its verdict, its body, and everything that follows from it.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::{
    event::{Event, Subject},
    ids::{DeliveryId, Instance, RepositoryId, RunId},
    sentences,
    triggers::{self, DeliverySource, Effect, Verdict, VerdictKind},
};
use store::{
    PgConnection, Result, Store, StoreError,
    audit::{self, NewFlowEvent},
    deliveries::{self, Inserted, NewDelivery, StoredVerdict},
    locks::{self, Turn},
    repositories::{self, Repository},
    storms::{self, HeldBack},
};

use crate::{
    effects::{self, Done, Outcome, Place},
    look_up::{self, LookedUp, look_up},
};

/// How often an event is judged anew because somebody else was first. The lock on its subject makes even one rare.
const JUDGEMENTS: usize = 3;

/// An event that is known to be the forge's own.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// The hook's id; 0 if the sender named none.
    pub hook_key: i64,
    /// What the forge calls the delivery.
    pub guid: &'a str,
    /// The one repository that its hook may speak for; none if for many.
    pub spoken_for: Option<RepositoryId>,
    /// What happened.
    pub event: &'a Event,
    /// The event as it came.
    pub body: &'a Bytes,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// How it came.
    pub source: DeliverySource,
}

/// What the ledger says about a delivery.
#[derive(Debug)]
pub struct Recorded {
    /// The row of the ledger.
    pub delivery: DeliveryId,
    /// What was decided.
    pub verdict: VerdictKind,
    /// Why, as a sentence.
    pub reason: String,
    /// The run it started, told or found.
    pub run: Option<RunId>,
    /// How it first came.
    pub source: DeliverySource,
    /// The workflow that has commands to be delivered now.
    pub workflow_id: Option<String>,
}

/// Stores and judges an event. One that is stored already keeps its verdict and has no second effect.
///
/// # Errors
/// When the database is away, or two events were in each other's way.
pub async fn record(store: &Store, instance: &Instance, arrival: &Arrival<'_>) -> Result<Recorded> {
    let mut tx = store.begin().await?;
    let recorded = record_within(&mut tx, instance, arrival).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(recorded)
}

/// The same within a transaction of the caller's, who writes more in it.
///
/// # Errors
/// As for [`record`].
pub async fn record_within(tx: &mut PgConnection, instance: &Instance, arrival: &Arrival<'_>) -> Result<Recorded> {
    let about = About::found(tx, arrival).await?;
    locks::take(tx, &about.turn(arrival)).await?;
    let judged = judge(tx, arrival, &about).await?;
    keep(tx, (instance, arrival), &about, judged).await
}

/// What would be decided about an event now. Writes nothing, and waits for nobody.
///
/// # Errors
/// The database is away.
pub async fn foresee(conn: &mut PgConnection, arrival: &Arrival<'_>) -> Result<Verdict> {
    let about = About::found(conn, arrival).await?;
    Ok(judge(conn, arrival, &about).await?.0)
}

/// What an event is about, as far as it is known here.
pub(crate) struct About {
    repository: Option<Arc<Repository>>,
    subject: Option<Subject>,
}

impl About {
    /// Finds what the event is about.
    async fn found(conn: &mut PgConnection, arrival: &Arrival<'_>) -> Result<Self> {
        let repository = match &arrival.event.repository {
            Some(named) => repositories::find_by_forge_id(conn, named.forge_id).await?.map(Arc::new),
            None => None,
        };
        Self::of(conn, arrival, repository).await
    }

    /// Finds what the event is about within the repository that it names.
    pub(crate) async fn of(
        conn: &mut PgConnection,
        arrival: &Arrival<'_>,
        repository: Option<Arc<Repository>>,
    ) -> Result<Self> {
        let subject = match &repository {
            Some(repository) => look_up::subject(conn, arrival.event, repository).await?,
            None => arrival.event.subject(),
        };
        Ok(Self { repository, subject })
    }

    /// Whose turn it has to be: each event has exactly one, so that nothing else is ever waited for by name.
    pub(crate) fn turn(&self, arrival: &Arrival<'_>) -> Turn {
        match (&self.repository, self.subject) {
            (Some(repository), Some(subject)) => Turn::subject(repository.forge_repo_id, subject.number),
            (Some(repository), None) => Turn::repository(repository.forge_repo_id),
            (None, _) => Turn::delivery(arrival.hook_key, arrival.guid),
        }
    }
}

/// Writes a judged event down, with everything that follows from it.
pub(crate) async fn keep(
    tx: &mut PgConnection,
    (instance, arrival): (&Instance, &Arrival<'_>),
    about: &About,
    (verdict, looked): (Verdict, LookedUp),
) -> Result<Recorded> {
    let delivery = match deliveries::insert(tx, row(arrival, about, &verdict), Some(arrival.body)).await? {
        Inserted::New(delivery) => delivery,
        Inserted::Duplicate(stored) => return Ok(stored_before(stored)),
    };
    let place = Place {
        instance,
        repository: about.repository.as_deref(),
        subject: about.subject,
        active: None,
        delivery,
        now: arrival.received_at,
    };
    let stored = (verdict.kind, verdict.reason.clone());
    let (verdict, done) = follow(tx, arrival, (about, place), (verdict, looked)).await?;
    let run = done.run.or(verdict.run);
    if run.is_some() || stored != (verdict.kind, verdict.reason.clone()) {
        deliveries::set_verdict(tx, delivery, verdict.kind, &verdict.reason, run).await?;
    }
    note_storm(tx, place, &verdict).await?;
    audit(tx, arrival, place, run, done.audit).await?;
    Ok(Recorded {
        delivery,
        verdict: verdict.kind,
        reason: verdict.reason,
        run,
        source: arrival.source,
        workflow_id: done.workflow_id,
    })
}

/// Whether nothing follows from an event but its row in the ledger.
pub(crate) fn is_row_alone(verdict: &Verdict) -> bool {
    verdict.effect == Effect::None && verdict.run.is_none() && verdict.kind != VerdictKind::LoopGuard
}

/// Writes down, at once, judged events from which nothing else follows; in their order. See [`is_row_alone`].
pub(crate) async fn keep_rows(
    tx: &mut PgConnection,
    judged: Vec<(&Arrival<'_>, &About, Verdict)>,
) -> Result<Vec<Recorded>> {
    if judged.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(NewDelivery<'_>, &[u8])> =
        judged.iter().map(|(arrival, about, verdict)| (row(arrival, about, verdict), arrival.body.as_ref())).collect();
    let inserted = deliveries::insert_all(tx, &rows).await?;
    drop(rows);
    let recorded = |(inserted, (arrival, _, verdict)): (Inserted, (&Arrival<'_>, &About, Verdict))| match inserted {
        Inserted::New(delivery) => Recorded {
            delivery,
            verdict: verdict.kind,
            reason: verdict.reason,
            run: None,
            source: arrival.source,
            workflow_id: None,
        },
        Inserted::Duplicate(stored) => stored_before(stored),
    };
    Ok(inserted.into_iter().zip(judged).map(recorded).collect())
}

/// It keeps its verdict, and nothing follows from it once more.
fn stored_before(stored: StoredVerdict) -> Recorded {
    Recorded {
        delivery: stored.delivery,
        verdict: stored.verdict,
        reason: stored.reason,
        run: stored.run,
        source: stored.source,
        workflow_id: None,
    }
}

/// What is to be done about an event. Writes nothing.
pub(crate) async fn judge(
    conn: &mut PgConnection,
    arrival: &Arrival<'_>,
    about: &About,
) -> Result<(Verdict, LookedUp)> {
    let repository = about.repository.as_deref();
    if let (Some(own), Some(other)) = (arrival.spoken_for, repository)
        && own != other.id
    {
        // Who knows the secret of one repository's hook could otherwise speak for all of them.
        let reason = sentences::hook_of_another_repository(other.full_name());
        let verdict = Verdict { kind: VerdictKind::RepositoryUnknown, reason, run: None, effect: Effect::None };
        return Ok((verdict, LookedUp::default()));
    }
    let looked = look_up(conn, arrival.event, repository, about.subject, arrival.received_at).await?;
    Ok((triggers::decide(arrival.event, &looked.facts), looked))
}

/// Has the effect take place; if somebody else was first, the event is judged anew.
async fn follow(
    conn: &mut PgConnection,
    arrival: &Arrival<'_>,
    (about, place): (&About, Place<'_>),
    judged: (Verdict, LookedUp),
) -> Result<(Verdict, Done)> {
    let (mut verdict, mut looked) = judged;
    for _ in 0..JUDGEMENTS {
        let place = Place { active: looked.active.as_ref(), ..place };
        match effects::apply(conn, &verdict.effect, place).await? {
            Outcome::Done(done) => return Ok((verdict, done)),
            Outcome::Overtaken => (verdict, looked) = judge(conn, arrival, about).await?,
        }
    }
    let reason = sentences::overtaken().to_owned();
    let verdict = Verdict { kind: VerdictKind::AlreadyWorking, reason, run: None, effect: Effect::None };
    Ok((verdict, Done::default()))
}

fn row<'a>(arrival: &'a Arrival<'_>, about: &About, verdict: &'a Verdict) -> NewDelivery<'a> {
    let event = arrival.event;
    NewDelivery {
        hook_key: arrival.hook_key,
        guid: arrival.guid,
        event: &event.name,
        action: event.action.as_deref(),
        repository: about.repository.as_ref().map(|repository| repository.id),
        forge_repo_id: event.repository.as_ref().map(|repository| repository.forge_id),
        subject_number: about.subject.map(|subject| subject.number),
        sender_login: event.sender.as_ref().map(|sender| sender.login.as_str()),
        sender_id: event.sender.as_ref().map(|sender| sender.id),
        verdict: verdict.kind,
        reason: &verdict.reason,
        received_at: arrival.received_at,
        source: arrival.source,
    }
}

/// What is held back is remembered where people look for it.
async fn note_storm(conn: &mut PgConnection, place: Place<'_>, verdict: &Verdict) -> Result<()> {
    let (VerdictKind::LoopGuard, Some(repository), Some(subject)) = (verdict.kind, place.repository, place.subject)
    else {
        return Ok(());
    };
    let held = HeldBack {
        repository: repository.id,
        subject,
        reason: &verdict.reason,
        delivery: place.delivery,
        at: place.now,
    };
    storms::note(conn, held).await
}

async fn audit(
    conn: &mut PgConnection,
    arrival: &Arrival<'_>,
    place: Place<'_>,
    run: Option<RunId>,
    what: Option<(&'static str, serde_json::Value)>,
) -> Result<()> {
    let Some((kind, detail)) = what else { return Ok(()) };
    let actor = arrival.event.sender.as_ref().map_or("the forge", |sender| &sender.login);
    let event = NewFlowEvent {
        run,
        repository: place.repository.map(|repository| repository.id),
        delivery: Some(place.delivery),
        ..NewFlowEvent::new(arrival.received_at, actor, kind, detail)
    };
    audit::append(conn, event).await
}
