//! Brings the runner's bundle (runner, Codex, git and what they need) into a volume that the project's own image mounts.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Where the bundle lies in the runner image.
pub const BUNDLE: &str = "/opt/codex-k8s";

/// The bundle could not be copied.
#[derive(Debug, thiserror::Error)]
#[error("{} can't be copied to {}", from.display(), to.display())]
pub struct InstallError {
    from: PathBuf,
    to: PathBuf,
    #[source]
    source: io::Error,
}

/// Copies the bundle, with modes and links as they are. What is there already is replaced: the step may run twice.
///
/// # Errors
/// With what could not be copied.
pub fn install(from: &Path, to: &Path) -> Result<(), InstallError> {
    let failed = |source| InstallError { from: from.to_owned(), to: to.to_owned(), source };
    let kind = fs::symlink_metadata(from).map_err(failed)?.file_type();
    if kind.is_dir() {
        match fs::create_dir(to) {
            // The volume itself is there, with a mode that is not ours to change.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.and_then(|()| fs::set_permissions(to, fs::metadata(from)?.permissions())).map_err(failed)?,
        }
        for entry in fs::read_dir(from).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            install(&from.join(&name), &to.join(&name))?;
        }
        return Ok(());
    }
    match fs::remove_file(to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        removed => removed.map_err(failed)?,
    }
    if kind.is_symlink() {
        return fs::read_link(from).and_then(|target| std::os::unix::fs::symlink(target, to)).map_err(failed);
    }
    fs::copy(from, to).map(drop).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_bundle_is_copied_as_it_is_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("bin")).unwrap();
        fs::write(from.join("bin/runner"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(from.join("bin/runner"), fs::Permissions::from_mode(0o555)).unwrap();
        std::os::unix::fs::symlink("runner", from.join("bin/link")).unwrap();
        fs::create_dir(&to).unwrap();
        for _ in 0..2 {
            install(&from, &to).unwrap();
            assert_eq!(fs::metadata(to.join("bin/runner")).unwrap().permissions().mode() & 0o777, 0o555);
            assert_eq!(fs::read_link(to.join("bin/link")).unwrap(), Path::new("runner"));
            assert_eq!(fs::read_to_string(to.join("bin/link")).unwrap(), "#!/bin/sh\n");
        }
        let missing = install(&folder.path().join("none"), &to).unwrap_err();
        assert!(missing.to_string().contains("none can't be copied to"), "{missing}");
    }
}
