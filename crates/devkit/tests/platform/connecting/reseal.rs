//! A new sealing key: everything is sealed again, and what can't be is named.

use activities::reseal;
use domain::connection::CredentialKind;
use forge::seal::OpeningKeys;
use store::{
    Store,
    credentials::{self, NewCredential},
    testing::TestDatabase,
};

async fn insert(store: &Store, keys: &OpeningKeys, token: &[u8]) -> anyhow::Result<domain::ids::CredentialId> {
    let sealed = keys.sealing().seal(&mut rand::rng(), token)?;
    let key_id = &keys.sealing().key_id;
    let new =
        NewCredential { kind: CredentialKind::Token, key_id, sealed: &sealed, login: None, now: chrono::Utc::now() };
    Ok(credentials::insert(&mut *store.acquire().await?, new).await?)
}

#[tokio::test]
async fn everything_is_sealed_again_and_nothing_is_skipped_silently() -> anyhow::Result<()> {
    let database = TestDatabase::create().await;
    let store = database.store();
    let rng = &mut rand::rng();
    let old = OpeningKeys::generate(rng);
    let first = insert(store, &old, b"one").await?;
    credentials::revoke(&mut *store.acquire().await?, first, chrono::Utc::now()).await?;
    insert(store, &old, b"two").await?;
    let both = old.rotated(rng);
    insert(store, &both, b"three").await?;
    let stranger = insert(store, &OpeningKeys::generate(rng), b"four").await?;

    let done = reseal::run(store, &both, rng).await?;
    assert_eq!((done.resealed, done.current), (2, 3), "{done:?}");
    assert_eq!(done.failed.len(), 1);
    assert_eq!(done.failed[0].what, format!("credential {stranger}"));
    assert!(done.failed[0].why.contains("not among the opening keys"), "{}", done.failed[0].why);
    let again = reseal::run(store, &both, rng).await?;
    assert_eq!((again.resealed, again.current, again.failed), (0, 3, done.failed));

    let stored = credentials::get(&mut *store.acquire().await?, first).await?;
    let stored = stored.ok_or_else(|| anyhow::anyhow!("it is gone"))?;
    let opened = both.without_old().open(&stored.key_id, &stored.sealed)?;
    assert_eq!(opened.as_slice(), b"one");
    Ok(())
}
