//! A program to run, and one that runs.

use std::{
    ffi::OsString,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::{Pid, getpid},
};
use tokio::{process, time};

use super::{LaunchOrder, MARKER, Owner};

/// This program itself, even when its file was replaced by a new build meanwhile.
const OURSELVES: &str = "/proc/self/exe";

/// How a program is run: always in a process group of its own, with a clean environment.
#[derive(Debug, Clone)]
pub struct Program {
    /// What people call it.
    pub name: String,
    /// The file and its arguments; `None` as file is this program itself.
    pub file: Option<PathBuf>,
    /// The arguments.
    pub arguments: Vec<OsString>,
    /// The environment, on top of the few variables that every program gets.
    pub environment: Vec<(String, OsString)>,
    /// Where its output goes, appended.
    pub log: PathBuf,
    /// Where it runs.
    pub folder: PathBuf,
    /// The user it runs as, if not ours.
    pub owner: Option<Owner>,
    /// The signal that asks it to end.
    pub stop_signal: Signal,
    /// The mark by which everything it starts is found again.
    pub marker: String,
}

/// Variables of the caller that programs may see. Keys and tokens are not among them.
const PASSED_ON: &[&str] = &["PATH", "HOME", "LANG", "TZ", "TMPDIR", "RUST_LOG", "RUST_BACKTRACE"];

impl Program {
    /// Starts it. It ends when this process ends, however that comes about.
    ///
    /// Must be called on the main thread: the system ties the new process to the calling thread.
    ///
    /// # Errors
    /// When the log cannot be opened or the process cannot be made.
    pub fn spawn(&self) -> Result<Running, ProcessError> {
        let failed = |source| ProcessError::Spawn { name: self.name.clone(), source };
        let log = open_log(&self.log).map_err(failed)?;
        let errors = log.try_clone().map_err(failed)?;
        let mut command = process::Command::new(OURSELVES);
        command
            .args(LaunchOrder::arguments(getpid(), self.stop_signal, self.owner))
            .arg(self.file.as_deref().unwrap_or(Path::new(OURSELVES)))
            .args(&self.arguments)
            .env_clear()
            .envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env(MARKER, &self.marker)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0);
        let child = command.spawn().map_err(failed)?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok());
        let pid = pid.ok_or_else(|| failed(io::Error::other("the process has no id")))?;
        Ok(Running { name: self.name.clone(), stop_signal: self.stop_signal, pid: Pid::from_raw(pid), child })
    }
}

fn open_log(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    File::options().create(true).append(true).open(path)
}

/// A program that was started.
#[derive(Debug)]
pub struct Running {
    name: String,
    stop_signal: Signal,
    pid: Pid,
    child: process::Child,
}

impl Running {
    /// The process id, which is the id of its process group too.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub async fn wait(&mut self) -> Result<ExitStatus, ProcessError> {
        self.child.wait().await.map_err(|source| ProcessError::Wait { name: self.name.clone(), source })
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end, and kills its group if it has not within `patience`.
    pub async fn stop(mut self, patience: Duration) {
        if self.ended().is_none() {
            let _ = kill(self.pid, self.stop_signal);
            let _ = time::timeout(patience, self.child.wait()).await;
        }
        // What it started may have stayed, also after a good end.
        let _ = killpg(self.pid, Signal::SIGKILL);
        let _ = self.child.wait().await;
    }
}

/// Why a program is not running.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("{name} could not be started")]
    Spawn {
        /// What people call it.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// Its end could not be observed.
    #[error("lost sight of {name}")]
    Wait {
        /// What people call it.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}
