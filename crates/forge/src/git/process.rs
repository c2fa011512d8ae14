//! Running one git command.

use std::{
    ffi::{OsStr, OsString},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
};

use super::{
    auth::{GitAuth, allowed_protocols, config_env, hardened_env, hardened_settings},
    error::{GitError, classify},
};

const STDERR_KEPT: usize = 2048;
const MAX_OUTPUT: usize = 64 << 20;

/// Runs git commands.
#[derive(Clone, Debug)]
pub struct Git {
    program: PathBuf,
    limit: Duration,
}

impl Default for Git {
    fn default() -> Self {
        Self { program: found(), limit: Duration::from_secs(300) }
    }
}

/// git by its whole path, if the search path has it. By its name alone, and with an environment of its own, the standard library would look
/// for it in a forked child: a copy of this process's page tables for each command, which costs a large process more than git's own work.
fn found() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return found.clone();
    }
    let is_program =
        |path: &PathBuf| path.metadata().is_ok_and(|there| there.is_file() && there.permissions().mode() & 0o111 != 0);
    let search = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&search)
        .map(|folder| folder.join("git"))
        .find(|path| path.is_absolute() && is_program(path));
    match found {
        Some(found) => FOUND.get_or_init(|| found).clone(),
        // Where there is none yet, starting it says so.
        None => PathBuf::from("git"),
    }
}

/// What a command wrote, and how it ended.
pub(super) struct Output {
    pub(super) exit: Option<i32>,
    pub(super) stdout: Vec<u8>,
    /// Whether there was more; the command was then killed.
    pub(super) truncated: bool,
    pub(super) stderr: String,
}

/// One command.
pub(super) struct Call<'a> {
    git: &'a Git,
    operation: &'static str,
    arguments: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    settings: Vec<(String, String)>,
    auth: Option<&'a GitAuth>,
    protocols: &'static str,
    max_output: usize,
}

impl Git {
    /// With another time limit for each command.
    #[must_use]
    pub fn with_time_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// With another program than `git` on the search path.
    #[must_use]
    pub fn with_program(self, program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), ..self }
    }

    /// The time limit for each command.
    #[must_use]
    pub const fn time_limit(&self) -> Duration {
        self.limit
    }

    /// A command in a repository, which touches no remote unless told so.
    pub(super) fn call(&self, dir: &Path, operation: &'static str) -> Call<'_> {
        let mut call = self.call_anywhere(operation);
        call.arguments.splice(0..0, [OsString::from("-C"), dir.into()]);
        call
    }

    /// A command outside of any repository.
    pub(super) fn call_anywhere(&self, operation: &'static str) -> Call<'_> {
        Call {
            git: self,
            operation,
            arguments: vec![operation.into()],
            env: Vec::new(),
            settings: Vec::new(),
            auth: None,
            protocols: "none",
            max_output: MAX_OUTPUT,
        }
    }
}

impl<'a> Call<'a> {
    pub(super) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub(super) fn args<T: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    pub(super) fn setting(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// May talk to this remote, with this credential.
    pub(super) fn remote(mut self, remote: &str, auth: Option<&'a GitAuth>) -> Self {
        self.protocols = allowed_protocols(remote);
        self.auth = auth;
        self
    }

    /// Reads no more output than this.
    pub(super) fn max_output(mut self, bytes: usize) -> Self {
        self.max_output = bytes;
        self
    }

    /// Runs it; the output if it exits with 0.
    pub(super) async fn run(self) -> Result<Vec<u8>, GitError> {
        let (operation, limit) = (self.operation, self.max_output);
        let output = self.run_any().await?;
        if output.truncated {
            return Err(GitError::TooLarge { what: format!("the output of git {operation}"), limit });
        }
        match output.exit {
            Some(0) => Ok(output.stdout),
            _ => Err(output.into_error(operation)),
        }
    }

    /// Runs it, and leaves the judgement of its exit code to the caller.
    pub(super) async fn run_any(self) -> Result<Output, GitError> {
        let (operation, limit) = (self.operation, self.git.limit);
        match tokio::time::timeout(limit, self.spawn_and_read()).await {
            Ok(result) => result,
            Err(_) => Err(GitError::TimedOut { operation: operation.to_owned(), after: limit }),
        }
    }

    async fn spawn_and_read(self) -> Result<Output, GitError> {
        let mut command = self.command();
        let mut child = command.spawn().map_err(|source| GitError::Start { source })?;
        let mut group = Group::of(&child);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let read_out = async {
            let read = read_at_most(stdout, self.max_output).await?;
            if read.1 {
                // Nobody reads the rest: without this, git would wait for a reader for ever.
                group.kill();
            }
            Ok(read)
        };
        let (out, err) = tokio::join!(read_out, read_tail(stderr));
        let status = child.wait().await;
        group.ended();
        let io = |source| GitError::Io { path: PathBuf::from(format!("pipe of git {}", self.operation)), source };
        let (stdout, truncated) = out.map_err(io)?;
        let text = String::from_utf8_lossy(&err.map_err(io)?).trim().to_owned();
        let stderr = self.auth.map_or_else(|| text.clone(), |auth| auth.redact(&text));
        Ok(Output { exit: status.map_err(io)?.code(), stdout, truncated, stderr })
    }

    fn command(&self) -> Command {
        let mut settings = hardened_settings();
        settings.extend(self.settings.iter().cloned());
        settings.extend(self.auth.map(GitAuth::config));
        let mut command = Command::new(&self.git.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(hardened_env())
            .envs(config_env(&settings))
            .env("GIT_ALLOW_PROTOCOL", self.protocols)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

impl Output {
    pub(super) fn into_error(self, operation: &'static str) -> GitError {
        let class = classify(&self.stderr);
        GitError::Failed { operation: operation.to_owned(), exit: self.exit, stderr: self.stderr, class }
    }
}

/// git's children (transports, housekeeping) are in its process group; they go when the call is given up.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    fn kill(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself just now; there is nothing to do about a failure.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }

    /// Once the leader was waited for, its number can belong to others.
    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn read_at_most(stream: Option<impl AsyncRead + Unpin>, limit: usize) -> std::io::Result<(Vec<u8>, bool)> {
    let Some(stream) = stream else { return Ok((Vec::new(), false)) };
    let mut bytes = Vec::new();
    stream.take(u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1)).read_to_end(&mut bytes).await?;
    let truncated = bytes.len() > limit;
    bytes.truncate(limit);
    Ok((bytes, truncated))
}

/// Reads all, keeps the end.
async fn read_tail(stream: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let Some(mut stream) = stream else { return Ok(Vec::new()) };
    let (mut tail, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(tail);
        }
        tail.extend_from_slice(&buffer[..read]);
        if tail.len() > 2 * STDERR_KEPT {
            tail.drain(..tail.len() - STDERR_KEPT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_is_called_by_its_whole_path() {
        let program = Git::default().program;
        assert!(
            program.is_absolute() && program.ends_with("git"),
            "{program:?}: each command copies this process's page tables"
        );
    }
}
