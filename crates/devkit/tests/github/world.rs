//! A stand-in with the demo repository, and people who talk to it over HTTP.

use std::path::{Path, PathBuf};

use devkit::github::{Options, Seed, StandIn};
use reqwest::{Client, Method, RequestBuilder, StatusCode, redirect::Policy};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const REPOSITORY: &str = "acme/greeter";

pub struct World {
    pub stand_in: StandIn,
    pub data: TempDir,
    http: Client,
}

/// A person with a token, or nobody.
pub struct Person<'a> {
    world: &'a World,
    token: Option<String>,
}

/// Status and body of an answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Value,
}

pub fn options(data: &Path) -> Options {
    let mut options = Options::new(data.to_owned());
    options.seed = Some(Seed::demo());
    options.record = true;
    options
}

impl World {
    pub async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let stand_in = StandIn::start(options(data.path())).await.unwrap();
        Self::around(stand_in, data)
    }

    pub fn around(stand_in: StandIn, data: TempDir) -> Self {
        let http = Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
        Self { stand_in, data, http }
    }

    pub fn person(&self, login: &str) -> Person<'_> {
        Person { world: self, token: Some(self.stand_in.token(login).unwrap()) }
    }

    pub fn nobody(&self) -> Person<'_> {
        Person { world: self, token: None }
    }

    pub fn with_token(&self, token: &str) -> Person<'_> {
        Person { world: self, token: Some(token.to_owned()) }
    }

    /// The address that a person clones from, with the token in it.
    pub fn clone_url(&self, login: &str, repository: &str) -> String {
        let token = self.stand_in.token(login).unwrap();
        let host = self.stand_in.url().trim_start_matches("http://");
        format!("http://{login}:{token}@{host}/{repository}.git")
    }

    /// A fresh folder.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.data.path().join(name)
    }

    /// A branch with one changed file and a pull request from it.
    pub async fn pull(&self, branch: &str) -> u64 {
        let text = "one\ntwo\nthree\n";
        self.stand_in.commit("writer", REPOSITORY, branch, &[("notes.txt", Some(text))]).await.unwrap();
        self.stand_in.open_pull("writer", REPOSITORY, branch, "Write notes").await.unwrap().number
    }
}

impl Person<'_> {
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.world.http.request(method, format!("{}{path}", self.world.stand_in.url()));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        answer(request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }
}

pub async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(json!(text));
    Answer { status: status.as_u16(), headers, body }
}

impl Answer {
    #[track_caller]
    pub fn expect(self, status: StatusCode) -> Value {
        assert_eq!(self.status, status.as_u16(), "{}", self.body);
        self.body
    }

    #[track_caller]
    pub fn ok(self) -> Value {
        self.expect(StatusCode::OK)
    }

    #[track_caller]
    pub fn created(self) -> Value {
        self.expect(StatusCode::CREATED)
    }

    /// The targets of the `Link` header by relation.
    pub fn link(&self, rel: &str) -> Option<String> {
        let header = self.headers.get("link")?.to_str().ok()?;
        let wanted = format!("rel=\"{rel}\"");
        let part = header.split(", ").find(|part| part.ends_with(&wanted))?;
        Some(part.split(['<', '>']).nth(1)?.to_owned())
    }
}

/// Runs real git, cut off from this machine's configuration.
pub async fn git(folder: &Path, args: &[&str]) -> Result<String, String> {
    let output = tokio::process::Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=Will Riter", "-c", "user.email=writer@users.noreply.github.example"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
