//! One Kubernetes object, as it is written.

use std::fmt;

use serde_json::{Map, Value};

/// An object of a rendered set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object(Value);

impl Object {
    /// Takes what was rendered, if it is an object with a kind and a name.
    pub(super) fn new(value: Value) -> Option<Self> {
        let object = Self(value);
        (!object.kind().is_empty() && !object.name().is_empty()).then_some(object)
    }

    /// The object itself.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// Its kind, such as `Deployment`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// Where it is; empty for an object of the whole cluster.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    /// The text at a JSON pointer; empty if there is none.
    pub(super) fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// The list at a JSON pointer; empty if there is none.
    pub(super) fn list(&self, pointer: &str) -> &[Value] {
        list(&self.0, pointer)
    }

    /// The part of it that describes pods, for a kind that makes pods.
    pub(super) fn pod(&self) -> Option<&Value> {
        match self.kind() {
            "Deployment" | "StatefulSet" | "DaemonSet" | "Job" => self.0.pointer("/spec/template/spec"),
            "CronJob" => self.0.pointer("/spec/jobTemplate/spec/template/spec"),
            "Pod" => self.0.pointer("/spec"),
            _ => None,
        }
    }

    /// Every text in it, with the JSON pointer to it.
    pub(super) fn texts(&self) -> Vec<(String, &str)> {
        let mut found = Vec::new();
        gather(&self.0, &mut String::new(), &mut found);
        found
    }
}

impl fmt::Display for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace = self.namespace();
        let between = if namespace.is_empty() { "" } else { "/" };
        write!(formatter, "{} {namespace}{between}{}", self.kind(), self.name())
    }
}

/// The list at a JSON pointer; empty if there is none.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The containers of a pod, those that run first included.
pub(super) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    list(pod, "/initContainers").iter().chain(list(pod, "/containers"))
}

/// Whether labels have everything that a `matchLabels` asks for.
pub(super) fn selects(wanted: Option<&Map<String, Value>>, labels: Option<&Value>) -> bool {
    wanted
        .is_none_or(|wanted| wanted.iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value)))
}

fn gather<'a>(value: &'a Value, path: &mut String, found: &mut Vec<(String, &'a str)>) {
    let length = path.len();
    match value {
        Value::String(text) => found.push((path.clone(), text)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push_str(&format!("/{index}"));
                gather(item, path, found);
                path.truncate(length);
            }
        }
        Value::Object(map) => {
            for (key, inner) in map {
                path.push('/');
                path.push_str(key);
                gather(inner, path, found);
                path.truncate(length);
            }
        }
        _ => {}
    }
}
