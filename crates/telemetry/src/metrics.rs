//! The handles: one method for each thing that happens, so that nobody can make up a label's value.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{
    egress::EgressRefusal,
    job::Usage,
    model::{ModelStop, Usd},
    run::Outcome,
    triggers::{DeliverySource, VerdictKind},
};
use http::{Method, StatusCode};
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};
use store::{Connections, gauges::Work};

use crate::catalogue::{self, DispatchResult, Kind, Metric, Role};

/// Counts and measures of one role.
pub struct Metrics {
    registry: Registry,
    http_requests: IntCounterVec,
    http_duration: HistogramVec,
    deliveries: IntCounterVec,
    dispatch_lag: HistogramVec,
    dispatch_tries: IntCounterVec,
    runs_ended: IntCounterVec,
    runs: GaugeVec,
    queue_length: GaugeVec,
    queue_age: GaugeVec,
    slots: GaugeVec,
    slots_held: GaugeVec,
    outbox_pending: GaugeVec,
    outbox_age: GaugeVec,
    scrape_failures: IntCounterVec,
    activity_duration: HistogramVec,
    activity_failures: IntCounterVec,
    forge_requests: IntCounterVec,
    forge_duration: HistogramVec,
    forge_remaining: GaugeVec,
    egress_judged: IntCounterVec,
    model_calls: IntCounterVec,
    model_tokens: IntCounterVec,
    model_duration: HistogramVec,
    model_first_byte: HistogramVec,
    model_cost: IntCounterVec,
    model_estimated: IntCounterVec,
    model_stopped: IntCounterVec,
    model_failed_tries: IntCounterVec,
    model_wait: HistogramVec,
    model_key_open: GaugeVec,
    db_connections: GaugeVec,
    db_connections_max: GaugeVec,
    db_wait: HistogramVec,
    memory: GaugeVec,
    pools: Mutex<Vec<PoolLook>>,
}

/// Looks at a pool of connections.
pub type PoolLook = Arc<dyn Fn() -> Connections + Send + Sync>;

impl Metrics {
    /// All metrics of a role; those that count nothing in it never show.
    ///
    /// # Errors
    /// When the catalogue contradicts itself.
    pub fn new(role: Role) -> Result<Self, prometheus::Error> {
        let make = Make { registry: Registry::new(), role };
        let build_info = make.gauge(&catalogue::BUILD_INFO)?;
        build_info.with_label_values(&[role.name(), env!("CARGO_PKG_VERSION")]).set(1.0);
        let metrics = Self {
            http_requests: make.counter(&catalogue::HTTP_REQUESTS)?,
            http_duration: make.histogram(&catalogue::HTTP_DURATION)?,
            deliveries: make.counter(&catalogue::DELIVERIES)?,
            dispatch_lag: make.histogram(&catalogue::DISPATCH_LAG)?,
            dispatch_tries: make.counter(&catalogue::DISPATCH_TRIES)?,
            runs_ended: make.counter(&catalogue::RUNS_ENDED)?,
            runs: make.gauge(&catalogue::RUNS)?,
            queue_length: make.gauge(&catalogue::QUEUE_LENGTH)?,
            queue_age: make.gauge(&catalogue::QUEUE_AGE)?,
            slots: make.gauge(&catalogue::SLOTS)?,
            slots_held: make.gauge(&catalogue::SLOTS_HELD)?,
            outbox_pending: make.gauge(&catalogue::OUTBOX_PENDING)?,
            outbox_age: make.gauge(&catalogue::OUTBOX_AGE)?,
            scrape_failures: make.counter(&catalogue::SCRAPE_FAILURES)?,
            activity_duration: make.histogram(&catalogue::ACTIVITY_DURATION)?,
            activity_failures: make.counter(&catalogue::ACTIVITY_FAILURES)?,
            forge_requests: make.counter(&catalogue::FORGE_REQUESTS)?,
            forge_duration: make.histogram(&catalogue::FORGE_DURATION)?,
            forge_remaining: make.gauge(&catalogue::FORGE_REMAINING)?,
            egress_judged: make.counter(&catalogue::EGRESS_JUDGED)?,
            model_calls: make.counter(&catalogue::MODEL_CALLS)?,
            model_tokens: make.counter(&catalogue::MODEL_TOKENS)?,
            model_duration: make.histogram(&catalogue::MODEL_DURATION)?,
            model_first_byte: make.histogram(&catalogue::MODEL_FIRST_BYTE)?,
            model_cost: make.counter(&catalogue::MODEL_COST)?,
            model_estimated: make.counter(&catalogue::MODEL_ESTIMATED)?,
            model_stopped: make.counter(&catalogue::MODEL_STOPPED)?,
            model_failed_tries: make.counter(&catalogue::MODEL_FAILED_TRIES)?,
            model_wait: make.histogram(&catalogue::MODEL_WAIT)?,
            model_key_open: make.gauge(&catalogue::MODEL_KEY_OPEN)?,
            db_connections: make.gauge(&catalogue::DB_CONNECTIONS)?,
            db_connections_max: make.gauge(&catalogue::DB_CONNECTIONS_MAX)?,
            db_wait: make.histogram(&catalogue::DB_WAIT)?,
            memory: make.gauge(&catalogue::MEMORY)?,
            pools: Mutex::default(),
            registry: make.registry,
        };
        metrics.begin_at_nothing();
        Ok(metrics)
    }

