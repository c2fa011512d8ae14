//! Kubernetes' own schemas of the kinds that are used here, made small from what an API server says about itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::{Map, Value, json};

use super::ManifestError;
use crate::{checks::sorted, file_error::FileError};

/// Where they are kept, relative to `deploy`.
pub const FILE: &str = "schemas/kubernetes-1.34.json";

/// The documents below `/openapi/v3` of an API server that describe what is used.
pub const DOCUMENTS: [&str; 7] = [
    "api/v1",
    "apis/admissionregistration.k8s.io/v1",
    "apis/apps/v1",
    "apis/batch/v1",
    "apis/networking.k8s.io/v1",
    "apis/policy/v1",
    "apis/rbac.authorization.k8s.io/v1",
];

const KINDS: [&str; 22] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "ConfigMap",
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Ingress",
    "Job",
    "LimitRange",
    "Namespace",
    "NetworkPolicy",
    "PersistentVolumeClaim",
    "PodDisruptionBudget",
    "ResourceQuota",
    "Role",
    "RoleBinding",
    "Secret",
    "Service",
    "ServiceAccount",
    "StatefulSet",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
];

/// The words of a schema that say what is allowed; the rest is prose.
const MEANING: [&str; 9] =
    ["type", "properties", "required", "items", "additionalProperties", "enum", "allOf", "oneOf", "$ref"];

/// Makes the stored form: `kinds` (by the name that kubeconform gives them) and the `definitions` that they need.
/// A field that no definition has is refused.
#[must_use]
pub fn reduce(documents: &[Value]) -> Value {
    let mut all: Map<String, Value> = Map::new();
    for document in documents {
        all.extend(document.pointer("/components/schemas").and_then(Value::as_object).cloned().unwrap_or_default());
    }
    let mut kinds: BTreeMap<String, String> = BTreeMap::new();
    for (name, schema) in &all {
        let described = schema.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
        for described in described.into_iter().flatten() {
            let word = |key: &str| described.get(key).and_then(Value::as_str).unwrap_or_default();
            if word("version") == "v1" && KINDS.contains(&word("kind")) {
                kinds.insert(file_name(word("group"), word("kind")), name.clone());
            }
        }
    }
    let mut definitions: BTreeMap<String, Value> = BTreeMap::new();
    let mut open: BTreeSet<String> = kinds.values().cloned().collect();
    while let Some(name) = open.pop_first() {
        let schema = all.get(&name).map(|schema| reduced(schema, &mut open)).unwrap_or_default();
        definitions.insert(name, schema);
        open.retain(|name| !definitions.contains_key(name));
    }
    json!({ "kinds": kinds, "definitions": definitions })
}

/// The stored form as text: one definition a line, in order, so that a difference can be read.
#[must_use]
pub fn written(schemas: &Value) -> String {
    let block = |key: &str| {
        let entries: BTreeMap<&String, String> = schemas
            .get(key)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, value)| (name, sorted(value).to_string()))
            .collect();
        let lines: Vec<String> = entries.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
        format!("{key:?}:{{\n{}\n}}", lines.join(",\n"))
    };
    format!("{{\n{},\n{}\n}}\n", block("definitions"), block("kinds"))
}

/// Kubeconform's name for a kind: `deployment-apps-v1`, `service-v1`.
fn file_name(group: &str, kind: &str) -> String {
    let first = group.split('.').next().filter(|first| !first.is_empty());
    let middle = first.map(|first| format!("-{first}")).unwrap_or_default();
    format!("{}{middle}-v1", kind.to_lowercase())
}

