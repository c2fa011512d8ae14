//! Where the devkit keeps things: the tree, the cache of tools and the data of this tree.

use std::{
    env, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// The folders one devkit command works in.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The root of the source tree.
    pub tree: PathBuf,
    /// The cache of tools, shared by every tree of this user.
    pub cache: PathBuf,
    /// The local data that belongs to this tree alone.
    pub instance: PathBuf,
}

impl Layout {
    /// Finds the folders of the tree this program was built from.
    ///
    /// # Errors
    /// When the tree cannot be found on the disk or no cache folder can be named.
    pub fn find() -> Result<Self, LayoutError> {
        let manifest =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.join("../..");
        let tree = root.canonicalize().map_err(|source| LayoutError::Tree { path: root, source })?;
        let cache = cache_folder()?;
        let digest = Sha256::digest(tree.as_os_str().as_encoded_bytes());
        let short = hex::encode(digest.get(..6).unwrap_or_default());
        let instance = cache.join("instances").join(short);
        Ok(Self { tree, cache, instance })
    }

    /// The folder inside the tree for the state file, the logs and the lock.
    pub fn dot_dev(&self) -> PathBuf {
        self.tree.join(".dev")
    }

    /// The log files of the roles.
    pub fn logs(&self) -> PathBuf {
        self.dot_dev().join("logs")
    }

    /// The addresses and tokens of the running platform.
    pub fn state_file(&self) -> PathBuf {
        self.dot_dev().join("state.json")
    }

    /// The data of the platform that `up` starts.
    pub fn platform_data(&self) -> PathBuf {
        self.instance.join("up")
    }

    /// The data of the throw-away services that tests use.
    pub fn test_data(&self) -> PathBuf {
        self.instance.join("test")
    }
}

fn cache_folder() -> Result<PathBuf, LayoutError> {
    if let Some(named) = env::var_os("CODEX_K8S_CACHE") {
        let path = PathBuf::from(named);
        return if path.is_absolute() { Ok(path) } else { Err(LayoutError::RelativeCache { path }) };
    }
    if nix::unistd::geteuid().is_root() {
        // Postgres and the jobs run as other users here, and they cannot look into root's home.
        return Ok(PathBuf::from("/var/cache/codex-k8s"));
    }
    env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
        .map(|base| base.join("codex-k8s"))
        .ok_or(LayoutError::NoCache)
}

/// Why the folders could not be found.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The tree this program was built from is gone.
    #[error("the source tree at {path} cannot be opened", path = path.display())]
    Tree {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The override is not an absolute path.
    #[error("CODEX_K8S_CACHE must be an absolute path, not {path}", path = path.display())]
    RelativeCache {
        /// What was given.
        path: PathBuf,
    },
    /// There is no home folder to put a cache in.
    #[error("no cache folder: set HOME, XDG_CACHE_HOME or CODEX_K8S_CACHE")]
    NoCache,
}