    /// What only trouble counts is there from the start: a counter that appears with its first count hides that count from
    /// whoever looks at its growth.
    fn begin_at_nothing(&self) {
        let none: &[&str] = &[];
        self.model_cost.with_label_values(none);
        self.model_estimated.with_label_values(none);
        self.model_wait.with_label_values(none);
        ModelStop::ALL.iter().for_each(|stop| drop(self.model_stopped.with_label_values(&[stop.as_str()])));
        catalogue::FAILED_TRIES.iter().for_each(|reason| drop(self.model_failed_tries.with_label_values(&[reason])));
    }

    /// A request was answered. `route` is the pattern of its address; none: no such address.
    pub fn http_request(&self, route: Option<&str>, method: &Method, status: StatusCode, took: Duration) {
        let route = route.unwrap_or("none");
        self.http_requests.with_label_values(&[route, method_word(method), status_word(Some(status.as_u16()))]).inc();
        self.http_duration.with_label_values(&[route]).observe(took.as_secs_f64());
    }

    /// A delivery has its verdict.
    pub fn delivery(&self, source: DeliverySource, verdict: VerdictKind) {
        self.deliveries.with_label_values(&[source.as_str(), verdict.as_str()]).inc();
    }

    /// A command was tried; `lag` is its age, if Temporal has it now.
    pub fn dispatch(&self, kind: &'static str, result: DispatchResult, lag: Option<Duration>) {
        self.dispatch_tries.with_label_values(&[kind, result.as_str()]).inc();
        if let Some(lag) = lag {
            self.dispatch_lag.with_label_values(&[kind]).observe(lag.as_secs_f64());
        }
    }

    /// An attempt of a run was settled.
    pub fn run_ended(&self, outcome: Outcome) {
        self.runs_ended.with_label_values(&[outcome.as_str()]).inc();
    }

    /// A try of an activity is over; `failure` is the code of its failure.
    pub fn activity(&self, activity: &str, took: Duration, failure: Option<&str>) {
        self.activity_duration.with_label_values(&[activity]).observe(took.as_secs_f64());
        if let Some(code) = failure {
            self.activity_failures.with_label_values(&[activity, code]).inc();
        }
    }

    /// The forge was asked; no status: it did not answer.
    pub fn forge_request(&self, method: &Method, status: Option<u16>, took: Duration) {
        let method = method_word(method);
        self.forge_requests.with_label_values(&[method, status_word(status)]).inc();
        self.forge_duration.with_label_values(&[method]).observe(took.as_secs_f64());
    }

    /// The forge said how many requests a credential has left.
    pub fn forge_remaining(&self, credential: &str, remaining: u32) {
        self.forge_remaining.with_label_values(&[credential]).set(f64::from(remaining));
    }

    /// The egress proxy was told whether a program may go out; none: it may.
    pub fn egress_judged(&self, refusal: Option<EgressRefusal>) {
        let verdict = refusal.map_or(catalogue::ALLOWED, EgressRefusal::as_str);
        self.egress_judged.with_label_values(&[verdict]).inc();
    }

    /// A call to the model API has ended.
    pub fn model_call(&self, seen: &ModelCallSeen) {
        let none: &[&str] = &[];
        self.model_calls.with_label_values(&[status_word(seen.status)]).inc();
        self.model_duration.with_label_values(none).observe(seen.took.as_secs_f64());
        if let Some(took) = seen.first_byte {
            self.model_first_byte.with_label_values(none).observe(took.as_secs_f64());
        }
        self.model_estimated.with_label_values(none).inc_by(u64::from(seen.estimated));
        self.model_cost.with_label_values(none).inc_by(seen.usd.unwrap_or_default().nano() / 1_000);
        for (kind, tokens) in [
            ("input", seen.usage.input_tokens),
            ("cached_input", seen.usage.cached_input_tokens),
            ("output", seen.usage.output_tokens),
            ("reasoning_output", seen.usage.reasoning_output_tokens),
        ] {
            self.model_tokens.with_label_values(&[kind]).inc_by(tokens);
        }
    }

