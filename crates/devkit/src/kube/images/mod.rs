//! The images that tests and `up --kube` run in the cluster, made without Docker and without a registry: from packages of this system's
//! distribution, this program itself and Codex.

mod compose;
mod root_file_system;

use std::{env, fs, path::PathBuf};

use sha2::{Digest, Sha256};

pub(crate) use self::root_file_system::DEBIAN_MIRROR;
use self::{compose::Workshop, root_file_system::RootFileSystem};
use super::{
    Cluster, KubeError,
    own::OwnCluster,
    scripts::{program, run},
};
use crate::{console::Step, file_error::FileError, layout::Layout, tools};

/// One of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Image {
    /// Runner, Codex and git, and what a project without an image of its own runs in.
    Runner,
    /// Nothing but a shell: a project's image of which nothing else can be assumed.
    Shell,
    /// The egress proxy.
    Egress,
    /// The production binary, with git.
    Platform,
    /// Stands where the runner is in tests of what is around it: does what a Job's token says.
    Actor,
}

/// What the actor does.
const ACTOR: &str = include_str!("../../../assets/actor/runner");

impl Image {
    /// What it is called in a cluster, without the tag.
    pub(crate) fn repository(self) -> &'static str {
        match self {
            Self::Runner => "localhost/codex-k8s-runner",
            Self::Shell => "localhost/codex-k8s-shell",
            Self::Egress => "localhost/codex-k8s-egress",
            Self::Platform => "localhost/codex-k8s",
            Self::Actor => "localhost/codex-k8s-actor",
        }
    }

    /// Names an image that is in the cluster already, for one that somebody else looks after.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Runner => "CODEX_K8S_TEST_RUNNER_IMAGE",
            Self::Shell => "CODEX_K8S_TEST_SHELL_IMAGE",
            Self::Egress => "CODEX_K8S_TEST_EGRESS_IMAGE",
            Self::Platform => "CODEX_K8S_TEST_PLATFORM_IMAGE",
            Self::Actor => "CODEX_K8S_TEST_ACTOR_IMAGE",
        }
    }

    fn root_file_system(self) -> RootFileSystem {
        match self {
            Self::Runner | Self::Shell | Self::Platform | Self::Actor => RootFileSystem::TOOLS,
            Self::Egress => RootFileSystem::PROXY,
        }
    }
}

/// The images that are in the cluster, by reference.
#[derive(Debug, Clone)]
pub struct Images {
    /// Runner, Codex and git, and what a project without an image of its own runs in.
    pub runner: String,
    /// Nothing but a shell.
    pub shell: String,
    /// The egress proxy.
    pub egress: String,
    /// The production binary; only where it is built.
    pub platform: Option<String>,
    /// Does what a Job's token says.
    pub actor: String,
}

impl Images {
    /// Makes what is not in the cluster yet, and loads it.
    ///
    /// # Errors
    /// When packages can't be had, or an image can't be made or loaded.
    pub fn provide(layout: &Layout, cluster: &Cluster) -> Result<Self, KubeError> {
        let provide = |image| provide(image, layout, cluster);
        let platform = named(Image::Platform).is_some() || Binary::path_of_production()?.is_file();
        Ok(Self {
            runner: provide(Image::Runner)?,
            shell: provide(Image::Shell)?,
            egress: provide(Image::Egress)?,
            platform: platform.then(|| provide(Image::Platform)).transpose()?,
            actor: provide(Image::Actor)?,
        })
    }

    /// What tests find in their environment.
    pub fn environment(&self) -> Vec<(String, String)> {
        let references = [
            (Image::Runner, Some(&self.runner)),
            (Image::Shell, Some(&self.shell)),
            (Image::Egress, Some(&self.egress)),
            (Image::Platform, self.platform.as_ref()),
            (Image::Actor, Some(&self.actor)),
        ];
        let named =
            |(image, reference): (Image, Option<&String>)| Some((image.variable().to_owned(), reference?.clone()));
        references.into_iter().filter_map(named).collect()
    }
}

/// Makes the image of runner, Codex and git, if it is not in the cluster yet, loads it, and returns its reference.
///
/// # Errors
/// When packages can't be had, or the image can't be made or loaded.
pub fn provide_runner(layout: &Layout, cluster: &Cluster) -> Result<String, KubeError> {
    provide(Image::Runner, layout, cluster)
}

