//! The two tokens of a Job.
//!
//! The *run token* opens the runner endpoint and is the runner's alone. The *model token* opens the model gateway and nothing else; Codex
//! has it, and so, in the end, has whatever the agent starts. It is made from the run token and does not lead back to it. The
//! database keeps one hash, by which either is found.

use sha2::{Digest, Sha256};

/// The model token that goes with a run token.
#[must_use]
pub fn model_token(run_token: &str) -> String {
    format!("cmt_{}", hex::encode(Sha256::digest(format!("model-token:{run_token}"))))
}

/// What the database keeps, found by the model token.
#[must_use]
pub fn hash_of_model_token(model_token: &str) -> [u8; 32] {
    Sha256::digest(model_token).into()
}

/// The same, found by the run token.
#[must_use]
pub fn hash_of_run_token(run_token: &str) -> [u8; 32] {
    hash_of_model_token(&model_token(run_token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_token_passes_for_the_other() {
        let (run, model) = ("crt_a", model_token("crt_a"));
        assert_eq!(hash_of_run_token(run), hash_of_model_token(&model));
        assert_ne!(hash_of_run_token(&model), hash_of_model_token(&model));
        assert_ne!(hash_of_model_token(run), hash_of_run_token(run));
        assert_ne!(model, model_token("crt_b"));
    }
}
