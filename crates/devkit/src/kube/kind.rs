//! A cluster by kind, where Docker runs.

use std::{net::IpAddr, path::PathBuf};

use super::{
    Cluster, KubeError,
    cluster::Loading,
    scripts::{is_there, program, run, works},
};
use crate::{console::Step, file_error::FileError, layout::Layout};

/// Whether kind and a Docker that answers are here.
pub(super) fn is_possible() -> bool {
    is_there("kind") && works(program("docker").arg("info"))
}

/// This tree's cluster, if it runs.
pub(super) fn running(layout: &Layout) -> Result<Option<Cluster>, KubeError> {
    let name = name(layout);
    let names = run("asking kind for its clusters", program("kind").args(["get", "clusters"]))?;
    if names.lines().any(|line| line.trim() == name) { describe(layout, name).map(Some) } else { Ok(None) }
}

/// Makes this tree's cluster.
pub(super) fn start(layout: &Layout) -> Result<Cluster, KubeError> {
    let step = Step::announce("kubernetes", "a cluster by kind");
    let name = name(layout);
    let mut create = program("kind");
    // Without a file of its own it would write into the person's.
    create.args(["create", "cluster", "--wait", "120s", "--name", &name]).arg("--kubeconfig").arg(kubeconfig(layout));
    run("making a cluster by kind", &mut create)?;
    let cluster = describe(layout, name)?;
    step.done(&cluster.title);
    Ok(cluster)
}

/// Ends this tree's cluster.
pub(super) fn stop(layout: &Layout) -> Result<(), KubeError> {
    let mut delete = program("kind");
    delete.args(["delete", "cluster", "--name", &name(layout)]).arg("--kubeconfig").arg(kubeconfig(layout));
    run("ending the cluster of kind", &mut delete).map(drop)
}

fn kubeconfig(layout: &Layout) -> PathBuf {
    layout.instance.join("kind.kubeconfig")
}

fn name(layout: &Layout) -> String {
    let short = layout.instance.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    format!("codex-k8s-{short}")
}

fn describe(layout: &Layout, name: String) -> Result<Cluster, KubeError> {
    let kubeconfig = kubeconfig(layout);
    let text = run("asking kind for its kubeconfig", program("kind").args(["get", "kubeconfig", "--name", &name]))?;
    crate::private_file::write(&kubeconfig, text.as_bytes()).map_err(FileError::of("write", &kubeconfig))?;
    let mut inspect = program("docker");
    inspect.args(["network", "inspect", "kind", "--format", "{{range .IPAM.Config}}{{.Gateway}} {{end}}"]);
    let gateways = run("asking Docker for kind's network", &mut inspect)?;
    Ok(Cluster {
        kubeconfig,
        node_address: gateway(&gateways)?,
        title: format!("kind's cluster {name}"),
        loading: Loading::Kind { name },
    })
}

/// The first address of the fourth version: kind's network has one of the sixth too.
fn gateway(addresses: &str) -> Result<IpAddr, KubeError> {
    addresses.split_whitespace().filter_map(|word| word.parse::<IpAddr>().ok()).find(IpAddr::is_ipv4).ok_or_else(|| {
        KubeError::Program {
            what: "asking Docker for kind's network",
            output: format!("no IPv4 gateway in {addresses:?}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_this_machine_is_that_of_the_network_in_version_four() {
        assert_eq!(gateway("fc00:f853:ccd:e793::1 172.18.0.1 \n").unwrap().to_string(), "172.18.0.1");
        assert!(gateway("").is_err());
    }
}
