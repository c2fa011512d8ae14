//! Keys of access tokens: made, sealed, changed in time, and known to whoever checks a token.

use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, TimeDelta, Utc};
use ed25519_dalek::{SigningKey as Ed25519, pkcs8::EncodePrivateKey};
use jsonwebtoken::{DecodingKey, EncodingKey};
use store::{
    Store, StoreError,
    signing_keys::{self, NewSigningKey, SigningKey},
};
use zeroize::Zeroizing;

use super::access::ACCESS_LIFE;
use crate::hook_secrets::{self, GatewayKey};

/// A key signs for so long; the next one follows by itself.
pub const KEY_LIFE: TimeDelta = TimeDelta::days(30);

/// What is known of the keys is looked up again after so long: a key that was taken out of the database is dead then.
const KNOWN_FOR: TimeDelta = TimeDelta::seconds(30);

/// An unknown key id makes us look again at most so often: forged tokens must not keep the database busy.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(1);

/// A key could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyTrouble {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key in the database was sealed with another gateway key.
    #[error(
        "the signing key {0} does not open with this gateway key: run `codex-k8s keys rotate-signing` with the key in force"
    )]
    Sealed(String),
    /// The bytes are no key.
    #[error("the signing key {0} can't be used: run `codex-k8s keys rotate-signing`")]
    Unusable(String),
}

/// A key that signs.
pub(crate) struct Signer {
    pub(crate) kid: String,
    pub(crate) key: EncodingKey,
}

/// The public halves as they were last read.
#[derive(Default)]
pub(crate) struct KnownKeys(RwLock<Option<Arc<Known>>>);

struct Known {
    keys: Vec<SigningKey>,
    read_at: DateTime<Utc>,
}

impl KnownKeys {
    /// The key to check a token with.
    ///
    /// # Errors
    /// The database fails.
    pub(crate) async fn find(
        &self,
        store: &Store,
        kid: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<DecodingKey>, StoreError> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let usable = known.filter(|known| {
            let age = now - known.read_at;
            (TimeDelta::zero()..LOOK_AGAIN).contains(&age)
                || (age < KNOWN_FOR && known.keys.iter().any(|key| key.kid == kid))
        });
        let known = match usable {
            Some(known) => known,
            None => self.look(store, now).await?,
        };
        let key = known.keys.iter().find(|key| key.kid == kid && key.retire_at.is_none_or(|at| at > now));
        // What is no Ed25519 key would make the library panic.
        Ok(key.filter(|key| key.public.len() == 32).map(|key| DecodingKey::from_ed_der(&key.public)))
    }

    async fn look(&self, store: &Store, now: DateTime<Utc>) -> Result<Arc<Known>, StoreError> {
        let keys = signing_keys::living(&mut *store.acquire().await?, now).await?;
        let known = Arc::new(Known { keys, read_at: now });
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&known));
        Ok(known)
    }
}

/// The key that signs now; made if there is none yet, or the one there is has had its time.
///
/// # Errors
/// [`KeyTrouble`]
pub(crate) async fn signer(store: &Store, key: &GatewayKey, now: DateTime<Utc>) -> Result<Signer, KeyTrouble> {
    let living = signing_keys::living(&mut *store.acquire().await?, now).await?;
    let current = match living.into_iter().find(|known| known.retire_at.is_none() && known.not_before + KEY_LIFE > now)
    {
        Some(current) => current,
        None => keep_current(store, key, now).await?,
    };
    let unusable = || KeyTrouble::Unusable(current.kid.clone());
    let seed = hook_secrets::open_bound(key, &place(&current.kid), &current.sealed)
        .map(Zeroizing::new)
        .map_err(|_| KeyTrouble::Sealed(current.kid.clone()))?;
    let seed: &[u8; 32] = seed.as_slice().try_into().map_err(|_| unusable())?;
    let document = Ed25519::from_bytes(seed).to_pkcs8_der().map_err(|_| unusable())?;
    Ok(Signer { kid: current.kid, key: EncodingKey::from_ed_der(document.as_bytes()) })
}

/// Puts a new key in force if there is none or the one there is has had its time.
///
/// # Errors
/// [`KeyTrouble`]
pub(crate) async fn keep_current(
    store: &Store,
    key: &GatewayKey,
    now: DateTime<Utc>,
) -> Result<SigningKey, KeyTrouble> {
    let mut tx = store.begin().await?;
    if let Some(current) = signing_keys::lock_current(&mut tx).await?
        && current.not_before + KEY_LIFE > now
    {
        return Ok(current);
    }
    let made = put_in_force(&mut tx, key, now).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(made)
}

/// Puts a new key in force at once; the one before checks the tokens that are out until they are dead. Gives the new key's id.
///
/// # Errors
/// [`KeyTrouble`]
pub async fn rotate(store: &Store, key: &GatewayKey, now: DateTime<Utc>) -> Result<String, KeyTrouble> {
    let mut tx = store.begin().await?;
    signing_keys::lock_current(&mut tx).await?;
    let made = put_in_force(&mut tx, key, now).await?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(made.kid)
}

async fn put_in_force(
    conn: &mut store::PgConnection,
    key: &GatewayKey,
    now: DateTime<Utc>,
) -> Result<SigningKey, KeyTrouble> {
    let seed = Zeroizing::new(rand::random::<[u8; 32]>());
    let kid = format!("k{}", hex::encode(rand::random::<[u8; 8]>()));
    let public = Ed25519::from_bytes(&seed).verifying_key().to_bytes();
    let sealed =
        hook_secrets::seal_bound(key, &place(&kid), seed.as_slice()).map_err(|_| KeyTrouble::Unusable(kid.clone()))?;
    let new =
        NewSigningKey { kid: &kid, public: &public, sealed: &sealed, now, retire_before_at: now + ACCESS_LIFE * 2 };
    signing_keys::put_in_force(conn, new).await?;
    Ok(SigningKey { public: public.to_vec(), sealed, not_before: now, retire_at: None, kid })
}

/// Sealed bytes fit no other row.
fn place(kid: &str) -> Vec<u8> {
    format!("signing key {kid}").into_bytes()
}
