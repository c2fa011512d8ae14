//! Whether a key may be used now: what its provider said about limits, and a breaker that opens after failures in a row.

use chrono::{DateTime, TimeDelta, Utc};

/// Failures in a row after which a key is left alone for a while.
const FAILURES: u32 = 5;

/// How long it is left alone; then one call tries whether it works again.
const OPEN_FOR: TimeDelta = TimeDelta::seconds(15);

/// When to look again while another call tries.
const PROBE: TimeDelta = TimeDelta::seconds(1);

/// A longer pause than this is not believed.
const LONGEST_PAUSE: TimeDelta = TimeDelta::hours(1);

/// What is known about a key.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    open_until: Option<DateTime<Utc>>,
    probing: bool,
    limited_until: Option<DateTime<Utc>>,
}

/// Why a key can't be used now, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// The provider's rate limit.
    Limited(DateTime<Utc>),
    /// It failed too often.
    Broken(DateTime<Utc>),
}

impl Breaker {
    /// Lets a call through. After a break one alone, until it is known how that went.
    pub(super) fn admit(&mut self, now: DateTime<Utc>) -> Result<(), Closed> {
        if let Some(until) = self.limited_until.filter(|until| *until > now) {
            return Err(Closed::Limited(until));
        }
        match self.open_until {
            None => Ok(()),
            Some(until) if until > now => Err(Closed::Broken(until)),
            Some(_) if self.probing => Err(Closed::Broken(now + PROBE)),
            Some(_) => {
                self.probing = true;
                Ok(())
            }
        }
    }

    /// The key works.
    pub(super) fn succeeded(&mut self) {
        *self = Self { limited_until: self.limited_until, ..Self::default() };
    }

    /// It did not work; enough of that in a row, or one failed try after a break, closes it.
    pub(super) fn failed(&mut self, now: DateTime<Utc>) {
        self.failures = self.failures.saturating_add(1);
        if self.probing || self.failures >= FAILURES {
            self.open(now);
        }
    }

    /// The provider does not take the key, or its account is empty: more tries are of no use.
    pub(super) fn refused(&mut self, now: DateTime<Utc>) {
        self.failures = self.failures.max(FAILURES);
        self.open(now);
    }

    /// The provider said when to come back.
    pub(super) fn limited(&mut self, now: DateTime<Utc>, until: DateTime<Utc>) {
        self.probing = false;
        self.limited_until = Some(until.min(now + LONGEST_PAUSE));
    }

    /// Whoever was let through left without a result.
    pub(super) fn left(&mut self) {
        self.probing = false;
    }

    /// Whether it is left alone.
    pub(super) const fn is_open(&self) -> bool {
        self.open_until.is_some()
    }

    fn open(&mut self, now: DateTime<Utc>) {
        self.probing = false;
        self.open_until = Some(now + OPEN_FOR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(secs)
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_call_try() {
        let mut breaker = Breaker::default();
        for _ in 1..FAILURES {
            breaker.failed(at(0));
        }
        assert_eq!(breaker.admit(at(0)), Ok(()));
        breaker.succeeded();
        for _ in 0..FAILURES {
            assert_eq!(breaker.admit(at(0)), Ok(()));
            breaker.failed(at(0));
        }
        assert!(breaker.is_open());
        assert_eq!(breaker.admit(at(14)), Err(Closed::Broken(at(15))));
        assert_eq!(breaker.admit(at(15)), Ok(()));
        assert_eq!(breaker.admit(at(15)), Err(Closed::Broken(at(16))), "one alone tries");
        breaker.failed(at(15));
        assert_eq!(breaker.admit(at(29)), Err(Closed::Broken(at(30))), "its failure is enough");
        assert_eq!(breaker.admit(at(30)), Ok(()));
        breaker.left();
        assert_eq!(breaker.admit(at(30)), Ok(()), "the one before left without a result");
        breaker.succeeded();
        assert!(!breaker.is_open());
        assert_eq!((breaker.admit(at(30)), breaker.admit(at(30))), (Ok(()), Ok(())));
    }

    #[test]
    fn a_refused_key_is_left_alone_at_once() {
        let mut breaker = Breaker::default();
        breaker.refused(at(0));
        assert_eq!(breaker.admit(at(1)), Err(Closed::Broken(at(15))));
    }

    #[test]
    fn limits_are_kept_but_not_for_ever() {
        let mut breaker = Breaker::default();
        breaker.limited(at(0), at(20));
        assert_eq!(breaker.admit(at(19)), Err(Closed::Limited(at(20))));
        assert_eq!(breaker.admit(at(20)), Ok(()));
        breaker.limited(at(20), at(1_000_000));
        assert_eq!(breaker.admit(at(21)), Err(Closed::Limited(at(20 + 3_600))));
    }
}
