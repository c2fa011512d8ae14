//! How often sign-ins may be begun and ended: a loop that signs in again and again must not keep others out, nor have us ask
//! GitHub without end.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode};

use crate::problem::Problem;

/// Requests at once of one client, and how long until one more is good. A sign-in is two of them.
const ONE: Allowance = Allowance { burst: 30.0, per_second: 1.0 };

/// The same of all clients together, of whom some may lie about who they are.
const ALL: Allowance = Allowance { burst: 600.0, per_second: 20.0 };

/// More clients than this within a moment are not told apart any longer.
const MAX_CLIENTS: usize = 4096;

#[derive(Clone, Copy)]
struct Allowance {
    burst: f64,
    per_second: f64,
}

/// What somebody has left, and since when that is true.
#[derive(Clone, Copy)]
struct Left {
    requests: f64,
    at: DateTime<Utc>,
}

/// Counts requests of sign-ins within this process.
#[derive(Default)]
pub(super) struct SignInLimit(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    all: Option<Left>,
    clients: HashMap<String, Left>,
}

impl SignInLimit {
    /// Lets a request through, or says when to come again.
    ///
    /// # Errors
    /// 429.
    pub(super) fn admit(&self, headers: &HeaderMap, now: DateTime<Utc>) -> Result<(), Problem> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.clients.len() >= MAX_CLIENTS {
            counted.clients.retain(|_, left| left.refilled(ONE, now) < ONE.burst);
        }
        let client = client(headers);
        let one = counted.clients.get(&client).copied();
        let (one, all) = (take(one, ONE, now), take(counted.all, ALL, now));
        let (Some(one), Some(all)) = (one, all) else {
            let detail = "too many sign-ins were begun from here: wait a moment, then try once more";
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_sign_ins", detail);
            return Err(Problem { retry_after: Some(1), ..problem });
        };
        counted.all = Some(all);
        if counted.clients.len() < MAX_CLIENTS || counted.clients.contains_key(&client) {
            counted.clients.insert(client, one);
        }
        Ok(())
    }
}

impl Left {
    fn refilled(self, allowance: Allowance, now: DateTime<Utc>) -> f64 {
        let seconds = (now - self.at).as_seconds_f64().max(0.0);
        (self.requests + seconds * allowance.per_second).min(allowance.burst)
    }
}

fn take(left: Option<Left>, allowance: Allowance, now: DateTime<Utc>) -> Option<Left> {
    let requests = left.map_or(allowance.burst, |left| left.refilled(allowance, now));
    (requests >= 1.0).then_some(Left { requests: requests - 1.0, at: now })
}

/// Who asks, as the proxy before us saw them: it adds the last address. Without a proxy all are one.
fn client(headers: &HeaderMap) -> String {
    let last = headers.get_all("x-forwarded-for").iter().next_back();
    let listed = last.and_then(|value| value.to_str().ok()).unwrap_or_default();
    listed.rsplit(',').next().unwrap_or_default().trim().chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use http::HeaderValue;

    use super::*;

    fn from(address: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_str(address).unwrap());
        headers
    }

    #[test]
    fn one_client_is_held_back_without_the_others_and_only_for_a_while() {
        let (limit, now) = (SignInLimit::default(), DateTime::UNIX_EPOCH);
        let admitted = (0..100).filter(|_| limit.admit(&from("1.2.3.4, 10.0.0.7"), now).is_ok()).count();
        assert_eq!(admitted, 30);
        let refused = limit.admit(&from("forged, 10.0.0.7"), now).unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.code, refused.retry_after), (429, "too_many_sign_ins", Some(1)));
        assert!(limit.admit(&from("10.0.0.8"), now).is_ok());
        assert!(limit.admit(&from("10.0.0.7"), now + TimeDelta::seconds(1)).is_ok());
        assert!(limit.admit(&from("10.0.0.7"), now + TimeDelta::seconds(1)).is_err());
    }

    #[test]
    fn whoever_invents_addresses_meets_the_limit_of_all() {
        let (limit, now) = (SignInLimit::default(), DateTime::UNIX_EPOCH);
        let admitted = (0..10_000).filter(|n| limit.admit(&from(&n.to_string()), now).is_ok()).count();
        assert_eq!(admitted, 600);
        assert!(limit.admit(&HeaderMap::new(), now + TimeDelta::seconds(1)).is_ok());
    }
}
