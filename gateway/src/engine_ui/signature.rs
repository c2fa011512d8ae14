//! Puts the name of the person into what a write tells the engine, so that the engine itself knows who it was: of a
//! terminated workflow it then says so.

use bytes::Bytes;
use http::{Method, Uri};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::calls::Signature;
use crate::problem::Problem;

const IDENTITY: &str = "identity";

/// A write as it goes on.
pub(super) struct Signed {
    pub(super) uri: Uri,
    pub(super) body: Bytes,
    /// What the body says, where it is one object.
    pub(super) said: Map<String, Value>,
}

/// Signs a write with this name. What it says about itself is replaced.
///
/// # Errors
/// 400 if the body is no JSON object.
pub(super) fn sign(
    signature: Signature,
    method: &Method,
    (uri, body): (&Uri, Bytes),
    name: &str,
) -> Result<Signed, Problem> {
    if signature == Signature::None {
        let said = serde_json::from_slice(&body).unwrap_or_default();
        return Ok(Signed { uri: uri.clone(), body, said });
    }
    // A call without a body says everything in its query.
    if method == Method::DELETE {
        return Ok(Signed { uri: in_query(uri, name)?, body: Bytes::new(), said: Map::new() });
    }
    let mut said: Map<String, Value> = if body.is_empty() {
        Map::new()
    } else {
        let wrong = |_| Problem::bad_request("body_invalid", "send one JSON object, as the engine's UI does");
        serde_json::from_slice(&body).map_err(wrong)?
    };
    match signature {
        Signature::None => {}
        Signature::Named => put(&mut said, name),
        Signature::Update => {
            if let Some(meta) = object(&mut said, "request").and_then(|request| object(request, "meta")) {
                put(meta, name);
            }
        }
        Signature::Batch => {
            let operations = said.iter_mut().filter(|(key, _)| key.to_lowercase().ends_with("operation"));
            operations.filter_map(|(_, value)| value.as_object_mut()).for_each(|operation| put(operation, name));
        }
    }
    let body = serde_json::to_vec(&said).map_err(|error| {
        tracing::error!(%error, "a body can't be written again");
        Problem::internal()
    })?;
    Ok(Signed { uri: uri.clone(), body: body.into(), said })
}

fn put(object: &mut Map<String, Value>, name: &str) {
    object.insert(IDENTITY.to_owned(), name.into());
}

/// The object of this name, made if there is none.
fn object<'a>(parent: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    if !parent.get(name).is_some_and(Value::is_object) {
        parent.insert(name.to_owned(), Value::Object(Map::new()));
    }
    parent.get_mut(name)?.as_object_mut()
}

fn in_query(uri: &Uri, name: &str) -> Result<Uri, Problem> {
    let given = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let kept: Vec<_> = given.filter(|(key, _)| key != IDENTITY).collect();
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).append_pair(IDENTITY, name).finish();
    format!("{}?{query}", uri.path()).parse().map_err(|_| Problem::bad_request("address_invalid", "this is no address"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn signed(signature: Signature, body: &Value) -> Value {
        let uri = Uri::from_static("/x");
        let signed = sign(signature, &Method::POST, (&uri, body.to_string().into()), "ann").ok().unwrap();
        serde_json::from_slice(&signed.body).unwrap()
    }

    #[test]
    fn the_person_is_named_whatever_the_request_says() {
        let terminate = json!({"reason": "stuck", "identity": "somebody else"});
        assert_eq!(signed(Signature::Named, &terminate), json!({"reason": "stuck", "identity": "ann"}));
        let update = signed(Signature::Update, &json!({"request": {"meta": {"updateId": "1"}, "input": {}}}));
        assert_eq!(update["request"], json!({"meta": {"updateId": "1", "identity": "ann"}, "input": {}}));
        assert_eq!(signed(Signature::Update, &json!({"request": 7}))["request"]["meta"]["identity"], "ann");
        let batch =
            signed(Signature::Batch, &json!({"jobId": "1", "terminationOperation": {}, "signal_operation": {}}));
        let operation = json!({"identity": "ann"});
        assert_eq!((&batch["terminationOperation"], &batch["signal_operation"]), (&operation, &operation));
        assert_eq!(signed(Signature::None, &json!({"identity": "x"})), json!({"identity": "x"}));
    }

    #[test]
    fn a_body_that_is_empty_is_signed_and_one_that_is_none_refused() {
        let uri = Uri::from_static("/x");
        let try_with = |body: &'static str| sign(Signature::Named, &Method::POST, (&uri, body.into()), "ann");
        assert_eq!(try_with("").ok().unwrap().body, Bytes::from_static(b"{\"identity\":\"ann\"}"));
        for wrong in ["[]", "{", "7"] {
            assert_eq!(try_with(wrong).err().unwrap().code, "body_invalid", "{wrong}");
        }
        let twice = "{\"identity\":\"a\",\"identity\":\"b\",\"big\":9007199254740993}";
        let body: Value = serde_json::from_slice(&try_with(twice).ok().unwrap().body).unwrap();
        assert_eq!(body, json!({"identity": "ann", "big": 9_007_199_254_740_993_u64}));
    }

    #[test]
    fn a_call_without_a_body_is_signed_in_its_query() {
        let uri = Uri::from_static("/x/schedules/y?identity=z&a=b%26c");
        let signed = sign(Signature::Named, &Method::DELETE, (&uri, Bytes::new()), "a&b").ok().unwrap();
        assert_eq!(signed.uri, "/x/schedules/y?a=b%26c&identity=a%26b");
    }
}
