//! What an answer that is no success means.

use chrono::{DateTime, Duration, Utc};
use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use serde::Deserialize;
use serde_json::Value;

use crate::{ForgeError, Outage};

/// GitHub asks for at least this long a wait when it names none.
const UNNAMED_WAIT_SECS: i64 = 60;
/// Longest wait taken from a header; a clock that is off must not park a run for days.
const LONGEST_WAIT_SECS: i64 = 2 * 3600;
const MAX_MESSAGE_CHARS: usize = 400;

#[derive(Default, Deserialize)]
struct Body {
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    errors: Value,
}

/// Maps an answer. `body` has been cleared of the credential.
pub(super) fn from_answer(status: StatusCode, headers: &HeaderMap, body: &str, now: DateTime<Utc>) -> ForgeError {
    let parsed: Body = serde_json::from_str(body).unwrap_or_default();
    let message = parsed.message.map_or_else(|| fallback_message(status), |text| shorten(&text));
    match status.as_u16() {
        401 => ForgeError::Unauthorised,
        403 | 429 => limited_or_forbidden(status, headers, message, now),
        404 => ForgeError::NotFound,
        410 => ForgeError::Gone { message },
        409 => ForgeError::Conflict { message },
        400 | 406 | 422 => ForgeError::Validation { message, fields: fields(&parsed.errors) },
        451 => ForgeError::Forbidden { message },
        code if code == 408 || code >= 500 => {
            ForgeError::Unavailable { outage: Outage::Status(code), retry_at: retry_after(headers, now) }
        }
        code => ForgeError::Unexpected { detail: format!("status {code}: {message}") },
    }
}

fn limited_or_forbidden(status: StatusCode, headers: &HeaderMap, message: String, now: DateTime<Utc>) -> ForgeError {
    let lower = message.to_ascii_lowercase();
    let exhausted = header(headers, "x-ratelimit-remaining") == Some("0");
    if let Some(retry_at) = retry_after(headers, now) {
        return ForgeError::RateLimited { retry_at, secondary: !exhausted };
    }
    if exhausted {
        let reset = header(headers, "x-ratelimit-reset").and_then(|text| text.parse().ok());
        let reset = reset.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let retry_at = reset.map_or_else(|| now + Duration::seconds(UNNAMED_WAIT_SECS), |at| bounded(at, now));
        return ForgeError::RateLimited { retry_at, secondary: false };
    }
    if status == StatusCode::TOO_MANY_REQUESTS || lower.contains("rate limit") || lower.contains("abuse detection") {
        return ForgeError::RateLimited { retry_at: now + Duration::seconds(UNNAMED_WAIT_SECS), secondary: true };
    }
    if lower.contains("archived") && lower.contains("read-only") {
        return ForgeError::Archived;
    }
    ForgeError::Forbidden { message }
}

/// Seconds or a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let text = header(headers, RETRY_AFTER.as_str())?;
    let at = match text.parse::<u32>() {
        Ok(seconds) => now + Duration::seconds(i64::from(seconds)),
        Err(_) => DateTime::parse_from_rfc2822(text).ok()?.with_timezone(&Utc),
    };
    Some(bounded(at, now))
}

fn bounded(at: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
    at.clamp(now + Duration::seconds(1), now + Duration::seconds(LONGEST_WAIT_SECS))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

/// GitHub's `errors` holds texts or objects; both are told as one line each.
fn fields(errors: &Value) -> Vec<String> {
    let items = errors.as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |item: &Value, key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
    let tell = |item: &Value| match item {
        Value::String(text) => shorten(text),
        item => {
            let place: Vec<String> = ["resource", "field"].iter().filter_map(|key| text(item, key)).collect();
            let what: Vec<String> = ["code", "message"].iter().filter_map(|key| text(item, key)).collect();
            shorten(&format!("{}: {}", place.join("."), what.join(", ")))
        }
    };
    items.iter().take(20).map(tell).collect()
}

fn fallback_message(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or("no message").to_owned()
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_MESSAGE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-01T12:00:00Z".parse().unwrap()
    }

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> ForgeError {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        from_answer(StatusCode::from_u16(status).unwrap(), &headers, body, now())
    }

    fn limited(seconds: i64, secondary: bool) -> ForgeError {
        ForgeError::RateLimited { retry_at: now() + Duration::seconds(seconds), secondary }
    }

    #[test]
    fn retry_after_wins_over_reset() {
        let reset = (now() + Duration::seconds(900)).timestamp().to_string();
        let both = [("retry-after", "30"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset.as_str())];
        assert_eq!(answer(403, &both, "{}"), limited(30, false));
        assert_eq!(answer(403, &both[1..], "{}"), limited(900, false));
        assert_eq!(answer(429, &[("retry-after", "7")], "{}"), limited(7, true));
        assert_eq!(answer(429, &[("retry-after", "Sun, 01 Nov 2026 12:02:00 GMT")], ""), limited(120, true));
    }

    #[test]
    fn a_limit_without_a_time_waits_a_minute() {
        assert_eq!(answer(429, &[], ""), limited(60, true));
        let body = r#"{"message":"You have exceeded a secondary rate limit. Please wait."}"#;
        assert_eq!(answer(403, &[], body), limited(60, true));
        assert_eq!(answer(403, &[("x-ratelimit-remaining", "0")], ""), limited(60, false));
    }

    #[test]
    fn waits_are_bounded_both_ways() {
        let past = (now() - Duration::seconds(5)).timestamp().to_string();
        assert_eq!(answer(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &past)], ""), limited(1, false));
        assert_eq!(answer(429, &[("retry-after", "4000000000")], ""), limited(LONGEST_WAIT_SECS, true));
    }

    #[test]
    fn a_plain_403_is_no_limit() {
        let body = r#"{"message":"Resource not accessible by personal access token"}"#;
        let headers = [("x-ratelimit-remaining", "4999")];
        let expected = ForgeError::Forbidden { message: "Resource not accessible by personal access token".to_owned() };
        assert_eq!(answer(403, &headers, body), expected);
        let body = r#"{"message":"Repository was archived so is read-only."}"#;
        assert_eq!(answer(403, &headers, body), ForgeError::Archived);
    }

    #[test]
    fn validation_names_the_fields() {
        let body = r#"{"message":"Validation Failed","errors":[
            {"resource":"PullRequest","code":"custom","message":"A pull request already exists for o:b."},
            {"resource":"Label","field":"name","code":"already_exists"}, "no diff"]}"#;
        let expected = ForgeError::Validation {
            message: "Validation Failed".to_owned(),
            fields: vec![
                "PullRequest: custom, A pull request already exists for o:b.".to_owned(),
                "Label.name: already_exists".to_owned(),
                "no diff".to_owned(),
            ],
        };
        assert_eq!(answer(422, &[], body), expected);
    }

    #[test]
    fn the_other_classes() {
        assert_eq!(answer(401, &[], "not json"), ForgeError::Unauthorised);
        assert_eq!(answer(404, &[], ""), ForgeError::NotFound);
        assert_eq!(answer(410, &[], ""), ForgeError::Gone { message: "Gone".to_owned() });
        let down = answer(503, &[("retry-after", "5")], "<html>");
        assert!(down.is_retryable());
        assert_eq!(down.retry_at(), Some(now() + Duration::seconds(5)));
        assert!(matches!(
            answer(502, &[], ""),
            ForgeError::Unavailable { outage: Outage::Status(502), retry_at: None }
        ));
        assert!(!answer(418, &[], "").is_retryable());
    }
}
