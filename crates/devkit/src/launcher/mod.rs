//! Jobs as local processes, behind the same trait as Kubernetes Jobs.
//!
//! A Job is a folder. The process in it takes the *claim* (a file made with `O_EXCL`, naming its pid) before it does
//! anything, and holds a lock on it while it lives. So one name is started once, however often it is asked for and
//! whatever dies in between: a second process finds the claim taken and goes home.

mod processes;

use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use async_trait::async_trait;
use domain::{ids::ProjectSlug, job::JobPresence, job_ending::JobEnding};
use jobs::{FoundJob, JobEvent, JobLauncher, JobOrder, JobRef, LAST_OUTPUT, LaunchError};
use nix::{
    fcntl::{Flock, FlockArg},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use url::Url;

/// Users of Jobs, when the launcher is root: one a Job, so that what a Job started can be found and ended whole.
const FIRST_JOB_USER: u32 = 2_000_000;
const JOB_USERS: u32 = 1_000_000;

const CLAIM: &str = "claim";

/// How often a Job that is waited for is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Starts runners as processes of this machine.
#[derive(Clone, Debug)]
pub struct ProcessLauncher {
    /// One folder a Job is made in here.
    pub jobs_dir: PathBuf,
    /// The program; it is called with `role runner`.
    pub program: PathBuf,
    /// The Codex binary that the runner starts.
    pub codex: PathBuf,
    /// What programs of Jobs go out through; none: they go out directly.
    pub egress_proxy: Option<Url>,
}

/// The running Job's hold on its folder; dropping it, or dying, says that the Job is over.
pub struct Claim {
    _lock: Flock<fs::File>,
}

impl ProcessLauncher {
    /// Prepares the folder of Jobs and puts the program where every user can run it.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub fn new(jobs_dir: &Path, program: &Path, codex: &Path) -> std::io::Result<Self> {
        fs::create_dir_all(jobs_dir)?;
        fs::set_permissions(jobs_dir, fs::Permissions::from_mode(0o755))?;
        let program = if nix::unistd::geteuid().is_root() { stage(program, jobs_dir)? } else { program.to_owned() };
        Ok(Self { jobs_dir: jobs_dir.to_owned(), program, codex: codex.to_owned(), egress_proxy: None })
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.jobs_dir.join(name)
    }

    fn spawn(&self, order: &JobOrder) -> std::io::Result<()> {
        let name = order.job.name();
        let folder = self.folder(&name);
        let user = job_user(&name);
        make_folder(&folder, user)?;
        let work = folder.join("work");
        make_folder(&work, user)?;
        let token = folder.join("token");
        write_private(&token, order.token.expose(), user)?;
        let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(["role", "runner"])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LANG", "C.UTF-8")
            .env("CODEX_K8S_GATEWAY_URL", order.gateway_url.as_str())
            .env("CODEX_K8S_MODEL_URL", order.model_url.as_str())
            .env("CODEX_K8S_TOKEN_FILE", &token)
            .env("CODEX_K8S_WORK_DIR", &work)
            .env("CODEX_K8S_CODEX", &self.codex)
            .env("CODEX_K8S_JOB_CLAIM", folder.join(CLAIM))
            .current_dir(&work)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(false);
        if let Some(proxy) = &self.egress_proxy {
            command.env("CODEX_K8S_EGRESS_PROXY", proxy.as_str());
        }
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        let mut child = command.spawn()?;
        // Reaped here while this process lives; after it, by init.
        tokio::spawn(async move { child.wait().await });
        Ok(())
    }
}

#[async_trait]
impl JobLauncher for ProcessLauncher {
    async fn launch(&self, order: &JobOrder) -> Result<(), LaunchError> {
        let name = order.job.name();
        if self.presence_of(&name)? != JobPresence::Absent {
            return Ok(());
        }
        self.spawn(order).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::PermissionDenied => LaunchError::Refused(error.to_string()),
            _ => LaunchError::Unavailable(error.to_string()),
        })?;
        self.await_claim(&name).await
    }

    async fn presence(&self, job: &JobRef) -> Result<JobPresence, LaunchError> {
        self.presence_of(&job.name())
    }

    /// The process that holds the lock tells nobody of its end, so this looks.
    async fn ended(&self, job: &JobRef) -> Result<JobEnding, LaunchError> {
        let name = job.name();
        while self.presence_of(&name)? == JobPresence::Running {
            tokio::time::sleep(LOOK).await;
        }
        Ok(JobEnding::Vanished)
    }

    async fn last_output(&self, job: &JobRef) -> Result<Option<String>, LaunchError> {
        let log = fs::read(self.folder(&job.name()).join("log")).unwrap_or_default();
        let last = &log[log.len().saturating_sub(LAST_OUTPUT)..];
        Ok((!last.is_empty()).then(|| String::from_utf8_lossy(last).into_owned()))
    }

    async fn stop(&self, job: &JobRef, grace: Duration) -> Result<(), LaunchError> {
        self.stop_named(&job.name(), grace).await
    }

    async fn events(&self, _job: &JobRef) -> Result<Vec<JobEvent>, LaunchError> {
        Ok(Vec::new())
    }

    /// The folder stays: it is what tells a second launch that there was a first.
    async fn remove(&self, _job: &JobRef) -> Result<(), LaunchError> {
        Ok(())
    }

    async fn list(&self) -> Result<Vec<FoundJob>, LaunchError> {
        Ok(Vec::new())
    }

    async fn projects(&self) -> Result<Vec<ProjectSlug>, LaunchError> {
        Ok(Vec::new())
    }

    async fn remove_project(&self, _project: &ProjectSlug) -> Result<(), LaunchError> {
        Ok(())
    }
}

