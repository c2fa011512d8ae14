//! Trouble on demand: what a test can make go wrong.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// One turn of a knob; also the body of `POST /_standin/knobs`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "knob", rename_all = "snake_case")]
pub enum Knob {
    /// The next requests that fit meet this.
    Fault(Fault),
    /// The next deliveries that fit meet this.
    Deliveries(DeliveryFault),
    /// Hook receivers can't be reached (logged as failed), or can again.
    HooksOffline {
        /// Whether they are.
        offline: bool,
    },
    /// Two hooks of one event get a GUID each, or share one (the default).
    DistinctGuids {
        /// Whether they differ.
        distinct: bool,
    },
    /// Somebody else's commit reaches the branch just before the next pushes.
    PushLosesRace {
        /// `owner/name`.
        repository: String,
        /// Who pushes in between.
        by: String,
        /// How many pushes lose.
        times: u32,
    },
    /// The repository gets another name; the old one answers 301 and 307.
    RenameRepository {
        /// `owner/name` as it is.
        repository: String,
        /// The name to be, without the owner.
        name: String,
    },
    /// All tokens of a person stop working.
    RevokeTokens {
        /// The person.
        login: String,
    },
    /// Tokens that are minted from now on for installations of Apps live that long (an hour otherwise).
    InstallationTokenLife {
        /// How many seconds.
        seconds: u32,
    },
    /// An installation of an App is suspended, or no longer.
    SuspendInstallation {
        /// Its id.
        installation: u64,
        /// Whether it is.
        suspended: bool,
    },
    /// The clock that writes into things goes forward.
    AdvanceClock {
        /// By how many seconds.
        seconds: u32,
    },
    /// All faults and races that have not happened yet are taken back.
    Clear,
}

/// Which requests meet trouble.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// Method; any if absent.
    #[serde(default)]
    pub method: Option<String>,
    /// Path, where `*` stands for anything; any if absent.
    #[serde(default)]
    pub path: Option<String>,
    /// How many requests.
    pub times: u32,
    /// What happens to them.
    pub effect: Effect,
}

impl Fault {
    /// The next request of this method and path meets this.
    #[must_use]
    pub fn once(method: &str, path: impl Into<String>, effect: Effect) -> Self {
        Self { method: Some(method.to_owned()), path: Some(path.into()), times: 1, effect }
    }
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It takes that many milliseconds longer.
    Latency(u64),
    /// This status comes back and nothing was done.
    Error(u16),
    /// It is done, and this status comes back.
    ErrorAfter(u16),
    /// The secondary rate limit: nothing was done.
    SecondaryLimit {
        /// 403 or 429.
        status: u16,
        /// Seconds in `retry-after`.
        retry_after: u32,
    },
}

/// Which deliveries meet trouble.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliveryFault {
    /// Event name; any if absent.
    #[serde(default)]
    pub event: Option<String>,
    /// How many deliveries.
    pub times: u32,
    /// What happens to them.
    pub effect: DeliveryEffect,
}

/// What happens to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryEffect {
    /// Not sent; the log says that it failed.
    Drop,
    /// Sent twice under one GUID.
    Double,
    /// Held back until the last of them is there, then sent the other way round.
    Reorder,
}

/// What the sender has to do with one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Send,
    Drop,
    Double,
    Hold,
    /// The last of the held ones.
    Release,
}

#[derive(Debug)]
struct Race {
    repo: u64,
    by: u64,
    times: u32,
}

#[derive(Debug, Default)]
struct Settings {
    faults: Vec<Fault>,
    deliveries: Vec<DeliveryFault>,
    races: Vec<Race>,
    offline: bool,
    /// Requests by caller in the running hour.
    used: BTreeMap<Option<u64>, (DateTime<Utc>, u64)>,
}

/// All knobs.
#[derive(Debug, Default)]
pub(crate) struct Knobs(Mutex<Settings>);

