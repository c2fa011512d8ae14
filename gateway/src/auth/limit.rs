//! How often sign-ins may be begun, and how often completed: a loop that signs in again and again must not keep others out, nor have
//! us ask GitHub without end.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use http::StatusCode;

use crate::problem::Problem;

/// Requests that one client may send at once, and how long until one more is good.
const ONE: Allowance = Allowance { burst: 30.0, per_second: 1.0 };

/// The same of all clients together, of whom some may have many addresses.
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

/// Counts requests of one kind within this process: of sign-ins that begin, or of those that are completed.
#[derive(Default)]
pub(super) struct SignInLimit(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    all: Option<Left>,
    clients: HashMap<IpAddr, Left>,
}

impl SignInLimit {
    /// Lets a request through, or says when to come again.
    ///
    /// # Errors
    /// 429.
    pub(super) fn admit(&self, client: IpAddr, now: DateTime<Utc>) -> Result<(), Problem> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.clients.len() >= MAX_CLIENTS {
            counted.clients.retain(|_, left| left.refilled(ONE, now) < ONE.burst);
        }
        let one = counted.clients.get(&client).copied();
        let (one, all) = (take(one, ONE, now), take(counted.all, ALL, now));
        let (Some(one), Some(all)) = (one, all) else {
            let detail = "too many sign-ins came from here: wait a moment, then try once more";
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

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn from(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn one_client_is_held_back_without_the_others_and_only_for_a_while() {
        let (limit, now) = (SignInLimit::default(), DateTime::UNIX_EPOCH);
        let admitted = (0..100).filter(|_| limit.admit(from(7), now).is_ok()).count();
        assert_eq!(admitted, 30);
        let refused = limit.admit(from(7), now).unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.code, refused.retry_after), (429, "too_many_sign_ins", Some(1)));
        assert!(limit.admit(from(8), now).is_ok());
        assert!(limit.admit(from(7), now + TimeDelta::seconds(1)).is_ok());
        assert!(limit.admit(from(7), now + TimeDelta::seconds(1)).is_err());
    }

    #[test]
    fn whoever_has_many_addresses_meets_the_limit_of_all() {
        let (limit, now) = (SignInLimit::default(), DateTime::UNIX_EPOCH);
        let admitted = (0..10_000).filter(|number| limit.admit(from(*number), now).is_ok()).count();
        assert_eq!(admitted, 600);
        assert!(limit.admit(from(20_000), now + TimeDelta::seconds(1)).is_ok());
    }
}
