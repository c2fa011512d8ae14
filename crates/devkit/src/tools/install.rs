//! Installing into the cache: one at a time, whole or not at all.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};

use super::ToolError;
use crate::{
    console::{Step, say},
    disk,
    file_error::FileError,
};

/// Room for the largest tool, unpacked beside its download.
const NEEDED_MIB: u64 = 1024;

/// Installs `folder` below the cache with `fill`, unless it is there already.
///
/// `fill` gets an empty folder; only a complete one is renamed to its final name, so an interrupted
/// installation leaves nothing that looks finished.
pub(super) fn once(
    cache: &Path,
    title: &'static str,
    folder: &str,
    fill: impl FnOnce(&Path) -> Result<(), ToolError>,
) -> Result<PathBuf, ToolError> {
    let tools = cache.join("tools");
    let target = tools.join(folder);
    if target.is_dir() {
        return Ok(target);
    }
    make_folder(&tools)?;
    let _lock = lock(&tools.join("install.lock"))?;
    if target.is_dir() {
        return Ok(target);
    }
    let free_mib = disk::free_mib(&tools).map_err(FileError::of("measure", &tools))?;
    if free_mib < NEEDED_MIB {
        return Err(ToolError::DiskFull { path: tools, free_mib, needed_mib: NEEDED_MIB });
    }
    let step = Step::announce("install", title);
    let fresh = tempfile::Builder::new()
        .prefix(".installing-")
        .tempdir_in(&tools)
        .map_err(FileError::of("create a folder in", &tools))?;
    open_to_all(fresh.path())?;
    fill(fresh.path())?;
    let kept = fresh.keep();
    fs::rename(&kept, &target).map_err(FileError::of("rename", &kept))?;
    step.done(format_args!("{title} → {}", target.display()));
    Ok(target)
}

/// A folder name that changes with the pin.
pub(super) fn pinned_folder(name: &str, pin: &str) -> String {
    let digest = Sha256::digest(pin.as_bytes());
    format!("{name}-{}", hex::encode(digest.get(..4).unwrap_or_default()))
}

/// Runs a package manager, quietly unless it fails.
pub(super) fn run(title: &'static str, command: &mut Command) -> Result<(), ToolError> {
    let shown = format!("{command:?}");
    let failed = |output: String| ToolError::Install { title, command: shown.clone(), output };
    let result = command.output().map_err(|error| failed(error.to_string()))?;
    if result.status.success() {
        return Ok(());
    }
    let mut text = String::from_utf8_lossy(&result.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&result.stderr));
    let tail: Vec<&str> = text.lines().rev().take(15).collect();
    Err(failed(tail.into_iter().rev().collect::<Vec<_>>().join("\n")))
}

/// Demands a file that a package is known to hold.
pub(super) fn must_exist(title: &'static str, path: &Path) -> Result<(), ToolError> {
    if path.exists() { Ok(()) } else { Err(ToolError::Incomplete { title, path: path.to_owned() }) }
}

pub(super) fn make_folder(path: &Path) -> Result<(), ToolError> {
    Ok(fs::create_dir_all(path).map_err(FileError::of("create", path))?)
}

fn open_to_all(path: &Path) -> Result<(), ToolError> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(FileError::of("set the permissions of", path))?)
}

/// Waits for its turn; the lock goes with the returned file.
fn lock(path: &Path) -> Result<File, ToolError> {
    let file =
        File::options().create(true).truncate(false).write(true).open(path).map_err(FileError::of("open", path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            say("  … install        another `cargo dev` is installing tools; waiting for it");
            file.lock().map_err(FileError::of("lock", path))?;
        }
        Err(TryLockError::Error(error)) => return Err(FileError::of("lock", path)(error).into()),
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_installation_leaves_nothing_behind() {
        let cache = tempfile::tempdir().unwrap();
        let failed = once(cache.path(), "thing", "thing-1", |folder| {
            fs::write(folder.join("half"), "x").unwrap();
            Err(ToolError::UnknownMachine { arch: "test" })
        });
        assert!(failed.is_err());
        let left: Vec<_> =
            fs::read_dir(cache.path().join("tools")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["install.lock"]);
    }

    #[test]
    fn two_installers_at_once_install_once() {
        let cache = tempfile::tempdir().unwrap();
        let fills = std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    once(cache.path(), "thing", "thing-1", |folder| {
                        fills.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        fs::write(folder.join("whole"), "x").unwrap();
                        Ok(())
                    })
                    .unwrap();
                });
            }
        });
        assert_eq!(fills.load(std::sync::atomic::Ordering::SeqCst), 1);
        assert!(cache.path().join("tools/thing-1/whole").is_file());
    }

    #[test]
    fn the_folder_changes_with_the_pin() {
        assert_ne!(pinned_folder("a-1", "x"), pinned_folder("a-1", "y"));
        assert!(pinned_folder("a-1", "x").starts_with("a-1-"));
    }
}
