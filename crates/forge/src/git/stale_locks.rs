//! Locks that a git which was killed has left in a mirror. git takes none of them away by itself, and whatever needs one fails from then on.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Longer than git holds any of these.
const HELD_AT_MOST: Duration = Duration::from_secs(2);

/// Takes away those that nobody holds; tells whether there was one. No other fetch may be at work in the mirror.
pub(super) async fn take_away(mirror: &Path) -> io::Result<bool> {
    let before = find(mirror)?;
    if before.is_empty() {
        return Ok(false);
    }
    tokio::time::sleep(HELD_AT_MOST).await;
    let mut some = false;
    for (path, made) in find(mirror)? {
        if before.get(&path) == Some(&made) {
            tracing::warn!(path = %path.display(), "taking away a lock that a git which was killed has left");
            match fs::remove_file(&path) {
                // Held until just now, then; it is free all the same.
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => some = true,
            }
        }
    }
    Ok(some)
}

/// Locks of the mirror's own files and of its branches, and when they were made.
fn find(mirror: &Path) -> io::Result<HashMap<PathBuf, SystemTime>> {
    let mut found = HashMap::new();
    let mut folders = vec![mirror.join("refs/heads")];
    look_into(mirror, &mut found)?;
    while let Some(folder) = folders.pop() {
        folders.append(&mut look_into(&folder, &mut found)?);
    }
    Ok(found)
}

/// Adds the locks of a folder; gives the folders that are in it.
fn look_into(folder: &Path, found: &mut HashMap<PathBuf, SystemTime>) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(folders),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            folders.push(path);
        } else if path.extension().is_some_and(|extension| extension == "lock") {
            // One that goes meanwhile is none that was left.
            if let Ok(made) = entry.metadata().and_then(|file| file.modified()) {
                found.insert(path, made);
            }
        }
    }
    Ok(folders)
}