impl Knobs {
    fn lock(&self) -> MutexGuard<'_, Settings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_fault(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    pub(crate) fn faults_to_come(&self) -> usize {
        self.lock().faults.len()
    }

    pub(crate) fn add_delivery_fault(&self, fault: DeliveryFault) {
        self.lock().deliveries.push(fault);
    }

    pub(crate) fn add_race(&self, repo: u64, by: u64, times: u32) {
        self.lock().races.push(Race { repo, by, times });
    }

    pub(crate) fn set_offline(&self, offline: bool) {
        self.lock().offline = offline;
    }

    pub(crate) fn offline(&self) -> bool {
        self.lock().offline
    }

    pub(crate) fn clear(&self) {
        let mut settings = self.lock();
        settings.faults.clear();
        settings.deliveries.clear();
        settings.races.clear();
        settings.offline = false;
    }

    /// What happens to this request; uses up one turn of each fault that fits.
    pub(crate) fn meet(&self, method: &str, path: &str) -> Vec<Effect> {
        let mut settings = self.lock();
        let mut met = Vec::new();
        for fault in &mut settings.faults {
            let method_fits = fault.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method));
            let path_fits = fault.path.as_deref().is_none_or(|pattern| fits(pattern, path));
            if fault.times > 0 && method_fits && path_fits {
                fault.times -= 1;
                met.push(fault.effect.clone());
            }
        }
        settings.faults.retain(|fault| fault.times > 0);
        met
    }

    /// What happens to this delivery; uses up one turn of the first fault that fits.
    pub(crate) fn fate(&self, event: &str) -> Fate {
        let mut settings = self.lock();
        let found =
            settings.deliveries.iter_mut().find(|fault| fault.event.as_deref().is_none_or(|wanted| wanted == event));
        let Some(fault) = found else { return Fate::Send };
        fault.times = fault.times.saturating_sub(1);
        let fate = match (fault.effect, fault.times) {
            (DeliveryEffect::Drop, _) => Fate::Drop,
            (DeliveryEffect::Double, _) => Fate::Double,
            (DeliveryEffect::Reorder, 0) => Fate::Release,
            (DeliveryEffect::Reorder, _) => Fate::Hold,
        };
        settings.deliveries.retain(|fault| fault.times > 0);
        fate
    }

    /// Who gets in between the next push to this repository, if anybody.
    pub(crate) fn race(&self, repo: u64) -> Option<u64> {
        let mut settings = self.lock();
        let race = settings.races.iter_mut().find(|race| race.repo == repo && race.times > 0)?;
        race.times -= 1;
        Some(race.by)
    }

    /// Counts one request of a caller.
    pub(crate) fn count(&self, caller: Option<u64>, now: DateTime<Utc>) {
        let hour = hour_of(now);
        let mut settings = self.lock();
        let entry = settings.used.entry(caller).or_insert((hour, 0));
        if entry.0 != hour {
            *entry = (hour, 0);
        }
        entry.1 += 1;
    }

    /// Requests of a caller in this hour, and when the count starts again (seconds since 1970).
    pub(crate) fn budget(&self, caller: Option<u64>, now: DateTime<Utc>) -> (u64, i64) {
        let hour = hour_of(now);
        let settings = self.lock();
        let used = settings.used.get(&caller).filter(|(at, _)| *at == hour).map_or(0, |(_, used)| *used);
        (used, (hour + TimeDelta::hours(1)).timestamp())
    }
}

fn hour_of(now: DateTime<Utc>) -> DateTime<Utc> {
    now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now)
}

/// Does a path fit a pattern in which `*` stands for anything?
fn fits(pattern: &str, path: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|start| path.strip_prefix(start)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, path, expected) in [
            ("/repos/*/comments", "/repos/a/b/issues/1/comments", true),
            ("/repos/*/comments", "/repos/a/b/issues/1/labels", false),
            ("/user", "/user", true),
            ("/user", "/users", false),
            ("*", "/anything", true),
            ("/repos/*/issues/*/labels", "/repos/a/b/issues/1/labels", true),
            ("/repos/*/issues/*/labels", "/repos/a/b/labels", false),
        ] {
            assert_eq!(fits(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_fault_is_used_up() {
        let knobs = Knobs::default();
        knobs.add_fault(Fault::once("POST", "*", Effect::Error(502)));
        assert_eq!(knobs.meet("GET", "/"), []);
        assert_eq!(knobs.faults_to_come(), 1);
        assert_eq!(knobs.meet("POST", "/"), [Effect::Error(502)]);
        assert_eq!(knobs.faults_to_come(), 0);
        assert_eq!(knobs.meet("POST", "/"), []);
    }

    #[test]
    fn reordering_holds_all_but_the_last() {
        let knobs = Knobs::default();
        knobs.add_delivery_fault(DeliveryFault { event: None, times: 2, effect: DeliveryEffect::Reorder });
        assert_eq!(knobs.fate("push"), Fate::Hold);
        assert_eq!(knobs.fate("push"), Fate::Release);
        assert_eq!(knobs.fate("push"), Fate::Send);
    }
}
