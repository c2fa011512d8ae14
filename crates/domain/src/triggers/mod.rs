//! From an event to a decision: which label, command or push starts, cancels or refreshes what.
//!
//! [`decide`] is pure. Ingest looks the [`Facts`] up, decides, and stores verdict and effect in one transaction; if the
//! transaction meets a run that came in between, it looks up and decides again.

mod business_key;
mod cancel;
mod decide;
mod facts;
mod reason;
mod retry;
mod revise;
mod source;
mod start;
mod storm_guard;
mod verdict;

pub use self::{
    business_key::BusinessKey,
    decide::decide,
    facts::{Facts, KeptWork, KnownRepository, KnownRun, OwnPull, Parent},
    source::DeliverySource,
    start::Starters,
    verdict::{
        CancelMark, CancelRequest, CancelRun, EarlierWork, Effect, EffectKind, NewRun, RetryRun, Trigger, TriggerKind,
        Verdict, VerdictKind,
    },
};
