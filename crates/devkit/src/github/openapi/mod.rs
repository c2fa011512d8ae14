//! Holding requests and answers to GitHub's published description (npm `@octokit/openapi`).
//!
//! Start a stand-in with `record`, let whatever is under test talk to it, and give its exchanges to
//! [`Description::complaints`].

mod path;
mod schema;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use jsonschema::Validator;
use serde_json::Value;

use super::record::Exchange;
use path::Template;

/// Names the file with the description.
pub const VARIABLE: &str = "CODEX_K8S_OPENAPI";

/// Why the description can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DescriptionError {
    /// Nobody said where it is.
    #[error("{VARIABLE} does not name GitHub's description: run it through \"cargo dev test\"")]
    NotNamed,
    /// It can't be read.
    #[error("{path} can't be read")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no JSON.
    #[error("{path} is not JSON")]
    Form {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// GitHub's published description of its REST interface.
#[derive(Debug)]
pub struct Description {
    root: Value,
    /// Method and path of each operation.
    operations: Vec<(String, Template)>,
    /// Validators by the place of their schema; making one costs more than using it.
    compiled: Mutex<BTreeMap<String, Compiled>>,
}

type Compiled = std::sync::Arc<Result<Validator, String>>;

impl Description {
    /// Reads the description that the environment names.
    pub fn from_env() -> Result<Self, DescriptionError> {
        let path = std::env::var_os(VARIABLE).ok_or(DescriptionError::NotNamed)?;
        Self::load(Path::new(&path))
    }

    /// Reads a description.
    pub fn load(path: &Path) -> Result<Self, DescriptionError> {
        let bytes = std::fs::read(path).map_err(|source| DescriptionError::File { path: path.to_owned(), source })?;
        let root: Value = serde_json::from_slice(&bytes)
            .map_err(|source| DescriptionError::Form { path: path.to_owned(), source })?;
        let mut operations = Vec::new();
        for (path, methods) in root["paths"].as_object().into_iter().flatten() {
            for method in methods.as_object().into_iter().flat_map(|methods| methods.keys()) {
                operations.push((method.to_uppercase(), Template::new(path)));
            }
        }
        // The most literal path comes first: `/pulls/comments` before `/pulls/{pull_number}`.
        operations.sort_by_key(|(_, template)| std::cmp::Reverse(template.literals()));
        Ok(Self { root, operations, compiled: Mutex::default() })
    }

    /// What is wrong with these exchanges, one sentence each; nothing if all is well.
    #[must_use]
    pub fn complaints(&self, exchanges: &[Exchange]) -> Vec<String> {
        exchanges.iter().flat_map(|exchange| self.check(exchange)).collect()
    }

    /// The operation that a request asks for, for instance `GET /repos/{owner}/{repo}`.
    #[must_use]
    pub fn operation(&self, method: &str, path: &str) -> Option<String> {
        self.find(method, path).map(|template| format!("{method} {}", template.as_str()))
    }

    fn find(&self, method: &str, path: &str) -> Option<&Template> {
        let mut fitting = self.operations.iter().filter(|(known, _)| known == method);
        fitting.find(|(_, template)| template.fits(path)).map(|(_, template)| template)
    }

    /// What is wrong with one exchange.
    #[must_use]
    pub fn check(&self, exchange: &Exchange) -> Vec<String> {
        let Exchange { method, path, status, .. } = exchange;
        let subject = format!("{method} {path} -> {status}");
        let Some(template) = self.find(method, path) else {
            return vec![format!("{subject}: GitHub has no such operation")];
        };
        let pointer = format!("/paths/{}/{}", schema::escape(template.as_str()), method.to_lowercase());
        let mut complaints = Vec::new();
        // A request that was refused as wrong on purpose says nothing about ours.
        if *status < 400 {
            complaints.extend(self.check_query(&pointer, exchange));
            complaints.extend(self.check_request(&pointer, exchange));
        }
        complaints.extend(self.check_response(&pointer, exchange));
        complaints.into_iter().map(|complaint| format!("{subject}: {complaint}")).collect()
    }

    fn check_query(&self, pointer: &str, exchange: &Exchange) -> Vec<String> {
        let known: Vec<&str> = self
            .at(&format!("{pointer}/parameters"))
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|parameter| self.resolve(parameter)["name"].as_str())
            .collect();
        url::form_urlencoded::parse(exchange.query.as_bytes())
            .filter(|(name, _)| !known.contains(&name.as_ref()))
            .map(|(name, _)| format!("query parameter `{name}` does not exist"))
            .collect()
    }

    fn check_request(&self, pointer: &str, exchange: &Exchange) -> Vec<String> {
        let pointer = format!("{pointer}/requestBody");
        let Some(body) = self.at(&pointer) else {
            return match &exchange.request {
                Some(sent) if *sent != serde_json::json!({}) => vec!["a body was sent, none is described".into()],
                _ => Vec::new(),
            };
        };
        let schema = format!("{pointer}/content/application~1json/schema");
        let Some(described) = self.at(&schema) else { return Vec::new() };
        let Some(sent) = &exchange.request else {
            let required = body["required"].as_bool() == Some(true);
            return if required { vec!["the body is missing".into()] } else { Vec::new() };
        };
        let mut complaints = self.validate(&schema, sent, "request");
        // The schemas allow any further field, which would hide a misspelt one.
        if let (Some(known), Some(sent)) = (described["properties"].as_object(), sent.as_object()) {
            let unknown = sent.keys().filter(|name| !known.contains_key(*name));
            complaints.extend(unknown.map(|name| format!("request field `{name}` does not exist")));
        }
        complaints
    }

    fn check_response(&self, pointer: &str, exchange: &Exchange) -> Vec<String> {
        let answers = format!("{pointer}/responses/{}", exchange.status);
        let Some(answer) = self.at(&answers) else {
            return match (exchange.status, &exchange.response) {
                (200..300, _) => vec!["this status is not described".into()],
                (400.., Some(body)) => self.validate("/components/schemas/basic-error", body, "answer"),
                _ => Vec::new(),
            };
        };
        let target = match answer["$ref"].as_str() {
            Some(target) => target.trim_start_matches('#').to_owned(),
            None => answers,
        };
        let schema = format!("{target}/content/application~1json/schema");
        let described = self.at(&schema).is_some();
        match &exchange.response {
            Some(body) if described => self.validate(&schema, body, "answer"),
            Some(_) if exchange.status == 204 => vec!["a body came where none is described".into()],
            None if described && exchange.is_json() => vec!["the answer has no JSON body".into()],
            _ => Vec::new(),
        }
    }

    fn at(&self, pointer: &str) -> Option<&Value> {
        self.root.pointer(pointer)
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        let target = value["$ref"].as_str().map(|target| target.trim_start_matches('#'));
        target.and_then(|target| self.at(target)).unwrap_or(value)
    }

    fn validate(&self, pointer: &str, instance: &Value, what: &str) -> Vec<String> {
        match self.validator(pointer).as_ref() {
            Ok(validator) => validator
                .iter_errors(instance)
                .map(|error| format!("{what}{}: {}", error.instance_path(), shortened(&error.to_string())))
                .collect(),
            Err(error) => vec![format!("the schema at {pointer} can't be used: {error}")],
        }
    }

    fn validator(&self, pointer: &str) -> Compiled {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = compiled.entry(pointer.to_owned()).or_insert_with(|| {
            let made = schema::standalone(&self.root, pointer);
            let validator = jsonschema::options()
                .with_draft(jsonschema::Draft::Draft202012)
                .should_validate_formats(true)
                .build(&made)
                .map_err(|error| error.to_string());
            std::sync::Arc::new(validator)
        });
        entry.clone()
    }
}

/// Values in messages can be whole objects; their beginning says enough.
fn shortened(text: &str) -> String {
    const MAX: usize = 300;
    if text.chars().count() <= MAX {
        return text.to_owned();
    }
    let start: String = text.chars().take(MAX / 2).collect();
    let end: String = text.chars().skip(text.chars().count() - MAX / 2).collect();
    format!("{start} … {end}")
}
