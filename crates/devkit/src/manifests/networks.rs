//! Rules about namespaces and what may reach what.

use serde_json::Value;

use super::{Finding, Object, object::list};

/// Addresses that nobody outside of the cluster and its neighbourhood has.
const PRIVATE: [&str; 6] =
    ["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"];

/// Those who ask nobody who they are, and the one that may come to each; by component.
const GUARDED: [(&str, &str); 1] = [("temporal-ui", "gateway")];

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
            "NetworkPolicy" => {
                let problems = way_out(object).into_iter().chain(way_in(objects, object));
                found.extend(problems.map(|problem| Finding::new(object, problem)));
            }
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

/// What is wrong with the ways in that a policy opens.
fn way_in(objects: &[Object], policy: &Object) -> Vec<String> {
    let is_there = |component: &str| {
        let label = |object: &Object| object.value().pointer("/spec/template/metadata/labels")?.get(COMPONENT).cloned();
        objects.iter().any(|object| object.namespace() == policy.namespace() && label(object) == Some(component.into()))
    };
    let guarded = GUARDED.iter().filter(|(component, _)| is_there(component) && may_select(policy, component));
    let mut problems = Vec::new();
    for (component, guard) in guarded {
        let only = serde_json::json!({ "podSelector": { "matchLabels": { COMPONENT: guard } } });
        for rule in policy.list("/spec/ingress") {
            let peers = list(rule, "/from");
            if peers.is_empty() || peers.iter().any(|peer| *peer != only) {
                problems.push(format!("lets others in to {component} than {guard}, which it is guarded by"));
            }
        }
    }
    problems
}

const COMPONENT: &str = "app.kubernetes.io/component";

/// Whether a policy may select the pods of a component: unless it asks for another one.
fn may_select(policy: &Object, component: &str) -> bool {
    let selector = policy.value().pointer("/spec/podSelector");
    let label = selector.and_then(|selector| selector.get("matchLabels")?.get(COMPONENT));
    let one_of = selector.map(|selector| list(selector, "/matchExpressions")).unwrap_or_default();
    let excluded = one_of.iter().any(|expression| {
        expression.get("key").and_then(Value::as_str) == Some(COMPONENT)
            && expression.get("operator").and_then(Value::as_str) == Some("In")
            && !list(expression, "/values").iter().any(|value| value == component)
    });
    label.is_none_or(|label| label == component) && !excluded
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
    fn who_asks_nobody_is_reached_by_its_guard_alone() {
        let policy = |selector: &str, from: &str| {
            let spec = format!("{{podSelector: {{{selector}}}, ingress: [{{{from}}}]}}");
            let pods = "kind: Deployment\nmetadata: {name: ui, namespace: a}\n\
                        spec: {template: {metadata: {labels: {app.kubernetes.io/component: temporal-ui}}}}";
            problems(&format!(
                "\n{pods}\n---\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: a}}\nspec: {spec}\n"
            ))
        };
        let ui = "matchLabels: {app.kubernetes.io/component: temporal-ui}";
        let gateway = "podSelector: {matchLabels: {app.kubernetes.io/component: gateway}}";
        assert_eq!(policy(ui, &format!("from: [{{{gateway}}}]")), Vec::<String>::new());
        let worker = "podSelector: {matchLabels: {app.kubernetes.io/component: worker}}";
        for open in [
            String::new(),
            format!("from: [{{{worker}}}]"),
            format!("from: [{{{gateway}}}, {{{worker}}}]"),
            format!("from: [{{namespaceSelector: {{}}, {gateway}}}]"),
        ] {
            assert_eq!(policy(ui, &open).len(), 1, "{open}");
            assert_eq!(policy("", &open).len(), 1, "it selects everything: {open}");
            let among =
                "matchExpressions: [{key: app.kubernetes.io/component, operator: In, values: [worker, temporal-ui]}]";
            assert_eq!(policy(among, &open).len(), 1, "{open}");
            let others = "matchExpressions: [{key: app.kubernetes.io/component, operator: In, values: [worker]}]";
            assert_eq!(policy(others, &open), Vec::<String>::new(), "{open}");
            let other = "matchLabels: {app.kubernetes.io/component: worker}";
            assert_eq!(policy(other, &open), Vec::<String>::new(), "{open}");
        }
    }

    #[test]
    fn services_stay_inside_and_objects_have_a_place() {
        assert_eq!(problems("\nkind: Service\nmetadata: {name: s, namespace: a}\nspec: {type: NodePort}\n").len(), 1);
        assert_eq!(problems("\nkind: Service\nmetadata: {name: s, namespace: elsewhere}\nspec: {}\n").len(), 1);
    }
}
