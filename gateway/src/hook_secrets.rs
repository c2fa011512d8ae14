//! Secrets of webhook registrations, sealed under the gateway's own key before they reach the database.

use std::{fmt, io, path::Path, str::FromStr};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use domain::ids::HookId;

const NONCE_BYTES: usize = 24;

/// The gateway's own key: 32 bytes, written as 64 hexadecimal digits.
#[derive(Clone)]
pub struct GatewayKey([u8; 32]);

/// A key file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It can't be read.
    #[error("the key file can't be read")]
    Unreadable(#[source] io::Error),
    /// Its content is no key.
    #[error("a key is 64 hexadecimal digits")]
    NoKey,
}

/// A sealed secret that this key does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed secret does not open: it was made with another key, for another hook, or was changed")]
pub struct SealBroken;

/// A secret could not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret is too long to be sealed")]
pub struct NotSealed;

impl GatewayKey {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        Self(rand::random())
    }

    /// Reads the key from its file.
    ///
    /// # Errors
    /// If the file can't be read or holds no key.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        std::fs::read_to_string(path).map_err(KeyError::Unreadable)?.trim().parse()
    }

    /// The key as its file holds it.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl FromStr for GatewayKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut key = [0; 32];
        hex::decode_to_slice(text, &mut key).map_err(|_| KeyError::NoKey)?;
        Ok(Self(key))
    }
}

impl fmt::Debug for GatewayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GatewayKey(..)")
    }
}

/// Seals the secret of a hook. Our id of the hook is bound in, so that sealed bytes fit no other row; the forge's id is not known
/// yet when the secret is made.
///
/// # Errors
/// Only for a secret of absurd length.
pub fn seal(key: &GatewayKey, hook: HookId, secret: &[u8]) -> Result<Vec<u8>, NotSealed> {
    seal_bound(key, hook.as_uuid().as_bytes(), secret)
}

/// Seals a secret of the gateway's own, bound to where it belongs.
///
/// # Errors
/// Only for a secret of absurd length.
pub(crate) fn seal_bound(key: &GatewayKey, place: &[u8], secret: &[u8]) -> Result<Vec<u8>, NotSealed> {
    let nonce: [u8; NONCE_BYTES] = rand::random();
    let sealed =
        cipher(key).encrypt(XNonce::from_slice(&nonce), Payload { msg: secret, aad: place }).map_err(|_| NotSealed)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

/// Opens what [`seal`] made.
///
/// # Errors
/// [`SealBroken`] for another key, another hook, or changed bytes.
pub fn open(key: &GatewayKey, hook: HookId, sealed: &[u8]) -> Result<Vec<u8>, SealBroken> {
    open_bound(key, hook.as_uuid().as_bytes(), sealed)
}

/// Opens what [`seal_bound`] made.
///
/// # Errors
/// [`SealBroken`] for another key, another place, or changed bytes.
pub(crate) fn open_bound(key: &GatewayKey, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealBroken> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or(SealBroken)?;
    cipher(key).decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: place }).map_err(|_| SealBroken)
}

fn cipher(key: &GatewayKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&key.0).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_hook_only() {
        let key = GatewayKey::generate();
        let [hook, other] = [7, 8].map(|n| HookId::from_uuid(uuid::Uuid::from_u128(n)));
        let sealed = seal(&key, hook, b"secret").unwrap();
        assert_eq!(open(&key, hook, &sealed).unwrap(), b"secret");
        assert_eq!(open(&key, other, &sealed), Err(SealBroken));
        assert_eq!(open(&GatewayKey::generate(), hook, &sealed), Err(SealBroken));
        assert_eq!(open(&key, hook, &sealed[..10]), Err(SealBroken));
        let mut changed = sealed.clone();
        changed[30] ^= 1;
        assert_eq!(open(&key, hook, &changed), Err(SealBroken));
        assert_ne!(seal(&key, hook, b"secret").unwrap(), sealed);
    }

    #[test]
    fn a_key_is_64_digits() {
        let key = GatewayKey::generate();
        assert_eq!(key.to_hex().parse::<GatewayKey>().unwrap().0, key.0);
        assert!("ab".parse::<GatewayKey>().is_err());
        assert!("zz".repeat(32).parse::<GatewayKey>().is_err());
    }
}
