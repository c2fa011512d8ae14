//! Finding and ending what a supervisor's children left behind.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::launcher::claimants;

/// The variable in the environment of everything that a supervisor starts.
///
/// A launcher of jobs passes it on, so that a job is found even when its parent was killed.
pub const MARKER: &str = "CODEX_K8S_SUPERVISOR";

/// How long processes that were asked to end may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends every process that carries `marker`, works below `folder` or holds a Job in it, with all their descendants.
///
/// They are asked first and then killed. Returns how many there were.
pub fn end_marked(marker: &str, folder: &Path) -> usize {
    let first = marked(marker, folder);
    signal_all(&first, Signal::SIGTERM);
    let began = Instant::now();
    let mut left = first.clone();
    while !left.is_empty() && began.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(20));
        left = marked(marker, folder);
    }
    signal_all(&left, Signal::SIGKILL);
    first.len()
}

/// Whether this process lives; one that only waits to be forgotten by its parent does not.
pub fn is_alive(pid: i32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state != 'Z')
}

fn signal_all(pids: &BTreeSet<i32>, signal: Signal) {
    for pid in pids {
        let _ = kill(Pid::from_raw(*pid), signal);
    }
}

fn marked(marker: &str, folder: &Path) -> BTreeSet<i32> {
    let wanted = format!("{MARKER}={marker}");
    let ours = i32::try_from(std::process::id()).unwrap_or_default();
    let parents = living_parents();
    let claimants = claimants(folder);
    let mut found: BTreeSet<i32> = parents
        .keys()
        .copied()
        .filter(|pid| *pid != ours && (claimants.contains(pid) || carries(*pid, &wanted) || works_below(*pid, folder)))
        .collect();
    loop {
        let more: Vec<i32> = parents
            .iter()
            .filter(|(pid, parent)| found.contains(*parent) && !found.contains(*pid))
            .map(|(pid, _)| *pid)
            .filter(|pid| *pid != ours)
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

fn carries(pid: i32, wanted: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes()))
}

fn works_below(pid: i32, folder: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|place| place.starts_with(folder))
}

/// Every process that is not just waiting to be forgotten, with its parent.
fn living_parents() -> BTreeMap<i32, i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return BTreeMap::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| {
            let (state, parent) = state_and_parent(pid)?;
            (state != 'Z').then_some((pid, parent))
        })
        .collect()
}

fn state_and_parent(pid: i32) -> Option<(char, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name may hold spaces and brackets: fields count from the last bracket.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn marked_processes_and_their_descendants_end() {
        let folder = tempfile::tempdir().unwrap();
        let marker = format!("test-{}", std::process::id());
        // The inner shell drops the marker, as Codex's clean environment does.
        let mut child =
            Command::new("sh").args(["-c", "env -i sleep 600 & wait"]).env(MARKER, &marker).spawn().unwrap();
        let began = Instant::now();
        while marked(&marker, folder.path()).len() < 2 {
            assert!(began.elapsed() < PATIENCE, "the processes never appeared");
            thread::yield_now();
        }
        let reaper = thread::spawn(move || child.wait());
        assert_eq!(end_marked(&marker, folder.path()), 2);
        assert!(!reaper.join().unwrap().unwrap().success());
        assert!(marked(&marker, folder.path()).is_empty());
    }
}
