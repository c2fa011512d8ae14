//! `cargo dev logs ROLE`.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::Path,
    thread,
    time::Duration,
};

use super::{Role, UpError};
use crate::{file_error::FileError, layout::Layout};

const PAUSE: Duration = Duration::from_millis(150);

/// Prints the log of a role, and with `follow` what is added to it, until interrupted.
///
/// # Errors
/// When there is none.
pub fn show_log(layout: &Layout, role: Role, follow: bool) -> Result<(), UpError> {
    let path = layout.logs().join(format!("{}.log", role.name()));
    let mut file = File::open(&path).map_err(|_| UpError::NoLog { role })?;
    loop {
        if copy(&mut file, &path)?.is_none() || !follow {
            return Ok(());
        }
        thread::sleep(PAUSE);
        // A new `up` begins a new file under the same name.
        if let Ok(fresh) = File::open(&path)
            && !same_file(&file, &fresh)
        {
            copy(&mut file, &path)?;
            file = fresh;
            file.seek(SeekFrom::Start(0)).map_err(FileError::of("read", &path))?;
        }
    }
}

/// Copies what is there; `None` when nobody reads any more.
fn copy(file: &mut File, path: &Path) -> Result<Option<u64>, UpError> {
    let mut out = io::stdout().lock();
    match io::copy(file, &mut out).and_then(|count| out.flush().map(|()| count)) {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(None),
        Err(error) => Err(FileError::of("read", path)(error).into()),
    }
}

fn same_file(one: &File, other: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (one.metadata(), other.metadata()) {
        (Ok(one), Ok(other)) => one.ino() == other.ino() && one.dev() == other.dev(),
        _ => false,
    }
}
