//! How much is taken, and for how long anybody waits.

use std::time::{Duration, Instant};

use gateway::webhooks::MAX_BODY_BYTES;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::{World, eventually, problem};

/// Begins a webhook by hand and sends so much of its body.
async fn begin(world: &World, announced: usize, sent: usize) -> TcpStream {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = format!(
        "POST /webhooks/github HTTP/1.1\r\nhost: gateway\r\nx-github-event: ping\r\nx-github-delivery: guid\r\n\
         x-hub-signature-256: sha256={}\r\ncontent-length: {announced}\r\n\r\n",
        "0".repeat(64)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; sent]).await.unwrap();
    stream
}

async fn answer(mut stream: TcpStream) -> String {
    let mut answer = vec![0; 16];
    stream.read_exact(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn an_announced_body_that_is_too_large_is_refused_unread() {
    let world = World::new().await;
    let stream = begin(&world, MAX_BODY_BYTES + 1, 0).await;
    assert!(answer(stream).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn the_largest_body_is_read_and_a_larger_one_is_not() {
    let world = World::new().await;
    let mut body = b"{\"action\":\"x\"}".to_vec();
    body.resize(MAX_BODY_BYTES, b' ');
    let accepted = world.webhook("ping", "large", body.clone()).send().await.unwrap();
    assert_eq!(accepted.status().as_u16(), 202);
    body.push(b' ');
    // Without a length, it is only noticed on the way.
    let chunks = body.chunks(1 << 20).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>();
    let streamed = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    let request = world.webhook("ping", "larger", body).body(streamed);
    // The gateway may hang up while the rest is still being sent.
    if let Ok(refused) = request.send().await {
        assert_eq!(problem(refused).await, (413, "body_too_large".to_owned()));
    }
    assert_eq!(world.deliveries().await.len(), 1);
    assert_eq!(world.state.body_budget().free(), 64 << 20);
}

#[tokio::test]
async fn what_is_buffered_over_all_requests_is_bounded() {
    let world = World::with_buffer(1 << 20).await;
    let held = begin(&world, 900_000, 800_000).await;
    eventually("the bytes are buffered", async || world.state.body_budget().free() < (1 << 20) - 790_000).await;
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(400_000));
    let refused = world.webhook("ping", "one", body.clone().into_bytes()).send().await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "5");
    assert_eq!(problem(refused).await, (503, "busy".to_owned()));
    drop(held);
    eventually("the bytes are let go", async || world.state.body_budget().free() == 1 << 20).await;
    let accepted = world.webhook("ping", "one", body.into_bytes()).send().await.unwrap();
    assert_eq!(accepted.status().as_u16(), 202);
}

#[tokio::test]
async fn a_body_that_does_not_end_is_answered_within_8_seconds() {
    let world = World::new().await;
    let began = Instant::now();
    let stream = begin(&world, 1_000, 10).await;
    let answer = tokio::time::timeout(Duration::from_secs(8), answer(stream)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(8));
}
