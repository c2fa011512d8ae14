//! Seals again, for the current key, what an older key opens: after a new key was made, and before the old one is thrown away.

use std::fmt::Display;

use forge::seal::{OpeningKeys, SealError, SealingKeys};
use rand::CryptoRng;
use serde::Serialize;
use store::{
    Store, StoreError, connections,
    credentials::{self, SealedBox},
};

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Resealed {
    /// Boxes that are now sealed for the current key.
    pub resealed: usize,
    /// Credentials that are sealed for the current key, those included.
    pub current: i64,
    /// Boxes that could not be opened.
    pub failed: Vec<Unopened>,
}

/// A box that could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unopened {
    /// What it is, with its id.
    pub what: String,
    /// Why, and what helps.
    pub why: String,
}

/// Goes over every box that is sealed for another key than the current one. Can be repeated and broken off at any time: each box is
/// replaced by itself.
///
/// # Errors
/// When the database is away.
pub async fn run<R: CryptoRng>(store: &Store, keys: &OpeningKeys, rng: &mut R) -> Result<Resealed, StoreError> {
    let current = keys.sealing();
    let mut done = Resealed::default();
    let mut conn = store.acquire().await?;
    for old in credentials::sealed_for_others(&mut conn, &current.key_id).await? {
        if let Some(sealed) = again(keys, &old, rng, ("credential", &mut done)) {
            done.resealed += usize::from(credentials::reseal(&mut conn, &old, &current.key_id, &sealed).await?);
        }
    }
    for old in connections::sealed_for_others(&mut conn, &current.key_id).await? {
        if let Some(sealed) = again(keys, &old, rng, ("hook secret of connection", &mut done)) {
            done.resealed += usize::from(connections::reseal(&mut conn, &old, &current.key_id, &sealed).await?);
        }
    }
    done.current = credentials::count_sealed_for(&mut conn, &current.key_id).await?;
    Ok(done)
}

fn again<R: CryptoRng, Id: Display>(
    keys: &OpeningKeys,
    old: &SealedBox<Id>,
    rng: &mut R,
    (what, done): (&str, &mut Resealed),
) -> Option<Vec<u8>> {
    match seal_again(keys, keys.sealing(), old, rng) {
        Ok(sealed) => Some(sealed),
        Err(error) => {
            done.failed.push(Unopened { what: format!("{what} {}", old.id), why: error.to_string() });
            None
        }
    }
}

fn seal_again<R: CryptoRng, Id>(
    keys: &OpeningKeys,
    current: &SealingKeys,
    old: &SealedBox<Id>,
    rng: &mut R,
) -> Result<Vec<u8>, SealError> {
    current.seal(rng, &keys.open(&old.key_id, &old.sealed)?)
}
