//! A program in a process group of its own, ended as a whole.

use std::{io, process::ExitStatus, time::Duration};

use nix::{
    errno::Errno,
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::process::{Child, Command};

/// Between the polite and the final signal.
const GRACE: Duration = Duration::from_secs(5);

/// The leader of a process group. Dropped before its end, it is killed.
pub(crate) struct Group {
    /// For its pipes.
    pub(crate) leader: Child,
    id: Option<Pid>,
}

impl Group {
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        let leader = command.process_group(0).kill_on_drop(true).spawn()?;
        let id = leader.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        Ok(Self { leader, id })
    }

    /// Waits until the leader ends by itself.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.leader.wait().await
    }

    /// Asks the whole group to end, and kills it if it does not.
    pub(crate) async fn end(&mut self) -> io::Result<()> {
        self.signal(Signal::SIGTERM)?;
        if tokio::time::timeout(GRACE, self.leader.wait()).await.is_err() {
            self.signal(Signal::SIGKILL)?;
            self.leader.wait().await?;
        }
        Ok(())
    }

    /// Kills what is left of the group after its leader's end.
    pub(crate) fn kill_rest(&self) -> io::Result<()> {
        self.signal(Signal::SIGKILL)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        match self.id.map_or(Ok(()), |id| killpg(id, signal)) {
            // The group is empty, or (on some systems) holds nothing but its dead leader.
            Ok(()) | Err(Errno::ESRCH | Errno::EPERM) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
