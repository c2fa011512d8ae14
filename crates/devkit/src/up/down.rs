//! `cargo dev down`.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    UpError,
    lock::{Holder, UpLock},
};
use crate::{
    console::say,
    kube,
    layout::Layout,
    processes::{end_marked, is_alive},
    testing,
};

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(30);

/// Stops the platform and the kept test services, and leaves nothing behind.
///
/// # Errors
/// When the lock cannot be looked at.
pub fn down(layout: &Layout) -> Result<(), UpError> {
    let began = Instant::now();
    let was_up = match UpLock::holder(layout)? {
        Some(holder) => {
            end(layout, holder, began)?;
            true
        }
        None => false,
    };
    let marker = layout.platform_data().to_string_lossy().into_owned();
    let ended = end_marked(&marker, &layout.platform_data().join("jobs"));
    let stale = fs::remove_file(layout.state_file()).is_ok();
    let tests = testing::stop_kept(layout);
    let cluster = kube::stop_abandoned(layout)?;
    say(match (was_up, stale || ended > 0) {
        (true, _) => "The platform is down.",
        (false, true) => "The platform was not up; what an earlier one had left is cleaned up.",
        (false, false) => "The platform was not up.",
    });
    if cluster {
        say("The cluster that it had started is stopped too.");
    }
    if tests {
        say("The test services of `cargo dev env` are stopped too.");
    }
    Ok(())
}

fn end(layout: &Layout, holder: Holder, began: Instant) -> Result<(), UpError> {
    let mut asked = 0;
    let mut current = Some(holder);
    while let Some(holder) = current {
        // A supervisor that has the lock but has not signed yet is met again in a moment.
        if holder.pid != 0 && holder.pid != asked {
            let _ = kill(Pid::from_raw(holder.pid), Signal::SIGTERM);
            asked = holder.pid;
        }
        if asked != 0 && began.elapsed() > PATIENCE {
            say("It does not end by itself and is killed.");
            let _ = kill(Pid::from_raw(asked), Signal::SIGKILL);
        }
        thread::sleep(PAUSE);
        current = UpLock::holder(layout)?;
    }
    // It let go of the lock as its last deed; a moment later it is gone.
    while asked != 0 && is_alive(asked) && began.elapsed() < PATIENCE {
        thread::sleep(PAUSE);
    }
    Ok(())
}
