//! Running cargo's tests with real services around them.

use std::{
    env,
    io::{self, BufRead, BufReader, IsTerminal, Write},
    num::NonZero,
    process::{Command, ExitStatus, Stdio},
    thread,
    time::Instant,
};

use clap::ValueEnum;

use super::{
    Layer, TestServices, TestingError,
    in_cluster::{self, Cluster},
    kept,
    tally::Tally,
};
use crate::{
    console::{say, seconds},
    layout::Layout,
    tools,
};

/// How many tests run beside each other, as the test programs are told.
const THREADS: &str = "RUST_TEST_THREADS";

/// Which tests to run.
#[derive(Debug, Clone)]
pub struct Selection {
    /// One layer; all of them without.
    pub layer: Option<Layer>,
    /// Also what takes long.
    pub full: bool,
    /// Words for the test program, such as a name to filter by.
    pub rest: Vec<String>,
}

/// Runs the selected tests and says what ran. Returns whether all passed.
///
/// # Errors
/// When tools or services are missing, or cargo cannot be run.
pub async fn run(layout: &Layout, selection: &Selection) -> Result<bool, TestingError> {
    let began = Instant::now();
    let tools = tools::platform_tools(&layout.cache)?;
    let materials = tools::test_materials(&layout.cache)?;
    let (environment, services) = match kept::running(layout) {
        Some(environment) => {
            say("  ✓ services       those of `cargo dev env` are used");
            (environment, None)
        }
        None => {
            let services = TestServices::start(layout, &tools).await?;
            (services.environment(&tools, &materials), Some(services))
        }
    };
    // The services' processes are tied to this thread, so the waiting is done on another one.
    let (layout, selection) = (layout.clone(), selection.clone());
    let outcome = tokio::task::spawn_blocking(move || all_layers(&layout, &selection, &environment))
        .await
        .map_err(|error| TestingError::Cargo(io::Error::other(error)))?;
    if let Some(services) = services {
        services.stop().await;
    }
    let good = outcome?;
    say(format_args!("Tests took {}.", seconds(began.elapsed())));
    Ok(good)
}

/// Runs the layers on this machine, then the one in a cluster, and sums up. Returns whether all went well.
fn all_layers(layout: &Layout, selection: &Selection, environment: &[(String, String)]) -> Result<bool, TestingError> {
    let mut tally = Tally::default();
    let mut good = true;
    for call in calls(layout, selection) {
        good &= follow(cargo_test(layout, selection, environment, &call), &mut tally)?.success();
    }
    let mut left_out = None;
    if selection.layer.is_none_or(|layer| layer == Layer::Kubernetes) {
        match in_cluster::prepare(layout)? {
            Cluster::There(cluster) => {
                let environment = [environment, &cluster.environment].concat();
                good &= all_in_cluster(layout, selection, &environment, &mut tally)?;
                cluster.end()?;
            }
            Cluster::Missing { why } => {
                let list = cargo_test(layout, selection, environment, &in_cluster::call(selection));
                left_out = Some(in_cluster::LeftOut { why, tests: in_cluster::names(list)? });
            }
        }
    }
    sum_up(&tally, selection, left_out.as_ref());
    Ok(good)
}

/// Runs the tests in the cluster: beside each other, and then those that none may run beside. Returns whether all passed.
fn all_in_cluster(
    layout: &Layout,
    selection: &Selection,
    environment: &[(String, String)],
    tally: &mut Tally,
) -> Result<bool, TestingError> {
    let call = in_cluster::call(selection);
    let mut together = cargo_test(layout, selection, environment, &call);
    together.args(["--skip", in_cluster::ALONE]);
    let mut good = follow(together, tally)?.success();
    let names = in_cluster::names(cargo_test(layout, selection, environment, &call))?;
    if let Some(rest) = in_cluster::alone(names) {
        let alone = Selection { rest, ..selection.clone() };
        good &= follow(cargo_test(layout, &alone, environment, &call), tally)?.success();
    }
    Ok(good)
}

/// What cargo is asked for before the tests in a cluster.
fn calls(layout: &Layout, selection: &Selection) -> Vec<Vec<String>> {
    match selection.layer {
        Some(Layer::Kubernetes) => Vec::new(),
        Some(layer) => layer.calls(&layout.tree),
        None => vec![vec!["--workspace".to_owned()]],
    }
}

fn cargo_test(layout: &Layout, selection: &Selection, environment: &[(String, String)], call: &[String]) -> Command {
    let mut command = Command::new("cargo");
    command.arg("test").args(call).arg("--no-fail-fast").arg("--");
    if !in_cluster::is_call(call) {
        command.args(["--skip", in_cluster::PREFIX]);
    } else if env::var_os(THREADS).is_none() {
        // They mostly wait for the cluster: one more than there are processors keeps those at work.
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        command.env(THREADS, (processors + 1).to_string());
    }
    command.args(&selection.rest);
    if io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    if selection.full {
        command.env("CODEX_K8S_TEST_FULL", "1");
    }
    command
        .current_dir(&layout.tree)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        // The checked queries are built from the committed data, whatever database is around.
        .env("SQLX_OFFLINE", "true")
        .env_remove("DATABASE_URL")
        .env_remove("OPENAI_API_KEY")
        .env_remove("MODEL_UPSTREAM_URL");
    command
}

/// Passes the output on as it comes, and counts.
fn follow(mut command: Command, tally: &mut Tally) -> Result<ExitStatus, TestingError> {
    tally.begin_call();
    let (reader, writer) = io::pipe().map_err(TestingError::Cargo)?;
    let errors = writer.try_clone().map_err(TestingError::Cargo)?;
    let mut child = command.stdin(Stdio::null()).stdout(writer).stderr(errors).spawn().map_err(TestingError::Cargo)?;
    // It holds the writing ends, and reading would never end.
    drop(command);
    let mut output = BufReader::new(reader);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).map_err(TestingError::Cargo)? > 0 {
        tally.read(&String::from_utf8_lossy(&line));
        let mut out = io::stdout().lock();
        let _ = out.write_all(&line).and_then(|()| out.flush());
        line.clear();
    }
    child.wait().map_err(TestingError::Cargo)
}

fn sum_up(tally: &Tally, selection: &Selection, left_out: Option<&in_cluster::LeftOut>) {
    say("\nLayers:");
    for layer in Layer::value_variants() {
        match tally.layers().get(layer) {
            Some(count) if count.passed + count.failed > 0 => say(format_args!(
                "  {} {:<11} {} passed, {} failed, {} ignored",
                if count.failed == 0 { "✓" } else { "✗" },
                layer.name(),
                count.passed,
                count.failed,
                count.ignored
            )),
            _ => match left_out.filter(|_| *layer == Layer::Kubernetes) {
                Some(left_out) => say(format_args!("  - {:<11} {left_out}", layer.name())),
                None => say(format_args!("  - {:<11} did not run", layer.name())),
            },
        }
    }
    if !selection.full {
        say("Long variants run with `cargo dev test --full`.");
    }
}
