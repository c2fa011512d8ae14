//! Sealed boxes (X25519): whoever knows the public key can close one, only the holder of the secret key can open it.
//!
//! A key is 64 hexadecimal digits, for either half, and is named by the first eight hexadecimal digits of the SHA-256 of its public
//! half: what was sealed is stored with this name. The worker may hold several secret keys. The first of its file is the current
//! one; those after it open what was sealed before the current one was made, until everything is sealed again.

use std::fmt;

use crypto_box::{PublicKey, SecretKey, aead::rand_core as old_rand};
use rand::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Sealing or opening failed. Says nothing about the contents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A key file holds something else.
    #[error("a key file must hold 64 hexadecimal digits a line and nothing else")]
    KeyFormat,
    /// Could not be sealed.
    #[error("could not be sealed")]
    Seal,
    /// Wrong key, or the bytes were changed.
    #[error("the sealed bytes don't open with key {key_id}")]
    Open {
        /// The key that was tried.
        key_id: String,
    },
    /// Sealed for a key that is not here.
    #[error(
        "it is sealed for key {key_id}, which is not among the opening keys ({known}): add that key's line to the key file"
    )]
    UnknownKey {
        /// The key that it was sealed for.
        key_id: String,
        /// The keys that are here.
        known: String,
    },
}

/// The public half: closes boxes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealingKeys {
    /// Names the key.
    pub key_id: String,
    /// The key itself.
    pub public: [u8; 32],
}

/// The secret half of one key: opens boxes. Wiped from memory when dropped.
#[derive(Clone)]
struct OpeningKey {
    secret: Zeroizing<[u8; 32]>,
    sealing: SealingKeys,
}

/// The secret halves that the worker holds: the current one and those before it.
#[derive(Clone)]
pub struct OpeningKeys {
    current: OpeningKey,
    old: Vec<OpeningKey>,
}

impl SealingKeys {
    /// Takes the 32 bytes of a public key.
    #[must_use]
    pub fn from_bytes(public: [u8; 32]) -> Self {
        let digest = hex::encode(Sha256::digest(public));
        Self { key_id: digest[..8].to_owned(), public }
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`SealError::KeyFormat`]
    pub fn from_file_text(text: &str) -> Result<Self, SealError> {
        key_bytes(text).map(|bytes| Self::from_bytes(*bytes))
    }

    /// What belongs into the key file.
    #[must_use]
    pub fn to_file_text(&self) -> String {
        format!("{}\n", hex::encode(self.public))
    }

    /// Seals `plaintext`.
    ///
    /// # Errors
    /// [`SealError::Seal`]
    pub fn seal<R: CryptoRng>(&self, rng: &mut R, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        PublicKey::from_bytes(self.public).seal(&mut OldRng(rng), plaintext).map_err(|_| SealError::Seal)
    }
}

impl OpeningKey {
    fn generate<R: CryptoRng>(rng: &mut R) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(secret.as_mut());
        Self::from_bytes(secret)
    }

    fn from_bytes(secret: Zeroizing<[u8; 32]>) -> Self {
        let public = SecretKey::from_bytes(*secret).public_key().to_bytes();
        Self { secret, sealing: SealingKeys::from_bytes(public) }
    }

    fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let opened = SecretKey::from_bytes(*self.secret).unseal(sealed);
        opened.map(Zeroizing::new).map_err(|_| SealError::Open { key_id: self.sealing.key_id.clone() })
    }
}

impl OpeningKeys {
    /// Makes a new pair.
    #[must_use]
    pub fn generate<R: CryptoRng>(rng: &mut R) -> Self {
        Self { current: OpeningKey::generate(rng), old: Vec::new() }
    }

    /// A new current key in front of those that are there.
    #[must_use]
    pub fn rotated<R: CryptoRng>(&self, rng: &mut R) -> Self {
        Self { current: OpeningKey::generate(rng), old: self.all().cloned().collect() }
    }

    /// The current key alone.
    #[must_use]
    pub fn without_old(&self) -> Self {
        Self { current: self.current.clone(), old: Vec::new() }
    }

