//! `cargo dev kube`.

use super::{
    Cluster, Images, KUBECONFIG, KubeError, NODE_ADDRESS,
    lease::{Holder, find_running, obtain, stop},
};
use crate::{console::say, layout::Layout};

/// Starts a cluster, unless one runs, and leaves it running.
///
/// # Errors
/// When none can be had, or it does not come up.
pub fn up(layout: &Layout) -> Result<(), KubeError> {
    let lease = obtain(layout, Holder::Person)?;
    describe(&lease.cluster);
    say("End it with `cargo dev kube down`.");
    Ok(())
}

/// Ends the cluster of this tree.
///
/// # Errors
/// When it does not end.
pub fn down(layout: &Layout) -> Result<(), KubeError> {
    say(if stop(layout)? { "The cluster is stopped." } else { "No cluster of this tree runs." });
    Ok(())
}

/// Says which cluster is used.
///
/// # Errors
/// When the environment names one that is no good.
pub fn status(layout: &Layout) -> Result<(), KubeError> {
    match find_running(layout)? {
        Some(cluster) => describe(&cluster),
        None => say("No cluster of this tree runs; start one with `cargo dev kube up`."),
    }
    Ok(())
}

/// Puts the images into `cluster`, and returns what tests find in their environment about it.
///
/// # Errors
/// When an image can't be made or loaded.
pub fn prepare(layout: &Layout, cluster: &Cluster) -> Result<Vec<(String, String)>, KubeError> {
    let mut list = vec![
        (KUBECONFIG.to_owned(), cluster.kubeconfig.to_string_lossy().into_owned()),
        (NODE_ADDRESS.to_owned(), cluster.node_address.to_string()),
    ];
    list.extend(Images::provide(layout, cluster)?.environment());
    Ok(list)
}

fn describe(cluster: &Cluster) {
    say(format_args!("Kubernetes: {}", cluster.title));
    say(format_args!("  export KUBECONFIG={}", cluster.kubeconfig.display()));
    say(format_args!("  pods reach this machine at {}", cluster.node_address));
}
