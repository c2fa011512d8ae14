//! Which calls of the engine's API read, which write, and who they say is asking.
//!
//! Judged by the call and never by the HTTP method: a query is a POST. The table names the calls that read; everything
//! else is a write, above all what nobody knows.

use std::sync::LazyLock;

use http::Method;

/// One line for each address of each call; a test holds it to Temporal's own description.
const TABLE: &str = include_str!("calls.txt");

static CALLS: LazyLock<Vec<Call>> = LazyLock::new(|| TABLE.lines().filter_map(Call::read).collect());

/// Where a write says who asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signature {
    /// Nowhere.
    None,
    /// In its field `identity`.
    Named,
    /// In `request.meta.identity`.
    Update,
    /// In the field `identity` of the operation that is done to many.
    Batch,
}

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It changes nothing.
    Read,
    /// It may change something.
    Write(Signature),
}

/// An address of a call.
#[derive(Debug)]
pub(super) struct Call {
    /// Its name in Temporal's API.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    method: Method,
    parts: Vec<&'static str>,
}

/// A call that is asked for, with what its address names.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) call: &'static Call,
    pub(super) named: Vec<(&'static str, &'a str)>,
}

/// The call at this address, if it is one of Temporal's.
pub(super) fn find<'a>(method: &Method, parts: &'a [String]) -> Option<Asked<'a>> {
    CALLS.iter().filter(|call| call.method == *method).find_map(|call| Some(Asked { call, named: call.fits(parts)? }))
}

impl Call {
    fn read(line: &'static str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (kind, method, path, name) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let kind = match (kind, words.next()) {
            ("read", None) => Kind::Read,
            ("write", None) => Kind::Write(Signature::None),
            ("write", Some("named")) => Kind::Write(Signature::Named),
            ("write", Some("update")) => Kind::Write(Signature::Update),
            ("write", Some("batch")) => Kind::Write(Signature::Batch),
            _ => return None,
        };
        Some(Self { name, kind, method: method.parse().ok()?, parts: path.split('/').collect() })
    }

    /// What the address names, if it is one of this call.
    fn fits<'a>(&self, parts: &'a [String]) -> Option<Vec<(&'static str, &'a str)>> {
        if parts.len() != self.parts.len() {
            return None;
        }
        let mut named = Vec::new();
        for (own, part) in self.parts.iter().zip(parts) {
            match name(own) {
                Some(name) => named.push((name, part.as_str())),
                None if own == part => {}
                None => return None,
            }
        }
        Some(named)
    }
}

