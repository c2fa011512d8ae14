//! The devkit's own one-node cluster: the scripts in `crates/devkit/cluster`, which its README tells about.

use std::{
    env, fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Cluster, KubeError,
    cluster::Loading,
    places::Place,
    scripts::{is_there, program, read, run, works},
};
use crate::{console::Step, disk, file_error::FileError, layout::Layout};

/// Room for programs, images and the state of a cluster.
const NEEDED_MIB: u64 = 3072;
/// A path of a socket has at most 107 bytes, and containerd's longest lies this far below the folder.
const LONGEST_FOLDER: usize = 107 - "/containerd/containerd.sock.ttrpc".len();

/// The cluster of one tree.
#[derive(Debug)]
pub(super) struct OwnCluster {
    scripts: PathBuf,
    base: PathBuf,
    state: PathBuf,
    node: String,
}

impl OwnCluster {
    pub(super) fn of(layout: &Layout) -> Self {
        let short = layout.instance.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self {
            scripts: layout.tree.join("crates/devkit/cluster"),
            base: base(layout),
            state: layout.instance.join("kube"),
            node: format!("node-{short}"),
        }
    }

    /// What keeps this machine from running it.
    pub(super) fn obstacle(&self) -> Option<String> {
        let missing: Vec<&str> = ["bash", "ip", "setsid", "unshare", "dpkg", "apt-get", "xz"]
            .into_iter()
            .filter(|name| !is_there(name))
            .collect();
        if !nix::unistd::geteuid().is_root() {
            return Some(
                "the devkit's own cluster needs root; run as root, install kind and Docker, or name a cluster".into(),
            );
        }
        if !missing.is_empty() {
            return Some(format!("the devkit's own cluster needs {}: install them", missing.join(", ")));
        }
        if !is_there("go") {
            return Some(
                "the devkit's own cluster is built with Go; install it with: sudo apt-get install golang-go".into(),
            );
        }
        let mut try_out = program("unshare");
        try_out.args(["--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc", "true"]);
        if !works(&mut try_out) {
            return Some("the kernel lets nobody here make namespaces and mounts, which a cluster needs".into());
        }
        let supports = |name: &str| fs::read_to_string("/proc/filesystems").is_ok_and(|text| text.contains(name));
        if !supports("overlay") && !works(program("modprobe").arg("overlay")) {
            return Some("the kernel has no overlay file system, which containers need".into());
        }
        (self.state.as_os_str().len() > LONGEST_FOLDER).then(|| {
            format!("{} is too long a path for sockets: set CODEX_K8S_CACHE to a shorter one", self.state.display())
        })
    }

    /// The cluster, if it runs.
    pub(super) fn running(&self) -> Result<Option<Cluster>, KubeError> {
        if !self.state.join("ready").exists() || !self.lives()? {
            return Ok(None);
        }
        let settings = read(&self.state.join("settings"))?.unwrap_or_default();
        let node_address = setting(&settings, "K8S_NODE_IP").and_then(|text| text.parse::<IpAddr>().ok());
        let Some(node_address) = node_address else { return Ok(None) };
        Ok(Some(Cluster {
            kubeconfig: self.state.join("pki/admin.kubeconfig"),
            node_address,
            title: format!("the devkit's own cluster, node {} at {node_address}", self.node),
            loading: Loading::Containerd {
                ctr: self.base.join("bin/ctr"),
                socket: self.state.join("containerd/containerd.sock"),
            },
        }))
    }

    /// Whether something of it is there, running or not.
    pub(super) fn has_left_something(&self) -> bool {
        self.state.exists()
    }

    /// Builds what is missing.
    pub(super) fn build(&self) -> Result<(), KubeError> {
        fs::create_dir_all(&self.base).map_err(FileError::of("create", &self.base))?;
        let free_mib = disk::free_mib(&self.base).map_err(FileError::of("measure", &self.base))?;
        if free_mib < NEEDED_MIB && !self.base.join("bin/kubeall").exists() {
            return Err(KubeError::unavailable(format!(
                "{} has {free_mib} MiB free, {NEEDED_MIB} MiB are needed: free some space, or set K8S_BASE to a folder on another disk",
                self.base.display()
            )));
        }
        let step = if self.base.join("bin/kubeall").exists() {
            Step::start("kubernetes")
        } else {
            Step::announce("kubernetes", "its programs; from source 15 to 25 minutes, once")
        };
        run("building the cluster's programs", &mut self.script("build.sh"))?;
        step.done(format_args!("programs in {}", self.base.display()));
        Ok(())
    }

