//! Reading the file.

use serde_saphyr::Spanned;

use super::{
    ServicesYaml, meaning,
    node::Node,
    problem::{Problem, Problems},
    schema,
};

/// Longest file that is read.
const MAX_BYTES: usize = 256 * 1024;

impl ServicesYaml {
    /// Reads `services.yaml`.
    ///
    /// # Errors
    /// With everything that is wrong, as far as it can be told at once, in the order of the lines.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        if text.len() > MAX_BYTES {
            return Err(whole(format!("the file has {} bytes; {MAX_BYTES} is the limit", text.len())));
        }
        let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
        let document: Spanned<Node> =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| not_yaml(&error))?;
        let mut checked = schema::check(&document);
        if checked.problems.is_empty() {
            let config = serde_json::from_value(document.value.to_json()).map_err(|error| whole(error.to_string()))?;
            meaning::check(&config, &mut checked);
            if checked.problems.is_empty() {
                return Ok(config);
            }
        }
        checked.problems.sort_by_key(|problem| (problem.line, problem.column));
        Err(Problems(checked.problems))
    }
}

fn not_yaml(error: &serde_saphyr::Error) -> Problems {
    let place = error.location();
    // The library's sentence ends with the place, which is told apart here, and names settings of its own.
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let message = line.rsplit_once(" at line ").map_or(line, |(message, _)| message);
    let message = message.split_once(", set ").map_or(message, |(message, _)| message);
    Problems(vec![Problem {
        line: place.map_or(1, |place| place.line().max(1)),
        column: place.map_or(1, |place| place.column().max(1)),
        path: String::new(),
        message: format!("this is not YAML as it is read here: {message}"),
        hint: None,
    }])
}

fn whole(message: String) -> Problems {
    Problems(vec![Problem { line: 1, column: 1, path: String::new(), message, hint: None }])
}
