//! Reads deliveries back that did not reach us: what a hook's log at the forge has and the ledger has not.
//!
//! What the receiver answered does not matter, only whether the ledger knows the delivery: one that we refused for want of
//! room or database is missing there, as is one that went to an address that is not ours. They are recorded in the order in
//! which the forge sent them, like webhooks; business keys keep a wish that came another way from being followed twice.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{event::Event, hook_log, triggers::DeliverySource};
use forge::{ForgeError, HookDelivery, HookLog as Log, HookNumber, LogPage};
use ingest::Arrival;
use store::{
    deliveries,
    hook_logs::{self, HookLog, Looked},
    repositories::{self, Repository},
};
use telemetry::SpanKind;

use crate::{failure::StepError, forge_access::ForgeRepo, platform::Platform};

/// Attempts that end out of order, and a clock that is a little off, must not make a hole: so much is read twice.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);

/// A log ends here: 30 000 deliveries, more than a forge keeps of any hook.
const MAX_PAGES: usize = 300;

/// How many deliveries of a hook one look reads back; the next one goes on.
const MAX_READ_BACK: usize = 500;

/// No look is begun later in a sweep than this: the sweep has to end before the engine ends it.
const SWEEP: TimeDelta = TimeDelta::minutes(8);

/// A log that can't be read for now is tried again after this.
const PAUSE: TimeDelta = TimeDelta::minutes(2);

#[derive(Default)]
struct Sum {
    looks: usize,
    read_back: usize,
    failed: usize,
    left: usize,
}

pub(super) async fn run(platform: &Platform) -> Result<String, StepError> {
    let began = platform.now();
    let logs = hook_logs::list(&mut *platform.store.acquire().await?).await?;
    let states: Vec<_> = logs.iter().map(|log| log.look).collect();
    let mut sum = Sum::default();
    // Credentials that the forge wants rest from.
    let mut resting = HashSet::new();
    for place in hook_log::due(&states, platform.webhooks, began) {
        let log = &logs[place];
        let repository = repositories::get(&mut *platform.store.acquire().await?, log.repository).await?;
        if platform.now() - began > SWEEP || resting.contains(&repository.credential) {
            sum.left += 1;
            continue;
        }
        sum.looks += 1;
        let began = platform.now();
        let result = look(platform, log, &repository).await;
        if matches!(result, Err(StepError::NotBefore { .. })) {
            resting.insert(repository.credential);
        }
        if let Err(error) = &result {
            sum.failed += 1;
            tracing::warn!(repository = repository.full_name(), hook = log.look.hook, error = %error,
                "the delivery log of a hook can't be read");
        }
        sum.read_back += write_down(platform, log, began, result).await?;
    }
    Ok(tell(&sum))
}

fn tell(sum: &Sum) -> String {
    let mut text = format!("looked at {} hooks, read {} deliveries back", sum.looks, sum.read_back);
    if sum.failed > 0 {
        text.push_str(&format!("; {} logs can't be read", sum.failed));
    }
    if sum.left > 0 {
        text.push_str(&format!("; {} hooks are left for the next look", sum.left));
    }
    text
}

/// What one look came to.
struct Look {
    read_back: usize,
    read_until: Option<DateTime<Utc>>,
    etag: Option<String>,
    more: bool,
}

async fn write_down(
    platform: &Platform,
    log: &HookLog,
    began: DateTime<Utc>,
    result: Result<Look, StepError>,
) -> Result<usize, StepError> {
    let problem = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
    let how = match &result {
        Ok(look) if look.more => Looked::Partly,
        Ok(look) => Looked::Whole { read_until: look.read_until, etag: look.etag.as_deref() },
        Err(StepError::NotBefore { at, .. }) => Looked::Failed { problem: &problem, not_before: *at },
        Err(StepError::Final { .. }) => Looked::Impossible { problem: &problem },
        Err(_) => Looked::Failed { problem: &problem, not_before: platform.now() + PAUSE },
    };
    hook_logs::looked(&mut *platform.store.acquire().await?, log.id, began, how).await?;
    Ok(result.map_or(0, |look| look.read_back))
}

