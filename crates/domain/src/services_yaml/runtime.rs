//! What an agent's Job runs in: `runtime` of the project and of its agents.

use std::{borrow::Cow, collections::BTreeMap, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{
    ServicesYaml,
    problem::Path,
    schema::{Checked, QUANTITY_FORMAT},
};
use crate::job::JobRuntime;

/// Longest reference of an image.
const MAX_IMAGE: usize = 255;

/// What an agent's Job runs in. What is absent is taken from the project's `runtime`, then from the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeConfig {
    /// The image that the agent, set-up and checks run in. Nothing but `/bin/sh` is needed in it beside your own tools.
    #[schemars(length(min = 1, max = 255))]
    pub image: Option<String>,
    /// Most processor time, for instance `"2"` or `500m`. A quarter of it is set aside.
    pub cpu: Option<Quantity>,
    /// Memory, for instance `4Gi`. A Job that takes more is ended.
    pub memory: Option<Quantity>,
    /// Room on the node's disk for the work tree and everything else that is written, for instance `10Gi`.
    pub ephemeral_storage: Option<Quantity>,
    /// Labels that the node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that the Job bears.
    pub tolerations: Vec<Toleration>,
    /// The RuntimeClass of the cluster, for instance `gvisor` or `kata`. A Job whose class is missing is refused.
    #[schemars(length(min = 1, max = 63))]
    pub runtime_class: Option<String>,
}

/// A taint that is borne.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Toleration {
    /// Key of the taint.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
    /// Its value; absent: any.
    #[serde(default)]
    #[schemars(length(max = 63))]
    pub value: Option<String>,
    /// Its effect; absent: any.
    #[serde(default)]
    pub effect: Option<TaintEffect>,
}

/// What a taint does to who does not bear it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    /// It is not put there.
    NoSchedule,
    /// It is rather put elsewhere.
    PreferNoSchedule,
    /// It has to leave.
    NoExecute,
}

impl TaintEffect {
    /// As Kubernetes writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}

/// An amount as Kubernetes writes it, more than nothing: `2`, `500m`, `4Gi`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Quantity(String);

/// The text is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an amount: write it like `2`, `500m`, `512Mi` or `4Gi`")]
pub struct InvalidQuantity(pub String);

impl Quantity {
    /// As Kubernetes writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In thousandths of the unit.
    #[must_use]
    pub fn milli(&self) -> u128 {
        milli(&self.0).unwrap_or_default()
    }
}

/// The amount in thousandths; none if it is none that is understood.
fn milli(text: &str) -> Option<u128> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let (number, unit) = text.split_at(digits);
    let factor: u128 = match unit {
        "m" => 1,
        "" => 1_000,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "T" => 1_000_000_000_000_000,
        "Ki" => 1_000 << 10,
        "Mi" => 1_000 << 20,
        "Gi" => 1_000 << 30,
        "Ti" => 1_000 << 40,
        _ => return None,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || whole.len() > 12 || part.len() > 3 || number.ends_with('.') {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let thousandths: u128 = format!("{part:0<3}").parse().ok()?;
    Some((whole * 1_000 + thousandths) * factor / 1_000)
}

impl FromStr for Quantity {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = milli(text).is_some_and(|amount| amount > 0);
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidQuantity(text.to_owned())) }
    }
}

impl TryFrom<String> for Quantity {
    type Error = InvalidQuantity;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Quantity> for String {
    fn from(quantity: Quantity) -> Self {
        quantity.0
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "An amount as Kubernetes writes it, such as `500m`, `512Mi` or `4Gi`.",
            "format": QUANTITY_FORMAT,
            "pattern": "^[0-9]{1,12}([.][0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$",
        })
    }
}

impl RuntimeConfig {
    /// Where this says nothing, the project's word counts.
    fn over(&self, project: &Self) -> JobRuntime {
        fn either<T: Clone>(own: Option<&T>, project: Option<&T>) -> Option<T> {
            own.or(project).cloned()
        }
        JobRuntime {
            image: either(self.image.as_ref(), project.image.as_ref()),
            cpu: either(self.cpu.as_ref(), project.cpu.as_ref()),
            memory: either(self.memory.as_ref(), project.memory.as_ref()),
            ephemeral_storage: either(self.ephemeral_storage.as_ref(), project.ephemeral_storage.as_ref()),
            node_selector: if self.node_selector.is_empty() { &project.node_selector } else { &self.node_selector }
                .clone(),
            tolerations: if self.tolerations.is_empty() { &project.tolerations } else { &self.tolerations }.clone(),
            runtime_class: either(self.runtime_class.as_ref(), project.runtime_class.as_ref()),
        }
    }
}

