//! Blobs in a directory.

use bytes::Bytes;
use domain::ids::{Attempt, RepositoryId, RunId};
use futures::{TryStreamExt, stream};
use store::{
    StoreError,
    blobs::{BlobKey, Blobs, PutError},
    checkpoints,
};
use uuid::Uuid;

#[tokio::test]
async fn what_was_put_is_got() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::local(&dir.path().join("made/on/demand")).unwrap();
    let run = RunId::from_uuid(Uuid::nil());
    let key = BlobKey::job(run, Attempt(2));
    assert_eq!(key.as_str(), "runs/00000000-0000-0000-0000-000000000000/2/job.json");
    assert!(!blobs.exists(&key).await.unwrap());
    assert!(matches!(blobs.get(&key).await, Err(StoreError::Missing { what: "blob", .. })));
    blobs.put(&key, Bytes::from_static(b"one")).await.unwrap();
    blobs.put(&key, Bytes::from_static(b"two")).await.unwrap();
    assert!(blobs.exists(&key).await.unwrap());
    assert_eq!(blobs.get(&key).await.unwrap(), "two");
    let read_back = BlobKey::stored(key.as_str());
    let pieces: Vec<Bytes> = blobs.get_stream(&read_back).await.unwrap().try_collect().await.unwrap();
    assert_eq!(pieces.concat(), b"two");
    assert!(!blobs.exists(&BlobKey::result(run, Attempt(2))).await.unwrap());
}

#[tokio::test]
async fn a_key_stays_inside_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::local(&dir.path().join("blobs")).unwrap();
    blobs.put(&BlobKey::stored("../outside"), Bytes::from_static(b"x")).await.unwrap();
    assert!(!dir.path().join("outside").exists());
}

#[tokio::test]
async fn a_stream_is_stored_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::local(dir.path()).unwrap();
    let key = BlobKey::result(RunId::from_uuid(Uuid::nil()), Attempt::FIRST);
    let pieces = |last: Result<&'static [u8], &'static str>| {
        stream::iter([Ok(Bytes::from(vec![b'a'; 6_000_000])), last.map(Bytes::from_static)])
    };
    blobs.put_stream(&key, pieces(Ok(b"end")), 6_000_003).await.unwrap();
    assert_eq!(blobs.get(&key).await.unwrap().len(), 6_000_003);
    let over = blobs.put_stream(&key, pieces(Ok(b"more")), 6_000_003).await;
    assert!(matches!(over, Err(PutError::TooLarge(6_000_003))), "{over:?}");
    let broken = blobs.put_stream(&key, pieces(Err("cut")), 10_000_000).await;
    assert!(matches!(broken, Err(PutError::Source("cut"))), "{broken:?}");
    assert_eq!(blobs.get(&key).await.unwrap().len(), 6_000_003, "what was there stays");
}

#[tokio::test]
async fn kept_states_of_an_attempt_go_together() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::local(dir.path()).unwrap();
    let run = RunId::from_uuid(Uuid::now_v7());
    assert_eq!(blobs.delete_checkpoints(run, Attempt::FIRST).await.unwrap(), 0);
    let (first, others) = (checkpoints::new_blobs(run, Attempt::FIRST), checkpoints::new_blobs(run, Attempt(11)));
    let result = BlobKey::result(run, Attempt::FIRST);
    for key in [&first.0, &first.1, &others.0, &result] {
        blobs.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    assert_eq!(blobs.delete_checkpoints(run, Attempt::FIRST).await.unwrap(), 2);
    assert!(!blobs.exists(&first.0).await.unwrap() && !blobs.exists(&first.1).await.unwrap());
    assert!(blobs.exists(&others.0).await.unwrap() && blobs.exists(&result).await.unwrap());
}

#[tokio::test]
async fn set_up_caches_go_by_their_age() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::local(dir.path()).unwrap();
    let repository = RepositoryId::from_uuid(Uuid::now_v7());
    let (old, young) = (BlobKey::setup_cache(repository, "a"), BlobKey::setup_cache(repository, "b"));
    for key in [&old, &young] {
        blobs.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    let now = chrono::Utc::now();
    let file = std::fs::File::options().append(true).open(dir.path().join(old.as_str())).unwrap();
    file.set_modified((now - chrono::TimeDelta::days(20)).into()).unwrap();
    assert_eq!(blobs.delete_setup_caches(now - chrono::TimeDelta::days(21)).await.unwrap(), 0);
    assert_eq!(blobs.delete_setup_caches(now - chrono::TimeDelta::days(14)).await.unwrap(), 1);
    assert!(!blobs.exists(&old).await.unwrap() && blobs.exists(&young).await.unwrap());
}
