//! `docs/metrics.md`, written from the catalogue.

use std::fmt::Write;

use crate::catalogue::{ALL, Kind, Metric, Role, Unit, Values};

const HEAD: &str = "\
# Metrics

Each role shows its metrics in Prometheus's text form at `/metrics`, on a port of its own: `METRICS_BIND`, an address and a port.
Without it there is none; `cargo dev up` sets it for every role and writes the addresses into `.dev/state.json`. `/healthz` and
`/readyz` are there, too. The port has no sign-in: let nobody but the collector reach it.

Counters and histograms count since the process began. Gauges that come from Postgres are read at a scrape, at most every few
seconds, and every worker shows the same ones: take their `max`, not their `sum`. While Postgres does not answer they are left out.

Labels are bounded. No run, issue, login or repository is ever one.

This page is written by `cargo dev check generated --fix` from `crates/telemetry/src/catalogue.rs`.
";

/// The page.
#[must_use]
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n| metric | type | unit | labels | roles | meaning |\n|---|---|---|---|---|---|\n");
    for metric in ALL {
        row(&mut page, metric);
    }
    page.push_str("\n## Labels\n\n| label | of | values |\n|---|---|---|\n");
    for metric in ALL {
        for label in metric.labels {
            let values = match label.values {
                Values::OneOf(list) => list().iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", "),
                Values::AtMost(count, bound) => format!("{bound}; at most {count}"),
            };
            // Writing into a string does not fail.
            let _ = writeln!(page, "| `{}` | `{}` | {values} |", label.name, metric.name);
        }
    }
    page
}

fn row(page: &mut String, metric: &Metric) {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    let unit = match metric.unit {
        Unit::One => "",
        Unit::Seconds => "seconds",
        Unit::Bytes => "bytes",
    };
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{}`", label.name)).collect();
    let roles: Vec<&str> = metric.roles.iter().copied().map(Role::name).collect();
    let (labels, roles) = (labels.join(", "), roles.join(", "));
    let _ = writeln!(page, "| `{}` | {kind} | {unit} | {labels} | {roles} | {} |", metric.name, metric.help);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_metric_and_no_cell_breaks_the_table() {
        let page = page();
        for metric in ALL {
            assert!(page.contains(&format!("| `{}` |", metric.name)), "{}", metric.name);
            assert!(!metric.help.contains('|'));
        }
    }
}