fn provide(image: Image, layout: &Layout, cluster: &Cluster) -> Result<String, KubeError> {
    match named(image) {
        Some(named) => Ok(named),
        None => Maker::new(layout)?.provide(image, cluster),
    }
}

/// One that is in the cluster already.
fn named(image: Image) -> Option<String> {
    env::var(image.variable()).ok().filter(|name| !name.trim().is_empty())
}

/// A program that goes into an image.
struct Binary {
    path: PathBuf,
    /// The hash of its content.
    digest: String,
}

impl Binary {
    fn read(path: PathBuf) -> Result<Self, KubeError> {
        // Through a pipe the name is not told, which changes with each process.
        let file = fs::File::open(&path).map_err(FileError::of("open", &path))?;
        let digest = run("reading a program", program("sha256sum").stdin(file))?;
        Ok(Self { path, digest })
    }

    /// Where it is built: beside this program.
    fn path_of_production() -> Result<PathBuf, KubeError> {
        let own = env::current_exe().map_err(FileError::of("find", "this program"))?;
        Ok(own.with_file_name("codex-k8s"))
    }
}

/// Everything that images are made from.
struct Maker<'a> {
    layout: &'a Layout,
    codex: PathBuf,
    /// This program, also when its file was replaced by a new build.
    own: Binary,
    /// Keeps the images of several trees in one cluster apart.
    tree: String,
}

impl<'a> Maker<'a> {
    fn new(layout: &'a Layout) -> Result<Self, KubeError> {
        let codex = tools::codex(&layout.cache)?;
        let own = Binary::read(PathBuf::from(format!("/proc/{}/exe", std::process::id())))?;
        let tree = layout.instance.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { layout, codex, own, tree })
    }

    fn provide(&self, image: Image, cluster: &Cluster) -> Result<String, KubeError> {
        let prefix = format!("{}:{}-", image.repository(), self.tree);
        let reference = format!("{prefix}{}", self.content(image)?);
        if cluster.has_image(&reference)? {
            return Ok(reference);
        }
        let root = image.root_file_system().provide(&self.layout.cache)?;
        let step = Step::announce("image", &reference);
        let kubetool = OwnCluster::of(self.layout).kubetool()?;
        let workshop = Workshop::new(self.layout.instance.join("images"), kubetool)?;
        let archive = match image {
            Image::Runner => workshop.runner(&reference, &root, &self.bundle(&workshop)?)?,
            Image::Shell => workshop.shell(&reference, &root)?,
            Image::Egress => workshop.roles(&reference, &root, &self.own.path)?,
            Image::Platform => workshop.platform(&reference, &root, &Binary::path_of_production()?)?,
            Image::Actor => workshop.actor(&reference, &root, ACTOR)?,
        };
        cluster.load_image(&archive)?;
        cluster.forget_images(&prefix, &reference)?;
        workshop.close()?;
        step.done(format_args!("{reference} is in the cluster"));
        Ok(reference)
    }

    /// A tag that changes with what is in the image.
    fn content(&self, image: Image) -> Result<String, KubeError> {
        let mut hash = Sha256::new();
        hash.update(image.root_file_system().key()?);
        hash.update(compose::VERSION);
        match image {
            Image::Runner | Image::Egress => hash.update(&self.own.digest),
            Image::Platform => hash.update(Binary::read(Binary::path_of_production()?)?.digest),
            Image::Actor => hash.update(ACTOR),
            Image::Shell => {}
        }
        if image == Image::Runner {
            let script = self.bundle_script();
            hash.update(fs::read(&script).map_err(FileError::of("read", script))?);
            hash.update(tools::CODEX_VERSION);
        }
        Ok(hex::encode(hash.finalize().get(..6).unwrap_or_default()))
    }

    fn bundle(&self, workshop: &Workshop) -> Result<PathBuf, KubeError> {
        let out = workshop.path("bundle");
        let mut script = program("sh");
        script
            .arg(self.bundle_script())
            .arg(&self.own.path)
            .arg(&self.codex)
            .arg(&out)
            .env("RUNNER_COMMAND", "role runner");
        run("gathering what the runner needs", &mut script)?;
        Ok(out)
    }

    fn bundle_script(&self) -> PathBuf {
        self.layout.tree.join("deploy/images/bundle.sh")
    }
}
