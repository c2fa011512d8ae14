//! The headers of a webhook.

use http::HeaderMap;

use super::signature::Signature;
use crate::problem::Problem;

const MAX_EVENT_NAME: usize = 100;
const MAX_GUID: usize = 200;

/// What the headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WebhookHeaders {
    /// `X-GitHub-Event`.
    pub(super) event: String,
    /// `X-GitHub-Delivery`.
    pub(super) guid: String,
    /// `X-GitHub-Hook-ID`, where it is a number.
    pub(super) hook_id: Option<i64>,
    /// `X-Hub-Signature-256`.
    pub(super) signature: Signature,
}

impl WebhookHeaders {
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let event = text(headers, "x-github-event", MAX_EVENT_NAME)?;
        let guid = text(headers, "x-github-delivery", MAX_GUID)?;
        let signed = headers.get("x-hub-signature-256").ok_or_else(|| missing("x-hub-signature-256"))?;
        let signature = signed.to_str().ok().and_then(Signature::parse).ok_or_else(wrong_signature)?;
        let hook_id = headers.get("x-github-hook-id").and_then(|id| id.to_str().ok()?.parse().ok());
        Ok(Self { event, guid, hook_id: hook_id.filter(|id| *id > 0), signature })
    }
}

/// 401: says nothing about which part was wrong.
pub(super) fn wrong_signature() -> Problem {
    Problem::unauthorised("signature_invalid", "the signature does not fit the body and the hook's secret")
}

fn missing(name: &str) -> Problem {
    Problem::bad_request("header_missing", format!("the header `{name}` is missing"))
}

fn text(headers: &HeaderMap, name: &'static str, longest: usize) -> Result<String, Problem> {
    let value = headers.get(name).ok_or_else(|| missing(name))?;
    match value.to_str() {
        Ok("") => Err(missing(name)),
        Ok(text) if text.len() <= longest => Ok(text.to_owned()),
        _ => Err(Problem::bad_request("header_invalid", format!("the header `{name}` is too long or not plain text"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(without: &str) -> HeaderMap {
        let signature = format!("sha256={}", "0".repeat(64));
        let all = [
            ("x-github-event", "ping"),
            ("x-github-delivery", "1-2-3"),
            ("x-github-hook-id", "7"),
            ("x-hub-signature-256", signature.as_str()),
        ];
        let kept = all.into_iter().filter(|(name, _)| *name != without);
        kept.map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn three_headers_must_be_there() {
        assert_eq!(WebhookHeaders::read(&headers("")).unwrap().hook_id, Some(7));
        assert_eq!(WebhookHeaders::read(&headers("x-github-hook-id")).unwrap().hook_id, None);
        for needed in ["x-github-event", "x-github-delivery", "x-hub-signature-256"] {
            let problem = WebhookHeaders::read(&headers(needed)).unwrap_err();
            assert_eq!((problem.status.as_u16(), problem.code), (400, "header_missing"), "{needed}");
            assert!(problem.detail.contains(needed));
        }
    }

    #[test]
    fn a_malformed_signature_is_a_wrong_one() {
        let mut headers = headers("");
        headers.insert("x-hub-signature-256", "sha1=00".parse().unwrap());
        assert_eq!(WebhookHeaders::read(&headers).unwrap_err().status.as_u16(), 401);
    }
}
