//! A tree of its own for each test, with its own cache and ports.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);
const PORTS: u16 = 13;

/// Below the range that the system hands out by itself.
static NEXT_BASE: AtomicU16 = AtomicU16::new(21_000);

pub struct Tree {
    folder: tempfile::TempDir,
    pub port_base: u16,
}

impl Tree {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Postgres and the jobs run as other users when the tests run as root.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all(folder.path().join("tree/crates/devkit")).unwrap();
        Self { folder, port_base: free_base() }
    }

    /// With this source's console and the cache that it is built in.
    #[allow(dead_code, reason = "one of the programs that share this file")]
    pub fn with_console(layout: &devkit::layout::Layout) -> Self {
        let tree = Self::new();
        symlink(layout.tree.join("ui"), tree.tree().join("ui")).unwrap();
        fs::create_dir_all(tree.folder.path().join("cache")).unwrap();
        for name in ["tools", "console"] {
            fs::create_dir_all(layout.cache.join(name)).unwrap();
            symlink(layout.cache.join(name), tree.folder.path().join("cache").join(name)).unwrap();
        }
        tree
    }

    /// With the manifests of this source.
    #[allow(dead_code, reason = "one of the programs that share this file")]
    pub fn with_manifests(layout: &devkit::layout::Layout) -> Self {
        let tree = Self::new();
        symlink(layout.tree.join("deploy"), tree.tree().join("deploy")).unwrap();
        tree
    }

    pub fn dev(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dev"));
        command.args(arguments);
        if arguments[0] == "up" {
            command.arg(format!("--port-base={}", self.port_base));
        }
        for name in ["CODEX_K8S_TEMPORAL", "CODEX_K8S_POSTGRES_BIN", "CODEX_K8S_CODEX"] {
            assert!(std::env::var_os(name).is_some(), "{name} is not set: run it through \"cargo dev test\"");
        }
        let output = command
            .env("CARGO_MANIFEST_DIR", self.tree().join("crates/devkit"))
            .env("CODEX_K8S_CACHE", self.folder.path().join("cache"))
            .env_remove("OPENAI_API_KEY")
            .env_remove("MODEL_UPSTREAM_URL")
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        Said { good: output.status.success(), text: String::from_utf8(text).unwrap() }
    }

    pub fn state(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.state_file()).unwrap()).unwrap()
    }

    pub fn pids(&self) -> BTreeMap<String, i32> {
        serde_json::from_value(self.state()["pids"].clone()).unwrap()
    }

    pub fn state_file(&self) -> PathBuf {
        self.tree().join(".dev/state.json")
    }

    pub fn lock_file(&self) -> PathBuf {
        self.tree().join(".dev/lock")
    }

    pub fn kill(&self, pid: i32) {
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }

    /// The body that an address of the platform answers with.
    pub fn get(&self, url: &str) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { reqwest::get(url).await.unwrap().text().await.unwrap() })
    }

    pub fn ports_are_free(&self) -> bool {
        all_free(self.port_base)
    }

    fn tree(&self) -> PathBuf {
        Path::new(self.folder.path()).join("tree")
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // Also after a failed assertion, nothing of a test stays.
        self.dev(&["down"]);
    }
}

pub struct Said {
    good: bool,
    text: String,
}

impl Said {
    pub fn succeeds(self) -> String {
        assert!(self.good, "{}", self.text);
        self.text
    }

    pub fn fails(self) -> String {
        assert!(!self.good, "{}", self.text);
        self.text
    }
}

pub fn eventually(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn free_base() -> u16 {
    loop {
        let base = NEXT_BASE.fetch_add(PORTS, Ordering::Relaxed);
        assert!(base < 30_000, "no free ports");
        if all_free(base) {
            return base;
        }
    }
}

fn all_free(base: u16) -> bool {
    (base..base + PORTS).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
}