    /// Reads a key file: the current key, then older ones, a line each.
    ///
    /// # Errors
    /// [`SealError::KeyFormat`]
    pub fn from_file_text(text: &str) -> Result<Self, SealError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let mut keys = lines.map(|line| key_bytes(line).map(OpeningKey::from_bytes)).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(SealError::KeyFormat);
        }
        Ok(Self { current: keys.remove(0), old: keys })
    }

    /// What belongs into the key file, which only its owner may read.
    #[must_use]
    pub fn to_file_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for key in self.all() {
            text.push_str(&Zeroizing::new(hex::encode(*key.secret)));
            text.push('\n');
        }
        text
    }

    /// The public half of the current key.
    #[must_use]
    pub const fn sealing(&self) -> &SealingKeys {
        &self.current.sealing
    }

    /// Opens what was sealed for the key of this name.
    ///
    /// # Errors
    /// [`SealError::UnknownKey`], [`SealError::Open`]
    pub fn open(&self, key_id: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let key = self.all().find(|key| key.sealing.key_id == key_id);
        key.ok_or_else(|| SealError::UnknownKey { key_id: key_id.to_owned(), known: self.names() })?.open(sealed)
    }

    fn all(&self) -> impl Iterator<Item = &OpeningKey> {
        std::iter::once(&self.current).chain(&self.old)
    }

    fn names(&self) -> String {
        self.all().map(|key| key.sealing.key_id.as_str()).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Debug for OpeningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpeningKeys").field("key_ids", &self.names()).finish_non_exhaustive()
    }
}

fn key_bytes(text: &str) -> Result<Zeroizing<[u8; 32]>, SealError> {
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim(), bytes.as_mut()).map_err(|_| SealError::KeyFormat)?;
    Ok(bytes)
}

/// crypto_box asks for the random number traits of an earlier release.
struct OldRng<'a, R>(&'a mut R);

impl<R: CryptoRng> old_rand::RngCore for OldRng<'_, R> {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), old_rand::Error> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl<R: CryptoRng> old_rand::CryptoRng for OldRng<'_, R> {}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    fn keys(seed: u64) -> OpeningKeys {
        OpeningKeys::generate(&mut StdRng::seed_from_u64(seed))
    }

    fn id(keys: &OpeningKeys) -> &str {
        &keys.sealing().key_id
    }

    #[test]
    fn only_the_right_key_opens() {
        let (mine, other) = (keys(1), keys(2));
        let sealed = mine.sealing().seal(&mut StdRng::seed_from_u64(3), b"the token").unwrap();
        assert_eq!(mine.open(id(&mine), &sealed).unwrap().as_slice(), b"the token");
        assert_eq!(other.open(id(&other), &sealed), Err(SealError::Open { key_id: id(&other).to_owned() }));
        let unknown = SealError::UnknownKey { key_id: id(&mine).to_owned(), known: id(&other).to_owned() };
        assert_eq!(other.open(id(&mine), &sealed), Err(unknown));
        assert!(!sealed.windows(5).any(|part| part == b"token"));
    }

    #[test]
    fn an_old_key_opens_until_it_is_taken_out() {
        let old = keys(1);
        let sealed = old.sealing().seal(&mut StdRng::seed_from_u64(3), b"x").unwrap();
        let both = old.rotated(&mut StdRng::seed_from_u64(4));
        assert_ne!(id(&both), id(&old));
        assert!(both.open(id(&old), &sealed).is_ok());
        let read = OpeningKeys::from_file_text(&both.to_file_text()).unwrap();
        assert_eq!(read.sealing(), both.sealing());
        assert!(read.open(id(&old), &sealed).is_ok());
        assert!(matches!(read.without_old().open(id(&old), &sealed), Err(SealError::UnknownKey { .. })));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let keys = keys(1);
        let sealed = keys.sealing().seal(&mut StdRng::seed_from_u64(3), b"x").unwrap();
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(keys.open(id(&keys), &changed).is_err(), "byte {place}");
        }
        assert!(keys.open(id(&keys), &sealed[..20]).is_err());
        assert!(keys.open(id(&keys), b"").is_err());
    }

    #[test]
    fn key_files_read_back() {
        let keys = keys(1);
        let again = OpeningKeys::from_file_text(&keys.to_file_text()).unwrap();
        assert_eq!(again.sealing(), keys.sealing());
        assert_eq!(SealingKeys::from_file_text(&keys.sealing().to_file_text()).as_ref(), Ok(keys.sealing()));
        assert_eq!(keys.sealing().key_id.len(), 8);
        for bad in ["", "\n", "abc", "zz".repeat(32).as_str(), "00".repeat(33).as_str()] {
            assert_eq!(SealingKeys::from_file_text(bad), Err(SealError::KeyFormat));
            assert!(OpeningKeys::from_file_text(bad).is_err());
        }
    }

    #[test]
    fn the_public_half_is_that_of_the_standard() {
        // RFC 7748, section 6.1: Bob's pair.
        let secret = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
        let public = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";
        assert_eq!(hex::encode(OpeningKeys::from_file_text(secret).unwrap().sealing().public), public);
    }

    #[test]
    fn the_secret_is_not_printed() {
        let keys = keys(1);
        let secret = keys.to_file_text();
        assert!(!format!("{keys:?}").contains(secret.trim()));
    }
}
