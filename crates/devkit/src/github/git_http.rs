//! Clone, fetch and push: git's own server program behind HTTP.

use std::process::Stdio;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{DefaultBodyLimit, Request, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderName, HeaderValue, StatusCode, header};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdout, Command},
};
use tokio_util::io::ReaderStream;

use super::{
    access::{At, Need, RepoName},
    error::ApiError,
    forge::Forge,
    git::{self, CommitFiles, FileChange, Git, GitError, RefMove, ZERO},
    ops::{merge::signature, push},
};

/// A push that is held in memory for the race knob is never larger in a test.
const MAX_HELD: usize = 64 * 1024 * 1024;

pub(crate) fn router() -> Router<Forge> {
    Router::new()
        .route("/{owner}/{repo}/info/refs", get(serve))
        .route("/{owner}/{repo}/git-upload-pack", post(serve))
        .route("/{owner}/{repo}/git-receive-pack", post(serve))
        .layer(DefaultBodyLimit::disable())
}

/// One request to git's program.
struct Call {
    repo: u64,
    actor: Option<u64>,
    /// `info/refs`, `git-upload-pack` or `git-receive-pack`.
    action: String,
    pushes: bool,
}

async fn serve(State(forge): State<Forge>, at: At, request: Request) -> Result<Response, ApiError> {
    let call = authorise(&forge, &at, &request)?;
    let receives = call.action == "git-receive-pack";
    if !receives {
        return stream(&forge, &call, request).await;
    }
    let actor = at.caller.required()?;
    let mut request = request;
    if let Some(other) = forge.knobs.race(call.repo) {
        let (parts, body) = request.into_parts();
        let held = to_bytes(body, MAX_HELD)
            .await
            .map_err(|error| ApiError::Internal(format!("the push could not be read: {error}")))?;
        overtake(&forge, &at, (call.repo, other), &held).await?;
        request = Request::from_parts(parts, Body::from(held));
    }
    let _turn = forge.git.lock(call.repo).await;
    let before = forge.git.refs(call.repo).await?;
    // The answer waits for the end of the push, so that its events are on their way when the client sees it.
    let response = whole(&forge, &call, request).await?;
    let after = forge.git.refs(call.repo).await?;
    push::after(&forge, call.repo, actor, Git::moves(&before, &after)).await?;
    Ok(response)
}

fn authorise(forge: &Forge, at: &At, request: &Request) -> Result<Call, ApiError> {
    let path = request.uri().path();
    let action = if path.ends_with("/info/refs") { "info/refs" } else { path.rsplit('/').next().unwrap_or_default() };
    let query = request.uri().query().unwrap_or_default();
    let pushes = action == "git-receive-pack" || query.contains("service=git-receive-pack");
    let name = at.repo.name.strip_suffix(".git").unwrap_or(&at.repo.name).to_owned();
    let at = At { caller: at.caller, repo: RepoName { owner: at.repo.owner.clone(), name } };
    let need = if pushes { Need::Push } else { Need::Read };
    let repo = forge.read(|view| view.repo(&at, need).map(|repo| repo.id)).map_err(|error| match error {
        // Git asks for a password only when it is told that one is needed.
        ApiError::NotFound if at.caller.0.is_none() => ApiError::RequiresAuthentication,
        other => other,
    })?;
    Ok(Call { repo, actor: at.caller.0, action: action.to_owned(), pushes })
}

fn spawn(forge: &Forge, call: &Call, request: &Request) -> Result<Child, ApiError> {
    let mut command = Command::new("git");
    git::isolate(&mut command);
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    command
        .arg("http-backend")
        .current_dir(forge.git.root())
        .env("GIT_PROJECT_ROOT", forge.git.root())
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", format!("/{}.git/{}", call.repo, call.action))
        .env("REQUEST_METHOD", request.method().as_str())
        .env("QUERY_STRING", request.uri().query().unwrap_or_default())
        .env("CONTENT_TYPE", header(header::CONTENT_TYPE).unwrap_or_default())
        .env("REMOTE_ADDR", "127.0.0.1")
        .env_remove("CONTENT_LENGTH")
        .stdin(Stdio::piped());
    if let Some(encoding) = header(header::CONTENT_ENCODING) {
        command.env("HTTP_CONTENT_ENCODING", encoding);
    }
    if let Some(protocol) = header(HeaderName::from_static("git-protocol")) {
        command.env("GIT_PROTOCOL", protocol);
    }
    if let (Some(actor), true) = (call.actor, call.pushes) {
        let login = forge.read(|view| view.model.users.get(&actor).map(|user| user.login.clone()));
        command.env("REMOTE_USER", login.unwrap_or_default());
    }
    command.spawn().map_err(|error| ApiError::Git(GitError::Spawn(error)))
}

