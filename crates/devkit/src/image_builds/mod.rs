//! `cargo dev images build`: the images of `deploy/docker`, built by BuildKit without Docker.

mod bases;
mod buildkit;
mod oci;

use std::{
    fs,
    path::{Path, PathBuf},
};

use self::{
    buildkit::{Build, BuildKit, Given},
    oci::Built,
};
use crate::{
    console::{Step, say},
    disk,
    file_error::FileError,
    kube::{self, BuilderPrograms, Holder, Image, KubeError, program, run},
    layout::Layout,
    manifests::{Lock, ManifestError},
    processes::ProcessError,
    tools::ToolError,
};

/// Room for a release build of the platform, the tool chains of the runner image, and what BuildKit keeps of them.
const NEEDED_MIB: u64 = 10_240;
/// The same once most of it is kept.
const NEEDED_LATER_MIB: u64 = 4_096;
/// Tells an image that was built here from what tests put together.
const TAG: &str = "built";

/// How the images are built.
#[derive(Debug, Clone)]
pub struct Orders {
    /// Put the images together that they are built on, instead of fetching those of the lock file.
    pub bases_from_packages: bool,
    /// Load what was built into the cluster of this tree.
    pub load: bool,
    /// Push them to a registry.
    pub push: Option<Push>,
}

/// Where images go, each by its own name.
#[derive(Debug, Clone)]
pub struct Push {
    /// The registry, and what comes before the names.
    pub prefix: String,
    /// The version.
    pub tag: String,
}

/// One of our images.
struct Recipe {
    /// Its name in the lock file.
    name: &'static str,
    dockerfile: &'static str,
    image: Image,
}

/// The platform's first: the others take the binary from there.
const RECIPES: [Recipe; 3] = [
    Recipe { name: "codex-k8s", dockerfile: "platform.Dockerfile", image: Image::Platform },
    Recipe { name: "codex-k8s-egress", dockerfile: "egress.Dockerfile", image: Image::Egress },
    Recipe { name: "codex-k8s-runner", dockerfile: "runner.Dockerfile", image: Image::Runner },
];

/// Builds all three, and tells digest, size and place of each.
///
/// # Errors
/// When something is missing for it, or a build fails.
pub async fn build(layout: &Layout, orders: Orders) -> Result<(), ImageBuildError> {
    if !nix::unistd::geteuid().is_root() {
        return Err(ImageBuildError::NeedsRoot);
    }
    let lock = Lock::read(&layout.tree.join("deploy/versions.lock"))?;
    if !orders.bases_from_packages {
        bases::locked(&lock)?;
    }
    let out = layout.instance.join("built-images");
    fs::create_dir_all(&out).map_err(FileError::of("create", &out))?;
    has_room(&layout.cache.join("buildkit"))?;
    let programs = BuilderPrograms::provide(layout)?;
    let buildkit = BuildKit::start(&programs, &layout.cache).await?;
    let built = build_all(layout, &lock, &buildkit, &orders);
    buildkit.stop().await;
    let built = built?;
    for (recipe, image) in RECIPES.iter().zip(&built) {
        say(format_args!("{}@{}", recipe.name, image.digest));
        say(format_args!("  {}, in {}", image.megabytes(), out.join(recipe.name).display()));
    }
    if orders.bases_from_packages {
        say(
            "They stand on packages of this machine's mirrors, not on the images of deploy/versions.lock: use them for tests.",
        );
    }
    if orders.load { load(layout, &out) } else { Ok(()) }
}

/// Looks at the disk that BuildKit keeps its things on.
fn has_room(state: &Path) -> Result<(), ImageBuildError> {
    fs::create_dir_all(state).map_err(FileError::of("create", state))?;
    let needed_mib = if state.join("cache.db").exists() { NEEDED_LATER_MIB } else { NEEDED_MIB };
    let free_mib = disk::free_mib(state).map_err(FileError::of("measure", state))?;
    if free_mib < needed_mib {
        return Err(ImageBuildError::DiskFull { path: state.to_owned(), free_mib, needed_mib });
    }
    Ok(())
}

fn build_all(
    layout: &Layout,
    lock: &Lock,
    buildkit: &BuildKit,
    orders: &Orders,
) -> Result<Vec<Built>, ImageBuildError> {
    let out = layout.instance.join("built-images");
    let mut given = if orders.bases_from_packages {
        bases::from_packages(layout, lock, buildkit, &out)?
    } else {
        bases::locked(lock)?
    };
    let docker = layout.tree.join("deploy/docker");
    let mut all = Vec::new();
    for recipe in &RECIPES {
        let log = out.join(format!("{}.log", recipe.name));
        let folder = out.join(recipe.name);
        let loaded_as = recipe.loaded_as();
        let build = Build {
            context: &layout.tree,
            dockerfile: (&docker, recipe.dockerfile),
            target: None,
            name: Some(&loaded_as),
            push: orders.push.as_ref().map(|push| format!("{}/{}:{}", push.prefix, recipe.name, push.tag)),
            arguments: Vec::new(),
            folders: Vec::new(),
            given: wanted(&docker.join(recipe.dockerfile), &given)?,
        };
        let step = Step::announce("image", format_args!("{}, told in {}", recipe.dockerfile, log.display()));
        let built = buildkit.build(&build, &folder, &log)?;
        step.done(format_args!("{}, {}", recipe.name, built.megabytes()));
        if recipe.image == Image::Platform {
            let name = format!("{}:{TAG}", recipe.name);
            given.push(Given { argument: "PLATFORM_IMAGE", name, folder, digest: built.digest.clone() });
        }
        all.push(built);
    }
    Ok(all)
}

