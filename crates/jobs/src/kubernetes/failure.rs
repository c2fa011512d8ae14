//! What the cluster's errors mean, and when asking again helps.

use std::time::Duration;

use crate::LaunchError;

/// Longest that one answer of the API server is waited for.
const CALL: Duration = Duration::from_secs(20);

/// Pauses between tries grow from and to this.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// One call, in the launcher's errors.
pub(super) async fn call<T>(what: &str, call: impl Future<Output = kube::Result<T>>) -> Result<T, LaunchError> {
    match tokio::time::timeout(CALL, call).await {
        Ok(done) => done.map_err(|error| explain(what, &error)),
        Err(_) => {
            let seconds = CALL.as_secs();
            Err(LaunchError::Unavailable(format!("{what}: the API server did not answer within {seconds} s")))
        }
    }
}

/// The same where an absence is an answer.
pub(super) async fn find<T>(what: &str, of: impl Future<Output = kube::Result<T>>) -> Result<Option<T>, LaunchError> {
    let absent = async {
        match of.await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            other => other.map(Some),
        }
    };
    call(what, absent).await
}

/// Does it again while the API server is away or busy, for at most `limit`.
pub(super) async fn persist<T, F>(limit: Duration, mut work: impl FnMut() -> F) -> Result<T, LaunchError>
where
    F: Future<Output = Result<T, LaunchError>>,
{
    let until = tokio::time::Instant::now() + limit;
    let mut pause = PAUSE;
    loop {
        match work().await {
            Err(LaunchError::Unavailable(why)) if tokio::time::Instant::now() + pause < until => {
                tracing::debug!(why, "asking the API server again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            other => return other,
        }
    }
}

fn explain(what: &str, error: &kube::Error) -> LaunchError {
    let kube::Error::Api(status) = error else {
        return LaunchError::Unavailable(format!("{what}: {}", chain(error)));
    };
    let words = format!("{what}: {}", status.message);
    match status.code {
        // A namespace that is on its way out is gone in a moment, and then made anew.
        403 | 404 | 409 if status.message.contains("being terminated") => LaunchError::Unavailable(words),
        // The namespace went between our look and our write.
        404 => LaunchError::Unavailable(words),
        401 | 403 => LaunchError::Refused(format!("{words} (the worker's service account needs this right)")),
        400..=428 if status.code != 408 && status.code != 409 && status.code != 425 => LaunchError::Refused(words),
        _ => LaunchError::Unavailable(words),
    }
}

/// The words of an error and of what caused it: the outermost alone says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut inner = error.source();
    while let Some(cause) = inner {
        let said = cause.to_string();
        if !words.contains(&said) {
            words = format!("{words}: {said}");
        }
        inner = cause.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn what_may_pass_is_told_from_what_stays() {
        let api = |code, message: &str| {
            let status = Status { code, message: message.to_owned(), ..Status::default() };
            matches!(explain("x", &kube::Error::Api(Box::new(status))), LaunchError::Unavailable(_))
        };
        for (code, message) in [(404, "no namespace"), (409, "conflict"), (429, "slow"), (500, "oops"), (503, "away")] {
            assert!(api(code, message), "{code}");
        }
        assert!(api(403, "unable to create new content in namespace x because it is being terminated"));
        for code in [400, 401, 403, 422] {
            assert!(!api(code, "no"), "{code}");
        }
    }
}