    /// Starts it, on addresses that nobody uses.
    pub(super) fn start(&self) -> Result<Cluster, KubeError> {
        self.build()?;
        let step = Step::announce("kubernetes", "a cluster of one node");
        let place = Place::free().ok_or_else(|| {
            KubeError::unavailable(
                "all addresses for clusters are taken; stop one with `cargo dev kube down` in its tree",
            )
        })?;
        let mut up = self.script("up.sh");
        up.envs(place.settings(&self.node));
        // The tables that make Services work have one name in a network namespace.
        up.env("K8S_PROXY", if self.services_are_taken() { "0" } else { "1" });
        if let Err(error) = run("starting the cluster", &mut up) {
            let _ = self.stop();
            return Err(error);
        }
        let cluster = self.running()?.ok_or_else(|| KubeError::Program {
            what: "starting the cluster",
            output: format!("it is not running; its logs were in {}", self.state.join("logs").display()),
        })?;
        step.done(&cluster.title);
        Ok(cluster)
    }

    /// Ends it with everything in it.
    pub(super) fn stop(&self) -> Result<(), KubeError> {
        run("stopping the cluster", &mut self.script("down.sh")).map(drop)
    }

    /// The program that makes images from files, built if it is not there.
    pub(super) fn kubetool(&self) -> Result<PathBuf, KubeError> {
        let tool = self.base.join("bin/kubetool");
        if !tool.exists() {
            if !is_there("go") {
                return Err(KubeError::unavailable(
                    "images are made by a Go program; install Go with: sudo apt-get install golang-go",
                ));
            }
            fs::create_dir_all(&self.base).map_err(FileError::of("create", &self.base))?;
            run("building the maker of images", self.script("build.sh").arg("kubetool"))?;
        }
        Ok(tool)
    }

    /// The folder with the programs that build images, built if they are not there.
    pub(super) fn builder(&self) -> Result<PathBuf, KubeError> {
        let folder = self.base.join("bin");
        if !is_there("go") {
            return Err(KubeError::unavailable(
                "BuildKit is built with Go; install it with: sudo apt-get install golang-go",
            ));
        }
        fs::create_dir_all(&self.base).map_err(FileError::of("create", &self.base))?;
        let step = if folder.join("buildkitd").exists() {
            Step::start("buildkit")
        } else {
            Step::announce("buildkit", "its programs; from source some minutes, once")
        };
        run("building BuildKit", self.script("build.sh").arg("builder"))?;
        step.done(format_args!("programs in {}", folder.display()));
        Ok(folder)
    }

    fn lives(&self) -> Result<bool, KubeError> {
        let pid = read(&self.state.join("pid"))?.and_then(|text| text.trim().parse::<i32>().ok());
        Ok(pid.is_some_and(crate::processes::is_alive))
    }

    fn services_are_taken(&self) -> bool {
        let root = self.base.join("root");
        let triple = format!("{}-linux-gnu", env::consts::ARCH);
        let libraries = [root.join("usr/lib").join(&triple), root.join("lib").join(&triple)];
        let mut list = program(root.join("usr/sbin/nft"));
        list.args(["list", "table", "ip", "kube-proxy"]);
        if let Ok(path) = env::join_paths(libraries) {
            list.env("LD_LIBRARY_PATH", path);
        }
        works(&mut list)
    }

    fn script(&self, name: &str) -> Command {
        let mut command = program("bash");
        command.arg(self.scripts.join(name)).env("K8S_BASE", &self.base).env("K8S_RUN", &self.state);
        if let Some(prebuilt) = env::var_os("K8S_PREBUILT") {
            command.env("K8S_PREBUILT", prebuilt);
        }
        command
    }
}

/// Where the programs are kept: the rule of the scripts, so that what one has built the other finds.
fn base(layout: &Layout) -> PathBuf {
    let user_cache = || {
        env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
            .map(|cache| cache.join("codex-k8s"))
    };
    if let Some(named) = env::var_os("K8S_BASE") {
        return named.into();
    }
    let own_cache = env::var_os("CODEX_K8S_CACHE").is_none().then(user_cache).flatten();
    own_cache.unwrap_or_else(|| layout.cache.clone()).join("cluster")
}

fn setting<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_dead_cluster_is_no_running_one() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout {
            tree: folder.path().to_owned(),
            cache: folder.path().to_owned(),
            instance: folder.path().to_owned(),
        };
        let own = OwnCluster::of(&layout);
        assert!(!own.has_left_something());
        fs::create_dir(&own.state).unwrap();
        for (file, text) in [("ready", ""), ("settings", "K8S_NODE=a\nK8S_NODE_IP=10.244.100.1\n"), ("pid", "0\n")] {
            fs::write(own.state.join(file), text).unwrap();
        }
        assert!(own.has_left_something() && own.running().unwrap().is_none());
        fs::write(own.state.join("pid"), std::process::id().to_string()).unwrap();
        assert_eq!(own.running().unwrap().unwrap().node_address.to_string(), "10.244.100.1");
    }
}
