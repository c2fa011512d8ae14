//! The folders of a job and the environment of the programs that it starts.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use tokio::process::Command;
use url::Url;

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
    /// Programs beside the job's own.
    pub(crate) programs: Programs,
}

/// What programs of the job find beside the project's own, and how they get out.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// Git, for calls of our own.
    pub(crate) git: PathBuf,
    /// Searched for programs.
    path: OsString,
    /// Variables that show the way out.
    pub(crate) way_out: Vec<(&'static str, String)>,
}

impl Programs {
    /// Those of the machine, and of the bundle where there is one: last, so that the project's own win.
    pub(crate) fn new(tools: Option<&Path>) -> Self {
        let mut path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
        let Some(tools) = tools else { return Self { git: "git".into(), path, way_out: Vec::new() } };
        let folder = tools.join("bin");
        path.push(":");
        path.push(&folder);
        Self { git: folder.join("git"), path, way_out: Vec::new() }
    }

    /// Has programs go out through this proxy. Gateway and model gateway are reached directly.
    pub(crate) fn through(&mut self, proxy: &Url, user: &str, token: &str, direct: [&Url; 2]) {
        let mut proxy = proxy.clone();
        if proxy.set_username(user).is_err() || proxy.set_password(Some(token)).is_err() {
            return;
        }
        let proxy = proxy.as_str().trim_end_matches('/').to_owned();
        let mut none: Vec<&str> = vec!["localhost", "127.0.0.1", "::1"];
        none.extend(direct.into_iter().filter_map(Url::host_str));
        // Programs don't agree about the case.
        self.way_out =
            ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"].map(|name| (name, proxy.clone())).into();
        self.way_out.extend(["NO_PROXY", "no_proxy"].map(|name| (name, none.join(","))));
    }
}

impl Folders {
    /// Makes the folders. A work folder that was used before is refused: the agent's turn is never started twice.
    pub(crate) fn create(work_dir: &Path, tools: Option<&Path>) -> io::Result<Self> {
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
            programs: Programs::new(tools),
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

    /// A command in the work tree that sees nothing of the runner's own environment but `PATH`, and the way out.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", &self.programs.path)
            .env("HOME", &self.home)
            .env("LANG", "C.UTF-8")
            .env("TMPDIR", &self.temporary)
            .envs(self.programs.way_out.iter().map(|(name, value)| (name, value)))
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
        let folders = Folders::create(&work, None).unwrap();
        assert!(folders.tree.is_dir());
        assert_eq!(Folders::create(&work, None).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn programs_find_the_bundle_last_and_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut folders = Folders::create(folder.path().join("work").as_path(), Some(Path::new("/bundle"))).unwrap();
        assert_eq!(folders.programs.git, Path::new("/bundle/bin/git"));
        let url = |text: &str| text.parse::<Url>().unwrap();
        let direct = [&url("http://gateway.system.svc:8080"), &url("http://models.system.svc:8081")];
        folders.programs.through(&url("http://proxy:3128"), "run-1", "cet_ab", direct);
        let command = folders.command(Path::new("sh"));
        let variable = |wanted: &str| {
            let found = command.as_std().get_envs().find(|(name, _)| *name == wanted);
            found.and_then(|(_, value)| value?.to_str().map(str::to_owned)).unwrap_or_default()
        };
        assert!(variable("PATH").ends_with(":/bundle/bin"));
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            assert_eq!(variable(name), "http://run-1:cet_ab@proxy:3128");
        }
        assert_eq!(variable("NO_PROXY"), "localhost,127.0.0.1,::1,gateway.system.svc,models.system.svc");
    }
}
