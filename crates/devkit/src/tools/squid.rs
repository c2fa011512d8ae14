//! The egress proxy: the distribution's own squid, in a folder of the cache.
//!
//! It is not pinned, since Debian keeps only the newest build of a release in its archive; apt checks its signature.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    ToolError,
    install::{self, must_exist},
};
use crate::file_error::FileError;

const TITLE: &str = "squid";

/// Squid and those of its libraries that not every machine has.
const PACKAGES: [&str; 8] = [
    "squid",
    "squid-common",
    "squid-langpack",
    "libecap3",
    "libltdl7",
    "libnetfilter-conntrack3",
    "libnfnetlink0",
    "libtdb1",
];

/// The folder below which squid lies as it would below `/`. None where there is no squid and no apt to get one with.
pub(super) fn root(cache: &Path) -> Result<Option<PathBuf>, ToolError> {
    if let Some(root) = env::var_os("CODEX_K8S_SQUID_ROOT").map(PathBuf::from) {
        must_exist(TITLE, &root.join("usr/sbin/squid"))?;
        return Ok(Some(root));
    }
    if Path::new("/usr/sbin/squid").is_file() && Path::new("/usr/share/squid/mime.conf").is_file() {
        return Ok(Some(PathBuf::from("/")));
    }
    if !has_apt() {
        return Ok(None);
    }
    install::once(cache, TITLE, "squid-apt", fill).map(Some)
}

fn fill(fresh: &Path) -> Result<(), ToolError> {
    let download = fresh.join(".download");
    install::make_folder(&download)?;
    let fetch = || {
        let mut command = Command::new("apt-get");
        command.args(["download", "--quiet"]).args(PACKAGES).current_dir(&download);
        install::run(TITLE, &mut command)
    };
    if fetch().is_err() {
        install::run(TITLE, Command::new("apt-get").args(["update", "--quiet"]))?;
        fetch()?;
    }
    let entries = fs::read_dir(&download).map_err(FileError::of("read", &download))?;
    for entry in entries {
        let package = entry.map_err(FileError::of("read", &download))?.path();
        install::run(TITLE, Command::new("dpkg").arg("-x").arg(&package).arg(fresh))?;
    }
    must_exist(TITLE, &fresh.join("usr/sbin/squid"))?;
    Ok(fs::remove_dir_all(&download).map_err(FileError::of("remove", &download))?)
}

fn has_apt() -> bool {
    let runs = |name: &str| {
        let mut command = Command::new(name);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    runs("apt-get") && runs("dpkg")
}
