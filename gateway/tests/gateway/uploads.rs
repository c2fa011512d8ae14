//! Uploads that break off, come twice, or are not what they were said to be.

use std::ops::Deref;

use domain::ids::{Attempt, RunId};
use reqwest::{Method, RequestBuilder};
use sha2::{Digest, Sha256};
use store::{
    UploadKind,
    blobs::BlobKey,
    uploads::{self, UploadKey, Whole},
};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    runner::{TOKEN, launched},
    world::{World, eventually, problem},
};

const PATH: &str = "/runner/v1/result";
const MIB: usize = 1 << 20;

/// What is uploaded. Its digest is made once: without optimisation that takes seconds.
#[derive(Clone)]
struct Bundle {
    bytes: Vec<u8>,
    digest: String,
}

impl Deref for Bundle {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes of which no two parts are the same.
fn whole(length: usize) -> Bundle {
    let bytes: Vec<u8> = (0..length).map(|place| u8::try_from((place * 31 + place / 251) % 256).unwrap()).collect();
    Bundle { digest: hex::encode(Sha256::digest(&bytes)), bytes }
}

fn ask(world: &World, method: Method, whole: &Bundle) -> RequestBuilder {
    let request = world.client.request(method, world.url(PATH)).bearer_auth(TOKEN);
    request.header("upload-length", whole.len()).header("upload-digest", &whole.digest)
}

async fn offset(world: &World, whole: &Bundle) -> usize {
    let answer = ask(world, Method::HEAD, whole).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 204);
    answer.headers()["upload-offset"].to_str().unwrap().parse().unwrap()
}

/// Sends from `offset` to `end`, then hangs up. On a bare socket: a client that is told of a broken body throws away what it
/// has not written yet, so that nobody knows how much was sent.
async fn cut(world: &World, whole: &Bundle, offset: usize, end: usize) {
    let mut line = TcpStream::connect(world.address).await.unwrap();
    let head = format!(
        "PUT {PATH} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {TOKEN}\r\nupload-offset: {offset}\r\n\
         upload-length: {}\r\nupload-digest: {}\r\ncontent-length: {}\r\n\r\n",
        world.address,
        whole.len(),
        whole.digest,
        whole.len() - offset,
    );
    line.write_all(head.as_bytes()).await.unwrap();
    line.write_all(&whole[offset..end]).await.unwrap();
    line.shutdown().await.unwrap();
}

async fn put(world: &World, whole: &Bundle, offset: usize, end: usize) -> reqwest::Response {
    let request = ask(world, Method::PUT, whole).header("upload-offset", offset);
    request.body(whole[offset..end].to_vec()).send().await.unwrap()
}

