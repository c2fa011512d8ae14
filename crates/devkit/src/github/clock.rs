//! The time the stand-in writes into things.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// The machine's clock plus an offset that a test can move.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    ahead: Arc<AtomicI64>,
}

impl Clock {
    /// The current time in whole seconds, as GitHub writes it.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        (Utc::now() + TimeDelta::seconds(self.ahead.load(Ordering::SeqCst))).trunc_subsecs(0)
    }

    /// Moves the clock forward for good.
    pub fn advance(&self, seconds: u32) {
        self.ahead.fetch_add(i64::from(seconds), Ordering::SeqCst);
    }
}
