//! Every metric there is: the one place. The handles are made from it, and so is `docs/metrics.md`.
//!
//! A label's values are bounded: by a list in the code, or by what an operator has configured. Nothing that grows with use
//! (runs, issues, logins, repositories) is ever a label.

use domain::{
    egress::EgressRefusal,
    model::ModelStop,
    run::{Outcome, RunState},
    triggers::{DeliverySource, VerdictKind},
};

pub use crate::dispatch_result::DispatchResult;

/// Roles that have metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Webhooks and the runner endpoint.
    Gateway,
    /// Workflows and activities.
    Worker,
    /// Between Jobs and the model API.
    ModelGateway,
}

impl Role {
    /// Its name, as on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Worker => "worker",
            Self::ModelGateway => "model-gateway",
        }
    }
}

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows, while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Sorts what it sees into buckets with these upper bounds.
    Histogram(&'static [f64]),
}

/// In what a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Pieces.
    One,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// What the values of a label can be.
#[derive(Clone, Copy)]
pub enum Values {
    /// Exactly these.
    OneOf(fn() -> Vec<&'static str>),
    /// So many at most, and what sees to it.
    AtMost(usize, &'static str),
}

/// A label.
#[derive(Clone, Copy)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub values: Values,
}

/// A metric.
#[derive(Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// In what it counts.
    pub unit: Unit,
    /// Its labels, in the order in which they are given.
    pub labels: &'static [Label],
    /// Who has it.
    pub roles: &'static [Role],
    /// What it means.
    pub help: &'static str,
}

/// Answers and small waits: a millisecond to 10 s.
const QUICK: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Work: 10 ms to an hour.
const WORK: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];

const EVERY_ROLE: &[Role] = &[Role::Gateway, Role::Worker, Role::ModelGateway];
const HTTP_ROLES: &[Role] = &[Role::Gateway, Role::ModelGateway];
const DISPATCHING: &[Role] = &[Role::Gateway, Role::Worker];
const WORKER: &[Role] = &[Role::Worker];
const MODELS: &[Role] = &[Role::ModelGateway];

/// Why a try of a model call failed.
pub const FAILED_TRIES: &[&str] = &["rate_limited", "key_refused", "server_error", "refused", "unreachable"];

const STATUS: Label =
    Label { name: "status", values: Values::OneOf(|| vec!["1xx", "2xx", "3xx", "4xx", "429", "5xx", "none"]) };