    /// The model gateway ended a call of its own accord.
    pub fn model_stopped(&self, stop: ModelStop) {
        self.model_stopped.with_label_values(&[stop.as_str()]).inc();
    }

    /// A try of a model call failed, for one of [`catalogue::FAILED_TRIES`].
    pub fn model_try_failed(&self, reason: &'static str) {
        self.model_failed_tries.with_label_values(&[reason]).inc();
    }

    /// A model call waited for a provider's rate limit.
    pub fn model_waited(&self, waited: Duration) {
        self.model_wait.with_label_values(&[] as &[&str]).observe(waited.as_secs_f64());
    }

    /// Whether a configured key, named `provider/key`, is left alone.
    pub fn model_key(&self, key: &str, broken: bool) {
        self.model_key_open.with_label_values(&[key]).set(if broken { 1.0 } else { 0.0 });
    }

    /// Somebody waited for a connection to the database.
    pub fn db_wait(&self, waited: Duration) {
        self.db_wait.with_label_values(&[] as &[&str]).observe(waited.as_secs_f64());
    }

    /// From now on each scrape also looks at this pool.
    pub fn watch_pool(&self, look: PoolLook) {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).push(look);
    }

    /// What the database says; none if it could not be read: old numbers would look like new ones.
    pub fn work(&self, work: Option<&Work>) {
        for gauge in self.read_from_database() {
            gauge.reset();
        }
        let Some(work) = work else {
            self.scrape_failures.with_label_values(&[] as &[&str]).inc();
            return;
        };
        self.scrape_failures.with_label_values(&[] as &[&str]);
        for state in catalogue::unfinished() {
            let counted = work.runs.iter().find(|(counted, _)| *counted == state).map_or(0, |(_, count)| *count);
            self.runs.with_label_values(&[state.as_str()]).set(number(counted));
        }
        for project in &work.projects {
            let slug = [project.project.as_str()];
            self.slots.with_label_values(&slug).set(number(project.slots));
            self.slots_held.with_label_values(&slug).set(number(project.held));
            self.queue_length.with_label_values(&slug).set(number(project.waiting));
            self.queue_age.with_label_values(&slug).set(project.oldest.as_secs_f64());
        }
        self.outbox_pending.with_label_values(&[] as &[&str]).set(number(work.outbox_pending));
        self.outbox_age.with_label_values(&[] as &[&str]).set(work.outbox_age.as_secs_f64());
    }

    /// Everything in Prometheus's text form.
    #[must_use]
    pub fn render(&self) -> String {
        let pools: Vec<Connections> =
            self.pools.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|look| look()).collect();
        if !pools.is_empty() {
            let sum = |of: fn(&Connections) -> u32| f64::from(pools.iter().map(of).sum::<u32>());
            self.db_connections.with_label_values(&["idle"]).set(sum(|pool| pool.idle));
            self.db_connections.with_label_values(&["used"]).set(sum(|pool| pool.open.saturating_sub(pool.idle)));
            self.db_connections_max.with_label_values(&[] as &[&str]).set(sum(|pool| pool.max));
        }
        if let Some(bytes) = resident_bytes("self") {
            self.memory.with_label_values(&[] as &[&str]).set(number(bytes));
        }
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_else(|error| {
            tracing::error!(%error, "the metrics can't be written down");
            String::new()
        })
    }

    fn read_from_database(&self) -> [&GaugeVec; 7] {
        [
            &self.runs,
            &self.queue_length,
            &self.queue_age,
            &self.slots,
            &self.slots_held,
            &self.outbox_pending,
            &self.outbox_age,
        ]
    }
}

/// A call to the model API that has ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct ModelCallSeen {
    /// Status of the answer; none: there was none.
    pub status: Option<u16>,
    /// Tokens that were reported.
    pub usage: Usage,
    /// What they cost, if the model has a price.
    pub usd: Option<Usd>,
    /// Whether it ended without telling what it used.
    pub estimated: bool,
    /// How long it took.
    pub took: Duration,
    /// How long until its answer began, if it did.
    pub first_byte: Option<Duration>,
}

/// Makes handles and registers them.
struct Make {
    registry: Registry,
    role: Role,
}

impl Make {
    fn counter(&self, metric: &Metric) -> Result<IntCounterVec, prometheus::Error> {
        let made = IntCounterVec::new(Opts::new(metric.name, metric.help), &labels(metric))?;
        self.register(metric, Box::new(made.clone()))?;
        Ok(made)
    }

