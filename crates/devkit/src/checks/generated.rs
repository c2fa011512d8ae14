//! Files that programs of this tree write, and people only read.

use std::{collections::BTreeMap, fs};

use serde_json::{Map, Value};

use super::CheckError;
use crate::{console::say, file_error::FileError, layout::Layout};

/// A file and what it should hold.
struct Generated {
    path: &'static str,
    content: Content,
}

enum Content {
    Json(Value),
    Text(String),
}

impl Content {
    fn is_in(&self, stored: &str) -> bool {
        match self {
            // By value: the order of the keys is that of whichever build wrote the file.
            Self::Json(value) => serde_json::from_str::<Value>(stored).ok().as_ref() == Some(value),
            Self::Text(text) => stored == text,
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Json(value) => format!("{:#}\n", sorted(value)),
            Self::Text(text) => text.clone(),
        }
    }
}

pub(super) fn generated(layout: &Layout, fix: bool) -> Result<(), CheckError> {
    let mut stale = false;
    for file in files()? {
        let path = layout.tree.join(file.path);
        let stored = fs::read_to_string(&path).ok();
        if stored.is_some_and(|stored| file.content.is_in(&stored)) {
            continue;
        }
        if fix {
            fs::write(&path, file.content.written()).map_err(FileError::of("write", &path))?;
            say(format_args!("    {} is written anew", file.path));
        } else {
            say(format_args!("    {} is stale", file.path));
            stale = true;
        }
    }
    if stale {
        return Err(CheckError::Bad { remedy: "write them anew with `cargo dev check generated --fix`" });
    }
    Ok(())
}

/// The same with the keys of every object in order, so that a file changes only where its meaning does.
pub(crate) fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<&String, Value> = map.iter().map(|(key, inner)| (key, sorted(inner))).collect();
            ordered.into_iter().map(|(key, inner)| (key.clone(), inner)).collect::<Map<_, _>>().into()
        }
        Value::Array(list) => list.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

fn files() -> Result<Vec<Generated>, CheckError> {
    let schema = domain::services_yaml::json_schema();
    let api = serde_json::to_value(gateway::api::openapi())
        .map_err(|error| FileError::of("describe", "docs/openapi.json")(error.into()))?;
    let sentences: Map<String, Value> =
        domain::sentences::all().map(|of| (of.code.to_owned(), Value::from(of.english))).collect();
    Ok(vec![
        Generated { path: "docs/sentences.json", content: Content::Json(sentences.into()) },
        Generated { path: "docs/openapi.json", content: Content::Json(api) },
        Generated { path: "docs/services.schema.json", content: Content::Json(schema.to_value()) },
        Generated { path: "docs/metrics.md", content: Content::Text(telemetry::reference::page()) },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_in_order_at_every_depth() {
        let text = r#"{"b":[{"z":1,"y":2}],"a":null}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(sorted(&value).to_string(), r#"{"a":null,"b":[{"y":2,"z":1}]}"#);
    }
}