impl Recipe {
    /// Its name in a cluster.
    fn loaded_as(&self) -> String {
        format!("{}:{TAG}", self.image.repository())
    }
}

/// Those that a Dockerfile asks for.
fn wanted(dockerfile: &Path, given: &[Given]) -> Result<Vec<Given>, ImageBuildError> {
    let text = fs::read_to_string(dockerfile).map_err(FileError::of("read", dockerfile))?;
    Ok(given.iter().filter(|image| text.contains(&format!("\nARG {}=", image.argument))).cloned().collect())
}

/// Loads what was built into the cluster of this tree, and says how tests are told of it.
fn load(layout: &Layout, out: &Path) -> Result<(), ImageBuildError> {
    let lease = kube::obtain(layout, Holder::Person)?;
    let step = Step::announce("load", &lease.cluster.title);
    let archive = out.join("image.tar");
    for recipe in &RECIPES {
        let mut pack = program("tar");
        pack.arg("--create").arg("--file").arg(&archive).arg("--directory").arg(out.join(recipe.name)).arg(".");
        run("packing an image", &mut pack)?;
        lease.cluster.load_image(&archive)?;
    }
    fs::remove_file(&archive).map_err(FileError::of("remove", archive))?;
    step.done("all three are in the cluster; tests use them with");
    for recipe in &RECIPES {
        say(format_args!("  export {}={}", recipe.image.variable(), recipe.loaded_as()));
    }
    Ok(())
}

/// Why the images were not built.
#[derive(Debug, thiserror::Error)]
pub enum ImageBuildError {
    /// BuildKit makes mounts.
    #[error(
        "building images needs root here; where Docker runs, use the commands at the head of each file in deploy/docker"
    )]
    NeedsRoot,
    /// Nobody has put in which bytes are meant.
    #[error(
        "deploy/versions.lock has no digest of {names}: find each with `docker buildx imagetools inspect NAME`, put it in there and \
         in deploy/docker; or build on packages with --bases-from-packages, for tests"
    )]
    Unresolved {
        /// The images.
        names: String,
    },
    /// The lock file does not have an image that Dockerfiles build on.
    #[error("deploy/versions.lock has no image {repository}, which deploy/docker builds on: put it in")]
    NotLocked {
        /// Its name without a tag.
        repository: &'static str,
    },
    /// The stand-in for Rust's image is made of a toolchain of rustup.
    #[error(
        "rustup is missing, whose toolchain goes into the stand-in for Rust's image; install it as https://rustup.rs says"
    )]
    NoRustup,
    /// There is not enough room.
    #[error("{path} has {free_mib} MiB free, {needed_mib} MiB are needed: free some space, or set CODEX_K8S_CACHE to a folder on another disk", path = path.display())]
    DiskFull {
        /// The folder.
        path: PathBuf,
        /// What is free.
        free_mib: u64,
        /// What is needed.
        needed_mib: u64,
    },
    /// BuildKit does not answer.
    #[error("BuildKit did not start; {log} says why", log = log.display())]
    NotStarted {
        /// Its log.
        log: PathBuf,
    },
    /// A Dockerfile could not be built.
    #[error("the build failed; the end of {log}:\n{output}", log = log.display())]
    Build {
        /// All that was told.
        log: PathBuf,
        /// The end of it.
        output: String,
    },
    /// What was built is no image.
    #[error("{path} is no image in the layout of OCI; remove the folder and build again", path = path.display())]
    Layout {
        /// Where.
        path: PathBuf,
    },
    /// A file could not be used.
    #[error(transparent)]
    Files(#[from] FileError),
    /// The lock file can't be read.
    #[error(transparent)]
    Lock(#[from] ManifestError),
    /// The cluster, or a program, failed.
    #[error(transparent)]
    Kube(#[from] KubeError),
    /// A tool is missing.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// BuildKit could not be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dockerfile_is_given_what_it_asks_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Dockerfile");
        fs::write(&path, "# ARG RUST_IMAGE=\nARG NODE_IMAGE=a\nFROM ${NODE_IMAGE}\n").unwrap();
        let one = |argument| Given { argument, name: "a".into(), folder: "/a".into(), digest: "sha256:00".into() };
        let names: Vec<_> = wanted(&path, &["RUST_IMAGE", "NODE_IMAGE", "PLATFORM_IMAGE"].map(one))
            .unwrap()
            .into_iter()
            .map(|image| image.argument)
            .collect();
        assert_eq!(names, ["NODE_IMAGE"]);
    }
}