fn reduced(schema: &Value, open: &mut BTreeSet<String>) -> Value {
    let Value::Object(map) = schema else { return schema.clone() };
    let mut small = Map::new();
    for (word, inner) in map.iter().filter(|(word, _)| MEANING.contains(&word.as_str())) {
        let inner = match (word.as_str(), inner) {
            ("properties", Value::Object(fields)) => {
                fields.iter().map(|(field, inner)| (field.clone(), reduced(inner, open))).collect::<Map<_, _>>().into()
            }
            ("$ref", Value::String(target)) => {
                let name = target.rsplit('/').next().unwrap_or_default().to_owned();
                let target = format!("#/definitions/{name}");
                open.insert(name);
                target.into()
            }
            ("allOf" | "oneOf", Value::Array(parts)) => parts.iter().map(|part| reduced(part, open)).collect(),
            (_, inner) => reduced(inner, open),
        };
        small.insert(word.clone(), inner);
    }
    if small.contains_key("properties") && !small.contains_key("additionalProperties") {
        small.insert("additionalProperties".to_owned(), false.into());
    }
    small.into()
}

/// Holds YAML to the stored schemas. Returns kubeconform's words about what does not fit.
///
/// # Errors
/// When the schemas cannot be read, or kubeconform cannot be run.
pub fn violations(kubeconform: &Path, deploy: &Path, yaml: &str) -> Result<Option<String>, ManifestError> {
    let stored = deploy.join(FILE);
    let text = fs::read_to_string(&stored).map_err(FileError::of("read", &stored))?;
    let schemas: Value = serde_json::from_str(&text)
        .map_err(|error| ManifestError::Form { folder: stored.clone(), problem: error.to_string() })?;
    let folder = tempfile::tempdir().map_err(FileError::of("create a folder for", &stored))?;
    unfold(&schemas, folder.path())?;
    let given = folder.path().join("given.yaml");
    fs::write(&given, yaml).map_err(FileError::of("write", &given))?;
    let output = Command::new(kubeconform)
        .args(["-strict", "-summary=false", "-schema-location"])
        .arg(folder.path().join("{{ .ResourceKind }}{{ .KindSuffix }}.json"))
        .arg(&given)
        .output()
        .map_err(|source| ManifestError::Run { program: "kubeconform", source })?;
    if output.status.success() {
        return Ok(None);
    }
    let words = [output.stdout, output.stderr].concat();
    let words = String::from_utf8_lossy(&words).replace(&*given.to_string_lossy(), "");
    let words = words.replace(&format!("file://{}/", folder.path().display()), "").trim().to_owned();
    Ok(Some(words))
}

/// Writes the files that kubeconform looks for: one a kind, and the definitions that they point to.
fn unfold(schemas: &Value, folder: &Path) -> Result<(), ManifestError> {
    let write = |name: &str, value: &Value| {
        let path = folder.join(name);
        fs::write(&path, value.to_string()).map_err(FileError::of("write", &path))
    };
    write("definitions.json", &json!({ "definitions": schemas.get("definitions") }))?;
    for (file, name) in schemas.get("kinds").and_then(Value::as_object).into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        write(&format!("{file}.json"), &json!({ "$ref": format!("definitions.json#/definitions/{name}") }))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_the_kinds_need() {
        let document = json!({ "components": { "schemas": {
            "Job": {
                "description": "prose",
                "x-kubernetes-group-version-kind": [{ "group": "batch", "version": "v1", "kind": "Job" }],
                "type": "object",
                "properties": {
                    "description": { "type": "string", "default": "" },
                    "spec": { "allOf": [{ "$ref": "#/components/schemas/Spec" }], "default": {} },
                },
            },
            "Spec": { "type": "object", "additionalProperties": { "type": "string" } },
            "Unused": { "type": "object" },
        } } });
        let expected = json!({
            "kinds": { "job-batch-v1": "Job" },
            "definitions": {
                "Job": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "description": { "type": "string" },
                        "spec": { "allOf": [{ "$ref": "#/definitions/Spec" }] },
                    },
                },
                "Spec": { "type": "object", "additionalProperties": { "type": "string" } },
            },
        });
        let reduced = reduce(&[document]);
        assert_eq!(reduced, expected);
        assert_eq!(serde_json::from_str::<Value>(&written(&reduced)).unwrap(), expected);
        assert_eq!(file_name("", "Service"), "service-v1");
        assert_eq!(file_name("networking.k8s.io", "NetworkPolicy"), "networkpolicy-networking-v1");
    }
}
