//! The images that those of `deploy/docker` are built on: by digest from the lock file, or put together from packages.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{
    ImageBuildError,
    buildkit::{Build, BuildKit, Given},
    oci::Built,
};
use crate::{
    console::Step,
    file_error::FileError,
    kube::{DEBIAN_MIRROR, program, run},
    layout::Layout,
    manifests::Lock,
    tools,
};

/// Puts the stand-ins together.
const DOCKERFILE: &str = include_str!("../../assets/images/bases.Dockerfile");
/// Whom this machine believes: a proxy that package managers go through may have a certificate of its own.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Left out, as slim images have it.
const LEFT_OUT: [&str; 5] =
    ["/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*", "/usr/share/lintian/*"];

/// An image that Dockerfiles build on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Base {
    /// The argument that names it in Dockerfiles.
    argument: &'static str,
    /// Its name in the lock file, without the tag.
    repository: &'static str,
    /// The stage that stands for it.
    stage: &'static str,
}

const DEBIAN: Base = Base { argument: "DEBIAN_IMAGE", repository: "docker.io/library/debian", stage: "debian" };
const NODE: Base = Base { argument: "NODE_IMAGE", repository: "docker.io/library/node", stage: "node" };
const RUST: Base = Base { argument: "RUST_IMAGE", repository: "docker.io/library/rust", stage: "rust" };

impl Base {
    pub(super) const ALL: [Self; 3] = [DEBIAN, NODE, RUST];

    fn tag(self, lock: &Lock) -> Result<&str, ImageBuildError> {
        let tag = lock.image.iter().find_map(|image| image.name.strip_prefix(self.repository)?.strip_prefix(':'));
        tag.ok_or(ImageBuildError::NotLocked { repository: self.repository })
    }

    /// Its name in the lock file.
    pub(super) fn name(self, lock: &Lock) -> Result<String, ImageBuildError> {
        Ok(format!("{}:{}", self.repository, self.tag(lock)?))
    }
}

/// What the stand-ins are made of.
struct Materials {
    /// The release of Debian.
    suite: String,
    rust_version: String,
    sysroot: PathBuf,
    rustup: PathBuf,
    node: tools::NodePackages,
}

impl Materials {
    fn gather(layout: &Layout, lock: &Lock) -> Result<Self, ImageBuildError> {
        let mut ask = program("rustc");
        ask.args(["--print", "sysroot"]).current_dir(&layout.tree);
        let sysroot = PathBuf::from(run("asking rustc where its toolchain is", &mut ask)?.trim());
        let search = std::env::var_os("PATH").unwrap_or_default();
        let rustup = std::env::split_paths(&search).map(|folder| folder.join("rustup")).find(|path| path.is_file());
        Ok(Self {
            suite: suite(DEBIAN.tag(lock)?).to_owned(),
            rust_version: version(RUST.tag(lock)?).to_owned(),
            sysroot,
            rustup: rustup.ok_or(ImageBuildError::NoRustup)?,
            node: tools::node_packages(&layout.cache)?,
        })
    }

    /// The name that rustup has for the toolchain.
    fn toolchain(&self) -> String {
        self.sysroot.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Changes with what the stand-ins are made of, but for newer packages of the same release.
    fn key(&self) -> Result<String, ImageBuildError> {
        let authorities = fs::read(AUTHORITIES).map_err(FileError::of("read", AUTHORITIES))?;
        let words = format!("{} {} {} {LEFT_OUT:?}", self.suite, self.rust_version, self.toolchain());
        let node = self.node.folder.as_os_str().as_encoded_bytes();
        let hash = Sha256::new()
            .chain_update(DOCKERFILE)
            .chain_update(words)
            .chain_update(node)
            .chain_update(authorities)
            .finalize();
        Ok(hex::encode(hash.get(..4).unwrap_or_default()))
    }

    /// Makes the folder that the stand-ins are built from.
    fn lay_out(&self, cache: &Path, context: &Path) -> Result<(), ImageBuildError> {
        fs::create_dir(context).map_err(FileError::of("create", context))?;
        let dockerfile = context.join("Dockerfile");
        fs::write(&dockerfile, DOCKERFILE).map_err(FileError::of("write", dockerfile))?;
        let authorities = context.join("ca-certificates.crt");
        fs::copy(AUTHORITIES, authorities).map_err(FileError::of("copy", AUTHORITIES))?;
        let folder = tools::mmdebstrap(cache)?;
        let mut make = program(folder.join("mmdebstrap"));
        make.env("PATH", tools::search_path_with(&folder))
            .args(["--variant=minbase", "--format=tar", "--components=main"])
            .args(LEFT_OUT.iter().map(|path| format!("--dpkgopt=path-exclude={path}")))
            .arg(&self.suite)
            .arg(context.join("debian.tar"))
            .arg(DEBIAN_MIRROR);
        run("making a root file system from packages", &mut make)?;
        Ok(())
    }

    fn build<'a>(&self, base: Base, context: &'a Path) -> Build<'a> {
        Build {
            context,
            dockerfile: (context, "Dockerfile"),
            target: Some(base.stage),
            name: None,
            push: None,
            arguments: vec![
                ("RUST_VERSION", self.rust_version.clone()),
                ("TOOLCHAIN", self.toolchain()),
                ("NODE_PACKAGE", self.node.program.to_owned()),
            ],
            folders: vec![
                ("toolchain", self.sysroot.clone()),
                ("rustup", self.rustup.parent().map(Path::to_owned).unwrap_or_default()),
                ("packages", self.node.folder.clone()),
            ],
            given: Vec::new(),
        }
    }
}