/// Files of parts on the disk.
fn parts(world: &World, run: RunId) -> usize {
    let folder = world.folder().join(format!("runs/{run}/1/uploads"));
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[tokio::test]
async fn one_that_is_cut_again_and_again_goes_on_and_comes_whole() {
    let (world, run) = launched().await;
    let whole = whole(30 * MIB);
    let mut at = 0;
    // Less than a part, whole parts with something behind them, and again less than a part.
    for end in [MIB / 3, 9 * MIB, 9 * MIB + MIB / 3, 22 * MIB] {
        cut(&world, &whole, at, end).await;
        // What came last may still be on its way into its part.
        eventually("all that came is kept", async || offset(&world, &whole).await == end).await;
        at = end;
    }
    assert!(!world.blobs.exists(&BlobKey::result(run, Attempt::FIRST)).await.unwrap());
    assert_eq!(put(&world, &whole, at, whole.len()).await.status().as_u16(), 204);
    assert_eq!(world.blobs.get(&BlobKey::result(run, Attempt::FIRST)).await.unwrap(), whole.bytes);
    assert_eq!((parts(&world, run), offset(&world, &whole).await), (0, 0));
}

#[tokio::test]
async fn the_same_piece_twice_is_one() {
    let (world, run) = launched().await;
    let whole = whole(10 * MIB);
    for (offset, end) in [(0, 5 * MIB), (0, 5 * MIB), (3 * MIB, 7 * MIB), (7 * MIB, 7 * MIB)] {
        assert_eq!(put(&world, &whole, offset, end).await.status().as_u16(), 202, "{offset} to {end}");
    }
    assert_eq!(offset(&world, &whole).await, 7 * MIB);
    let gap = put(&world, &whole, 8 * MIB, 10 * MIB).await;
    assert_eq!(problem(gap).await, (409, "upload_gap".to_owned()));
    for _ in 0..2 {
        assert_eq!(put(&world, &whole, 0, 10 * MIB).await.status().as_u16(), 204);
    }
    assert_eq!(world.blobs.get(&BlobKey::result(run, Attempt::FIRST)).await.unwrap(), whole.bytes);
    assert_eq!(parts(&world, run), 0);
}

#[tokio::test]
async fn of_two_at_once_each_byte_is_kept_once() {
    let (world, run) = launched().await;
    let whole = whole(24 * MIB);
    let both = futures::future::join_all((0..4).map(|_| put(&world, &whole, 0, whole.len()))).await;
    for answer in &both {
        assert!(matches!(answer.status().as_u16(), 204 | 503), "{answer:?}");
    }
    assert_eq!(put(&world, &whole, 0, whole.len()).await.status().as_u16(), 204);
    assert_eq!(world.blobs.get(&BlobKey::result(run, Attempt::FIRST)).await.unwrap(), whole.bytes);
    assert_eq!(parts(&world, run), 0);
}

#[tokio::test]
async fn other_bytes_than_announced_are_not_kept() {
    let (world, run) = launched().await;
    let key = BlobKey::result(run, Attempt::FIRST);
    for length in [1_000, 9 * MIB] {
        let whole = whole(length);
        let mut other = whole.bytes.clone();
        other[length / 2] ^= 1;
        let refused = ask(&world, Method::PUT, &whole).body(other).send().await.unwrap();
        assert_eq!(problem(refused).await, (422, "upload_digest_wrong".to_owned()), "{length}");
        assert!(!world.blobs.exists(&key).await.unwrap());
        assert_eq!((offset(&world, &whole).await, parts(&world, run)), (0, 0), "it begins anew");
        let mut longer = whole.bytes.clone();
        longer.push(0);
        let refused = ask(&world, Method::PUT, &whole).body(longer).send().await.unwrap();
        assert_eq!(problem(refused).await, (400, "upload_too_long".to_owned()), "{length}");
    }
}

#[tokio::test]
async fn another_whole_takes_the_place_of_a_half_one() {
    let (world, run) = launched().await;
    let (first, second) = (whole(12 * MIB), whole(13 * MIB));
    assert_eq!(put(&world, &first, 0, 9 * MIB).await.status().as_u16(), 202);
    assert_eq!(offset(&world, &second).await, 0, "its bytes are others");
    assert_eq!(put(&world, &second, 0, 9 * MIB).await.status().as_u16(), 202);
    assert_eq!((offset(&world, &first).await, offset(&world, &second).await), (0, 9 * MIB));
    assert_eq!(put(&world, &second, 9 * MIB, 13 * MIB).await.status().as_u16(), 204);
    assert_eq!(world.blobs.get(&BlobKey::result(run, Attempt::FIRST)).await.unwrap(), second.bytes);
    assert_eq!(parts(&world, run), 0);
}

#[tokio::test]
async fn an_upload_says_what_it_is() {
    let (world, _) = launched().await;
    let bare = || world.client.put(world.url(PATH)).bearer_auth(TOKEN);
    let digest = "ab".repeat(32);
    let table = [
        (bare(), "upload_undescribed"),
        (bare().header("upload-length", 3), "upload_undescribed"),
        (bare().header("upload-length", "three").header("upload-digest", &digest), "upload_undescribed"),
        (bare().header("upload-length", 3).header("upload-digest", "abcd"), "upload_undescribed"),
        (ask(&world, Method::PUT, &whole(3)).header("upload-offset", 4), "upload_offset_invalid"),
        (ask(&world, Method::PUT, &whole(3)).header("upload-offset", "-1"), "upload_offset_invalid"),
    ];
    for (request, code) in table {
        let refused = request.body("abc").send().await.unwrap();
        assert_eq!(problem(refused).await, (400, code.to_owned()));
    }
}

#[tokio::test]
async fn parts_of_an_attempt_that_has_ended_are_found_and_forgotten() {
    let (world, run) = launched().await;
    let whole = whole(12 * MIB);
    assert_eq!(put(&world, &whole, 0, 9 * MIB).await.status().as_u16(), 202);
    let mut conn = world.store().acquire().await.unwrap();
    assert!(uploads::left_behind(&mut conn, 10).await.unwrap().is_empty());
    sqlx::query("update attempts set finished_at = now(), outcome = 'lost'").execute(&mut *conn).await.unwrap();
    assert_eq!(uploads::left_behind(&mut conn, 10).await.unwrap(), [(run, Attempt::FIRST)]);
    let blobs = uploads::forget_all(&mut conn, run, Attempt::FIRST).await.unwrap();
    assert_eq!(blobs.len(), parts(&world, run));
    assert!(uploads::left_behind(&mut conn, 10).await.unwrap().is_empty());
    let key = UploadKey { run, attempt: Attempt::FIRST, kind: UploadKind::Result };
    let digest = [0; 32];
    assert_eq!(uploads::received(&mut conn, key, &Whole { digest, length: 1 }).await.unwrap(), 0);
}