    fn gauge(&self, metric: &Metric) -> Result<GaugeVec, prometheus::Error> {
        let made = GaugeVec::new(Opts::new(metric.name, metric.help), &labels(metric))?;
        self.register(metric, Box::new(made.clone()))?;
        Ok(made)
    }

    fn histogram(&self, metric: &Metric) -> Result<HistogramVec, prometheus::Error> {
        let mut options = HistogramOpts::new(metric.name, metric.help);
        if let Kind::Histogram(bounds) = metric.kind {
            options = options.buckets(bounds.to_vec());
        }
        let made = HistogramVec::new(options, &labels(metric))?;
        self.register(metric, Box::new(made.clone()))?;
        Ok(made)
    }

    /// What the role does not have by the catalogue can be counted but never shows.
    fn register(&self, metric: &Metric, made: Box<dyn prometheus::core::Collector>) -> Result<(), prometheus::Error> {
        if metric.roles.contains(&self.role) { self.registry.register(made) } else { Ok(()) }
    }
}

fn labels(metric: &Metric) -> Vec<&'static str> {
    metric.labels.iter().map(|label| label.name).collect()
}

/// Counts are far below 2^52, from where on a float skips numbers.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn number(count: u64) -> f64 {
    count as f64
}

fn method_word(method: &Method) -> &'static str {
    match method.as_str() {
        "DELETE" => "DELETE",
        "GET" => "GET",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        "POST" => "POST",
        "PUT" => "PUT",
        _ => "other",
    }
}

/// 429 stands alone: it is nobody's mistake.
fn status_word(status: Option<u16>) -> &'static str {
    match status {
        Some(429) => "429",
        Some(100..=199) => "1xx",
        Some(200..=299) => "2xx",
        Some(300..=399) => "3xx",
        Some(400..=499) => "4xx",
        Some(500..) => "5xx",
        _ => "none",
    }
}

/// Resident memory of a process, where the system tells.
#[must_use]
pub fn resident_bytes(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use store::gauges::ProjectWork;

    use super::*;

    #[test]
    fn old_numbers_are_not_shown_when_the_database_is_away() {
        let metrics = Metrics::new(Role::Worker).unwrap();
        let project =
            ProjectWork { project: "demo".into(), slots: 3, held: 1, waiting: 2, oldest: Duration::from_secs(9) };
        metrics.work(Some(&Work { projects: vec![project], outbox_pending: 4, ..Work::default() }));
        let shown = metrics.render();
        for line in [
            "codexk8s_slots{project=\"demo\"} 3",
            "codexk8s_slot_queue_oldest_age_seconds{project=\"demo\"} 9",
            "codexk8s_outbox_pending 4",
            "codexk8s_runs{state=\"working\"} 0",
            "codexk8s_scrape_failures_total 0",
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line} is not in {shown}");
        }
        metrics.work(None);
        let shown = metrics.render();
        assert!(!shown.contains("codexk8s_slots{") && !shown.contains("codexk8s_outbox_pending "), "{shown}");
        assert!(shown.contains("codexk8s_scrape_failures_total 1\n"), "{shown}");
    }

    #[test]
    fn what_a_role_does_not_have_does_not_show() {
        let metrics = Metrics::new(Role::ModelGateway).unwrap();
        metrics.activity("settle", Duration::ZERO, Some("passing"));
        let usage = Usage { input_tokens: 5, ..Usage::default() };
        metrics.model_call(&ModelCallSeen { status: Some(429), usage, ..ModelCallSeen::default() });
        metrics.model_key("openai/main", true);
        let shown = metrics.render();
        assert!(!shown.contains("activity"), "{shown}");
        assert!(shown.contains("codexk8s_model_calls_total{status=\"429\"} 1"), "{shown}");
        assert!(shown.contains("codexk8s_model_tokens_total{kind=\"input\"} 5"), "{shown}");
        assert!(shown.contains("codexk8s_model_calls_stopped_total{reason=\"budget\"} 0"), "{shown}");
        assert!(shown.contains("codexk8s_model_key_broken{key=\"openai/main\"} 1"), "{shown}");
        assert!(shown.contains("codexk8s_build_info{role=\"model-gateway\",version="), "{shown}");
    }

    #[test]
    fn strange_methods_and_statuses_have_words_too() {
        assert_eq!(method_word(&Method::from_bytes(b"BREW").unwrap()), "other");
        for (status, word) in
            [(None, "none"), (Some(99), "none"), (Some(204), "2xx"), (Some(499), "4xx"), (Some(999), "5xx")]
        {
            assert_eq!(status_word(status), word);
        }
        assert!(resident_bytes("self").is_some_and(|bytes| bytes > 100_000));
    }
}