/// The bases as they are in the lock file: the Dockerfiles name them by the same digests.
pub(super) fn locked(lock: &Lock) -> Result<Vec<Given>, ImageBuildError> {
    let names: Vec<String> = Base::ALL.into_iter().map(|base| base.name(lock)).collect::<Result<_, _>>()?;
    let missing: Vec<String> = lock
        .unresolved()
        .into_iter()
        .filter(|image| names.contains(&image.name))
        .map(|image| image.name.clone())
        .collect();
    if missing.is_empty() { Ok(Vec::new()) } else { Err(ImageBuildError::Unresolved { names: missing.join(", ") }) }
}

/// Stand-ins of the bases, from the cache if they were made before.
pub(super) fn from_packages(
    layout: &Layout,
    lock: &Lock,
    buildkit: &BuildKit,
    logs: &Path,
) -> Result<Vec<Given>, ImageBuildError> {
    let materials = Materials::gather(layout, lock)?;
    let all = layout.cache.join("images");
    let folder = all.join(format!("bases-{}", materials.key()?));
    if !folder.is_dir() {
        let step = Step::announce("bases", format_args!("Debian {}, Rust and Node from packages", materials.suite));
        fs::create_dir_all(&all).map_err(FileError::of("create", &all))?;
        let fresh = tempfile::Builder::new()
            .prefix(".making-")
            .tempdir_in(&all)
            .map_err(FileError::of("create a folder in", &all))?;
        let context = fresh.path().join("context");
        materials.lay_out(&layout.cache, &context)?;
        let made = fresh.path().join("bases");
        fs::create_dir(&made).map_err(FileError::of("create", &made))?;
        for base in Base::ALL {
            let log = logs.join(format!("base-{}.log", base.stage));
            buildkit.build(&materials.build(base, &context), &made.join(base.stage), &log)?;
        }
        fs::rename(&made, &folder).map_err(FileError::of("rename", made))?;
        step.done(folder.display());
    }
    let given = Base::ALL.into_iter().map(|base| {
        let folder = folder.join(base.stage);
        let Built { digest, .. } = Built::read(&folder)?;
        let name = base.name(lock)?;
        Ok(Given { argument: base.argument, name: familiar(&name).to_owned(), folder, digest })
    });
    given.collect()
}

/// As BuildKit writes the name of an image when it looks whether one is given.
fn familiar(name: &str) -> &str {
    name.strip_prefix("docker.io/library/").unwrap_or(name)
}

/// The release of Debian that a tag names.
fn suite(tag: &str) -> &str {
    tag.strip_suffix("-slim").unwrap_or(tag)
}

/// The version that a tag begins with.
fn version(tag: &str) -> &str {
    tag.split_once('-').map_or(tag, |(version, _)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(sha256: &str) -> Lock {
        let tags = ["debian:trixie-slim", "node:22-trixie-slim", "rust:1.95.0-slim-trixie", "other:1"];
        let one =
            |tag| format!("[[image]]\nname = \"docker.io/library/{tag}\"\nabout = \"x\"\nsha256 = \"{sha256}\"\n");
        toml::from_str(&tags.map(one).concat()).unwrap()
    }

    #[test]
    fn bases_without_a_digest_are_named_with_the_way_out() {
        let error = locked(&lock("unresolved")).unwrap_err().to_string();
        assert!(error.contains("docker.io/library/node:22-trixie-slim") && error.contains("--bases-from-packages"));
        assert!(!error.contains("other:1"), "{error}");
        assert!(locked(&lock(&"ab".repeat(32))).unwrap().is_empty());
    }

    #[test]
    fn releases_and_versions_are_those_of_the_tags() {
        let lock = lock("unresolved");
        assert_eq!(suite(DEBIAN.tag(&lock).unwrap()), "trixie");
        assert_eq!(version(RUST.tag(&lock).unwrap()), "1.95.0");
        assert_eq!(familiar(&NODE.name(&lock).unwrap()), "node:22-trixie-slim");
        let none: Lock = toml::from_str("image = []").unwrap();
        assert!(matches!(RUST.tag(&none), Err(ImageBuildError::NotLocked { .. })));
    }

    #[test]
    fn each_base_has_its_stage() {
        for base in Base::ALL {
            assert!(DOCKERFILE.contains(&format!(" AS {}\n", base.stage)), "{}", base.stage);
        }
    }
}
