//! Rules about namespaces and what may reach what.

use serde_json::Value;

use super::{Finding, Object, object::list};

/// Addresses that nobody outside of the cluster and its neighbourhood has.
const PRIVATE: [&str; 6] =
    ["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"];

pub(super) fn findings(objects: &[Object]) -> Vec<Finding> {
    let mut found = Vec::new();
    let policies: Vec<&Object> = objects.iter().filter(|object| object.kind() == "NetworkPolicy").collect();
    for namespace in objects.iter().filter(|object| object.kind() == "Namespace") {
        if !policies.iter().any(|policy| policy.namespace() == namespace.name() && denies_everything(policy)) {
            found.push(Finding::new(namespace, "has no policy that denies every pod everything, in and out"));
        }
        let level = namespace
            .value()
            .pointer("/metadata/labels")
            .and_then(|labels| labels.get("pod-security.kubernetes.io/enforce"));
        if level.and_then(Value::as_str) != Some("restricted") {
            found.push(Finding::new(namespace, "does not enforce the Pod Security level `restricted`"));
        }
    }
    for object in objects {
        match object.kind() {
            "NetworkPolicy" => found.extend(way_out(object).into_iter().map(|problem| Finding::new(object, problem))),
            "Service" if !matches!(object.text("/spec/type"), "" | "ClusterIP") => {
                found.push(Finding::new(object, "is open on the nodes; use an Ingress"));
            }
            _ => {}
        }
        let names_a_place =
            object.namespace().is_empty() || objects.iter().any(|other| is_namespace(other, object.namespace()));
        if !names_a_place {
            found.push(Finding::new(object, "is in a namespace that these manifests do not make"));
        }
    }
    found
}

fn is_namespace(object: &Object, name: &str) -> bool {
    object.kind() == "Namespace" && object.name() == name
}

fn denies_everything(policy: &Object) -> bool {
    let types: Vec<&str> = policy.list("/spec/policyTypes").iter().filter_map(Value::as_str).collect();
    let selects_all =
        policy.value().pointer("/spec/podSelector").and_then(Value::as_object).is_some_and(serde_json::Map::is_empty);
    selects_all
        && types.contains(&"Ingress")
        && types.contains(&"Egress")
        && policy.list("/spec/ingress").is_empty()
        && policy.list("/spec/egress").is_empty()
}

/// What is wrong with the ways out that a policy opens.
fn way_out(policy: &Object) -> Vec<String> {
    let mut problems = Vec::new();
    for rule in policy.list("/spec/egress") {
        let peers = list(rule, "/to");
        if peers.is_empty() {
            problems.push("has a way out to everywhere: name the peers under `to`".to_owned());
        }
        let among_pods =
            peers.iter().all(|peer| peer.get("podSelector").is_some() && peer.get("namespaceSelector").is_none());
        if list(rule, "/ports").is_empty() && !among_pods {
            problems.push("has a way out to every port: name the ports".to_owned());
        }
        for block in peers.iter().filter_map(|peer| peer.get("ipBlock")) {
            let wide = matches!(block.get("cidr").and_then(Value::as_str), Some("0.0.0.0/0" | "::/0"));
            let except: Vec<&str> = list(block, "/except").iter().filter_map(Value::as_str).collect();
            for private in PRIVATE.iter().filter(|private| wide && !except.contains(private)) {
                problems.push(format!("has a way out to the internet that also leads to {private}: except it"));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::{super::render::given, *};

    const GOOD: &str = "
kind: Namespace
metadata: {name: a, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
kind: NetworkPolicy
metadata: {name: default-deny, namespace: a}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
";

    fn problems(more: &str) -> Vec<String> {
        findings(&given(&format!("{GOOD}---{more}"))).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_namespace_denies_both_ways() {
        assert_eq!(findings(&given(GOOD)), []);
        for (from, to) in [
            ("[Ingress, Egress]", "[Ingress]"),
            ("podSelector: {}", "podSelector: {matchLabels: {a: b}}"),
            ("policyTypes", "egress: [{}], policyTypes"),
            (
                "namespace: a}",
                "namespace: a, labels: {}}\n---\nkind: Namespace\nmetadata: {name: b, labels: {pod-security.kubernetes.io/enforce: restricted}}",
            ),
        ] {
            let text = GOOD.replacen(from, to, 1);
            let found = findings(&given(&text));
            assert!(found.iter().any(|finding| finding.problem.contains("denies")), "{to}: {found:?}");
        }
        assert_eq!(findings(&given(&GOOD.replace("restricted", "baseline"))).len(), 1);
    }

    #[test]
    fn ways_out_are_named() {
        let policy = |egress: &str| {
            format!(
                "\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: a}}\nspec: {{podSelector: {{}}, egress: [{egress}]}}\n"
            )
        };
        assert_eq!(
            problems(&policy("{to: [{ipBlock: {cidr: 192.0.2.1/32}}], ports: [{port: 1}]}")),
            Vec::<String>::new()
        );
        assert_eq!(problems(&policy("{ports: [{port: 1}]}")).len(), 1);
        assert_eq!(problems(&policy("{to: [{ipBlock: {cidr: 192.0.2.1/32}}]}")).len(), 1);
        let wide =
            problems(&policy("{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}], ports: [{port: 443}]}"));
        assert_eq!(wide.len(), PRIVATE.len() - 1);
        assert!(wide.iter().any(|problem| problem.contains("169.254.0.0/16")), "{wide:?}");
    }

    #[test]
    fn services_stay_inside_and_objects_have_a_place() {
        assert_eq!(problems("\nkind: Service\nmetadata: {name: s, namespace: a}\nspec: {type: NodePort}\n").len(), 1);
        assert_eq!(problems("\nkind: Service\nmetadata: {name: s, namespace: elsewhere}\nspec: {}\n").len(), 1);
    }
}
