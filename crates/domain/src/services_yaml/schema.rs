//! Holding a document to the schema. The schema is generated from the model, so that editors, this check and the
//! program agree on what the file may contain; and unlike a typed reader, the check goes on after the first problem.

use std::collections::BTreeMap;

use regex::Regex;
use schemars::Schema;
use serde_json::{Map, Value};
use serde_saphyr::{Location, Spanned};

use super::{
    HumanDuration, Quantity, ServicesYaml,
    node::Node,
    problem::{Path, Problem, nearest},
};
use crate::egress::HostPattern;

/// Format of [`HumanDuration`] in the schema; editors don't know it and go by the pattern.
pub(super) const DURATION_FORMAT: &str = "human-duration";

/// The same for [`Quantity`].
pub(super) const QUANTITY_FORMAT: &str = "quantity";

/// Marks a host of a list in the schema.
pub(super) const HOST_FORMAT: &str = "egress-host";

/// The JSON schema of `services.yaml`. Written as text, it begins with its title and keeps its order.
#[must_use]
pub fn json_schema() -> Schema {
    schemars::schema_for!(ServicesYaml)
}

/// What the check found out.
#[derive(Default)]
pub(super) struct Checked {
    pub(super) problems: Vec<Problem>,
    /// Where each value stands.
    pub(super) places: BTreeMap<Path, Location>,
}

impl Checked {
    /// Adds a problem of the value at a path, or of the nearest value around it.
    pub(super) fn add(&mut self, path: &Path, message: String, hint: Option<String>) {
        let place = self.places.get(path).copied().unwrap_or(Location::UNKNOWN);
        self.add_at(place, path, message, hint);
    }

    fn add_at(&mut self, place: Location, path: &Path, message: String, hint: Option<String>) {
        let (line, column) = (place.line().max(1), place.column().max(1));
        self.problems.push(Problem { line, column, path: path.as_str().to_owned(), message, hint });
    }
}

/// Checks a whole document.
pub(super) fn check(document: &Spanned<Node>) -> Checked {
    let root = json_schema().to_value();
    let definitions = root.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut walk = Walk { definitions, checked: Checked::default() };
    walk.value(document, &root, &Path::default());
    walk.checked
}

struct Walk {
    definitions: Map<String, Value>,
    checked: Checked,
}

impl Walk {
    fn value(&mut self, node: &Spanned<Node>, schema: &Value, path: &Path) {
        self.checked.places.insert(path.clone(), node.referenced);
        let schema = self.resolve(schema);
        if let Some(choices) = choices(&schema) {
            return self.choice(node, &choices, path);
        }
        let expected = types(&schema);
        match &node.value {
            Node::Map(entries) if expected.contains(&"object") => self.map(node, entries, &schema, path),
            // A file with nothing in it lacks what every file needs.
            Node::Null if path == &Path::default() => self.map(node, &[], &schema, path),
            Node::List(items) if expected.contains(&"array") => {
                let item_schema = schema.get("items").cloned().unwrap_or(Value::Bool(true));
                self.count(items.len() as u64, &schema, path);
                for (index, item) in items.iter().enumerate() {
                    self.value(item, &item_schema, &path.index(index));
                }
            }
            Node::Text(text) if expected.contains(&"string") => self.text(text, &schema, path),
            Node::Number(number) if expected.contains(&"integer") => self.number(number, &schema, path),
            Node::Number(number) if expected.contains(&"number") => self.amount(number, &schema, path),
            Node::Bool(_) if expected.contains(&"boolean") => {}
            other => self.mismatch(other, &expected, path),
        }
    }

