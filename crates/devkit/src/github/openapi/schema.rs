//! Making a JSON schema of its own out of a place in an OpenAPI 3.0 document.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

const SCHEMAS: &str = "#/components/schemas/";

/// Escapes a key for a JSON pointer.
pub(super) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The schema at a place, together with every schema that it leads to.
pub(super) fn standalone(root: &Value, pointer: &str) -> Value {
    let mut wanted = BTreeSet::new();
    let top = root.pointer(pointer).map_or(Value::Bool(true), |schema| convert(schema, &mut wanted));
    let mut definitions = Map::new();
    while let Some(name) = wanted.pop_first() {
        if definitions.contains_key(&name) {
            continue;
        }
        let schema = root.pointer(&format!("/components/schemas/{}", escape(&name)));
        let made = schema.map_or(Value::Bool(true), |schema| convert(schema, &mut wanted));
        definitions.insert(name, made);
    }
    json!({"allOf": [top], "$defs": definitions})
}

/// Rewrites what OpenAPI 3.0 says in its own way; notes the schemas that are referred to.
fn convert(schema: &Value, wanted: &mut BTreeSet<String>) -> Value {
    let Some(schema) = schema.as_object() else { return schema.clone() };
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix(SCHEMAS)) {
        wanted.insert(name.to_owned());
        return json!({"$ref": format!("#/$defs/{name}")});
    }
    let mut made = Map::new();
    for (key, value) in schema {
        match key.as_str() {
            // Several alternatives of GitHub's include each other (a private user is a public one too).
            "oneOf" | "anyOf" => {
                made.insert("anyOf".into(), convert_list(value, wanted));
            }
            "allOf" => {
                made.insert(key.clone(), convert_list(value, wanted));
            }
            "properties" => {
                let properties = value.as_object().into_iter().flatten();
                let properties: Map<String, Value> =
                    properties.map(|(name, one)| (name.clone(), convert(one, wanted))).collect();
                made.insert(key.clone(), Value::Object(properties));
            }
            "items" | "additionalProperties" | "not" => {
                made.insert(key.clone(), convert(value, wanted));
            }
            "type" | "enum" | "required" | "format" | "pattern" | "minimum" | "maximum" | "minLength" | "maxLength"
            | "minItems" | "maxItems" | "uniqueItems" | "minProperties" | "maxProperties" => {
                made.insert(key.clone(), value.clone());
            }
            // Titles, descriptions, examples and extensions say nothing about validity.
            _ => {}
        }
    }
    if schema.get("nullable") == Some(&Value::Bool(true)) {
        return json!({"anyOf": [made, {"type": "null"}]});
    }
    Value::Object(made)
}

fn convert_list(list: &Value, wanted: &mut BTreeSet<String>) -> Value {
    list.as_array().into_iter().flatten().map(|one| convert(one, wanted)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nullable_and_references_mean_what_they_mean_in_openapi() {
        let root = json!({
            "place": {"type": "object", "required": ["a"], "properties": {
                "a": {"type": "string", "nullable": true, "enum": ["x"]},
                "b": {"$ref": "#/components/schemas/thing"},
            }},
            "components": {"schemas": {"thing": {"type": "object", "properties": {
                "again": {"$ref": "#/components/schemas/thing"}, "n": {"type": "integer"},
            }}}},
        });
        let validator = jsonschema::validator_for(&standalone(&root, "/place")).unwrap();
        assert!(validator.is_valid(&json!({"a": null})));
        assert!(validator.is_valid(&json!({"a": "x", "b": {"again": {"n": 1}}})));
        assert!(!validator.is_valid(&json!({"a": "y"})));
        assert!(!validator.is_valid(&json!({"b": {}})));
        assert!(!validator.is_valid(&json!({"a": null, "b": {"again": {"n": "1"}}})));
    }
}
