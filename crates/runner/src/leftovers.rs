//! What a runner leaves behind that was itself killed without warning.
//!
//! A runner that ends in any other way leaves nothing. For the one that could not clean up, whoever launched it calls
//! [`kill`]: the processes of a job are known by their home folder, which lies in the work folder.

use std::{io, path::Path};

use crate::environment::home_of;

/// Kills every process whose `HOME` is the home folder of that job; says how many there were. Call it until it finds none.
///
/// On systems without `/proc` it finds nothing. A process that wiped its environment is not found either: where jobs are
/// not trusted, run them as a user or in a container of their own.
///
/// # Errors
/// If the process table cannot be read.
pub fn kill(work_dir: &Path) -> io::Result<usize> {
    #[cfg(target_os = "linux")]
    return linux::kill(&home_of(work_dir));
    #[cfg(not(target_os = "linux"))]
    {
        let _ = home_of(work_dir);
        Ok(0)
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{fs, io, os::unix::ffi::OsStrExt as _, path::Path};

    use nix::{
        sys::signal::{Signal, kill as send},
        unistd::Pid,
    };

    pub(super) fn kill(home: &Path) -> io::Result<usize> {
        let mut found = 0;
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()).map(Pid::from_raw) else { continue };
            // Foreign and ended processes have no environment to read, and neither has a zombie.
            let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { continue };
            if pid != Pid::this() && is_at_home(&environment, home) && send(pid, Signal::SIGKILL).is_ok() {
                found += 1;
            }
        }
        Ok(found)
    }

    fn is_at_home(environment: &[u8], home: &Path) -> bool {
        environment
            .split(|byte| *byte == 0)
            .filter_map(|variable| variable.strip_prefix(b"HOME="))
            .any(|value| value == home.as_os_str().as_bytes())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn only_processes_of_that_home_are_killed() {
            let folder = tempfile::tempdir().unwrap();
            let sleep = |home: &Path| std::process::Command::new("sleep").arg("60").env("HOME", home).spawn().unwrap();
            let mut ours = sleep(&folder.path().join("home"));
            let mut other = sleep(folder.path());
            assert_eq!(super::super::kill(folder.path()).unwrap(), 1);
            assert!(!ours.wait().unwrap().success());
            assert!(other.try_wait().unwrap().is_none());
            other.kill().unwrap();
            other.wait().unwrap();
            assert_eq!(super::super::kill(folder.path()).unwrap(), 0);
        }
    }
}