/// Feeds the body to git beside everything else.
fn feed(child: &mut Child, request: Request) {
    let Some(mut stdin) = child.stdin.take() else { return };
    let mut body = request.into_body().into_data_stream();
    tokio::spawn(async move {
        while let Some(Ok(chunk)) = body.next().await {
            // Git closes its end when it has seen enough.
            if stdin.write_all(&chunk).await.is_err() {
                return;
            }
        }
    });
}

/// The headers that the program writes before the body.
async fn head(stdout: &mut BufReader<ChildStdout>) -> Result<http::response::Builder, ApiError> {
    let broken = || ApiError::Git(GitError::Output("http-backend"));
    let mut response = Response::builder().status(StatusCode::OK);
    loop {
        let mut line = String::new();
        if stdout.read_line(&mut line).await.map_err(|_| broken())? == 0 {
            return Err(broken());
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(response);
        }
        let (name, value) = line.split_once(':').ok_or_else(broken)?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().and_then(|code| code.parse::<u16>().ok());
            response = response.status(code.ok_or_else(broken)?);
        } else {
            let value = HeaderValue::from_str(value).map_err(|_| broken())?;
            response = response.header(name, value);
        }
    }
}

fn answer(builder: http::response::Builder, body: Body) -> Result<Response, ApiError> {
    builder.body(body).map(IntoResponse::into_response).map_err(|_| ApiError::Git(GitError::Output("http-backend")))
}

async fn stream(forge: &Forge, call: &Call, request: Request) -> Result<Response, ApiError> {
    let mut child = spawn(forge, call, &request)?;
    feed(&mut child, request);
    let stdout = child.stdout.take().ok_or(ApiError::Git(GitError::Output("http-backend")))?;
    let mut stdout = BufReader::new(stdout);
    let builder = head(&mut stdout).await?;
    // The child lives as long as its output is read.
    let body = ReaderStream::new(stdout).map(move |chunk| {
        let _lives = &child;
        chunk
    });
    answer(builder, Body::from_stream(body))
}

async fn whole(forge: &Forge, call: &Call, request: Request) -> Result<Response, ApiError> {
    let mut child = spawn(forge, call, &request)?;
    feed(&mut child, request);
    let broken = |error| ApiError::Git(GitError::Spawn(error));
    let stdout = child.stdout.take().ok_or(ApiError::Git(GitError::Output("http-backend")))?;
    let mut stdout = BufReader::new(stdout);
    let builder = head(&mut stdout).await?;
    let mut body = Vec::new();
    stdout.read_to_end(&mut body).await.map_err(broken)?;
    child.wait().await.map_err(broken)?;
    answer(builder, Body::from(body))
}

/// Lets somebody else's commit reach the refs of a push before it.
async fn overtake(forge: &Forge, at: &At, (repo, other): (u64, u64), held: &Bytes) -> Result<(), ApiError> {
    let refs = forge.git.refs(repo).await?;
    let default = forge.read(|view| view.model.repos.get(&repo).map(|repo| repo.default_branch.clone()));
    let default = format!("refs/heads/{}", default.unwrap_or_default());
    for name in pushed_refs(held).into_iter().filter(|name| name.starts_with("refs/heads/")) {
        let before = refs.get(&name).cloned();
        let commit = CommitFiles {
            parent: before.clone().or_else(|| refs.get(&default).cloned()),
            files: vec![FileChange {
                path: "NOTES.md".into(),
                content: Some(format!("Written meanwhile, {}.\n", uuid::Uuid::new_v4()).into_bytes()),
            }],
            message: "Add a note".into(),
            by: signature(forge, other)?,
        };
        let after = forge.git.commit(repo, &commit).await?;
        let moved = RefMove { name, before: before.unwrap_or_else(|| ZERO.to_owned()), after };
        let other = super::access::Caller(Some(other));
        let name = at.repo.name.strip_suffix(".git").unwrap_or(&at.repo.name).to_owned();
        let by = At { caller: other, repo: RepoName { owner: at.repo.owner.clone(), name } };
        push::move_refs(forge, &by, vec![moved]).await?;
    }
    Ok(())
}

/// The refs named at the start of a push: lines of `old new name`, each with its length before it.
fn pushed_refs(body: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = body;
    while let Some(length) = rest.get(..4).and_then(|digits| std::str::from_utf8(digits).ok()) {
        let Ok(length) = usize::from_str_radix(length, 16) else { break };
        let Some(line) = rest.get(4..length) else { break };
        let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
        if let Some(name) = String::from_utf8_lossy(line).trim_end().split(' ').nth(2) {
            names.push(name.to_owned());
        }
        rest = &rest[length..];
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refs_of_a_push_stand_at_its_start() {
        let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
        let first = line(&format!("{ZERO} {ZERO} refs/heads/a\0 report-status"));
        let second = line(&format!("{ZERO} {ZERO} refs/heads/b"));
        let body = format!("{first}{second}0000PACK");
        assert_eq!(pushed_refs(body.as_bytes()), ["refs/heads/a", "refs/heads/b"]);
    }
}