/// The name of a part that stands for something.
fn name(part: &'static str) -> Option<&'static str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

impl Asked<'_> {
    /// What the address names as this, wherever the call keeps it.
    pub(super) fn named(&self, what: &str) -> Option<&str> {
        let is = |name: &str| name == what || name.rsplit('.').next() == Some(what);
        self.named.iter().find(|(name, _)| is(name)).map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::PathBuf, process::Command};

    use super::*;

    fn found(method: &Method, path: &str) -> Option<(&'static str, Kind)> {
        let parts: Vec<String> = path.split('/').map(str::to_owned).collect();
        find(method, &parts).map(|asked| (asked.call.name, asked.call.kind))
    }

    #[test]
    fn a_call_is_judged_by_what_it_does_and_not_by_its_method() {
        let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
        let workflow = "namespaces/default/workflows/dev:agent-run:1:1";
        let at = |rest: &str| format!("{workflow}{rest}");
        assert_eq!(found(&get, workflow), Some(("DescribeWorkflowExecution", Kind::Read)));
        assert_eq!(found(&post, &at("/query/state")), Some(("QueryWorkflow", Kind::Read)));
        let named = Kind::Write(Signature::Named);
        assert_eq!(found(&post, workflow), Some(("StartWorkflowExecution", named)));
        assert_eq!(found(&post, &at("/terminate")), Some(("TerminateWorkflowExecution", named)));
        assert_eq!(found(&delete, "namespaces/default/schedules/x"), Some(("DeleteSchedule", named)));
        for unknown in [at("/new-call"), at("/query"), at("/query/state/x"), "namespaces/default".to_owned()] {
            assert_eq!(found(&post, &unknown), None, "{unknown}");
        }
        assert_eq!(found(&Method::PUT, workflow), None);
        let parts: Vec<String> = at("/terminate").split('/').map(str::to_owned).collect();
        let asked = find(&post, &parts).unwrap();
        assert_eq!(
            (asked.named("namespace"), asked.named("workflow_id")),
            (Some("default"), Some("dev:agent-run:1:1"))
        );
    }

    #[test]
    fn every_line_of_the_table_is_understood() {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
        assert_eq!(lines.count(), CALLS.len());
    }

    #[test]
    fn no_address_is_both_a_read_and_a_write() {
        let alike = |one: &Call, other: &Call| {
            let parts = one.parts.iter().zip(&other.parts);
            one.method == other.method
                && one.parts.len() == other.parts.len()
                && parts.into_iter().all(|(a, b)| a == b || name(a).is_some() || name(b).is_some())
        };
        for read in CALLS.iter().filter(|call| call.kind == Kind::Read) {
            for write in CALLS.iter().filter(|call| call.kind != Kind::Read) {
                assert!(!alike(read, write), "{read:?} {write:?}");
            }
        }
    }

    /// Temporal's own description, as the client that we are built with brings it along.
    fn protos() -> PathBuf {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let asked = Command::new(cargo)
            .args(["metadata", "--format-version=1", "--offline"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        let known: serde_json::Value = serde_json::from_slice(&asked.stdout).unwrap();
        let package =
            known["packages"].as_array().unwrap().iter().find(|one| one["name"] == "temporalio-protos").unwrap();
        let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap());
        manifest.parent().unwrap().join("protos/api_upstream/temporal/api")
    }

    /// The text between the braces of a message.
    fn message<'a>(text: &'a str, name: &str) -> &'a str {
        let from = text.find(&format!("\nmessage {name} {{")).unwrap_or_else(|| panic!("{name}"));
        let rest = &text[from + 1..];
        &rest[..rest.find("\n}").unwrap()]
    }

    /// Method, address, call, and whether it has a field `identity`.
    fn described() -> BTreeSet<(String, String, String, bool)> {
        let mut all = BTreeSet::new();
        for service in ["workflowservice", "operatorservice"] {
            let folder = protos().join(service).join("v1");
            let text = std::fs::read_to_string(folder.join("service.proto")).unwrap();
            let requests = std::fs::read_to_string(folder.join("request_response.proto")).unwrap();
            let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            for part in code.join("\n").split("    rpc ").skip(1) {
                let (name, rest) = part.split_once('(').unwrap();
                let request = rest.split_once(')').unwrap().0.trim();
                let identity = message(&requests, request).contains("\n    string identity = ");
                let bindings = ["get", "post", "put", "delete", "patch"].into_iter().flat_map(|method| {
                    let pattern = format!(" {method}: \"");
                    part.match_indices(&pattern)
                        .map(|(at, _)| (method.to_uppercase(), part[at + pattern.len()..].split('"').next().unwrap()))
                        .collect::<Vec<_>>()
                });
                let bindings: Vec<_> = bindings.collect();
                let api: Vec<_> =
                    bindings.iter().filter_map(|(m, path)| Some((m.clone(), path.strip_prefix("/api/v1/")?))).collect();
                assert!(bindings.is_empty() || !api.is_empty(), "{name} has no address below /api/v1");
                all.extend(api.into_iter().map(|(m, path)| (m, path.to_owned(), name.trim().to_owned(), identity)));
            }
        }
        all
    }

    #[test]
    fn every_call_that_temporal_describes_is_classified_and_no_other() {
        let described = described();
        assert!(described.len() > 100, "the description was not read: {}", described.len());
        let own: BTreeSet<_> = CALLS
            .iter()
            .map(|call| {
                let identity = described.iter().any(|(_, _, name, identity)| name == call.name && *identity);
                (call.method.to_string(), call.parts.join("/"), call.name.to_owned(), identity)
            })
            .collect();
        assert_eq!(own, described);
        for call in CALLS.iter() {
            let has_field = described.iter().any(|(_, _, name, identity)| name == call.name && *identity);
            match call.kind {
                Kind::Read => {
                    let verbs = ["Get", "List", "Describe", "Count", "Query", "Poll"];
                    assert!(
                        verbs.iter().any(|verb| call.name.starts_with(verb)),
                        "{call:?} does not sound like a read"
                    );
                }
                Kind::Write(signature) => assert_eq!(signature == Signature::Named, has_field, "{call:?}"),
            }
        }
    }
}
