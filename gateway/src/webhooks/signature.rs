//! `X-Hub-Signature-256`: HMAC-SHA256 over the raw bytes, compared in constant time.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A secret that webhooks may be signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct HookSecret(Vec<u8>);

impl HookSecret {
    /// Wraps the bytes of a secret; none for an empty one, with which anybody could sign.
    pub fn new(secret: impl Into<Vec<u8>>) -> Option<Self> {
        let secret = secret.into();
        (!secret.is_empty()).then_some(Self(secret))
    }

    /// The bytes, to be sealed.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for HookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HookSecret(..)")
    }
}

/// A signature as the header gave it; whether it is right is another question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature([u8; 32]);

impl Signature {
    /// Reads `sha256=` and 64 hexadecimal digits.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(header.strip_prefix("sha256=")?, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// Whether one of the secrets made this signature over the body. All of them are tried, whichever fits.
    #[must_use]
    pub fn is_made_with_one_of(&self, secrets: &[HookSecret], body: &[u8]) -> bool {
        secrets.iter().filter(|secret| self.is_made_with(secret, body)).count() > 0
    }

    fn is_made_with(&self, secret: &HookSecret, body: &[u8]) -> bool {
        Hmac::<Sha256>::new_from_slice(&secret.0).is_ok_and(|mac| mac.chain_update(body).verify_slice(&self.0).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"Hello, World!";
    const SIGNED: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn secrets(of: &[&str]) -> Vec<HookSecret> {
        of.iter().filter_map(|secret| HookSecret::new(*secret)).collect()
    }

    #[test]
    fn the_published_vector_fits() {
        let signature = Signature::parse(SIGNED).unwrap();
        assert!(signature.is_made_with_one_of(&secrets(&["It's a Secret to Everybody"]), BODY));
        assert!(signature.is_made_with_one_of(&secrets(&["other", "It's a Secret to Everybody"]), BODY));
        assert!(signature.is_made_with_one_of(&secrets(&["It's a Secret to Everybody", "other"]), BODY));
        assert!(!signature.is_made_with_one_of(&secrets(&["other"]), BODY));
        assert!(!signature.is_made_with_one_of(&[], BODY));
        assert!(!signature.is_made_with_one_of(&secrets(&["It's a Secret to Everybody"]), b"Hello, World?"));
    }

    #[test]
    fn only_the_sha256_form_is_read() {
        let digits = &SIGNED["sha256=".len()..];
        let short = &SIGNED[..SIGNED.len() - 1];
        for bad in ["", "sha256=", digits, short, &format!("sha1={digits}"), &format!("sha256={}", "g".repeat(64))] {
            assert!(Signature::parse(bad).is_none(), "{bad}");
        }
        assert!(Signature::parse(&SIGNED.to_uppercase().replace("SHA256", "sha256")).is_some());
    }

    #[test]
    fn an_empty_secret_is_none() {
        assert!(HookSecret::new("").is_none());
    }
}
