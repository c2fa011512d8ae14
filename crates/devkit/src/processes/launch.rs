//! The last step before a program of ours becomes itself.
//!
//! `dev launch` runs in the new process. It gives up root where asked to, ties its life to its
//! parent's, and then replaces itself with the program. Doing this here instead of between fork
//! and exec needs no unsafe code.

use std::{ffi::OsString, os::unix::process::CommandExt, process::Command};

use nix::{
    sys::{prctl, signal::Signal},
    unistd::{Gid, Pid, Uid, getppid, setgid, setgroups, setuid},
};

use super::Owner;

/// What `dev launch` is told.
#[derive(Debug, clap::Args)]
pub struct LaunchOrder {
    /// The process whose death ends the program.
    #[arg(long)]
    pub parent: i32,
    /// The signal that the parent's death sends.
    #[arg(long)]
    pub death_signal: String,
    /// The user to become.
    #[arg(long, requires = "gid")]
    pub uid: Option<u32>,
    /// The group to become.
    #[arg(long, requires = "uid")]
    pub gid: Option<u32>,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    pub program: Vec<OsString>,
}

impl LaunchOrder {
    pub(super) fn arguments(parent: Pid, signal: Signal, owner: Option<Owner>) -> Vec<String> {
        let mut arguments = vec!["launch".to_owned(), format!("--parent={parent}"), format!("--death-signal={signal}")];
        if let Some(owner) = owner {
            arguments.push(format!("--uid={}", owner.uid));
            arguments.push(format!("--gid={}", owner.gid));
        }
        arguments.push("--".to_owned());
        arguments
    }
}

/// Why a program did not come to life.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The order is not understood.
    #[error("no such signal: {name}")]
    Signal {
        /// What was asked for.
        name: String,
    },
    /// The system refused a preparation.
    #[error("cannot {action}")]
    Prepare {
        /// Which one.
        action: &'static str,
        /// What the system said.
        source: nix::Error,
    },
    /// The parent is gone already.
    #[error("the process that started this one has ended")]
    Orphan,
    /// The program cannot be run.
    #[error("cannot run {program}", program = program.display())]
    Run {
        /// Which one.
        program: OsString,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Becomes the ordered program. Returns only when that failed.
pub fn launch(order: &LaunchOrder) -> LaunchError {
    match prepare(order) {
        Ok(()) => become_program(&order.program),
        Err(error) => error,
    }
}

fn prepare(order: &LaunchOrder) -> Result<(), LaunchError> {
    let refused = |action| move |source| LaunchError::Prepare { action, source };
    let signal: Signal =
        order.death_signal.parse().map_err(|_| LaunchError::Signal { name: order.death_signal.clone() })?;
    if let (Some(uid), Some(gid)) = (order.uid, order.gid) {
        setgroups(&[]).map_err(refused("leave the groups of root"))?;
        setgid(Gid::from_raw(gid)).map_err(refused("change the group"))?;
        setuid(Uid::from_raw(uid)).map_err(refused("change the user"))?;
    }
    // After the change of user, which would clear it.
    prctl::set_pdeathsig(signal).map_err(refused("follow the parent"))?;
    if getppid() != Pid::from_raw(order.parent) {
        return Err(LaunchError::Orphan);
    }
    Ok(())
}

fn become_program(line: &[OsString]) -> LaunchError {
    let Some((program, arguments)) = line.split_first() else {
        return LaunchError::Orphan;
    };
    LaunchError::Run { program: program.clone(), source: Command::new(program).args(arguments).exec() }
}