impl ServicesYaml {
    /// What the Jobs of an agent run in.
    #[must_use]
    pub fn runtime_of(&self, agent: &super::AgentName) -> JobRuntime {
        let own = self.agents.get(agent).map(|agent| &agent.runtime);
        own.unwrap_or(&RuntimeConfig::default()).over(&self.runtime)
    }
}

/// Checks what a schema can't say.
pub(super) fn check(runtime: &RuntimeConfig, at: &Path, checked: &mut Checked) {
    if let Some(image) = &runtime.image
        && !is_image(image)
    {
        let hint = "write it like `registry.example.com/team/tools:1.2` or with `@sha256:…`";
        checked.add(&at.key("image"), format!("`{image}` is not an image"), Some(hint.to_owned()));
    }
    if let Some(class) = &runtime.runtime_class
        && !is_name(class)
    {
        checked.add(&at.key("runtime_class"), format!("`{class}` can't be the name of a RuntimeClass"), None);
    }
    let least = |given: &Option<Quantity>, least: &str, key: &str, checked: &mut Checked| {
        let Some(given) = given else { return };
        if milli(least).is_some_and(|least| given.milli() < least) {
            checked.add(&at.key(key), format!("`{given}` is too little; {least} is the least"), None);
        }
    };
    least(&runtime.cpu, "50m", "cpu", checked);
    least(&runtime.memory, "64Mi", "memory", checked);
    least(&runtime.ephemeral_storage, "16Mi", "ephemeral_storage", checked);
    for (label, value) in &runtime.node_selector {
        if !is_label_key(label) || !is_label_value(value) {
            let at = at.key("node_selector").key(label);
            checked.add(&at, format!("`{label}: {value}` can't be a label of a node"), None);
        }
    }
    for (index, toleration) in runtime.tolerations.iter().enumerate() {
        let value = toleration.value.as_deref().unwrap_or_default();
        if !is_label_key(&toleration.key) || !is_label_value(value) {
            let at = at.key("tolerations").index(index);
            checked.add(&at, format!("`{}` can't be a taint of a node", toleration.key), None);
        }
    }
}

fn is_image(image: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-/:@".contains(&b);
    (1..=MAX_IMAGE).contains(&image.len())
        && image.bytes().all(allowed)
        && image.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !image.contains("//")
}

fn is_name(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    text.bytes().all(inner) && text.starts_with(ends) && text.ends_with(ends)
}

const fn ends(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

fn is_label_key(key: &str) -> bool {
    let name = match key.split_once('/') {
        Some((prefix, name)) if (1..=253).contains(&prefix.len()) && is_name(prefix) => name,
        Some(_) => return false,
        None => key,
    };
    !name.is_empty() && is_label_value(name)
}

fn is_label_value(value: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    value.len() <= 63
        && value.bytes().all(inner)
        && (value.is_empty() || value.starts_with(ends) && value.ends_with(ends))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read() {
        for (text, thousandths) in [
            ("2", 2_000),
            ("500m", 500),
            ("0.5", 500),
            ("1.25k", 1_250_000),
            ("64Mi", 1_000 << 26),
            ("1Ti", 1_000 << 40),
        ] {
            let quantity: Quantity = text.parse().unwrap();
            assert_eq!((quantity.milli(), quantity.as_str()), (thousandths, text));
        }
        for text in ["", "0", "0Mi", "-1", "1.", ".5", "1 Gi", "4GB", "4gi", "1e3", "1.2345", "9999999999999"] {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
    }

    #[test]
    fn labels_and_images_are_judged() {
        for good in ["pool", "example.com/pool", "a"] {
            assert!(is_label_key(good), "{good}");
        }
        for bad in ["", "/x", "x/", "-a", "a b", "Exa mple/x", "a/b/c"] {
            assert!(!is_label_key(bad), "{bad}");
        }
        for good in ["busybox", "registry.example.com:5000/a/b:1.2", "a@sha256:00"] {
            assert!(is_image(good), "{good}");
        }
        for bad in ["", "a b", "-x", "a//b", "a;b", "https://x/y"] {
            assert!(!is_image(bad), "{bad}");
        }
    }
}
