//! Running other programs: with little of our environment, quietly unless they fail.

use std::{
    ffi::OsStr,
    io,
    path::Path,
    process::{Command, Stdio},
};

use super::KubeError;
use crate::file_error::FileError;

/// Variables that programs may see: none of the caller's keys reaches a process that outlives this command.
const PASSED_ON: &[&str] = &[
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "DOCKER_HOST",
    "GOCACHE",
    "GOFLAGS",
    "GOMODCACHE",
    "GOPATH",
    "GOPROXY",
    "GOSUMDB",
    "GOTOOLCHAIN",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
];

const TAIL_LINES: usize = 15;

/// A program with the environment that all of them get.
pub(crate) fn program(file: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(file);
    command
        .env_clear()
        .envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .stdin(Stdio::null());
    command
}

/// Runs it and returns what it wrote on its output.
pub(crate) fn run(what: &'static str, command: &mut Command) -> Result<String, KubeError> {
    let failed = |output: String| KubeError::Program { what, output };
    let result = command.output().map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8_lossy(&result.stdout).into_owned();
    if result.status.success() {
        return Ok(text);
    }
    Err(failed(tail(&(text + &String::from_utf8_lossy(&result.stderr)))))
}

/// Whether it can be run and ends well.
pub(crate) fn works(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Whether a program of this name is found.
pub(super) fn is_there(name: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()))
}

/// Reads a small file; `None` if it is not there.
pub(super) fn read(path: &Path) -> Result<Option<String>, KubeError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::of("read", path)(error).into()),
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_told_with_the_end_of_its_words() {
        let script = "for i in $(seq 30); do echo line $i; done; echo why >&2; exit 3";
        let error = run("the example", program("sh").args(["-c", script])).unwrap_err().to_string();
        assert!(error.starts_with("the example failed"), "{error}");
        assert!(error.ends_with("line 30\nwhy") && !error.contains("line 2\n"), "{error}");
        assert_eq!(run("the example", program("sh").args(["-c", "echo good"])).unwrap(), "good\n");
    }

    #[test]
    fn programs_see_no_variable_that_is_not_for_them() {
        let names = run("env", &mut program("env")).unwrap();
        assert!(
            names.lines().all(|line| PASSED_ON.iter().any(|name| line.starts_with(&format!("{name}=")))),
            "{names}"
        );
    }
}
