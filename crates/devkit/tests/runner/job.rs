//! One job: a repository, a scenario, the runner's process and what the gateway was told.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use devkit::model::{Options, ScriptedModel};
use domain::{
    ids::{Attempt, RunId},
    job::{CheckCommand, JobLimits, JobReport, JobSpec, Resume, SetupCache, SetupSpec},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::{
    gateway::{Gateway, KeptWork, Told},
    workspace::Repository,
};

/// Claims the attempt. The model token of the session then opens, without a model gateway in between, the scripted model.
pub(crate) const TOKEN: &str = "cxl_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// No job of these tests takes longer.
const PATIENCE: Duration = Duration::from_secs(90);

/// How to set up a job.
pub(crate) struct Setup {
    pub(crate) repository: Repository,
    pub(crate) spec: JobSpec,
    pub(crate) codex: PathBuf,
    kept_setup: Option<Vec<u8>>,
    kept_work: Option<KeptWork>,
    scenarios: tempfile::TempDir,
}

/// A running job.
pub(crate) struct Job {
    pub(crate) repository: Repository,
    pub(crate) gateway: Gateway,
    pub(crate) model: ScriptedModel,
    pub(crate) work: tempfile::TempDir,
    pub(crate) runner: Child,
    codex: PathBuf,
    _scenarios: tempfile::TempDir,
}

/// What is left of a job that has ended.
pub(crate) struct Done {
    pub(crate) repository: Repository,
    pub(crate) status: ExitStatus,
    pub(crate) told: Told,
    pub(crate) model: ScriptedModel,
    pub(crate) work: tempfile::TempDir,
}

impl Setup {
    pub(crate) fn new(repository: Repository, scenario: &str) -> Self {
        let spec = JobSpec {
            run: RunId::from_uuid(Uuid::now_v7()),
            attempt: Attempt::FIRST,
            repository: "acme/greeter".to_owned(),
            base_sha: repository.head(),
            agent: "dev".to_owned(),
            model: "scripted".to_owned(),
            prompt: format!("Fix the issue. [scenario:{scenario}]"),
            wants_changes: true,
            commit_subject: "Fix the issue".to_owned(),
            setup: SetupSpec::default(),
            checks: Vec::new(),
            resume: None,
            limits: JobLimits { agent_secs: 60, log_bytes: 4 << 20, checkpoint_secs: 1 },
        };
        Self {
            repository,
            spec,
            codex: real_codex(),
            kept_setup: None,
            kept_work: None,
            scenarios: tempfile::tempdir().unwrap(),
        }
    }

    /// A job on a repository with nothing but a README.
    pub(crate) fn plain(scenario: &str) -> Self {
        Self::new(Repository::new(&[("README.md", "# Plain\n")]), scenario)
    }

    pub(crate) fn check(mut self, name: &str, run: &str) -> Self {
        self.spec.checks.push(CheckCommand { name: name.to_owned(), run: run.to_owned(), timeout_secs: 30 });
        self
    }

    /// The same job on another repository.
    pub(crate) fn on(mut self, repository: Repository) -> Self {
        self.spec.base_sha = repository.head();
        self.repository = repository;
        self
    }

    pub(crate) fn setup(mut self, name: &str, run: &str) -> Self {
        let command = CheckCommand { name: name.to_owned(), run: run.to_owned(), timeout_secs: 30 };
        self.spec.setup.commands.push(command);
        self
    }

    /// What set-up leaves behind at these paths is kept.
    pub(crate) fn cached(mut self, paths: &[&str]) -> Self {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        self.spec.setup.cache = Some(SetupCache { key: "a".repeat(64), paths, may_store: true });
        self
    }

    /// The next attempt of a job, which goes on from its kept work on the same repository.
    pub(crate) fn going_on(self, kept: KeptWork) -> Self {
        let resume = Resume {
            with_work: true,
            thread_id: kept.thread_id.clone(),
            prompt: "You were interrupted. Go on.".to_owned(),
            fresh_prompt: format!("{} Work has begun already.", self.spec.prompt),
        };
        let spec = JobSpec { attempt: Attempt(2), resume: Some(resume), ..self.spec };
        Self { spec, kept_work: Some(kept), ..self }
    }

    /// Adds a scenario of these commands, one a call of the model, and plays it; `hold` says how long the model takes
    /// before each of them.
    pub(crate) fn steps(repository: Repository, commands: &[&str], hold_ms: u64) -> Self {
        let setup = Self::new(repository, "own");
        let mut text = "about = 'x'\n".to_owned();
        for (place, command) in commands.iter().enumerate() {
            let delay = if place == 0 { 0 } else { hold_ms };
            text += &format!("[[steps]]\ndo = 'run'\ncommand = '''\n{command}\n'''\ndelay_ms = {delay}\n");
        }
        text += "[[steps]]\ndo = 'answer'\ntext = 'Done.'\n";
        fs::write(setup.scenarios.path().join("own.toml"), text).unwrap();
        setup
    }

    /// Adds a scenario that runs one command, and plays it.
    pub(crate) fn playing(command: &str) -> Self {
        let setup = Self::plain("own");
        let text = format!(
            "about = 'x'\n[[steps]]\ndo = 'run'\ncommand = '''\n{command}\n'''\n[[steps]]\ndo = 'answer'\ntext = 'Done.'\n"
        );
        fs::write(setup.scenarios.path().join("own.toml"), text).unwrap();
        setup
    }

    /// An earlier run has left this behind.
    pub(crate) fn with_kept_setup(mut self, archive: Vec<u8>) -> Self {
        self.kept_setup = Some(archive);
        self
    }

    pub(crate) async fn start(self) -> Job {
        let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let scenario_dir = Some(self.scenarios.path().to_owned());
        let model = ScriptedModel::start(Options { bind, api_key: String::new(), scenario_dir }).await.unwrap();
        let gateway = Gateway::start(self.spec, self.repository.bundle(), TOKEN, model.lock()).await;
        gateway.keep_setup(self.kept_setup);
        gateway.go_on_from(self.kept_work);
        // Not in the system's temporary folder: Codex keeps some of its helpers away from there.
        let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::write(work.path().join("token"), TOKEN).unwrap();
        let runner = start_runner(&gateway, &model, work.path(), &self.codex);
        let Self { repository, codex, scenarios, .. } = self;
        Job { repository, gateway, model, work, runner, codex, _scenarios: scenarios }
    }

    pub(crate) async fn run(self) -> Done {
        self.start().await.end().await
    }

    /// Runs with a change in what the runner is told.
    pub(crate) async fn run_with(mut self, change: impl FnOnce(&mut JobSpec)) -> Done {
        change(&mut self.spec);
        self.run().await
    }
}

impl Job {
    /// Asks the runner to end, as Kubernetes does.
    pub(crate) fn terminate(&self) {
        let pid = i32::try_from(self.runner.id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    }

    /// Kills the runner and everything that came from it, as a lost machine does.
    pub(crate) async fn kill(mut self) -> Done {
        self.runner.kill().await.unwrap();
        let until = tokio::time::Instant::now() + PATIENCE;
        while !processes_of(self.work.path()).is_empty() {
            assert!(tokio::time::Instant::now() < until, "processes do not die");
            kill_all(self.work.path());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.end().await
    }

    /// Starts the runner once more in the same folder.
    pub(crate) fn start_again(&mut self) {
        fs::write(self.work.path().join("token"), TOKEN).unwrap();
        self.runner = start_runner(&self.gateway, &self.model, self.work.path(), &self.codex);
    }

    /// Waits for the runner's end; nothing of the job may be left then.
    pub(crate) async fn end(mut self) -> Done {
        let status = tokio::time::timeout(PATIENCE, self.runner.wait()).await.unwrap().unwrap();
        assert_eq!(processes_of(self.work.path()), Vec::<String>::new(), "processes are left");
        let Self { repository, gateway, model, work, .. } = self;
        Done { repository, status, told: gateway.told(), model, work }
    }
}

impl Done {
    pub(crate) fn report(&self) -> &JobReport {
        assert!(self.status.success(), "the runner ended with {}", self.status);
        self.told.report.as_ref().unwrap()
    }
}

fn start_runner(gateway: &Gateway, model: &ScriptedModel, work: &Path, codex: &Path) -> Child {
    let log = fs::File::create(work.join("runner.log")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_dev"))
        .args(["role", "runner"])
        .env("CODEX_K8S_GATEWAY_URL", gateway.url())
        .env("CODEX_K8S_MODEL_URL", model.url())
        .env("CODEX_K8S_TOKEN_FILE", work.join("token"))
        .env("CODEX_K8S_WORK_DIR", work.join("work"))
        .env("CODEX_K8S_CODEX", codex)
        // A claim of its own for each start: here the runner itself must see that it is the second one.
        .env("CODEX_K8S_JOB_CLAIM", work.join(format!("claim-{}", Uuid::now_v7())))
        .env("CODEX_K8S_MODEL_REQUEST_RETRIES", "0")
        .env("CODEX_K8S_MODEL_STREAM_RETRIES", "0")
        .env("SECRET_OF_THE_RUNNER", "never-to-be-seen")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

pub(crate) fn real_codex() -> PathBuf {
    std::env::var_os("CODEX_K8S_CODEX").expect("CODEX_K8S_CODEX is not set: run it through \"cargo dev test\"").into()
}

fn kill_all(folder: &Path) {
    for pid in pids_of(folder) {
        let _ = kill(pid, Signal::SIGKILL);
    }
}

/// Living processes that have to do with this folder, by their command lines.
pub(crate) fn processes_of(folder: &Path) -> Vec<String> {
    let command = |pid: Pid| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    pids_of(folder).into_iter().map(|pid| String::from_utf8_lossy(&command(pid)).replace('\0', " ")).collect()
}

fn pids_of(folder: &Path) -> Vec<Pid> {
    let needle = folder.as_os_str().as_bytes();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let process = entry.path();
        let Ok(environment) = fs::read(process.join("environ")) else { continue };
        let at_home = environment.windows(needle.len()).any(|part| part == needle);
        let inside = fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
        if at_home || inside {
            found.extend(entry.file_name().to_str().and_then(|name| name.parse().ok()).map(Pid::from_raw));
        }
    }
    found
}
