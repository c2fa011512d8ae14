//! Network policies add up: one more policy that selects a pod opens more ways, and closes none. So the policies that we make say
//! only what agents reach if there are no others.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::networking::v1::NetworkPolicy,
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
};

/// Those policies that select a pod with these labels and whose names are not in `ours`.
pub(crate) fn foreign_policies<'a>(
    policies: &'a [NetworkPolicy],
    labels: &BTreeMap<String, String>,
    ours: &[&str],
) -> Vec<&'a NetworkPolicy> {
    let others =
        policies.iter().filter(|policy| !policy.metadata.name.as_deref().is_some_and(|name| ours.contains(&name)));
    let selecting = others.filter(|policy| {
        let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref());
        selector.is_none_or(|selector| selects(selector, labels))
    });
    selecting.collect()
}

fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let exact = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    exact && selector.match_expressions.iter().flatten().all(|wanted| meets(wanted, labels))
}

/// A requirement that is not understood is taken as met: better one complaint too many.
fn meets(wanted: &LabelSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let found = labels.get(&wanted.key);
    let among = |value: &String| wanted.values.iter().flatten().any(|wanted| wanted == value);
    match wanted.operator.as_str() {
        "In" => found.is_some_and(among),
        "NotIn" => !found.is_some_and(among),
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, selector: &str) -> NetworkPolicy {
        let text = format!(r#"{{"metadata": {{"name": "{name}"}}, "spec": {{"podSelector": {selector}}}}}"#);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn others_that_select_the_pod_are_named() {
        let labels = [("app.kubernetes.io/component".to_owned(), "agent".to_owned())].into();
        let expression = |operator: &str, values: &str| {
            format!(
                r#"{{"matchExpressions": [{{"key": "app.kubernetes.io/component", "operator": "{operator}", "values": {values}}}]}}"#
            )
        };
        let policies = [
            policy("default-deny", "{}"),
            policy("everybody", "{}"),
            policy("agents", r#"{"matchLabels": {"app.kubernetes.io/component": "agent"}}"#),
            policy("others", r#"{"matchLabels": {"app.kubernetes.io/component": "web"}}"#),
            policy("in", &expression("In", r#"["agent", "web"]"#)),
            policy("not-in", &expression("NotIn", r#"["agent"]"#)),
            policy("exists", &expression("Exists", "[]")),
            policy("absent", &expression("DoesNotExist", "[]")),
            policy("of-tomorrow", &expression("Resembles", "[]")),
        ];
        let found = foreign_policies(&policies, &labels, &["default-deny", "agent"]);
        let names: Vec<_> = found.iter().filter_map(|policy| policy.metadata.name.as_deref()).collect();
        assert_eq!(names, ["everybody", "agents", "in", "exists", "of-tomorrow"]);
    }
}
