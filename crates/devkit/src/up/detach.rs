//! `cargo dev up --detach`: the same, without the terminal.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use super::{Options, State, UpError};
use crate::{file_error::FileError, layout::Layout};

const PAUSE: Duration = Duration::from_millis(30);

/// Starts `up` in a session of its own and returns when everything is ready.
///
/// # Errors
/// When the platform does not come up.
pub fn detach(layout: &Layout, options: Options) -> Result<(), UpError> {
    let folder = layout.logs();
    fs::create_dir_all(&folder).map_err(FileError::of("create", &folder))?;
    let path = folder.join("up.log");
    let output = File::create(&path).map_err(FileError::of("create", &path))?;
    let errors = output.try_clone().map_err(FileError::of("open", &path))?;
    let mut shown = File::open(&path).map_err(FileError::of("open", &path))?;
    let mut child = Command::new("/proc/self/exe")
        .args(["up", "--own-session"])
        .arg(format!("--port-base={}", options.port_base))
        .args(options.fresh.then_some("--fresh"))
        .args(options.kube.then_some("--kube"))
        .current_dir(&layout.tree)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(UpError::system("start the supervisor"))?;
    loop {
        // Asked before the lines are shown, so that the last ones are not missed.
        let ended = child.try_wait().map_err(UpError::system("watch the supervisor"))?;
        let ready = State::read(&layout.state_file())
            .is_some_and(|state| state.ready && u32::try_from(state.supervisor) == Ok(child.id()));
        pass_on(&mut shown).map_err(FileError::of("read", &path))?;
        if ended.is_some() {
            return Err(UpError::DetachedFailed);
        }
        if ready {
            thread::sleep(PAUSE);
            return Ok(pass_on(&mut shown).map_err(FileError::of("read", &path))?);
        }
        thread::sleep(PAUSE);
    }
}

fn pass_on(from: &mut File) -> io::Result<()> {
    let mut text = Vec::new();
    from.read_to_end(&mut text)?;
    // A closed terminal is no reason to leave the platform half started.
    let _ = io::stdout().lock().write_all(&text);
    Ok(())
}
