//! What a project's pods may reach: the gateway, the model gateway, names, and the egress proxy. Nothing reaches them.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::{
        IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use url::Url;

use super::{
    names::{AGENT, COMPONENT},
    settings::{KubernetesSettings, Network},
};
use crate::JobOrder;

/// The namespace of the cluster's own name service, and the label of its pods.
const DNS_NAMESPACE: &str = "kube-system";
const DNS_LABEL: (&str, &str) = ("k8s-app", "kube-dns");

/// The label by which a namespace is selected by its name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// The names of the policies that we make.
pub const NAMES: [&str; 2] = ["default-deny", "agent"];

/// Both policies: nothing for everybody, and a little for agents.
#[must_use]
pub fn policies(order: &JobOrder, settings: &KubernetesSettings, meta: &ObjectMeta) -> [NetworkPolicy; 2] {
    let named = |name: &str| ObjectMeta { name: Some(name.to_owned()), ..meta.clone() };
    let both = vec!["Ingress".to_owned(), "Egress".to_owned()];
    let nothing = NetworkPolicySpec {
        pod_selector: Some(LabelSelector::default()),
        policy_types: Some(both),
        ..NetworkPolicySpec::default()
    };
    let a_little = NetworkPolicySpec {
        pod_selector: Some(labelled(COMPONENT, AGENT)),
        policy_types: Some(vec!["Egress".to_owned()]),
        egress: Some(ways_out(order, settings)),
        ..NetworkPolicySpec::default()
    };
    [
        NetworkPolicy { metadata: named(NAMES[0]), spec: Some(nothing) },
        NetworkPolicy { metadata: named(NAMES[1]), spec: Some(a_little) },
    ]
}

fn ways_out(order: &JobOrder, settings: &KubernetesSettings) -> Vec<NetworkPolicyEgressRule> {
    let mut ways = vec![
        rule(pods(DNS_NAMESPACE, Some(DNS_LABEL)), vec![port("UDP", 53), port("TCP", 53)]),
        to(&order.gateway_url, place(settings, "gateway")),
        to(&order.model_url, place(settings, "model-gateway")),
    ];
    if let Some(proxy) = &settings.egress_proxy {
        let peer = match &settings.network {
            Network::Pods { egress, .. } => pods(egress, Some((COMPONENT, "egress-proxy"))),
            Network::Block(block) => within(block),
        };
        ways.push(to(proxy, peer));
    }
    ways
}

fn place(settings: &KubernetesSettings, component: &str) -> NetworkPolicyPeer {
    match &settings.network {
        Network::Pods { system, .. } => pods(system, Some((COMPONENT, component))),
        Network::Block(block) => within(block),
    }
}

/// A policy is about pods' ports: our Services use the same numbers.
fn to(url: &Url, peer: NetworkPolicyPeer) -> NetworkPolicyEgressRule {
    rule(peer, vec![port("TCP", url.port_or_known_default().unwrap_or(443))])
}

fn rule(peer: NetworkPolicyPeer, ports: Vec<NetworkPolicyPort>) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule { to: Some(vec![peer]), ports: Some(ports) }
}

fn port(protocol: &str, number: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.to_owned()),
        port: Some(IntOrString::Int(i32::from(number))),
        ..NetworkPolicyPort::default()
    }
}

fn pods(namespace: &str, label: Option<(&str, &str)>) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(labelled(NAMESPACE_NAME, namespace)),
        pod_selector: label.map(|(key, value)| labelled(key, value)),
        ..NetworkPolicyPeer::default()
    }
}

fn within(block: &str) -> NetworkPolicyPeer {
    let block = IPBlock { cidr: block.to_owned(), ..IPBlock::default() };
    NetworkPolicyPeer { ip_block: Some(block), ..NetworkPolicyPeer::default() }
}

fn labelled(key: &str, value: &str) -> LabelSelector {
    let labels: BTreeMap<String, String> = [(key.to_owned(), value.to_owned())].into();
    LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
}
