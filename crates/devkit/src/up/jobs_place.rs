//! Where Jobs run: as processes of this machine, or in a cluster.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf};

use super::{Ports, UpError, relay::Relay};
use crate::{
    console::{Step, say},
    egress_proxy::EgressProxy,
    kube::{self, Cluster, Holder, Lease},
    layout::Layout,
    tools,
};

/// The place of Jobs.
#[derive(Debug)]
pub(super) enum JobsPlace {
    /// They are processes.
    Here,
    /// They are Jobs of a cluster.
    InCluster(Box<InCluster>),
}

/// A cluster from which the gateways can be reached.
#[derive(Debug)]
pub(super) struct InCluster {
    lease: Lease,
    runner_image: String,
    /// The folder below which squid lies; none where it can't be had.
    squid: Option<PathBuf>,
    /// Held for as long as the platform is up.
    _relay: Relay,
}

impl JobsPlace {
    /// Finds or starts a cluster, puts the images into it and opens the gateways to its pods.
    pub(super) async fn in_cluster(layout: &Layout, ports: Ports) -> Result<Self, UpError> {
        let lease = kube::obtain(layout, Holder::this_process())?;
        let (runner_image, relay) = Self::set_up(layout, ports, &lease.cluster).await?;
        let squid = tools::squid(&layout.cache)?;
        if squid.is_none() {
            say("    no egress proxy: squid can't be had here, so Jobs reach the platform and nothing else");
        }
        Ok(Self::InCluster(Box::new(InCluster { lease, runner_image, squid, _relay: relay })))
    }

    /// The way out of the cluster's Jobs, with its files in `folder`; none where Jobs are processes, or squid can't be had.
    pub(super) fn egress_proxy(&self, ports: Ports, folder: PathBuf) -> Option<EgressProxy> {
        let Self::InCluster(place) = self else { return None };
        let address = SocketAddr::new(place.lease.cluster.node_address, ports.egress_proxy());
        Some(EgressProxy { root: place.squid.clone()?, folder, address })
    }

    async fn set_up(layout: &Layout, ports: Ports, cluster: &Cluster) -> Result<(String, Relay), UpError> {
        let runner_image = kube::provide_runner(layout, cluster)?;
        let step = Step::start("bridge");
        let address = cluster.node_address;
        let open = UpError::system("open the gateways to the cluster's pods");
        let mut relay = Relay::open(address, &[ports.gateway(), ports.model_gateway()]).await.map_err(open)?;
        let canary = SocketAddr::new(address, ports.canary());
        relay.open_canary(canary).await.map_err(UpError::system("open the port that pods must not reach"))?;
        step.done(format_args!("gateway and model gateway also listen on {address}, for pods"));
        Ok((runner_image, relay))
    }

    /// What the worker is told.
    pub(super) fn settings(&self, ports: Ports) -> Vec<(String, OsString)> {
        let Self::InCluster(place) = self else { return Vec::new() };
        let Cluster { kubeconfig, node_address, .. } = &place.lease.cluster;
        let on_bridge = |port| SocketAddr::new(*node_address, port);
        let bits = if node_address.is_ipv4() { 32 } else { 128 };
        let proxy = place.squid.as_ref().map(|_| format!("http://{}", on_bridge(ports.egress_proxy())));
        [
            ("JOBS_IN", "kubernetes".into()),
            ("KUBECONFIG", kubeconfig.clone().into_os_string()),
            ("RUNNER_IMAGE", place.runner_image.clone().into()),
            ("GATEWAY_URL", format!("http://{}", on_bridge(ports.gateway())).into()),
            ("MODEL_GATEWAY_URL", format!("http://{}", on_bridge(ports.model_gateway())).into()),
            ("PLATFORM_BLOCK", format!("{node_address}/{bits}").into()),
            ("NETWORK_CANARY", on_bridge(ports.canary()).to_string().into()),
            // A developer's machine has room for less than a cluster has.
            ("JOB_CPU", "1".into()),
            ("JOB_MEMORY", "2Gi".into()),
        ]
        .into_iter()
        .chain(proxy.map(|proxy| ("EGRESS_PROXY_URL", proxy.into())))
        .map(|(name, value): (&str, OsString)| (name.to_owned(), value))
        .collect()
    }

    /// What people read about it; nothing where Jobs are processes.
    pub(super) fn words(&self) -> Option<String> {
        let Self::InCluster(place) = self else { return None };
        let cluster = &place.lease.cluster;
        Some(format!("in {} (KUBECONFIG={})", cluster.title, cluster.kubeconfig.display()))
    }

    /// What opens the cluster.
    pub(super) fn kubeconfig(&self) -> Option<PathBuf> {
        let Self::InCluster(place) = self else { return None };
        Some(place.lease.cluster.kubeconfig.clone())
    }

    /// Ends the cluster if it was started for this.
    pub(super) fn leave(self) -> Result<(), UpError> {
        match self {
            Self::Here => Ok(()),
            Self::InCluster(place) => Ok(place.lease.end()?),
        }
    }
}