    /// Follows a reference, and takes the part of an "or nothing" that is not nothing.
    fn resolve(&self, schema: &Value) -> Value {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix("#/$defs/"));
        if let Some(definition) = target.and_then(|name| self.definitions.get(name)) {
            return self.resolve(definition);
        }
        let is_null = |part: &Value| part.get("type").and_then(Value::as_str) == Some("null");
        let parts = schema.get("anyOf").and_then(Value::as_array);
        match parts.and_then(|parts| parts.iter().find(|part| !is_null(part))) {
            Some(part) => self.resolve(part),
            None => schema.clone(),
        }
    }

    fn map(&mut self, node: &Spanned<Node>, entries: &[(Spanned<String>, Spanned<Node>)], schema: &Value, path: &Path) {
        let empty = Map::new();
        let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        for (key, value) in entries {
            let at = path.key(&key.value);
            match entry_schema(schema, known, &key.value) {
                // A field without a value is as good as absent; a name without one is not.
                Some(_) if known.contains_key(&key.value) && matches!(value.value, Node::Null) => {}
                Some(schema) => self.value(value, &schema, &at),
                None => self.unknown_key(key, schema, known, &at),
            }
        }
        let present =
            |name: &str| entries.iter().any(|(key, value)| key.value == name && !matches!(value.value, Node::Null));
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str).filter(|name| !present(name)) {
            let hint = (name == "version").then(|| "begin the file with `version: 1`".to_owned());
            self.checked.add_at(node.referenced, path, format!("field `{name}` is missing"), hint);
        }
    }

    fn unknown_key(&mut self, key: &Spanned<String>, schema: &Value, known: &Map<String, Value>, at: &Path) {
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        let (message, hint) = if schema.get("patternProperties").is_some() {
            let hint = "a name is a lower-case letter, then at most 39 lower-case letters, digits and dashes";
            (format!("`{}` can't be a name here", key.value), hint.to_owned())
        } else {
            let hint = match nearest(&key.value, &names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are {}", quoted(&names)),
            };
            (format!("field `{}` is not known", key.value), hint)
        };
        self.checked.add_at(key.referenced, at, message, Some(hint));
    }

    fn choice(&mut self, node: &Spanned<Node>, choices: &[Value], path: &Path) {
        let given = node.value.to_json();
        if choices.contains(&given) {
            return;
        }
        let names: Vec<String> = choices.iter().map(plain).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let hint = match nearest(&plain(&given), &names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("allowed are {}", quoted(&names)),
        };
        let message = match &node.value {
            Node::List(_) | Node::Map(_) => format!("{} is not allowed here", node.value.describe()),
            _ => format!("`{}` is not allowed here", plain(&given)),
        };
        self.checked.add(path, message, Some(hint));
    }

    fn text(&mut self, text: &str, schema: &Value, path: &Path) {
        let chars = text.chars().count() as u64;
        if text.contains('\0') {
            return self.checked.add(path, "the text contains a NUL character".to_owned(), None);
        }
        let read = match schema.get("format").and_then(Value::as_str) {
            Some(DURATION_FORMAT) => text.parse::<HumanDuration>().map(drop).map_err(|error| error.to_string()),
            Some(QUANTITY_FORMAT) => text.parse::<Quantity>().map(drop).map_err(|error| error.to_string()),
            Some(HOST_FORMAT) => text.parse::<HostPattern>().map(drop).map_err(|error| error.to_string()),
            _ => return self.plain_text(text, chars, schema, path),
        };
        if let Err(problem) = read {
            self.checked.add(path, problem, None);
        }
    }

    fn plain_text(&mut self, text: &str, chars: u64, schema: &Value, path: &Path) {
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
        if bound("minLength").is_some_and(|least| chars < least) {
            self.checked.add(path, "the text is empty".to_owned(), None);
        } else if let Some(most) = bound("maxLength").filter(|&most| chars > most) {
            self.checked.add(path, format!("the text has {chars} characters; {most} is the limit"), None);
        } else if !schema.get("pattern").and_then(Value::as_str).is_none_or(|pattern| matches(pattern, text)) {
            let hint = "a lower-case letter, then at most 39 lower-case letters, digits and dashes";
            self.checked.add(path, format!("`{text}` can't be a name here"), Some(hint.to_owned()));
        }
    }

    fn count(&mut self, given: u64, schema: &Value, path: &Path) {
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
        if bound("minItems").is_some_and(|least| given < least) {
            self.checked.add(path, "the list is empty".to_owned(), None);
        } else if let Some(most) = bound("maxItems").filter(|&most| given > most) {
            self.checked.add(path, format!("the list has {given} entries; {most} is the limit"), None);
        }
    }

    fn number(&mut self, number: &serde_json::Number, schema: &Value, path: &Path) {
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64).unwrap_or_default();
        let (least, most) = (bound("minimum"), bound("maximum"));
        if !number.as_u64().is_some_and(|given| (least..=most).contains(&given)) {
            self.checked.add(path, format!("{number} is not a whole number from {least} to {most}"), None);
        }
    }

    fn amount(&mut self, number: &serde_json::Number, schema: &Value, path: &Path) {
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64).unwrap_or_default();
        let (least, most) = (bound("minimum"), bound("maximum"));
        if !number.as_f64().is_some_and(|given| (least..=most).contains(&given)) {
            self.checked.add(path, format!("{number} is not a number from {least} to {most}"), None);
        }
    }

    fn mismatch(&mut self, node: &Node, expected: &[&str], path: &Path) {
        let wanted = match expected.first() {
            Some(&"object") => "a mapping",
            Some(&"array") => "a list",
            Some(&"string") => "text",
            Some(&"integer") => "a whole number",
            Some(&"number") => "a number",
            Some(&"boolean") => "`true` or `false`",
            _ => "something else",
        };
        let hint = match (expected.first(), node) {
            (Some(&"string"), Node::Bool(_) | Node::Number(_)) => Some("put it in quotes".to_owned()),
            (Some(&"object"), Node::Null) => Some("write `{}` if all of it is as usual".to_owned()),
            (Some(&"array"), _) => Some("begin each entry with `- `".to_owned()),
            _ => None,
        };
        self.checked.add(path, format!("{wanted} is expected here, and there is {}", node.describe()), hint);
    }
}

/// The schema of the value under a key; none if there may be no such key.
fn entry_schema(schema: &Value, known: &Map<String, Value>, key: &str) -> Option<Value> {
    if let Some(schema) = known.get(key) {
        return Some(schema.clone());
    }
    let patterns = schema.get("patternProperties").and_then(Value::as_object);
    if let Some((_, schema)) = patterns.and_then(|patterns| patterns.iter().find(|(pattern, _)| matches(pattern, key)))
    {
        return Some(schema.clone());
    }
    schema.get("additionalProperties").filter(|more| more.is_object()).cloned()
}

fn matches(pattern: &str, text: &str) -> bool {
    Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The values of an enumeration; none if the schema is no enumeration.
fn choices(schema: &Value) -> Option<Vec<Value>> {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return Some(values.clone());
    }
    let variants = schema.get("oneOf").and_then(Value::as_array)?;
    Some(variants.iter().filter_map(|variant| variant.get("const").cloned()).collect())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