impl ProcessLauncher {
    /// What became of the Job of a name.
    ///
    /// # Errors
    /// When its folder can't be read.
    pub fn presence_of(&self, name: &str) -> Result<JobPresence, LaunchError> {
        let claim = self.folder(name).join(CLAIM);
        match fs::File::open(&claim) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(JobPresence::Absent),
            Err(error) => Err(LaunchError::Unavailable(error.to_string())),
            Ok(file) => match Flock::lock(file, FlockArg::LockSharedNonblock) {
                Ok(_free) => Ok(JobPresence::Ended),
                Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(JobPresence::Running),
                Err((_, errno)) => Err(LaunchError::Unavailable(errno.to_string())),
            },
        }
    }

    async fn stop_named(&self, name: &str, grace: Duration) -> Result<(), LaunchError> {
        let deadline = tokio::time::Instant::now() + grace;
        if self.presence_of(name)? == JobPresence::Running
            && let Some(pid) = read_pid(&self.folder(name).join(CLAIM))
        {
            if !grace.is_zero() {
                let _ = kill(pid, Signal::SIGTERM);
            }
            while self.presence_of(name)? == JobPresence::Running && tokio::time::Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let _ = kill(Pid::from_raw(-pid.as_raw()), Signal::SIGKILL);
        }
        processes::end_all(&self.folder(name), job_user(name)).await;
        Ok(())
    }

    /// The process is up once it has its claim; until then a crash of ours would look like a Job that never was.
    async fn await_claim(&self, name: &str) -> Result<(), LaunchError> {
        for _ in 0..200 {
            if self.presence_of(name)? != JobPresence::Absent {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let log = fs::read_to_string(self.folder(name).join("log")).unwrap_or_default();
        let last = log.lines().last().unwrap_or("it wrote nothing").to_owned();
        Err(LaunchError::Unavailable(format!("the runner did not come up within 5 s: {last}")))
    }
}

/// Taken by the runner's process before anything else. `None`: another process has this Job.
///
/// The file is locked and filled before it gets its name, so nobody ever sees it half made.
///
/// # Errors
/// When the file can't be made or locked.
pub fn take_claim(path: &Path) -> std::io::Result<Option<Claim>> {
    let draft = path.with_extension(std::process::id().to_string());
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&draft)?;
    let mut lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)?;
    lock.write_all(std::process::id().to_string().as_bytes())?;
    let named = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match named {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
        Ok(()) => Ok(Some(Claim { _lock: lock })),
    }
}

/// The processes that hold a Job in this folder. Runners hide from others of their user, so nothing else tells of them.
pub fn claimants(jobs_dir: &Path) -> Vec<i32> {
    let folders = fs::read_dir(jobs_dir).into_iter().flatten().flatten();
    folders
        .map(|folder| folder.path().join(CLAIM))
        .filter(|claim| is_held(claim))
        .filter_map(|claim| read_pid(&claim))
        .map(Pid::as_raw)
        .collect()
}

fn is_held(claim: &Path) -> bool {
    let Ok(file) = fs::File::open(claim) else { return false };
    matches!(Flock::lock(file, FlockArg::LockSharedNonblock), Err((_, nix::errno::Errno::EWOULDBLOCK)))
}

fn read_pid(claim: &Path) -> Option<Pid> {
    fs::read_to_string(claim).ok()?.trim().parse().ok().map(Pid::from_raw)
}

/// A user of its own for the Job, when we may choose one.
fn job_user(name: &str) -> Option<u32> {
    nix::unistd::geteuid().is_root().then(|| {
        let hash = name.bytes().fold(0u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
        FIRST_JOB_USER + hash % JOB_USERS
    })
}

fn make_folder(path: &Path, user: Option<u32>) -> std::io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    chown(path, user, user)
}

fn write_private(path: &Path, text: &str, user: Option<u32>) -> std::io::Result<()> {
    let _ = fs::remove_file(path);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    chown(path, user, user)
}

/// A copy of the program that other users can reach, wherever the original lies.
fn stage(program: &Path, jobs_dir: &Path) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::metadata(program)?;
    let staged = jobs_dir.join(format!("runner-{}-{}-{}", meta.len(), meta.mtime(), meta.mtime_nsec()));
    if !staged.exists() {
        let part = jobs_dir.join(format!(".runner-{}", std::process::id()));
        if fs::hard_link(program, &part).is_err() {
            fs::copy(program, &part)?;
        }
        fs::set_permissions(&part, fs::Permissions::from_mode(0o755))?;
        fs::rename(&part, &staged)?;
    }
    Ok(staged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_job_is_found_while_it_lives() {
        let jobs = tempfile::tempdir().unwrap();
        let folder = jobs.path().join("run-1");
        fs::create_dir(&folder).unwrap();
        assert!(claimants(jobs.path()).is_empty() && claimants(&jobs.path().join("none")).is_empty());
        let claim = take_claim(&folder.join(CLAIM)).unwrap();
        assert!(claim.is_some());
        assert_eq!(claimants(jobs.path()), [i32::try_from(std::process::id()).unwrap()]);
        assert!(take_claim(&folder.join(CLAIM)).unwrap().is_none(), "one at a time");
        drop(claim);
        assert!(claimants(jobs.path()).is_empty());
    }
}
