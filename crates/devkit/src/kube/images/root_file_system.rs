//! Root file systems of this system's own distribution, so that programs linked here find their libraries there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::super::{
    KubeError,
    scripts::{program, run},
};
use crate::{console::Step, file_error::FileError, tools};

/// Left out: nobody reads them in a container.
const LEFT_OUT: [&str; 4] = ["/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*"];

/// Where Debian's packages are.
pub(crate) const DEBIAN_MIRROR: &str = "http://deb.debian.org/debian";

/// A root file system, by the packages in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct RootFileSystem {
    name: &'static str,
    packages: &'static str,
}

/// This system's distribution.
struct Distribution {
    suite: String,
    mirror: &'static str,
    components: &'static str,
}

impl RootFileSystem {
    /// What projects without an image of their own work with.
    pub(super) const TOOLS: Self = Self { name: "tools", packages: "busybox-static,ca-certificates,git,python3" };
    /// The egress proxy.
    pub(super) const PROXY: Self = Self { name: "proxy", packages: "ca-certificates,squid" };

    /// Changes with the content.
    pub(super) fn key(self) -> Result<String, KubeError> {
        let distribution = distribution()?;
        let digest = Sha256::digest(format!("{} {} {LEFT_OUT:?}", distribution.suite, self.packages));
        Ok(hex::encode(digest.get(..4).unwrap_or_default()))
    }

    /// Finds it in the cache or makes it there.
    pub(super) fn provide(self, cache: &Path) -> Result<PathBuf, KubeError> {
        let all = cache.join("images");
        fs::create_dir_all(&all).map_err(FileError::of("create", &all))?;
        let root = all.join(format!("{}-{}", self.name, self.key()?));
        let lock_path = all.join("lock");
        let lock = fs::File::create(&lock_path).map_err(FileError::of("create", &lock_path))?;
        lock.lock().map_err(FileError::of("lock", lock_path))?;
        if root.is_dir() {
            return Ok(root);
        }
        if !nix::unistd::geteuid().is_root() {
            let why = "the images are made as root, from packages; name ones that are in the cluster already by \
                       variables of the form CODEX_K8S_TEST_..._IMAGE (RUNNER, SHELL, EGRESS, PLATFORM, ACTOR)";
            return Err(KubeError::unavailable(why));
        }
        let folder = tools::mmdebstrap(cache)?;
        let distribution = distribution()?;
        let step = Step::announce("image", format_args!("a root file system with {}", self.packages));
        let fresh = tempfile::Builder::new()
            .prefix(".making-")
            .tempdir_in(&all)
            .map_err(FileError::of("create a folder in", &all))?;
        let mut make = program(folder.join("mmdebstrap"));
        make.env("PATH", tools::search_path_with(&folder))
            .args(["--variant=essential", "--format=directory"])
            .arg(format!("--components={}", distribution.components))
            .arg(format!("--include={}", self.packages))
            .args(LEFT_OUT.iter().map(|path| format!("--dpkgopt=path-exclude={path}")))
            .arg(&distribution.suite)
            .arg(fresh.path().join("root"))
            .arg(distribution.mirror);
        run("making a root file system from packages", &mut make)?;
        let made = fresh.path().join("root");
        fs::rename(&made, &root).map_err(FileError::of("rename", made))?;
        step.done(root.display());
        Ok(root)
    }
}

fn distribution() -> Result<Distribution, KubeError> {
    let path = Path::new("/etc/os-release");
    let text = fs::read_to_string(path).map_err(FileError::of("read", path))?;
    from_os_release(&text)
}

fn from_os_release(text: &str) -> Result<Distribution, KubeError> {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let (mirror, components) = match value("ID").as_deref() {
        Some("debian") => (DEBIAN_MIRROR, "main"),
        Some("ubuntu") if cfg!(target_arch = "x86_64") => ("http://archive.ubuntu.com/ubuntu", "main,universe"),
        Some("ubuntu") => ("http://ports.ubuntu.com/ubuntu-ports", "main,universe"),
        _ => {
            return Err(KubeError::unavailable(
                "images are made from packages of Debian or Ubuntu, and this is neither",
            ));
        }
    };
    let suite = value("VERSION_CODENAME").ok_or_else(|| {
        KubeError::unavailable("/etc/os-release does not say which release this is (VERSION_CODENAME)")
    })?;
    Ok(Distribution { suite, mirror, components })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_is_that_of_this_system() {
        let debian = from_os_release("PRETTY_NAME=\"Debian\"\nVERSION_CODENAME=bookworm\nID=debian\n").unwrap();
        assert_eq!((debian.suite.as_str(), debian.components), ("bookworm", "main"));
        let ubuntu = from_os_release("ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n").unwrap();
        assert_eq!((ubuntu.suite.as_str(), ubuntu.components), ("noble", "main,universe"));
        assert!(matches!(from_os_release("ID=fedora\n"), Err(KubeError::Unavailable { .. })));
        assert!(matches!(from_os_release("ID=debian\n"), Err(KubeError::Unavailable { .. })));
    }
}
