//! A call as it came: what decides about it, and its body with another bound of the answer.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header::CONTENT_ENCODING};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use store::ModelCallKind;

use crate::problem::Problem;

/// Bytes for which a token is counted before the provider has counted. Text has about four, and punctuation of JSON less: so
/// this is rather too many tokens than too few.
const BYTES_PER_TOKEN: u64 = 3;

/// Longest name of a model.
const MAX_MODEL: usize = 200;

const FIELD: &str = "max_output_tokens";

/// A call that is to be made.
#[derive(Debug)]
pub(super) struct CallRequest {
    /// What is asked for.
    pub(super) kind: ModelCallKind,
    /// The model.
    pub(super) model: String,
    /// The longest answer that is wanted, in tokens; none: whatever the model gives.
    pub(super) max_output: Option<u64>,
    /// Estimate of the input, in tokens.
    pub(super) input: u64,
    /// The body as it came.
    pub(super) body: Bytes,
    bounded: bool,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    /// Outer none: the field is not there.
    #[serde(default, deserialize_with = "present")]
    max_output_tokens: Option<Option<u64>>,
}

fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::<u64>::deserialize(from).map(Some)
}

impl CallRequest {
    /// Reads what decides about a call. Everything else passes as it came.
    ///
    /// # Errors
    /// 415 if the body is compressed, 400 if it is no JSON object with a model.
    pub(super) fn read(kind: ModelCallKind, headers: &HeaderMap, body: Bytes) -> Result<Self, Problem> {
        if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            let detail = "the body is compressed, and the gateway has to read it; send it plain";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "call_compressed", detail));
        }
        // A list would be read as the fields in their order.
        if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(unreadable());
        }
        let head: Head<'_> = serde_json::from_slice(&body).map_err(|error| {
            let detail = format!("the body is no call of the model API: {error}; send a JSON object with a `model`");
            Problem::bad_request("call_unreadable", detail)
        })?;
        if head.model.is_empty() || head.model.len() > MAX_MODEL {
            let detail = format!("`model` has 1 to {MAX_MODEL} characters; name one of the agent's models");
            return Err(Problem::bad_request("call_unreadable", detail));
        }
        let (model, bound) = (head.model.into_owned(), head.max_output_tokens);
        let input = (body.len() as u64).div_ceil(BYTES_PER_TOKEN);
        Ok(Self { kind, model, max_output: bound.flatten(), input, body, bounded: bound.is_some() })
    }

    /// The body with this bound of the answer.
    ///
    /// # Errors
    /// 400 if the body can't be taken apart; one that could be read can.
    pub(super) fn bounded_by(&self, tokens: u64) -> Result<Bytes, Problem> {
        if self.bounded {
            return self.with_other_bound(tokens);
        }
        // The usual case: nothing is taken apart, the field is put in front.
        let open = self.body.iter().position(|byte| *byte == b'{').ok_or_else(unreadable)?;
        let mut body = BytesMut::with_capacity(self.body.len() + FIELD.len() + 32);
        body.put_slice(&self.body[..=open]);
        body.put_slice(format!("\"{FIELD}\":{tokens},").as_bytes());
        body.put_slice(&self.body[open + 1..]);
        Ok(body.freeze())
    }

    fn with_other_bound(&self, tokens: u64) -> Result<Bytes, Problem> {
        let mut fields: BTreeMap<String, Box<RawValue>> =
            serde_json::from_slice(&self.body).map_err(|_| unreadable())?;
        fields.insert(FIELD.to_owned(), RawValue::from_string(tokens.to_string()).map_err(|_| unreadable())?);
        Ok(serde_json::to_vec(&fields).map_err(|_| unreadable())?.into())
    }
}

fn unreadable() -> Problem {
    Problem::bad_request("call_unreadable", "the body is no call of the model API; send a JSON object with a `model`")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(body: &str) -> Result<CallRequest, Problem> {
        CallRequest::read(ModelCallKind::Responses, &HeaderMap::new(), Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn the_bound_is_put_in_and_the_rest_stays() {
        let call = read(r#" {"model":"m","input":[{"b":1,"a":2.50}]}"#).unwrap();
        assert_eq!((call.model.as_str(), call.max_output, call.input), ("m", None, 14));
        let bounded = call.bounded_by(7).unwrap();
        assert_eq!(&bounded[..], br#" {"max_output_tokens":7,"model":"m","input":[{"b":1,"a":2.50}]}"#);
    }

    #[test]
    fn a_bound_that_is_there_is_replaced_however_it_is_written() {
        for body in [
            r#"{"model":"m","max_output_tokens":90}"#,
            r#"{"model":"m","max_output_tokens":null}"#,
            r#"{"model":"m","max_\u006futput_tokens":90}"#,
        ] {
            let bounded: Value = serde_json::from_slice(&read(body).unwrap().bounded_by(7).unwrap()).unwrap();
            assert_eq!(bounded, json!({"model": "m", "max_output_tokens": 7}), "{body}");
        }
        assert_eq!(read(r#"{"model":"m","max_output_tokens":90}"#).unwrap().max_output, Some(90));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for body in [
            r#"{"model":"m","max_output_tokens":1,"max_output_tokens":9}"#,
            r#"{"model":"m","model":"n"}"#,
            r#"{"model":"m","max_output_tokens":-1}"#,
            r#"{"model":""}"#,
            r#"{"input":"x"}"#,
            r#"["model"]"#,
            "good",
            "",
        ] {
            assert_eq!(read(body).unwrap_err().code, "call_unreadable", "{body}");
        }
        let zipped = [(CONTENT_ENCODING, "gzip".parse().unwrap())].into_iter().collect();
        let refused = CallRequest::read(ModelCallKind::Responses, &zipped, Bytes::new()).unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.code), (415, "call_compressed"));
    }
}