const METHOD: Label = Label {
    name: "method",
    values: Values::OneOf(|| vec!["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "other"]),
};
const ROUTE: Label = Label {
    name: "route",
    values: Values::AtMost(100, "the addresses that the role knows, as patterns; `none` for all others"),
};
const COMMAND: Label = Label { name: "kind", values: Values::OneOf(|| vec!["start", "signal", "cancel"]) };
const ACTIVITY: Label =
    Label { name: "activity", values: Values::AtMost(60, "the activities that the worker registers") };
const PROJECT: Label = Label { name: "project", values: Values::AtMost(1000, "the configured projects, by slug") };

/// Requests answered.
pub const HTTP_REQUESTS: Metric = Metric {
    name: "codexk8s_http_requests_total",
    kind: Kind::Counter,
    unit: Unit::One,
    labels: &[ROUTE, METHOD, STATUS],
    roles: HTTP_ROLES,
    help: "Requests answered, by address and class of status.",
};

/// Time until a request was answered.
pub const HTTP_DURATION: Metric = Metric {
    name: "codexk8s_http_request_duration_seconds",
    kind: Kind::Histogram(QUICK),
    unit: Unit::Seconds,
    labels: &[ROUTE],
    roles: HTTP_ROLES,
    help: "Time from a request to the head of its answer.",
};

/// Deliveries judged.
pub const DELIVERIES: Metric = Metric {
    name: "codexk8s_deliveries_total",
    kind: Kind::Counter,
    unit: Unit::One,
    labels: &[
        Label { name: "source", values: Values::OneOf(|| DeliverySource::ALL.iter().map(|s| s.as_str()).collect()) },
        Label {
            name: "verdict",
            values: Values::OneOf(|| VerdictKind::ALL.iter().map(|kind| kind.as_str()).collect()),
        },
    ],
    roles: DISPATCHING,
    help: "Deliveries of the forge that were stored or known, by the way they came and by the verdict in the ledger.",
};

/// From the outbox to the engine.
pub const DISPATCH_LAG: Metric = Metric {
    name: "codexk8s_dispatch_lag_seconds",
    kind: Kind::Histogram(WORK),
    unit: Unit::Seconds,
    labels: &[COMMAND],
    roles: DISPATCHING,
    help: "Time from a command's being stored in the outbox to Temporal's having taken it.",
};

/// Tries to deliver.
pub const DISPATCH_TRIES: Metric = Metric {
    name: "codexk8s_dispatch_tries_total",
    kind: Kind::Counter,
    unit: Unit::One,
    labels: &[
        COMMAND,
        Label { name: "result", values: Values::OneOf(|| DispatchResult::ALL.iter().map(|r| r.as_str()).collect()) },
    ],
    roles: DISPATCHING,
    help: "Tries to deliver a command to Temporal, by what came of them.",
};

/// How long activities take.
pub const ACTIVITY_DURATION: Metric = Metric {
    name: "codexk8s_activity_duration_seconds",
    kind: Kind::Histogram(WORK),
    unit: Unit::Seconds,
    labels: &[ACTIVITY],
    roles: WORKER,
    help: "Time that one try of an activity took, however it ended.",
};

/// Activities that failed.
pub const ACTIVITY_FAILURES: Metric = Metric {
    name: "codexk8s_activity_failures_total",
    kind: Kind::Counter,
    unit: Unit::One,
    labels: &[
        ACTIVITY,
        Label {
            name: "code",
            values: Values::AtMost(
                100,
                "the codes of failures in the code: `passing` and `not_before` are repeated, `cancelled` was wanted, \
                 all others are final",
            ),
        },
    ],
    roles: WORKER,
    help: "Tries of an activity that failed, by the class of the failure.",
};

/// Runs that ended.
pub const RUNS_ENDED: Metric = Metric {
    name: "codexk8s_runs_ended_total",
    kind: Kind::Counter,
    unit: Unit::One,
    labels: &[Label { name: "outcome", values: Values::OneOf(|| Outcome::ALL.iter().map(|o| o.as_str()).collect()) }],
    roles: DISPATCHING,
    help: "Attempts of runs that this process settled, by outcome.",
};

/// Runs under way.
pub const RUNS: Metric = Metric {
    name: "codexk8s_runs",
    kind: Kind::Gauge,
    unit: Unit::One,
    labels: &[Label { name: "state", values: Values::OneOf(|| unfinished().map(RunState::as_str).collect()) }],
    roles: WORKER,
    help: "Runs in the database that are not finished, by state.",
};

/// Slots there are.
pub const SLOTS: Metric = Metric {
    name: "codexk8s_slots",
    kind: Kind::Gauge,
    unit: Unit::One,
    labels: &[PROJECT],
    roles: WORKER,
    help: "Slots of a project: how many of its runs may work at a time.",
};

/// Slots in use.
pub const SLOTS_HELD: Metric = Metric {
    name: "codexk8s_slots_held",
    kind: Kind::Gauge,
    unit: Unit::One,
    labels: &[PROJECT],
    roles: WORKER,
    help: "Slots of a project that are held.",
};

/// Runs that wait for a slot.
pub const QUEUE_LENGTH: Metric = Metric {
    name: "codexk8s_slot_queue_length",
    kind: Kind::Gauge,
    unit: Unit::One,
    labels: &[PROJECT],
    roles: WORKER,
    help: "Runs of a project that wait for a slot.",
};

/// The longest wait for a slot.
pub const QUEUE_AGE: Metric = Metric {
    name: "codexk8s_slot_queue_oldest_age_seconds",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &[PROJECT],
    roles: WORKER,
    help: "How long the first in the queue has waited for a slot; 0 without a queue.",
};

/// Commands to be delivered.
pub const OUTBOX_PENDING: Metric = Metric {
    name: "codexk8s_outbox_pending",
    kind: Kind::Gauge,
    unit: Unit::One,
    labels: &[],
    roles: WORKER,
    help: "Commands in the outbox that Temporal does not have yet.",
};

/// The oldest of them.
pub const OUTBOX_AGE: Metric = Metric {
    name: "codexk8s_outbox_oldest_age_seconds",
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &[],
    roles: WORKER,
    help: "How long the oldest command in the outbox has waited; 0 if there is none.",
};

/// Looks at the database that failed.
pub const SCRAPE_FAILURES: Metric = Metric {
    name: "codexk8s_scrape_failures_total",
    kind: Kind::Counter,
    unit: Unit::One,
    labels: &[],
    roles: WORKER,
    help: "Scrapes for which the database could not be read; the gauges from it are then left out.",
};

/// Requests to the forge.
pub const FORGE_REQUESTS: Metric = Metric {
    name: "codexk8s_forge_requests_total",
    kind: Kind::Counter,
    unit: Unit::One,
    labels: &[METHOD, STATUS],
    roles: WORKER,
    help: "Requests to GitHub's REST API, by class of status; `none` if no answer came.",
};

/// How long the forge takes.
pub const FORGE_DURATION: Metric = Metric {
    name: "codexk8s_forge_request_duration_seconds",
    kind: Kind::Histogram(QUICK),
    unit: Unit::Seconds,
    labels: &[METHOD],
    roles: WORKER,
    help: "Time that a request to GitHub's REST API took.",
};

/// What is left of the forge's budget.
pub const FORGE_REMAINING: Metric = Metric {
    name: "codexk8s_forge_rate_limit_remaining",
    kind: Kind::Gauge,
    unit: Unit::One,
    labels: &[Label {
        name: "credential",
        values: Values::AtMost(1000, "the stored credentials, by the id of their row"),
    }],
    roles: WORKER,
    help: "Requests that GitHub still allows a credential within its hour, as its last answer said.",
};

/// Questions of the egress proxy.
pub const EGRESS_JUDGED: Metric = Metric {
    name: "codexk8s_egress_requests_total",
    kind: Kind::Counter,
    unit: Unit::One,
    labels: &[Label {
        name: "verdict",
        values: Values::OneOf(|| [ALLOWED].into_iter().chain(EgressRefusal::ALL.iter().map(|r| r.as_str())).collect()),
    }],
    roles: &[Role::Gateway],
    help: "Hosts that programs of Jobs wanted to reach, by whether they were let out or why not. The proxy remembers answers for some \
           seconds.",
};

/// The verdict of who is let out.
pub(crate) const ALLOWED: &str = "allowed";

/// Model calls.
pub const MODEL_CALLS: Metric = Metric {
    name: "codexk8s_model_calls_total",
    kind: Kind::Counter,
    unit: Unit::One,
    labels: &[STATUS],
    roles: &[Role::ModelGateway],
    help: "Calls to the model API that have ended, by class of status; `none` if no answer came.",
};

/// Tokens used.
pub const MODEL_TOKENS: Metric = Metric {
    name: "codexk8s_model_tokens_total",
    kind: Kind::Counter,
    unit: Unit::One,
    labels: &[Label {
        name: "kind",
        values: Values::OneOf(|| vec!["input", "cached_input", "output", "reasoning_output"]),
    }],
    roles: &[Role::ModelGateway],
    help: "Tokens that the model API reported. Cached input is part of input, reasoning is part of output.",
};

/// How long model calls take.
pub const MODEL_DURATION: Metric = Metric {
    name: "codexk8s_model_call_duration_seconds",
    kind: Kind::Histogram(WORK),
    unit: Unit::Seconds,
    labels: &[],
    roles: &[Role::ModelGateway],
    help: "Time from a model call to the end of its answer.",
};

/// Time until an answer begins.
pub const MODEL_FIRST_BYTE: Metric = Metric {
    name: "codexk8s_model_first_byte_seconds",
    kind: Kind::Histogram(WORK),
    unit: Unit::Seconds,
    labels: &[],
    roles: MODELS,
    help: "Time from a model call to the first byte of its answer, waits and further tries included.",
};

/// What calls cost.
pub const MODEL_COST: Metric = Metric {
    name: "codexk8s_model_cost_micro_usd_total",
    kind: Kind::Counter,
    unit: Unit::One,
    labels: &[],
    roles: MODELS,
    help: "Cost of model calls in millionths of a US dollar, rounded down for each; only of models with a price, and without estimates.",
};

/// Calls that told nothing.
pub const MODEL_ESTIMATED: Metric = Metric {
    name: "codexk8s_model_calls_estimated_total",
    kind: Kind::Counter,
    unit: Unit::One,
    labels: &[],
    roles: MODELS,
    help: "Model calls that ended without telling what they used, and were booked with what they had reserved.",
};

/// Calls that we ended.
pub const MODEL_STOPPED: Metric = Metric {
    name: "codexk8s_model_calls_stopped_total",
    kind: Kind::Counter,
    unit: Unit::One,
    labels: &[Label { name: "reason", values: Values::OneOf(stops) }],
    roles: MODELS,
    help: "Model calls that the model gateway did not make, or whose answer the budget ended (`output_cut`), by reason.",
};

/// Tries that failed.
pub const MODEL_FAILED_TRIES: Metric = Metric {
    name: "codexk8s_model_failed_tries_total",
    kind: Kind::Counter,
    unit: Unit::One,
    labels: &[Label { name: "reason", values: Values::OneOf(|| FAILED_TRIES.to_vec()) }],
    roles: MODELS,
    help: "Times a provider did not answer a model call with success, by reason; most are followed by another try.",
};

/// Waits for limits.
pub const MODEL_WAIT: Metric = Metric {
    name: "codexk8s_model_rate_limit_wait_seconds",
    kind: Kind::Histogram(WORK),
    unit: Unit::Seconds,
    labels: &[],
    roles: MODELS,
    help: "How long model calls waited for the providers' rate limits.",
};

/// Keys that are left alone.
pub const MODEL_KEY_OPEN: Metric = Metric {
    name: "codexk8s_model_key_broken",
    kind: Kind::Gauge,
    unit: Unit::One,
    labels: &[Label { name: "key", values: Values::AtMost(200, "the configured keys, as provider/key") }],
    roles: MODELS,
    help: "1 while a key is left alone because it failed too often in a row or was refused, else 0.",
};

/// Connections to the database.
pub const DB_CONNECTIONS: Metric = Metric {
    name: "codexk8s_db_pool_connections",
    kind: Kind::Gauge,
    unit: Unit::One,
    labels: &[Label { name: "state", values: Values::OneOf(|| vec!["idle", "used"]) }],
    roles: EVERY_ROLE,
    help: "Open connections to Postgres.",
};

/// Connections there may be.
pub const DB_CONNECTIONS_MAX: Metric = Metric {
    name: "codexk8s_db_pool_connections_max",
    kind: Kind::Gauge,
    unit: Unit::One,
    labels: &[],
    roles: EVERY_ROLE,
    help: "Connections to Postgres that the role opens at most.",
};

/// Waits for a connection.
pub const DB_WAIT: Metric = Metric {
    name: "codexk8s_db_pool_wait_seconds",
    kind: Kind::Histogram(QUICK),
    unit: Unit::Seconds,
    labels: &[],
    roles: EVERY_ROLE,
    help: "Time until a connection from the pool was ready for statements; for transactions with their BEGIN.",
};

/// Memory of the process.
pub const MEMORY: Metric = Metric {
    name: "process_resident_memory_bytes",
    kind: Kind::Gauge,
    unit: Unit::Bytes,
    labels: &[],
    roles: EVERY_ROLE,
    help: "Resident memory of the process.",
};

/// What runs.
pub const BUILD_INFO: Metric = Metric {
    name: "codexk8s_build_info",
    kind: Kind::Gauge,
    unit: Unit::One,
    labels: &[
        Label { name: "role", values: Values::OneOf(|| EVERY_ROLE.iter().map(|role| role.name()).collect()) },
        Label { name: "version", values: Values::AtMost(1, "the version of the program") },
    ],
    roles: EVERY_ROLE,
    help: "Always 1; its labels say what runs.",
};

/// All of them.
pub const ALL: &[&Metric] = &[
    &HTTP_REQUESTS,
    &HTTP_DURATION,
    &DELIVERIES,
    &DISPATCH_LAG,
    &DISPATCH_TRIES,
    &RUNS_ENDED,
    &RUNS,
    &QUEUE_LENGTH,
    &QUEUE_AGE,
    &SLOTS,
    &SLOTS_HELD,
    &OUTBOX_PENDING,
    &OUTBOX_AGE,
    &SCRAPE_FAILURES,
    &ACTIVITY_DURATION,
    &ACTIVITY_FAILURES,
    &FORGE_REQUESTS,
    &FORGE_DURATION,
    &FORGE_REMAINING,
    &EGRESS_JUDGED,
    &MODEL_CALLS,
    &MODEL_TOKENS,
    &MODEL_DURATION,
    &MODEL_FIRST_BYTE,
    &MODEL_COST,
    &MODEL_ESTIMATED,
    &MODEL_STOPPED,
    &MODEL_FAILED_TRIES,
    &MODEL_WAIT,
    &MODEL_KEY_OPEN,
    &DB_CONNECTIONS,
    &DB_CONNECTIONS_MAX,
    &DB_WAIT,
    &MEMORY,
    &BUILD_INFO,
];

fn stops() -> Vec<&'static str> {
    ModelStop::ALL.iter().map(|stop| stop.as_str()).collect()
}

/// States of a run that is not finished.
pub(crate) fn unfinished() -> impl Iterator<Item = RunState> {
    RunState::ALL.iter().copied().filter(|state| *state != RunState::Finished)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let mut names = HashSet::new();
        for metric in ALL {
            let name = metric.name;
            assert!(names.insert(name), "{name} is there twice");
            assert!(name.starts_with("codexk8s_") || name.starts_with("process_"), "{name}");
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
                "{name}"
            );
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
            let base = name.trim_end_matches("_total");
            assert_eq!(base.ends_with("_seconds"), metric.unit == Unit::Seconds, "{name}");
            assert_eq!(base.ends_with("_bytes"), metric.unit == Unit::Bytes, "{name}");
            assert!(metric.help.ends_with('.') && !metric.roles.is_empty(), "{name}");
        }
    }

    #[test]
    fn buckets_grow() {
        for metric in ALL {
            if let Kind::Histogram(bounds) = metric.kind {
                assert!(bounds.is_sorted() && bounds.len() < 20, "{}", metric.name);
            }
        }
    }
}
