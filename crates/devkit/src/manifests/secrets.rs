//! Nothing secret lies in the tree.

use serde_json::Value;

use super::{
    Finding, Object,
    object::{containers, list},
};

/// Words in the names of variables that hold secrets.
const NAMES: [&str; 4] = ["KEY", "PASSWORD", "SECRET", "TOKEN"];

pub(super) fn findings(objects: &[Object]) -> Vec<Finding> {
    let mut found = Vec::new();
    for object in objects {
        if object.kind() == "Secret" {
            found.push(Finding::new(object, "is a Secret: make it in the cluster and refer to it"));
        }
        for (path, text) in object.texts() {
            if has_password(text) || text.contains("PRIVATE KEY-----") {
                found.push(Finding::new(object, format!("has something secret at {path}: refer to a Secret")));
            }
        }
        let data = object.value().get("data").and_then(Value::as_object);
        let listed = data.into_iter().flatten().map(|(name, value)| (name.as_str(), value.as_str()));
        let variables = object.pod().into_iter().flat_map(containers).flat_map(|container| list(container, "/env"));
        let told = variables.filter_map(|variable| {
            Some((variable.get("name")?.as_str()?, variable.get("value").and_then(Value::as_str)))
        });
        for (name, value) in listed.chain(told) {
            if is_secret(name) && value.is_some_and(|value| !value.is_empty()) {
                found.push(Finding::new(object, format!("says {name} in the open: refer to a Secret")));
            }
        }
    }
    found
}

fn is_secret(name: &str) -> bool {
    !name.ends_with("_FILE") && name.split('_').any(|word| NAMES.contains(&word))
}

/// Whether a text has an address with a password in it.
fn has_password(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or_default();
        authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    })
}

#[cfg(test)]
mod tests {
    use super::{super::render::given, *};

    #[test]
    fn secrets_are_referred_to() {
        let with = |env: &str| {
            let text = format!(
                "kind: Pod\nmetadata: {{name: a, namespace: b}}\nspec: {{containers: [{{name: c, env: [{env}]}}]}}\n"
            );
            findings(&given(&text)).len()
        };
        assert_eq!(with("{name: RUN_TOKEN_KEY_FILE, value: /etc/key}"), 0);
        assert_eq!(with("{name: API_KEY, valueFrom: {secretKeyRef: {name: x, key: y}}}"), 0);
        assert_eq!(with("{name: API_KEY, value: abc}"), 1);
        assert_eq!(with("{name: DATABASE_URL, value: 'postgres://me:abc@host/db'}"), 1);
        assert_eq!(with("{name: PROXY_URL, value: 'http://proxy:3128'}"), 0);
        assert_eq!(findings(&given("kind: Secret\nmetadata: {name: a}\n")).len(), 1);
        assert_eq!(findings(&given("kind: ConfigMap\nmetadata: {name: a}\ndata: {WEBHOOK_SECRET: x}\n")).len(), 1);
    }
}
