//! Random texts that are handed out once and kept as hashes.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// Tokens for scripts begin with this, so that people and scanners know them.
pub(crate) const API_TOKEN_PREFIX: &str = "ck8s_";

/// 256 random bits as text.
pub(crate) fn random() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// A new token for scripts.
pub(crate) fn api_token() -> String {
    format!("{API_TOKEN_PREFIX}{}", random())
}

/// What is stored of a random text. It has too many bits to be guessed: it needs no salt and no slow hash.
pub(crate) fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// A text made from a secret for one purpose: who sees it does not learn the secret.
pub(crate) fn derived(purpose: &str, secret: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(format!("codex-k8s {purpose}\n{secret}")))
}
