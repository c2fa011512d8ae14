//! Putting images together, as archives in the format of `docker save`.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::super::{
    KubeError,
    scripts::{program, run},
};
use crate::file_error::FileError;

/// Changes when images are put together in another way.
pub(super) const VERSION: &str = "1";

/// Where the bundle of the runner is in its image.
const BUNDLE: &str = "opt/codex-k8s";
/// Folders that programs expect, also in an image with little else.
const FOLDERS: [&str; 6] = ["tmp/", "etc/", "dev/", "proc/", "sys/", "run/"];

/// A folder in which images are put together; gone with all that is in it when it is closed.
pub(super) struct Workshop {
    folder: PathBuf,
    kubetool: PathBuf,
}

impl Workshop {
    pub(super) fn new(folder: PathBuf, kubetool: PathBuf) -> Result<Self, KubeError> {
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(FileError::of("remove", &folder))?;
        }
        fs::create_dir_all(&folder).map_err(FileError::of("create", &folder))?;
        Ok(Self { folder, kubetool })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn close(self) -> Result<(), KubeError> {
        Ok(fs::remove_dir_all(&self.folder).map_err(FileError::of("remove", self.folder))?)
    }

    /// The root file system with the bundle.
    pub(super) fn runner(&self, reference: &str, root: &Path, bundle: &Path) -> Result<PathBuf, KubeError> {
        self.image(reference, &[folder("tmp/"), entry("/", root), entry(BUNDLE, bundle)])
    }

    /// A shell and its commands, all in one static program.
    pub(super) fn shell(&self, reference: &str, root: &Path) -> Result<PathBuf, KubeError> {
        self.image(reference, &Self::shell_entries(root)?)
    }

    /// The same, and a script where the runner is looked for.
    pub(super) fn actor(&self, reference: &str, root: &Path, script: &str) -> Result<PathBuf, KubeError> {
        let runner = self.path("runner");
        fs::write(&runner, script).map_err(FileError::of("write", &runner))?;
        fs::set_permissions(&runner, fs::Permissions::from_mode(0o755)).map_err(FileError::of("write", &runner))?;
        let mut entries = Self::shell_entries(root)?;
        entries.push(entry(&format!("{BUNDLE}/bin/runner"), &runner));
        self.image(reference, &entries)
    }

    fn shell_entries(root: &Path) -> Result<Vec<OsString>, KubeError> {
        let busybox = root.join("bin/busybox");
        let commands = run("asking busybox for its commands", program(&busybox).arg("--list"))?;
        let mut entries: Vec<OsString> = FOLDERS.into_iter().map(folder).collect();
        entries.push(entry("bin/busybox", &busybox));
        let links =
            commands.lines().filter(|name| *name != "busybox").map(|name| format!("bin/{name}->/bin/busybox").into());
        entries.extend(links);
        Ok(entries)
    }

    /// The root file system, with the production binary.
    pub(super) fn platform(&self, reference: &str, root: &Path, binary: &Path) -> Result<PathBuf, KubeError> {
        self.image(reference, &[folder("tmp/"), entry("/", root), entry("usr/bin/codex-k8s", binary)])
    }

    /// The root file system, with this program where the platform's is looked for.
    pub(super) fn roles(&self, reference: &str, root: &Path, binary: &Path) -> Result<PathBuf, KubeError> {
        let program_file = self.path("codex-k8s");
        fs::copy(binary, &program_file).map_err(FileError::of("copy", binary))?;
        let script = self.path("script");
        fs::write(&script, "#!/bin/sh\nexec /usr/libexec/codex-k8s role \"$@\"\n")
            .map_err(FileError::of("write", &script))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).map_err(FileError::of("write", &script))?;
        self.image(
            reference,
            &[
                folder("tmp/"),
                entry("/", root),
                entry("usr/libexec/codex-k8s", &program_file),
                entry("usr/bin/codex-k8s", &script),
            ],
        )
    }

    fn image(&self, reference: &str, entries: &[OsString]) -> Result<PathBuf, KubeError> {
        let archive = self.path("image.tar");
        let mut make = program(&self.kubetool);
        make.arg("image").arg(&archive).args([reference, ""]).args(entries);
        run("putting an image together", &mut make)?;
        Ok(archive)
    }
}

fn folder(name: &str) -> OsString {
    name.into()
}

/// `source`, a file or a folder, as `place`.
fn entry(place: &str, source: &Path) -> OsString {
    let mut entry = OsString::from(place);
    entry.push("=");
    entry.push(source);
    entry
}
