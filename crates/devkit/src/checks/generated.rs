//! Files that programs of this tree write, and people only read.

use std::fs;

use serde_json::Value;

use super::CheckError;
use crate::{console::say, layout::Layout};

/// A JSON file and what it should hold.
struct Generated {
    path: &'static str,
    content: Value,
}

pub(super) fn generated(layout: &Layout, fix: bool) -> Result<(), CheckError> {
    let mut stale = false;
    for file in files() {
        let path = layout.tree.join(file.path);
        let stored = fs::read_to_string(&path).ok();
        // By value: the order of the keys is that of whichever build wrote the file.
        if stored.and_then(|text| serde_json::from_str::<Value>(&text).ok()).as_ref() == Some(&file.content) {
            continue;
        }
        if fix {
            fs::write(&path, format!("{:#}\n", file.content)).map_err(CheckError::files("write", &path))?;
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

fn files() -> Vec<Generated> {
    let schema = domain::services_yaml::json_schema();
    vec![Generated { path: "docs/services.schema.json", content: schema.to_value() }]
}
