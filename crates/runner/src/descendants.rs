//! Every process that came from the runner, however it detached itself.
//!
//! On Linux the runner becomes the parent of orphans (`PR_SET_CHILD_SUBREAPER`), so a process that called `setsid` and
//! whose parent has ended is still found below the runner. Elsewhere only process groups are ended.

use std::{io, time::Duration};

/// How long killed processes may take to disappear.
const BOUND: Duration = Duration::from_secs(5);

#[cfg(target_os = "linux")]
mod linux {
    use std::{collections::HashMap, fs, io};

    use nix::{
        errno::Errno,
        sys::{
            signal::{Signal, kill},
            wait::{WaitPidFlag, waitpid},
        },
        unistd::Pid,
    };

    pub(super) fn adopt_orphans() -> io::Result<()> {
        nix::sys::prctl::set_child_subreaper(true).map_err(io::Error::from)
    }

    pub(super) fn hide() -> io::Result<()> {
        nix::sys::prctl::set_dumpable(false).map_err(io::Error::from)
    }

    /// Kills all descendants that are there now and says how many there were.
    pub(super) fn kill_once() -> io::Result<usize> {
        let found = below(Pid::this().as_raw())?;
        for pid in &found {
            match kill(*pid, Signal::SIGKILL) {
                // It may have ended in between, or have become somebody we may not signal.
                Ok(()) | Err(Errno::ESRCH | Errno::EPERM) => {}
                Err(error) => return Err(error.into()),
            }
            // Not every one is our child; those that are not yet will be once their parent is gone.
            let _ = waitpid(*pid, Some(WaitPidFlag::WNOHANG));
        }
        Ok(found.len())
    }

    fn below(root: i32) -> io::Result<Vec<Pid>> {
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            // A process that ended since the listing has no parent to tell.
            if let Ok(stat) = fs::read(format!("/proc/{pid}/stat"))
                && let Some(parent) = parent(&stat)
            {
                children.entry(parent).or_default().push(pid);
            }
        }
        let mut found = Vec::new();
        let mut next = children.remove(&root).unwrap_or_default();
        while let Some(pid) = next.pop() {
            next.extend(children.remove(&pid).unwrap_or_default());
            found.push(Pid::from_raw(pid));
        }
        Ok(found)
    }

    /// The fourth field; the second one is a name in parentheses that may hold anything.
    fn parent(stat: &[u8]) -> Option<i32> {
        let end = stat.iter().rposition(|byte| *byte == b')')?;
        std::str::from_utf8(&stat[end + 1..]).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_parent_is_found_behind_any_name() {
            assert_eq!(parent(b"7 (a) b (c) S 3 7 7 0"), Some(3));
            assert_eq!(parent(b"7 (\xff) R 12 7"), Some(12));
            assert_eq!(parent(b"7 S 3"), None);
        }

        #[test]
        fn a_child_is_below_its_parent() {
            let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
            let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
            assert!(below(Pid::this().as_raw()).unwrap().contains(&pid));
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// From now on, orphans among our descendants become our children.
pub(crate) fn adopt_orphans() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    linux::adopt_orphans()?;
    Ok(())
}

/// From now on, processes of the same user can neither read our memory and environment nor trace us.
pub(crate) fn hide() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    linux::hide()?;
    Ok(())
}

/// Kills all descendants until there is none. No child may be in use at this time.
pub(crate) async fn kill_all() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let end = tokio::time::Instant::now() + BOUND;
        while linux::kill_once()? > 0 {
            if tokio::time::Instant::now() > end {
                return Err(io::Error::other("killed processes do not disappear"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(())
}
