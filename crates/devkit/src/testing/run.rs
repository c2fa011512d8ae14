//! Running cargo's tests with real services around them.

use std::{
    io::{self, BufRead, BufReader, IsTerminal, Write},
    process::{Command, ExitStatus, Stdio},
    time::Instant,
};

use clap::ValueEnum;

use super::{Layer, TestServices, TestingError, kept, tally::Tally};
use crate::{
    console::{say, seconds},
    layout::Layout,
    tools,
};

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
    let commands = cargo_tests(layout, selection, &environment);
    // The services' processes are tied to this thread, so the waiting is done on another one.
    let outcome = tokio::task::spawn_blocking(move || follow_all(commands))
        .await
        .map_err(|error| TestingError::Cargo(io::Error::other(error)))?;
    if let Some(services) = services {
        services.stop().await;
    }
    let (good, tally) = outcome?;
    sum_up(&tally, selection);
    say(format_args!("Tests took {}.", seconds(began.elapsed())));
    Ok(good)
}

fn cargo_tests(layout: &Layout, selection: &Selection, environment: &[(String, String)]) -> Vec<Command> {
    let calls = match selection.layer {
        Some(layer) => layer.calls(&layout.tree),
        None => vec![vec!["--workspace".to_owned()]],
    };
    calls.into_iter().map(|call| cargo_test(layout, selection, environment, &call)).collect()
}

fn cargo_test(layout: &Layout, selection: &Selection, environment: &[(String, String)], call: &[String]) -> Command {
    let mut command = Command::new("cargo");
    command.arg("test").args(call).arg("--no-fail-fast");
    if !selection.rest.is_empty() {
        command.arg("--").args(&selection.rest);
    }
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

/// Runs cargo as often as it takes. Returns whether all of it went well.
fn follow_all(commands: Vec<Command>) -> Result<(bool, Tally), TestingError> {
    let mut tally = Tally::default();
    let mut good = true;
    for command in commands {
        good &= follow(command, &mut tally)?.success();
    }
    Ok((good, tally))
}

/// Passes the output on as it comes, and counts.
fn follow(mut command: Command, tally: &mut Tally) -> Result<ExitStatus, TestingError> {
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

fn sum_up(tally: &Tally, selection: &Selection) {
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
            _ => say(format_args!("  - {:<11} did not run", layer.name())),
        }
    }
    if !selection.full {
        say("Long variants run with `cargo dev test --full`.");
    }
}