async fn look(platform: &Platform, log: &HookLog, repository: &Repository) -> Result<Look, StepError> {
    let forge = platform.forge.open(repository).await?;
    let Some(walked) = walk(platform, log, &forge).await? else {
        return Ok(Look { read_back: 0, read_until: None, etag: log.etag.clone(), more: false });
    };
    let more = walked.missing.len() > MAX_READ_BACK;
    let mut read_back = 0;
    for delivery in walked.missing.iter().take(MAX_READ_BACK) {
        if read_one(platform, log, &forge, delivery).await? {
            read_back += 1;
        }
    }
    Ok(Look { read_back, read_until: walked.newest, etag: walked.etag, more })
}

/// What the log has and the ledger has not.
#[derive(Default)]
struct Walked {
    newest: Option<DateTime<Utc>>,
    etag: Option<String>,
    /// In the order in which they were sent, the first attempt of each.
    missing: Vec<HookDelivery>,
}

/// Reads the log from its newest page back to what is known. None if nothing has changed.
async fn walk(platform: &Platform, log: &HookLog, forge: &ForgeRepo) -> Result<Option<Walked>, StepError> {
    let since = log.read_until - OVERLAP;
    let mut walked = Walked::default();
    let mut missing: HashMap<String, HookDelivery> = HashMap::new();
    let mut cursor: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let newest = LogPage::Newest { unless: log.etag.as_deref() };
        let page = cursor.as_deref().map_or(newest, LogPage::After);
        let page = forge.provider.hook_log(&forge.repo, HookNumber(log.look.hook), page).await?;
        let Log::Page { deliveries: mut found, etag, next } = page else { return Ok(None) };
        if cursor.is_none() {
            walked.etag = etag;
            walked.newest = found.iter().map(|delivery| delivery.delivered_at).max();
        }
        let before = found.len();
        found.retain(|delivery| delivery.delivered_at >= since);
        let at_the_end = found.len() < before;
        let guids: Vec<String> = found.iter().map(|delivery| delivery.guid.clone()).collect();
        let unknown = deliveries::unknown(&mut *platform.store.acquire().await?, log.look.hook, &guids).await?;
        let unknown: HashSet<String> = unknown.into_iter().collect();
        // Newest first: what is inserted last is the first attempt.
        for delivery in found.into_iter().filter(|delivery| unknown.contains(&delivery.guid)) {
            missing.insert(delivery.guid.clone(), delivery);
        }
        cursor = next;
        if at_the_end || cursor.is_none() {
            break;
        }
    }
    walked.missing = missing.into_values().collect();
    walked.missing.sort_by_key(|delivery| (delivery.delivered_at, delivery.number));
    Ok(Some(walked))
}

/// Records one; says whether there was something to record.
async fn read_one(
    platform: &Platform,
    log: &HookLog,
    forge: &ForgeRepo,
    delivery: &HookDelivery,
) -> Result<bool, StepError> {
    let hook = HookNumber(log.look.hook);
    let body = match forge.provider.delivered_event(&forge.repo, hook, delivery.number).await {
        Ok(body) => body,
        Err(error @ (ForgeError::NotFound | ForgeError::Gone { .. } | ForgeError::Unexpected { .. })) => {
            tracing::warn!(hook = log.look.hook, guid = delivery.guid, error = %error, "a missed delivery is lost");
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    };
    let event = match Event::parse(&delivery.event, &body) {
        Ok(event) => event,
        Err(error) => {
            tracing::warn!(hook = log.look.hook, guid = delivery.guid, error = %error, "a missed delivery is no event");
            return Ok(false);
        }
    };
    let arrival = Arrival {
        hook_key: log.look.hook,
        guid: &delivery.guid,
        spoken_for: Some(log.repository),
        event: &event,
        body: &body.into(),
        received_at: platform.now(),
        source: DeliverySource::ReadBack,
    };
    let span = platform.telemetry.tracer.root("read back", SpanKind::Consumer);
    let recorded = ingest::record(&platform.store, platform.dispatcher.instance(), &arrival).await?;
    platform.telemetry.metrics.delivery(arrival.source, recorded.verdict);
    tracing::info!(delivery = %recorded.delivery, verdict = %recorded.verdict, guid = delivery.guid,
        status = delivery.status, "a missed delivery was read back");
    if let Some(workflow_id) = recorded.workflow_id {
        platform.telemetry.trace_attempt(&platform.store, &workflow_id, &span).await;
        platform.dispatcher.spawn(workflow_id);
    }
    Ok(true)
}
