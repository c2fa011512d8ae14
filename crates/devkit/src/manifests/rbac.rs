//! Rules about rights in the cluster.

use serde_json::Value;

use super::{Finding, Object, object::list};

/// Verbs that lead to rights that were not given.
const LADDERS: [&str; 3] = ["escalate", "impersonate", "approve"];

pub(super) fn findings(objects: &[Object]) -> Vec<Finding> {
    objects
        .iter()
        .flat_map(|object| {
            let problems = match object.kind() {
                "Role" | "ClusterRole" => object.list("/rules").iter().flat_map(of_rule).collect(),
                "RoleBinding" | "ClusterRoleBinding" => of_binding(objects, object),
                _ => Vec::new(),
            };
            problems.into_iter().map(move |problem| Finding::new(object, problem))
        })
        .collect()
}

fn of_rule(rule: &Value) -> Vec<String> {
    let words = |key: &str| list(rule, &format!("/{key}")).iter().filter_map(Value::as_str).collect::<Vec<_>>();
    let (verbs, resources) = (words("verbs"), words("resources"));
    let mut problems = Vec::new();
    for key in ["verbs", "resources", "apiGroups", "nonResourceURLs"] {
        if words(key).iter().any(|word| word.contains('*')) {
            problems.push(format!("gives everything: `*` in {key}; name what is needed"));
        }
    }
    for ladder in LADDERS.iter().filter(|ladder| verbs.contains(ladder)) {
        problems.push(format!("gives rights to give rights: `{ladder}`"));
    }
    if verbs.contains(&"bind") && list(rule, "/resourceNames").is_empty() {
        problems.push("may bind any role: name the roles in resourceNames".to_owned());
    }
    let reads = ["get", "list", "watch"].iter().any(|verb| verbs.contains(verb));
    if reads && resources.contains(&"secrets") {
        problems.push("reads Secrets; nobody needs to".to_owned());
    }
    let inner = ["pods/exec", "pods/attach", "pods/portforward", "pods/ephemeralcontainers", "serviceaccounts/token"];
    for resource in inner.iter().filter(|resource| resources.contains(resource)) {
        problems.push(format!("reaches into pods or accounts: `{resource}`"));
    }
    problems
}

fn of_binding(objects: &[Object], binding: &Object) -> Vec<String> {
    let (kind, name) = (binding.text("/roleRef/kind"), binding.text("/roleRef/name"));
    let ours = objects.iter().any(|object| object.kind() == kind && object.name() == name);
    let mut problems = Vec::new();
    // The role that declared environments are given is in the platform's own manifests.
    if !ours && name != "codex-k8s-deployer" {
        problems.push(format!("binds `{name}`, a role that is not in these manifests"));
    }
    if list(binding.value(), "/subjects")
        .iter()
        .any(|subject| subject.get("kind") != Some(&Value::from("ServiceAccount")))
    {
        problems.push("binds to users or groups; accounts only".to_owned());
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::{super::render::given, *};

    fn rule(text: &str) -> Vec<Finding> {
        findings(&given(&format!("kind: ClusterRole\nmetadata: {{name: a}}\nrules: [{text}]\n")))
    }

    #[test]
    fn rights_are_named_and_lead_to_no_others() {
        assert_eq!(rule("{apiGroups: [batch], resources: [jobs], verbs: [get, create]}"), []);
        assert_eq!(rule("{apiGroups: ['']   , resources: [secrets], verbs: [create, patch]}"), []);
        assert_eq!(rule("{resources: [clusterroles], resourceNames: [x], verbs: [bind]}"), []);
        for wrong in [
            "{apiGroups: [batch], resources: [jobs], verbs: ['*']}",
            "{apiGroups: ['*'], resources: [jobs], verbs: [get]}",
            "{apiGroups: [''], resources: ['*/log'], verbs: [get]}",
            "{resources: [secrets], verbs: [list]}",
            "{resources: [clusterroles], verbs: [bind]}",
            "{resources: [clusterroles], verbs: [escalate]}",
            "{resources: [pods/exec], verbs: [create]}",
        ] {
            assert_eq!(rule(wrong).len(), 1, "{wrong}");
        }
    }

    #[test]
    fn bindings_are_of_our_roles_to_accounts() {
        let binding = |role: &str, kind: &str| {
            let text = format!(
                "kind: ClusterRole\nmetadata: {{name: ours}}\n---\nkind: ClusterRoleBinding\nmetadata: {{name: b}}\n\
                 roleRef: {{kind: ClusterRole, name: {role}}}\nsubjects: [{{kind: {kind}, name: x}}]\n"
            );
            findings(&given(&text)).len()
        };
        assert_eq!(binding("ours", "ServiceAccount"), 0);
        assert_eq!(binding("cluster-admin", "ServiceAccount"), 1);
        assert_eq!(binding("ours", "Group"), 1);
    }
}
