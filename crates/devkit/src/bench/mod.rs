//! `cargo dev bench`: how fast, as ratios to something measured in the same minutes on the same machine. Never a test.
//!
//! What is measured is an optimised build of this program; it is built first and then runs the benchmark, on services that are
//! as durable as in production. Everything is on loopback and ends by itself.

mod api;
mod dispatch;
mod ingest;
mod jobs;
mod load;
mod model;
mod node;
mod payloads;
mod report;
mod run;
mod services;
mod soak;
mod started;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};
use clap::ValueEnum;

use self::{report::Report, services::Services};
use crate::{
    console::{Step, say},
    kube::{self, Holder, KubeError, Lease},
    layout::Layout,
    tools,
};

/// The profile of the program that is measured: production's own.
const PROFILE: &str = "release";

/// However slow the machine is, a benchmark ends.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Bench {
    /// Webhooks into the database.
    Ingest,
    /// Commands into Temporal.
    Dispatch,
    /// Whole runs.
    Run,
    /// Model calls.
    Model,
    /// The staff API, with years of runs stored.
    Api,
    /// The worker's memory over a while. Only by its name.
    Soak,
    /// Jobs, in a cluster where one can be had.
    Jobs,
}

/// Builds the optimised program, starts the services, and has it measure. Returns whether it could.
///
/// # Errors
/// When something it needs is missing or does not start.
pub async fn bench(layout: &Layout, only: Option<Bench>, minutes: u32, json: Option<&Path>) -> anyhow::Result<bool> {
    let tools = tools::platform_tools(&layout.cache)?;
    let materials = tools::test_materials(&layout.cache)?;
    let program = build(layout)?;
    let wants_cluster = only.is_none_or(|only| only == Bench::Jobs);
    let cluster = if wants_cluster { cluster(layout)? } else { None };
    let services = Services::start(layout, &tools).await?;
    let mut command = tokio::process::Command::new(program);
    command.arg("measure").args(only.map(name)).envs(services.environment(&tools, &materials)).kill_on_drop(true);
    command.env(soak::MINUTES, minutes.to_string());
    command.envs(cluster.iter().flat_map(|cluster| cluster.environment.iter().cloned()));
    if let Some(json) = json {
        command.arg("--json").arg(std::path::absolute(json)?);
    }
    let mut measuring = command.spawn().context("run the optimised program")?;
    let soaking = Duration::from_secs(u64::from(minutes) * 60);
    let ended = tokio::time::timeout(LIMIT + soaking, measuring.wait()).await;
    if ended.is_err() {
        measuring.kill().await?;
    }
    services.stop().await;
    if let Some(cluster) = cluster {
        cluster.lease.end()?;
    }
    Ok(ended.context("the benchmark took too long and was ended")??.success())
}

/// A cluster with the images in it.
struct Prepared {
    lease: Lease,
    /// What the measuring program finds in its environment about it.
    environment: Vec<(String, String)>,
}

/// None where none can be had.
fn cluster(layout: &Layout) -> anyhow::Result<Option<Prepared>> {
    match kube::obtain(layout, Holder::this_process()) {
        Ok(lease) => {
            let environment = kube::prepare(layout, &lease.cluster)?;
            Ok(Some(Prepared { lease, environment }))
        }
        Err(KubeError::Unavailable { why }) => {
            say(format_args!("    no cluster: {why}"));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Measures, within the optimised program.
///
/// # Errors
/// When something does not work at all. A target that is missed is none.
pub async fn measure(only: Option<Bench>, json: Option<&Path>) -> anyhow::Result<()> {
    let mut report = Report::default();
    report.note(load_of_the_machine());
    for bench in Bench::value_variants() {
        if only.map_or(*bench == Bench::Soak, |only| only != *bench) {
            continue;
        }
        say(format_args!("\n{}", name(*bench)));
        match bench {
            Bench::Ingest => ingest::run(&mut report).await?,
            Bench::Dispatch => dispatch::run(&mut report).await?,
            Bench::Run => run::run(&mut report).await?,
            Bench::Model => model::run(&mut report).await?,
            Bench::Api => api::run(&mut report).await?,
            Bench::Soak => soak::run(&mut report).await?,
            Bench::Jobs => jobs::run(&mut report).await?,
        }
    }
    if let Some(path) = json {
        report.write(path).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn name(bench: Bench) -> String {
    bench.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Beside the program comes the binary of production, which some benchmarks start.
fn build(layout: &Layout) -> anyhow::Result<PathBuf> {
    let step = Step::announce("build", "the optimised program; the first time takes minutes");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| layout.tree.join("target"), PathBuf::from);
    let built = Command::new("cargo")
        .args(["build", "--quiet", "--profile", PROFILE, "--package", "devkit", "--bin", "dev"])
        .args(["--package", "codex-k8s", "--bin", "codex-k8s"])
        .current_dir(&layout.tree)
        .env("SQLX_OFFLINE", "true")
        .status()
        .context("run cargo")?;
    ensure!(built.success(), "the optimised program can't be built");
    step.done("ready");
    Ok(target.join(PROFILE).join("dev"))
}

/// What else the machine was doing makes the figures what they are.
fn load_of_the_machine() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{cores} cores; load before the start: {}", load.join(" "))
}

fn from_environment(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set: run it through \"cargo dev bench\""))
}

/// Memory of a process, in megabytes.
#[derive(Clone, Copy, Debug)]
struct Memory {
    /// All of it, with what is mapped of its program's file, which others share and the kernel may drop.
    resident: f64,
    /// What is its own.
    own: f64,
}

fn memory(pid: u32) -> Option<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let megabytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kilobytes: u32 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(f64::from(kilobytes) * 1024.0 / 1e6)
    };
    Some(Memory { resident: megabytes("VmRSS")?, own: megabytes("RssAnon")? })
}

/// Resident memory of a process.
fn megabytes(pid: u32) -> Option<f64> {
    memory(pid).map(|memory| memory.resident)
}
