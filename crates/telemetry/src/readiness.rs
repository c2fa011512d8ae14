//! Whether a role can work: each part that it rests on, looked at when somebody asks.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Json;
use chrono::{DateTime, Utc};
use futures::future::{BoxFuture, join_all};
use http::StatusCode;
use serde::Serialize;
use tokio::sync::Mutex;

use crate::Clock;

/// Who asks wants to know now.
const LIMIT: Duration = Duration::from_secs(2);

/// However many ask, the parts are not looked at more often.
const KEPT: Duration = Duration::from_secs(1);

/// Looks at a part; what is wrong is a sentence for people.
pub type Look = Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What a role is without a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// Of no use: nothing should be sent to it.
    Unready,
    /// Of less use, and still ready.
    Degraded,
}

/// A part that a role rests on.
pub struct Part {
    name: &'static str,
    without: Without,
    look: Look,
}

impl Part {
    /// A part, and how to look at it.
    pub fn new<F>(name: &'static str, without: Without, look: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self { name, without, look: Box::new(move || Box::pin(look())) }
    }

    /// A part that a role has from its start or does not start without, such as a key.
    #[must_use]
    pub fn loaded(name: &'static str) -> Self {
        Self::new(name, Without::Unready, || async { Ok(()) })
    }

    async fn found(&self, limit: Duration) -> Result<(), String> {
        match tokio::time::timeout(limit, (self.look)()).await {
            Ok(found) => found,
            Err(_) => Err(format!("{} does not answer in time.", self.name)),
        }
    }
}

/// The parts of a role.
pub struct Readiness {
    parts: Vec<Part>,
    clock: Clock,
    limit: Duration,
    last: Mutex<Option<(Instant, Report)>>,
}

/// The answer to who asks whether a role is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// In one word.
    pub status: Status,
    /// Whether work should be sent to it.
    pub ready: bool,
    /// What is wrong, if anything is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Each part.
    pub parts: Vec<PartReport>,
}

/// How a role is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Everything is there.
    Ready,
    /// It works, but not all of it.
    Degraded,
    /// It can't work.
    Unready,
}

/// How a part is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartReport {
    /// Its name.
    pub name: &'static str,
    /// Whether it is there.
    pub ok: bool,
    /// Whether the role is of no use without it.
    pub needed: bool,
    /// Since when it has been so, as far as somebody asked.
    pub since: DateTime<Utc>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Readiness {
    /// Of a role that rests on these parts.
    #[must_use]
    pub fn new(parts: Vec<Part>, clock: Clock) -> Arc<Self> {
        Arc::new(Self { parts, clock, limit: LIMIT, last: Mutex::default() })
    }

    /// Looks at all parts at once, unless that was done a moment ago.
    pub async fn report(&self) -> Report {
        let mut last = self.last.lock().await;
        if let Some((at, report)) = &*last
            && at.elapsed() < KEPT
        {
            return report.clone();
        }
        let found = join_all(self.parts.iter().map(|part| part.found(self.limit))).await;
        let before = last.as_ref().map(|(_, report)| report.parts.as_slice()).unwrap_or_default();
        let report = self.judge(found, before);
        *last = Some((Instant::now(), report.clone()));
        report
    }

    /// The same as an HTTP answer.
    pub async fn answer(&self) -> (StatusCode, Json<Report>) {
        let report = self.report().await;
        (if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(report))
    }

    fn judge(&self, found: Vec<Result<(), String>>, before: &[PartReport]) -> Report {
        let now = (self.clock)();
        let parts: Vec<PartReport> = self
            .parts
            .iter()
            .zip(found)
            .enumerate()
            .map(|(place, (part, found))| {
                let since =
                    before.get(place).filter(|before| before.ok == found.is_ok()).map_or(now, |same| same.since);
                let needed = part.without == Without::Unready;
                PartReport { name: part.name, ok: found.is_ok(), needed, since, detail: found.err() }
            })
            .collect();
        let ready = parts.iter().all(|part| part.ok || !part.needed);
        let status = match (ready, parts.iter().all(|part| part.ok)) {
            (false, _) => Status::Unready,
            (true, false) => Status::Degraded,
            (true, true) => Status::Ready,
        };
        // What makes it unready comes first.
        let mut wrong: Vec<&PartReport> = parts.iter().filter(|part| !part.ok).collect();
        wrong.sort_by_key(|part| !part.needed);
        let sentences: Vec<&str> = wrong.iter().filter_map(|part| part.detail.as_deref()).collect();
        let detail = (!sentences.is_empty()).then(|| sentences.join(" "));
        Report { status, ready, detail, parts }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn switched(name: &'static str, without: Without) -> (Part, Arc<AtomicBool>) {
        let on = Arc::new(AtomicBool::new(true));
        let seen = Arc::clone(&on);
        let look = move || {
            let on = seen.load(Ordering::SeqCst);
            async move { if on { Ok(()) } else { Err(format!("{name} is off.")) } }
        };
        (Part::new(name, without, look), on)
    }

    #[tokio::test]
    async fn a_needed_part_decides_and_a_useful_one_degrades() {
        let (needed, needed_on) = switched("needed", Without::Unready);
        let (useful, useful_on) = switched("useful", Without::Degraded);
        let began = Utc::now();
        let readiness = Readiness::new(vec![useful, needed], Arc::new(Utc::now));
        assert_eq!(readiness.report().await.status, Status::Ready);

        useful_on.store(false, Ordering::SeqCst);
        forget(&readiness).await;
        let (status, Json(report)) = readiness.answer().await;
        assert_eq!((status, report.status), (StatusCode::OK, Status::Degraded));
        assert_eq!(report.detail.as_deref(), Some("useful is off."));

        needed_on.store(false, Ordering::SeqCst);
        forget(&readiness).await;
        let (status, Json(report)) = readiness.answer().await;
        assert_eq!((status, report.status), (StatusCode::SERVICE_UNAVAILABLE, Status::Unready));
        assert_eq!(report.detail.as_deref(), Some("needed is off. useful is off."));
        assert!(report.parts.iter().all(|part| part.since >= began));
        let off_since = report.parts[0].since;

        needed_on.store(true, Ordering::SeqCst);
        forget(&readiness).await;
        let report = readiness.report().await;
        assert_eq!(report.status, Status::Degraded);
        assert_eq!(report.parts[0].since, off_since, "nothing changed there");
        assert!(report.parts[1].since > off_since);
    }

    #[tokio::test]
    async fn a_part_that_hangs_is_not_waited_for() {
        let hangs = Part::new("hangs", Without::Unready, std::future::pending);
        let (clock, limit): (Clock, _) = (Arc::new(Utc::now), Duration::from_millis(1));
        let report = Readiness { parts: vec![hangs], clock, limit, last: Mutex::default() }.report().await;
        assert_eq!(report.detail.as_deref(), Some("hangs does not answer in time."));
    }

    /// As if the last look were long ago, with what it found.
    async fn forget(readiness: &Readiness) {
        let mut last = readiness.last.lock().await;
        if let Some((at, _)) = &mut *last {
            *at = at.checked_sub(KEPT).unwrap();
        }
    }
}
