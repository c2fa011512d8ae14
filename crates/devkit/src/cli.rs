//! The commands of `cargo dev`.

use std::{io, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    console,
    layout::{Layout, LayoutError},
    processes::{self, LaunchOrder, WardenOrder},
    testing::{self, Layer, Selection, TestingError},
    tools::{self, ToolError},
};

/// Runs the platform on this machine, and its tests.
#[derive(Debug, Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the tests on real services.
    Test {
        /// One layer only.
        layer: Option<Layer>,
        /// Also the variants that take long.
        #[arg(long)]
        full: bool,
        /// Words for the test programs, such as a name to filter by.
        #[arg(last = true)]
        rest: Vec<String>,
    },
    /// Print the environment that tests need, for `eval "$(cargo dev env)"`; starts their services.
    Env {
        /// Stop those services instead.
        #[arg(long)]
        stop: bool,
    },
    /// Install the pinned tools into the cache, and nothing else.
    Tools,
    #[command(hide = true)]
    Launch(LaunchOrder),
    #[command(hide = true)]
    Warden(WardenOrder),
    #[command(hide = true)]
    KeepTestServices,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error(transparent)]
    Testing(#[from] TestingError),
    #[error("the asynchronous runtime cannot be built")]
    Runtime(#[source] io::Error),
}

/// Parses the arguments, runs the command and tells how it ended.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(failure) => {
            console::complain(&failure);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Launch(order) => {
            console::complain(&processes::launch(&order));
            return Ok(ExitCode::from(127));
        }
        Command::Warden(order) => {
            processes::stand_guard(&order);
            return Ok(ExitCode::SUCCESS);
        }
        _ => {}
    }
    let layout = Layout::find()?;
    match command {
        Command::Test { layer, full, rest } => {
            let selection = Selection { layer, full, rest };
            let passed = block_on(testing::run(&layout, &selection))??;
            Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Env { stop: true } => {
            let stopped = testing::stop_kept(&layout);
            console::say(if stopped { "Test services stopped." } else { "No test services run." });
            Ok(ExitCode::SUCCESS)
        }
        Command::Env { stop: false } => {
            console::keep_output_for_data();
            for (name, value) in testing::export_lines(&layout)? {
                console::data(format_args!("export {name}='{value}'"));
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Tools => install_tools(&layout),
        Command::KeepTestServices => {
            block_on(testing::keep(&layout))??;
            Ok(ExitCode::SUCCESS)
        }
        Command::Launch(_) | Command::Warden(_) => Ok(ExitCode::SUCCESS),
    }
}

/// Everything runs on the main thread: processes are tied to the thread that started them.
fn block_on<F: Future>(work: F) -> Result<F::Output, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    Ok(runtime.block_on(work))
}

fn install_tools(layout: &Layout) -> Result<ExitCode, Failure> {
    let tools = tools::platform_tools(&layout.cache)?;
    let materials = tools::test_materials(&layout.cache)?;
    for (name, path) in [
        ("postgres", &tools.postgres_bin),
        ("temporal", &tools.temporal),
        ("codex", &tools.codex),
        ("openapi", &materials.openapi),
        ("webhooks", &materials.webhook_examples),
    ] {
        console::say(format_args!("  {name:<10} {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}
