//! `cargo dev check`: everything about the tree that is not a test.

mod cargo;
mod generated;
mod manifests;
mod queries;
mod ui;
mod workflows;

use std::{io, path::Path, process::Command};

use clap::ValueEnum;

pub(crate) use generated::sorted;

use crate::{
    console::{Step, say},
    file_error::FileError,
    layout::Layout,
    manifests::ManifestError,
    staff_console::StaffConsoleError,
    testing::TestingError,
    tools::ToolError,
};

/// One thing to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Check {
    /// The form of the code.
    Fmt,
    /// The compiler's and clippy's warnings, each of them an error.
    Clippy,
    /// Banned crates, licences and sources of dependencies.
    Deny,
    /// The stored shapes of the checked queries.
    Queries,
    /// Files that are written by programs of this tree.
    Generated,
    /// The workflow files.
    Workflows,
    /// The manifests and Dockerfiles.
    Manifests,
    /// The console: form, types, unit tests, weight.
    Ui,
}

/// What to check, and how.
#[derive(Debug, Clone, Copy)]
pub struct Orders {
    /// One check; all of them without.
    pub only: Option<Check>,
    /// Put right what a program can put right.
    pub fix: bool,
    /// Also known weaknesses of dependencies, which needs the advisory database from the network.
    pub advisories: bool,
    /// What a release needs, too: nothing in the manifests may be unresolved.
    pub release: bool,
}

/// Runs the checks, all of them even when one fails. Returns whether all are good.
///
/// # Errors
/// When a check cannot be made at all.
pub async fn check(layout: &Layout, orders: Orders) -> Result<bool, CheckError> {
    let mut bad = Vec::new();
    for check in Check::value_variants() {
        if orders.only.is_some_and(|only| only != *check) {
            continue;
        }
        let name = check.name();
        let step = Step::announce(&name, check.about());
        match check.run(layout, orders).await {
            Ok(()) => step.done("good"),
            Err(CheckError::Bad { remedy }) => {
                step.failed(format_args!("bad; {remedy}"));
                bad.push(name);
            }
            Err(other) => {
                step.failed("could not be made");
                return Err(other);
            }
        }
    }
    if bad.is_empty() {
        say("All checks are good.");
    } else {
        say(format_args!("Bad: {}.", bad.join(", ")));
    }
    Ok(bad.is_empty())
}

impl Check {
    async fn run(self, layout: &Layout, orders: Orders) -> Result<(), CheckError> {
        match self {
            Self::Fmt => cargo::fmt(layout, orders.fix),
            Self::Clippy => cargo::clippy(layout),
            Self::Deny => cargo::deny(layout, orders.advisories),
            Self::Queries => queries::queries(layout, orders.fix).await,
            Self::Generated => generated::generated(layout, orders.fix),
            Self::Workflows => workflows::workflows(layout),
            Self::Manifests => manifests::manifests(layout, orders.release),
            Self::Ui => ui::ui(layout, orders.fix),
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn about(self) -> &'static str {
        match self {
            Self::Fmt => "the form of the code",
            Self::Clippy => "warnings of the compiler and of clippy",
            Self::Deny => "crates, licences and sources of dependencies",
            Self::Queries => "stored shapes of the checked queries",
            Self::Generated => "files that programs write",
            Self::Workflows => "workflow files",
            Self::Manifests => "manifests and Dockerfiles",
            Self::Ui => "the console's form, types, unit tests and weight",
        }
    }
}

/// Why a check is not good.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It found something; the lines above say what.
    #[error("{remedy}")]
    Bad {
        /// What to do about it.
        remedy: &'static str,
    },
    /// A tool is missing.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The manifests could not be looked at.
    #[error(transparent)]
    Manifests(#[from] ManifestError),
    /// The console's packages or source can't be had.
    #[error(transparent)]
    StaffConsole(#[from] StaffConsoleError),
    /// The database for the queries did not come up.
    #[error(transparent)]
    Testing(#[from] TestingError),
    /// The schema could not be applied to a fresh database.
    #[error("the migrations do not apply to an empty database")]
    Schema(#[from] store::StoreError),
    /// A program could not be run.
    #[error("{program} could not be run")]
    Run {
        /// Which one.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be used.
    #[error(transparent)]
    Files(#[from] FileError),
}

/// Runs a program in the tree, its output shown as it comes; its failure is answered with `remedy`.
fn demand(layout: &Layout, command: &mut Command, remedy: &'static str) -> Result<(), CheckError> {
    demand_in(&layout.tree, command, remedy)
}

/// The same in a folder.
fn demand_in(folder: &Path, command: &mut Command, remedy: &'static str) -> Result<(), CheckError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.current_dir(folder).status().map_err(|source| CheckError::Run { program, source })?;
    if status.success() { Ok(()) } else { Err(CheckError::Bad { remedy }) }
}
