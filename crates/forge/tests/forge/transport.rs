//! The adapter against answers that no honest forge gives, and against none at all.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use forge::{
    CommentSearch, ForgeError, ForgeRepoId, IssueNumber, Outage, PullNumber, RepoRef, RepositoryProvider, Secret,
    github::{GitHub, Timeouts},
    system_clock,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::canned::{Canned, answer};

const TOKEN: &str = "ghp_s3cr3t";

fn client(url: &str) -> GitHub {
    let short = Duration::from_millis(400);
    let timeouts = Timeouts { connect: short, read: short, write: short, whole: Duration::from_secs(5) };
    GitHub::new(url, Secret::new(TOKEN), system_clock(), timeouts).unwrap()
}

fn repo() -> RepoRef {
    RepoRef { owner: "o".to_owned(), name: "n".to_owned(), forge_id: ForgeRepoId(7) }
}

fn comment(id: i64, author: i64, body: &str) -> String {
    let at = "2026-01-01T00:00:00Z";
    let user = format!(r#"{{"login":"u{author}","id":{author}}}"#);
    format!(r#"{{"id":{id},"body":"{body}","user":{user},"created_at":"{at}","updated_at":"{at}"}}"#)
}

#[tokio::test]
async fn a_request_says_who_we_are() {
    let server = Canned::start(vec![answer(200, &[], r#"{"login":"bot","id":5}"#)]).await;
    let github = client(&format!("{}/api/v3/", server.url()));
    assert_eq!(github.me().await.unwrap().login, "bot");
    // Asked once.
    assert_eq!(github.me().await.unwrap().id.get(), 5);
    let request = server.requests().concat().to_ascii_lowercase();
    assert!(request.starts_with("get /api/v3/user http/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: bearer ghp_s3cr3t\r\n"), "{request}");
    assert!(request.contains("accept: application/vnd.github+json\r\n"), "{request}");
    assert!(request.contains("x-github-api-version: 2022-11-28\r\n"), "{request}");
    assert_eq!(request.matches("user-agent: ").count(), 1, "{request}");
    assert!(request.contains("user-agent: codex-k8s/"), "{request}");
}

#[tokio::test]
async fn the_credential_never_shows_in_an_error() {
    let body = format!(r#"{{"message":"no {TOKEN} here","errors":["{TOKEN}"]}}"#);
    for status in [400, 403, 409, 410, 418, 422, 451] {
        let server = Canned::start(vec![answer(status, &[], &body)]).await;
        let error = client(&server.url()).issue(&repo(), IssueNumber(1)).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains(TOKEN), "{text}");
        assert!(text.contains("[secret]"), "{text}");
    }
}

#[tokio::test]
async fn a_redirect_to_another_host_is_refused() {
    let elsewhere = Canned::start(vec![answer(200, &[], "{}")]).await;
    let target = format!("{}/repositories/7/issues/1", elsewhere.url());
    let server = Canned::start(vec![answer(301, &[("location", &target)], "{}")]).await;
    let error = client(&server.url()).issue(&repo(), IssueNumber(1)).await.unwrap_err();
    assert!(matches!(error, ForgeError::Unexpected { .. }), "{error}");
    assert_eq!(elsewhere.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let again = || answer(302, &[("location", "/repos/o/n/issues/1")], "");
    let server = Canned::start((0..10).map(|_| again()).collect()).await;
    let error = client(&server.url()).issue(&repo(), IssueNumber(1)).await.unwrap_err();
    assert!(matches!(error, ForgeError::Unexpected { .. }), "{error}");
    assert_eq!(server.requests().len(), 4);
}

#[tokio::test]
async fn a_redirected_write_keeps_method_and_body() {
    let repository = r#"{"id":7,"name":"new","owner":{"login":"o2","id":1},"default_branch":"main"}"#;
    let server = Canned::start(vec![
        answer(307, &[("location", "/repositories/7/issues/1/comments")], ""),
        answer(201, &[], &comment(9, 5, "hello")),
        answer(200, &[], repository),
        answer(201, &[], &comment(10, 5, "again")),
    ])
    .await;
    let github = client(&server.url());
    assert_eq!(github.create_comment(&repo(), IssueNumber(1), "hello").await.unwrap().id.get(), 9);
    let now = github.renamed(&repo()).expect("the new name is known");
    assert_eq!((now.owner.as_str(), now.name.as_str(), now.forge_id), ("o2", "new", ForgeRepoId(7)));
    github.create_comment(&repo(), IssueNumber(1), "again").await.unwrap();

    let requests = server.requests();
    assert!(requests[1].starts_with("POST /repositories/7/issues/1/comments "), "{}", requests[1]);
    assert!(requests[1].ends_with(r#"{"body":"hello"}"#), "{}", requests[1]);
    // Now that the new name is known, it is used.
    assert!(requests[3].starts_with("POST /repos/o2/new/issues/1/comments "), "{}", requests[3]);
}

#[tokio::test]
async fn a_server_that_says_nothing_times_out() {
    let server = Canned::start(vec![]).await;
    let error = client(&server.url()).issue(&repo(), IssueNumber(1)).await.unwrap_err();
    assert!(matches!(error, ForgeError::Unavailable { outage: Outage::TimedOut, .. }), "{error:?}");
    assert!(error.is_retryable() && error.may_have_been_stored());
    // Nothing repeats a request behind our back.
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_cut_is_an_outage() {
    let cut = "HTTP/1.1 201 X\r\ncontent-length: 100\r\n\r\n{\"id\":".to_owned();
    let server = Canned::start(vec![cut]).await;
    let error = client(&server.url()).create_comment(&repo(), IssueNumber(1), "x").await.unwrap_err();
    assert!(matches!(error, ForgeError::Unavailable { outage: Outage::Transport(_), .. }), "{error:?}");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_server_error_is_not_repeated() {
    let server = Canned::start(vec![answer(502, &[], "<html>")]).await;
    let error = client(&server.url()).create_comment(&repo(), IssueNumber(1), "x").await.unwrap_err();
    assert_eq!(error, ForgeError::Unavailable { outage: Outage::Status(502), retry_at: None });
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_limit_counts_from_the_clock_given() {
    let now: DateTime<Utc> = "2030-01-01T00:00:00Z".parse().unwrap();
    let server =
        Canned::start(vec![answer(403, &[("retry-after", "42")], r#"{"message":"secondary rate limit"}"#)]).await;
    let github = GitHub::new(&server.url(), Secret::new(TOKEN), Arc::new(move || now), Timeouts::default()).unwrap();
    let error = github.issue(&repo(), IssueNumber(1)).await.unwrap_err();
    assert_eq!(error.retry_at(), Some(now + chrono::Duration::seconds(42)));
}

#[tokio::test]
async fn tls_is_ready_without_any_setup_of_the_process() {
    // Speaks no TLS: what counts is that the attempt ends in an error and not in a panic about a missing provider.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let github = client(&format!("https://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"no tls here\r\n\r\n").await.unwrap();
        // Open until the other side gives up.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let error = github.me().await.unwrap_err();
    assert!(matches!(error, ForgeError::Unavailable { outage: Outage::Transport(_), .. }), "{error:?}");
}

#[tokio::test]
async fn a_marker_that_others_copied_is_passed_over() {
    let page = format!("[{},{}]", comment(1, 6, "see <!-- m -->"), comment(2, 5, "<!-- m --> ours"));
    let me = r#"{"login":"u5","id":5}"#;
    let server = Canned::start(vec![answer(200, &[], me), answer(200, &[], &page)]).await;
    let search = CommentSearch { marker: "<!-- m -->", since: None, author_is_me: true };
    let found = client(&server.url()).find_comment(&repo(), IssueNumber(1), search).await.unwrap();
    assert_eq!(found.map(|comment| comment.id.get()), Some(2));
}

#[tokio::test]
async fn a_diff_is_cut_at_the_limit() {
    let server = Canned::start(vec![answer(200, &[], &"+line\n".repeat(100))]).await;
    let diff = client(&server.url()).pull_diff(&repo(), PullNumber(1), 50).await.unwrap();
    assert!(diff.truncated);
    assert_eq!(diff.text.len(), 50);
}

#[tokio::test]
async fn a_large_file_is_fetched_raw() {
    let without_content = r#"{"type":"file","encoding":"none","content":""}"#;
    let server = Canned::start(vec![answer(200, &[], without_content), answer(200, &[], "version: 1\n")]).await;
    let file = client(&server.url()).file(&repo(), "a/b c.yaml", "main").await.unwrap();
    assert_eq!(file.as_deref(), Some(b"version: 1\n".as_slice()));
    let requests = server.requests();
    assert!(requests[0].starts_with("GET /repos/o/n/contents/a/b%20c.yaml?ref=main "), "{}", requests[0]);
    assert!(requests[1].contains("application/vnd.github.raw+json"), "{}", requests[1]);
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let make = |url: &str, token: &str| GitHub::new(url, Secret::new(token), system_clock(), Timeouts::default());
    for url in ["", "forge", "ftp://forge", "http://user:pw@forge", "http://"] {
        assert!(make(url, "t").is_err(), "{url}");
    }
    let error = make("http://forge", "a\nb").err().unwrap();
    assert!(!error.to_string().contains("a\nb"), "{error}");
}
