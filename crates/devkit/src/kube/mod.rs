//! A real Kubernetes for tests and for `up --kube`: one that is named, kind where Docker runs, or the devkit's own.

mod builder;
mod cluster;
mod commands;
mod error;
mod given;
mod images;
mod kind;
mod lease;
mod own;
mod places;
mod scripts;

pub(crate) use builder::BuilderPrograms;
pub use cluster::Cluster;
pub use commands::{down, prepare, status, up};
pub use error::KubeError;
pub(crate) use images::{DEBIAN_MIRROR, Image};
pub use images::{Images, provide_runner};
pub use lease::{Holder, Lease, obtain, stop_abandoned};
pub(crate) use scripts::{program, run, works};

/// Names a cluster that is there already, by its kubeconfig.
pub const KUBECONFIG: &str = "CODEX_K8S_TEST_KUBECONFIG";
/// This machine's address as pods of that cluster see it.
pub const NODE_ADDRESS: &str = "CODEX_K8S_TEST_NODE_ADDRESS";
/// The command that loads an image archive into that cluster; the archive's path is put behind it.
pub const IMAGE_LOADER: &str = "CODEX_K8S_TEST_IMAGE_LOADER";
