//! The folders of a job and the environment of the programs that it starts.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use tokio::process::Command;

/// Searched when the runner itself has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Lets the agent make commits of its own.
const GIT_IDENTITY: &str = "[user]\n\tname = codex-k8s\n\temail = codex-k8s@users.noreply.github.com\n";

/// All folders and files of a job, below its work folder.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    /// The work tree of the agent.
    pub(crate) tree: PathBuf,
    /// The home folder of the agent and the checks.
    pub(crate) home: PathBuf,
    /// Where their temporary files go.
    pub(crate) temporary: PathBuf,
    /// Codex's configuration and state.
    pub(crate) codex_home: PathBuf,
    /// The repository that takes in the result; the agent never worked in it.
    pub(crate) repository: PathBuf,
    /// The repository that knows what set-up left behind; the agent never worked in it.
    pub(crate) before: PathBuf,
    /// An archive of what set-up leaves behind.
    pub(crate) setup_archive: PathBuf,
    /// Where such an archive is unpacked.
    pub(crate) setup_aside: PathBuf,
    /// The bundle to begin with.
    pub(crate) workspace_bundle: PathBuf,
    /// The bundle to hand back.
    pub(crate) result_bundle: PathBuf,
    /// A bundle of the work so far.
    pub(crate) checkpoint_bundle: PathBuf,
    /// Where Codex writes its final message.
    pub(crate) last_message: PathBuf,
}

impl Folders {
    /// Makes the folders. A work folder that was used before is refused: the agent's turn is never started twice.
    pub(crate) fn create(work_dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(work_dir)?;
        // Programs run elsewhere and get these paths.
        let root = work_dir.canonicalize()?;
        let folders = Self {
            tree: root.join("tree"),
            home: root.join("home"),
            temporary: root.join("tmp"),
            codex_home: root.join("codex-home"),
            repository: root.join("result.git"),
            before: root.join("before.git"),
            setup_archive: root.join("setup.tar.gz"),
            setup_aside: root.join("setup"),
            workspace_bundle: root.join("workspace.bundle"),
            result_bundle: root.join("result.bundle"),
            checkpoint_bundle: root.join("checkpoint.bundle"),
            last_message: root.join("last-message.txt"),
        };
        for folder in [&folders.tree, &folders.home, &folders.temporary, &folders.codex_home] {
            DirBuilder::new().mode(0o700).create(folder)?;
        }
        fs::write(folders.home.join(".gitconfig"), GIT_IDENTITY)?;
        Ok(folders)
    }

    /// Where Codex keeps its threads.
    pub(crate) fn sessions(&self) -> PathBuf {
        self.codex_home.join("sessions")
    }

    /// Where Codex looks for a thread; any day will do.
    pub(crate) fn thread_file(&self, id: &str) -> PathBuf {
        self.sessions().join("2000/01/01").join(format!("rollout-2000-01-01T00-00-00-{id}.jsonl"))
    }

    /// A command in the work tree that sees nothing of the runner's own environment but `PATH`.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into()))
            .env("HOME", &self.home)
            .env("LANG", "C.UTF-8")
            .env("TMPDIR", &self.temporary)
            .current_dir(&self.tree);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_folder_serves_once() {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("new/work");
        let folders = Folders::create(&work).unwrap();
        assert!(folders.tree.is_dir());
        assert_eq!(Folders::create(&work).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
