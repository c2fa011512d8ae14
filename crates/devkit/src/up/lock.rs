//! One platform for each tree.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Seek, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::UpError;
use crate::{file_error::FileError, layout::Layout};

/// Who holds the lock.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) pid: i32,
    pub(super) since: String,
}

/// The lock; the system lets go of it when this process ends, however that comes about.
#[derive(Debug)]
pub(super) struct UpLock {
    _file: File,
    path: PathBuf,
}

impl Drop for UpLock {
    fn drop(&mut self) {
        // Before the lock itself goes, so that nobody can have it on the file that is removed.
        let _ = fs::remove_file(&self.path);
    }
}

impl UpLock {
    /// Takes the lock, or says who has it.
    pub(super) fn take(layout: &Layout) -> Result<Self, UpError> {
        let path = path(layout);
        let mut file = loop {
            let file = open(layout)?;
            match file.try_lock() {
                // A predecessor may have removed the file between our opening and locking it.
                Ok(()) if is_at(&file, &path) => break file,
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let Holder { pid, since } = holder(layout).unwrap_or_else(unnamed);
                    return Err(UpError::AlreadyUp { pid, since });
                }
                Err(TryLockError::Error(error)) => return Err(FileError::of("lock", path)(error).into()),
            }
        };
        let holder = Holder {
            pid: i32::try_from(std::process::id()).unwrap_or_default(),
            since: chrono::Local::now().format("%Y-%m-%d %H:%M:%S").to_string(),
        };
        let text = serde_json::json!(holder).to_string();
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(FileError::of("write", &path))?;
        Ok(Self { _file: file, path })
    }

    /// Who has it now, if anybody.
    pub(super) fn holder(layout: &Layout) -> Result<Option<Holder>, UpError> {
        let path = path(layout);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileError::of("open", path)(error).into()),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(holder(layout).unwrap_or_else(unnamed))),
            Err(TryLockError::Error(error)) => Err(FileError::of("lock", path)(error).into()),
        }
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => ours.ino() == there.ino() && ours.dev() == there.dev(),
        _ => false,
    }
}

/// Between taking the lock and writing the name there is a moment.
fn unnamed() -> Holder {
    Holder { pid: 0, since: "just now".to_owned() }
}

fn holder(layout: &Layout) -> Option<Holder> {
    let text = fs::read_to_string(path(layout)).ok()?;
    serde_json::from_str(&text).ok()
}

fn open(layout: &Layout) -> Result<File, UpError> {
    let folder = layout.dot_dev();
    fs::create_dir_all(&folder).map_err(FileError::of("create", folder))?;
    let path = path(layout);
    Ok(File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(FileError::of("open", path))?)
}

fn path(layout: &Layout) -> PathBuf {
    layout.dot_dev().join("lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_the_first_is() {
        let tree = tempfile::tempdir().unwrap();
        let layout = Layout {
            tree: tree.path().to_owned(),
            cache: tree.path().join("cache"),
            instance: tree.path().join("instance"),
        };
        assert!(UpLock::holder(&layout).unwrap().is_none());
        let first = UpLock::take(&layout).unwrap();
        let text = UpLock::take(&layout).unwrap_err().to_string();
        assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
        drop(first);
        assert!(UpLock::holder(&layout).unwrap().is_none());
        assert!(!path(&layout).exists(), "the lock leaves no file behind");
        UpLock::take(&layout).unwrap();
    }
}
