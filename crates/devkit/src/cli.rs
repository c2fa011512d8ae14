//! The commands of `cargo dev`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    console,
    layout::{Layout, LayoutError},
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
    /// Install the pinned tools into the cache, and nothing else.
    Tools,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error(transparent)]
    Tool(#[from] ToolError),
}

/// Parses the arguments, runs the command and tells how it ended.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli.command) {
        Ok(code) => code,
        Err(failure) => {
            console::complain(&failure);
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<ExitCode, Failure> {
    let layout = Layout::find()?;
    match command {
        Command::Tools => {
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
    }
}
