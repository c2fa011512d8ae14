//! What kind of failure Codex's words describe.

use domain::job::AgentFailure;

/// Judges a failure by its message. Codex gives no code, so this is as good as its words.
pub(crate) fn classify(message: &str) -> AgentFailure {
    let message = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    // A 429 may also mean an empty account, so the words about quota come first.
    if says(&["quota", "billing", "usage limit", "usage_limit"]) {
        return AgentFailure::QuotaExceeded;
    }
    match status(&message) {
        Some(429) => return AgentFailure::RateLimited,
        Some(401 | 403) => return AgentFailure::Unauthorised,
        Some(408 | 500..=599) => return AgentFailure::ModelUnavailable,
        _ => {}
    }
    if says(&["rate limit", "too many requests"]) {
        AgentFailure::RateLimited
    } else if says(&["stream disconnected", "stream closed", "idle timeout"]) {
        AgentFailure::StreamCut
    } else if says(&["high demand", "overloaded", "at capacity", "connection failed", "error sending request"]) {
        AgentFailure::ModelUnavailable
    } else {
        AgentFailure::Other
    }
}

/// The HTTP status after the word `status`; a bare number may be a port or an id.
fn status(message: &str) -> Option<u16> {
    message.split("status").skip(1).find_map(|rest| {
        let rest = rest.trim_start_matches([':', ' ']);
        let digits = rest.get(..3)?;
        let ends = rest[3..].chars().next().is_none_or(|next| !next.is_ascii_digit());
        digits.parse().ok().filter(|_| ends)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_codex_are_understood() {
        use AgentFailure as F;
        for (message, class) in [
            (
                "unexpected status 401 Unauthorized: Incorrect API key provided., url: http://127.0.0.1:42900/v1/responses",
                F::Unauthorised,
            ),
            ("exceeded retry limit, last status: 429 Too Many Requests", F::RateLimited),
            ("Quota exceeded. Check your plan and billing details.", F::QuotaExceeded),
            ("We’re currently experiencing high demand, which may cause temporary errors.", F::ModelUnavailable),
            ("unexpected status 502 Bad Gateway", F::ModelUnavailable),
            (
                "stream disconnected before completion: Transport error: network error: error decoding response body",
                F::StreamCut,
            ),
            ("Reconnecting... waiting for network (Connection failed: error sending request)", F::ModelUnavailable),
            ("unexpected status 400 Bad Request: no such model", F::Other),
            ("the status 50012 of job 429 at http://127.0.0.1:50300", F::Other),
            ("", F::Other),
        ] {
            assert_eq!(classify(message), class, "{message}");
        }
    }
}
