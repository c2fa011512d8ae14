//! Test services that stay up between commands, for `cargo dev env` and everyday `cargo test`.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, setsid},
};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use super::{TestServices, TestingError};
use crate::{file_error::FileError, layout::Layout, private_file, processes::is_alive, tools};

const START_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(30);

/// The keeper's note about what it keeps.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    pid: i32,
    environment: Vec<(String, String)>,
}

/// The environment of the kept services, which are started unless they run.
///
/// # Errors
/// When they do not come up.
pub fn export_lines(layout: &Layout) -> Result<Vec<(String, String)>, TestingError> {
    if let Some(note) = living(layout) {
        return Ok(note.environment);
    }
    // Installing here shows its progress; the keeper then finds everything in place.
    tools::platform_tools(&layout.cache)?;
    tools::test_materials(&layout.cache)?;
    let log = log_path(layout);
    let folder = layout.test_data();
    fs::create_dir_all(&folder).map_err(FileError::of("create", &folder))?;
    let output = File::create(&log).map_err(FileError::of("create", &log))?;
    let errors = output.try_clone().map_err(FileError::of("open", &log))?;
    let mut keeper = Command::new("/proc/self/exe")
        .arg("keep-test-services")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(TestingError::Cargo)?;
    let began = Instant::now();
    loop {
        if let Some(note) = living(layout) {
            return Ok(note.environment);
        }
        let ended = keeper.try_wait().ok().flatten().is_some();
        if began.elapsed() > START_LIMIT || ended {
            return Err(TestingError::Keeper { log });
        }
        thread::sleep(PAUSE);
    }
}

/// Keeps services until asked to stop; the body of the hidden command.
///
/// # Errors
/// When they do not come up.
pub async fn keep(layout: &Layout) -> Result<(), TestingError> {
    // Away from the terminal that the command was given in.
    let _ = setsid();
    let folder = layout.test_data();
    let lock_path = folder.join("kept.lock");
    let lock = File::create(&lock_path).map_err(FileError::of("create", &lock_path))?;
    lock.lock().map_err(FileError::of("lock", &lock_path))?;
    if living(layout).is_some() {
        return Ok(());
    }
    let mut stop = signal(SignalKind::terminate()).map_err(TestingError::Cargo)?;
    let tools = tools::platform_tools(&layout.cache)?;
    let materials = tools::test_materials(&layout.cache)?;
    let services = TestServices::start(layout, &tools).await?;
    let note = Note {
        pid: i32::try_from(std::process::id()).unwrap_or_default(),
        environment: services.environment(&tools, &materials),
    };
    let path = note_path(layout);
    private_file::write_json(&path, &note).map_err(FileError::of("write", &path))?;
    stop.recv().await;
    let _ = fs::remove_file(&path);
    services.stop().await;
    Ok(())
}

/// Stops the kept services. Returns whether there were any.
pub fn stop_kept(layout: &Layout) -> bool {
    let Some(note) = living(layout) else {
        return false;
    };
    let _ = kill(Pid::from_raw(note.pid), Signal::SIGTERM);
    let began = Instant::now();
    while is_alive(note.pid) && began.elapsed() < STOP_LIMIT {
        thread::sleep(PAUSE);
    }
    true
}

fn living(layout: &Layout) -> Option<Note> {
    let text = fs::read_to_string(note_path(layout)).ok()?;
    let note: Note = serde_json::from_str(&text).ok()?;
    is_alive(note.pid).then_some(note)
}

fn note_path(layout: &Layout) -> PathBuf {
    layout.test_data().join("kept.json")
}

fn log_path(layout: &Layout) -> PathBuf {
    layout.test_data().join("kept.log")
}

/// The environment of the kept services, if they run.
pub(super) fn running(layout: &Layout) -> Option<Vec<(String, String)>> {
    living(layout).map(|note| note.environment)
}
