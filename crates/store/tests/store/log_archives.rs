//! Output of ended attempts, moved from rows into a blob.

use domain::{
    ids::Attempt,
    job::{LogChunk, LogStream},
};
use futures::TryStreamExt;
use store::{
    blobs::{BlobKey, Blobs},
    log_archives, logs,
};

use crate::world::{World, at};

const FIRST: Attempt = Attempt::FIRST;

fn chunks(count: u64) -> Vec<LogChunk> {
    (0..count)
        .map(|seq| LogChunk { seq, at: at(0), stream: LogStream::Codex, text: format!("line {seq}\n\u{1b}[31m") })
        .collect()
}

#[tokio::test]
async fn one_reader_spans_rows_and_blob() {
    let world = World::new().await;
    let run = world.run(1).await;
    let (store, dir) = (world.store(), tempfile::tempdir().unwrap());
    let blobs = Blobs::local(dir.path()).unwrap();
    // More than a page, so that reading has to go on.
    let written = chunks(600);
    for some in written.chunks(100) {
        logs::append(&mut *world.conn().await, run, FIRST, some).await.unwrap();
    }
    let read = async |from| -> Vec<LogChunk> {
        log_archives::read(&store, &blobs, run, FIRST, from).await.unwrap().try_collect().await.unwrap()
    };
    assert_eq!(read(0).await, written);
    assert_eq!(read(599).await, written[599..]);

    assert_eq!(log_archives::archive(&store, &blobs, run, FIRST, at(9)).await.unwrap(), 600);
    assert!(logs::read(&mut *world.conn().await, run, FIRST, 0, 10).await.unwrap().is_empty(), "the rows are gone");
    assert_eq!(read(0).await, written);
    assert_eq!(read(300).await, written[300..]);
    assert!(read(600).await.is_empty());

    // Twice is harmless, and so is an attempt that said nothing.
    assert_eq!(log_archives::archive(&store, &blobs, run, FIRST, at(10)).await.unwrap(), 0);
    assert_eq!(read(0).await, written);
    assert_eq!(log_archives::archive(&store, &blobs, run, Attempt(2), at(10)).await.unwrap(), 0);
}

#[tokio::test]
async fn an_old_log_goes_with_its_blob() {
    let world = World::new().await;
    let run = world.run(1).await;
    let (store, dir) = (world.store(), tempfile::tempdir().unwrap());
    let blobs = Blobs::local(dir.path()).unwrap();
    logs::append(&mut *world.conn().await, run, FIRST, &chunks(3)).await.unwrap();
    log_archives::archive(&store, &blobs, run, FIRST, at(9)).await.unwrap();
    assert!(blobs.exists(&BlobKey::log(run, FIRST)).await.unwrap());
    for _ in 0..2 {
        log_archives::delete(&mut store.acquire().await.unwrap(), &blobs, run, FIRST).await.unwrap();
        assert!(!blobs.exists(&BlobKey::log(run, FIRST)).await.unwrap());
        let left = log_archives::read(&store, &blobs, run, FIRST, 0).await.unwrap();
        assert_eq!(left.try_collect::<Vec<_>>().await.unwrap(), []);
    }
}
