//! A small process that cleans up when the supervisor was killed outright.

use std::{
    io::{self, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::end_marked;

/// What `dev warden` is told.
#[derive(Debug, clap::Args)]
pub struct WardenOrder {
    /// The mark of the processes it guards.
    #[arg(long)]
    pub marker: String,
    /// The folder below which jobs work.
    #[arg(long)]
    pub jobs: PathBuf,
}

/// The running warden; it is told of our end by the pipe that closes with us.
#[derive(Debug)]
pub struct Warden {
    child: Child,
}

impl Warden {
    /// Posts a warden in a process group of its own, out of reach of the terminal's signals.
    ///
    /// # Errors
    /// When the process cannot be made.
    pub fn post(marker: &str, jobs: &Path) -> io::Result<Self> {
        let child = Command::new("/proc/self/exe")
            .arg("warden")
            .arg(format!("--marker={marker}"))
            .arg("--jobs")
            .arg(jobs)
            // Above all without a model key that the caller may have set.
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { child })
    }

    /// Sends it home: closes its pipe, lets it clean up what is left, and waits for it.
    pub fn dismiss(mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Waits for the supervisor's end, then ends what it left behind.
pub fn stand_guard(order: &WardenOrder) {
    let mut nothing = Vec::new();
    let _ = io::stdin().read_to_end(&mut nothing);
    end_marked(&order.marker, &order.jobs);
}
