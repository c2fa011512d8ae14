//! Checkpoints: the agent's work and thread as they are now, handed to the platform while the agent goes on.
//!
//! What is lost when the Job is lost is what came after the last one. The thread's file is read before the files of the work
//! tree are looked at: so the work may be ahead of what the agent remembers, but never behind it. Nothing here may hold up
//! or end a job: what does not work out is told, and tried again at the next one.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::fcntl::OFlag;
use tokio::sync::watch;

use crate::{
    environment::Folders,
    gateway::{CheckpointUpload, Gateway, GatewayError},
    git::GitError,
    output::Output,
    repository::{self, Before, Snapshot},
};

/// Bytes of a thread's file: what the gateway takes.
const MAX_THREAD: u64 = 64 << 20;
/// Bytes of the bundle: what the gateway takes.
const MAX_WORK: u64 = 100 << 20;
/// One that takes longer is given up.
const BOUND: Duration = Duration::from_secs(120);
/// Folders below that of the threads: year, month, day.
const DEPTH: usize = 4;

/// How far the agent is, as its events tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Codex's thread, once it has begun.
    pub(crate) thread_id: Option<String>,
    /// Things done: commands, changes of files, messages.
    pub(crate) items: u64,
}

/// A checkpoint could not be made.
#[derive(Debug, thiserror::Error)]
enum CheckpointError {
    #[error("the work tree cannot be packed: {0}")]
    Git(#[from] GitError),
    #[error("the files cannot be read: {0}")]
    File(#[from] io::Error),
    #[error("{0}")]
    Gateway(#[from] GatewayError),
    #[error("the work has {0} bytes; {MAX_WORK} is the limit")]
    TooLarge(u64),
    #[error("it takes longer than {} s", .0.as_secs())]
    TooLong(Duration),
}

/// Makes checkpoints of one job.
pub(crate) struct Keeper<'a> {
    gateway: &'a Gateway,
    folders: &'a Folders,
    output: &'a Output,
    base: &'a str,
    before: &'a Before,
    every: Duration,
    seq: Cell<u64>,
    /// What the platform has: the same again is not sent.
    kept: RefCell<Option<(Snapshot, u64)>>,
}

/// What the checkpoints of a job are about.
pub(crate) struct Kept<'a> {
    pub(crate) base: &'a str,
    pub(crate) before: &'a Before,
    pub(crate) every: Duration,
}

impl<'a> Keeper<'a> {
    pub(crate) fn new(gateway: &'a Gateway, folders: &'a Folders, output: &'a Output, of: &Kept<'a>) -> Self {
        let Kept { base, before, every } = *of;
        Self { gateway, folders, output, base, before, every, seq: Cell::new(0), kept: RefCell::new(None) }
    }

    /// Keeps the work as soon as there is some, and then again and again, until dropped.
    pub(crate) async fn keep(&self, mut progress: watch::Receiver<Progress>) -> Infallible {
        if progress.wait_for(|progress| progress.items > 0).await.is_err() {
            return std::future::pending().await;
        }
        loop {
            let thread = progress.borrow().thread_id.clone();
            self.keep_now(thread.as_deref(), BOUND).await;
            tokio::time::sleep(self.every).await;
        }
    }

    /// Keeps the work as it is.
    pub(crate) async fn keep_now(&self, thread_id: Option<&str>, bound: Duration) {
        let made = tokio::time::timeout(bound, self.make(thread_id)).await;
        match made.unwrap_or(Err(CheckpointError::TooLong(bound))) {
            Ok(true) => self.output.say("the work so far is kept"),
            Ok(false) => {}
            Err(error) => self.output.say(&format!("the work so far is not kept: {error}")),
        }
    }

    /// Whether there was anything new.
    async fn make(&self, thread_id: Option<&str>) -> Result<bool, CheckpointError> {
        let thread = match thread_id {
            Some(id) => read_thread(&self.folders.sessions(), id)?.map(|bytes| (id, bytes)),
            None => None,
        };
        let snapshot = repository::snapshot(self.folders, self.base, self.before).await?;
        let state = (snapshot, thread.as_ref().map_or(0, |(_, bytes)| bytes.len() as u64));
        if self.kept.borrow().as_ref() == Some(&state) {
            return Ok(false);
        }
        repository::pack(self.folders, self.base, &state.0).await?;
        let bundle = self.folders.checkpoint_bundle.as_path();
        let size = tokio::fs::metadata(bundle).await?.len();
        if size > MAX_WORK {
            return Err(CheckpointError::TooLarge(size));
        }
        // A number that did not arrive is not used again: the platform may have it all the same.
        self.seq.set(self.seq.get() + 1);
        let upload = CheckpointUpload { seq: self.seq.get(), thread, bundle };
        self.gateway.keep_checkpoint(upload).await?;
        self.kept.replace(Some(state));
        Ok(true)
    }
}

/// The thread's file up to its last whole line, if there is one of bearable size.
fn read_thread(sessions: &Path, id: &str) -> io::Result<Option<Vec<u8>>> {
    let Some(path) = find(sessions, &format!("-{id}.jsonl"), DEPTH)? else { return Ok(None) };
    // The agent can write there: neither a link nor anything but a file is followed.
    let file = File::options().read(true).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(MAX_THREAD + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_THREAD {
        return Ok(None);
    }
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    bytes.truncate(whole);
    Ok((whole > 0).then_some(bytes))
}

fn find(folder: &Path, suffix: &str, depth: usize) -> io::Result<Option<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        // Links are neither.
        let kind = entry.file_type()?;
        if kind.is_file() && entry.file_name().to_string_lossy().ends_with(suffix) {
            return Ok(Some(entry.path()));
        }
        if kind.is_dir()
            && depth > 1
            && let Some(found) = find(&entry.path(), suffix, depth - 1)?
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_found_and_its_half_line_left_out() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read_thread(&folder.path().join("none"), "t1").unwrap().is_none());
        let day = folder.path().join("2026/11/26");
        fs::create_dir_all(&day).unwrap();
        fs::write(day.join("rollout-x-t1.jsonl"), "one\ntwo\nhal").unwrap();
        fs::write(day.join("rollout-x-t2.jsonl"), "half").unwrap();
        assert_eq!(read_thread(folder.path(), "t1").unwrap().unwrap(), b"one\ntwo\n");
        assert!(read_thread(folder.path(), "t2").unwrap().is_none(), "not one whole line");
        assert!(read_thread(folder.path(), "t3").unwrap().is_none());
    }

    #[test]
    fn a_link_is_no_thread() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("token");
        fs::write(&secret, "secret\n").unwrap();
        let sessions = folder.path().join("sessions");
        fs::create_dir(&sessions).unwrap();
        std::os::unix::fs::symlink(&secret, sessions.join("rollout-t1.jsonl")).unwrap();
        assert!(read_thread(&sessions, "t1").unwrap().is_none());
    }
}
