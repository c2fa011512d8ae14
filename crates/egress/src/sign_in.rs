//! Squid's helper for Basic authentication.

use std::borrow::Cow;

use domain::job_tokens::TokenKind;
use tokio::io::{BufReader, stdin, stdout};

use crate::helper::{HelperError, Verdict, answer_all};

/// Answers squid until it closes its end.
///
/// # Errors
/// When the pipes break.
pub async fn sign_in() -> Result<(), HelperError> {
    answer_all(BufReader::new(stdin()), stdout(), |fields| async move { judge(&fields) }).await
}

fn judge(fields: &[String]) -> Verdict {
    match fields {
        [_, token] if TokenKind::of(token) == Some(TokenKind::Egress) => Verdict::Fits,
        _ => Verdict::FitsNot(Cow::Borrowed("sign in with the egress token of the run as the password")),
    }
}

#[cfg(test)]
mod tests {
    use domain::job_tokens::{egress_token, model_token};

    use super::*;

    #[test]
    fn only_an_egress_token_signs_in() {
        let fields = |password: String| ["run-1".to_owned(), password];
        assert_eq!(judge(&fields(egress_token("s"))), Verdict::Fits);
        for other in [model_token("s"), "cet_".to_owned(), String::new()] {
            assert!(matches!(judge(&fields(other)), Verdict::FitsNot(_)));
        }
        assert!(matches!(judge(&[]), Verdict::FitsNot(_)));
    }
}
