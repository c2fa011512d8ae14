//! Finding and ending everything that a Job started, also what made itself a session of its own.

use std::{fs, path::Path, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Rounds of looking and killing: a process can start another between our look and our kill.
const ROUNDS: u32 = 40;

/// Kills until nothing of the Job is left: by its user if it had one of its own, else by its working folder.
pub(super) async fn end_all(folder: &Path, user: Option<u32>) {
    for _ in 0..ROUNDS {
        let left = of_job(folder, user);
        if left.is_empty() {
            return;
        }
        for pid in left {
            let _ = kill(pid, Signal::SIGKILL);
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    tracing::warn!(folder = %folder.display(), "processes of the Job are still there");
}

/// By its own word: the folder of a process that hides its memory belongs to root.
fn user_of(process: &Path) -> Option<u32> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?.parse().ok()
}

fn of_job(folder: &Path, user: Option<u32>) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let own = std::process::id();
    entries
        .flatten()
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let alive = !fs::read_to_string(entry.path().join("stat")).ok()?.contains(") Z ");
            let ours = match user {
                Some(user) => user_of(&entry.path())? == user,
                None => fs::read_link(entry.path().join("cwd")).ok()?.starts_with(folder),
            };
            (alive && ours && u32::try_from(pid).ok()? != own).then(|| Pid::from_raw(pid))
        })
        .collect()
}
