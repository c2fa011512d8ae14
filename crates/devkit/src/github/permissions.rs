//! Tokens that are cut to permissions and repositories: fine-grained personal ones, and those of an App's installation.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method};

use super::{
    access::token_of,
    error::ApiError,
    forge::Forge,
    state::{Grant, Level},
};

/// Tells when a personal token ends.
const EXPIRY_HEADER: &str = "github-authentication-token-expiration";
/// Tells what would have been enough.
const ACCEPTED_HEADER: &str = "x-accepted-github-permissions";

/// Any one of these permissions is enough.
type AnyOf = Vec<(&'static str, Level)>;

/// Refuses what the token is not cut to. Whether its account may do it, the operation itself asks.
pub(crate) async fn enforce(State(forge): State<Forge>, request: Request, next: Next) -> Response {
    if signed_in_only(&forge, &request) && !request.method().is_safe() {
        return ApiError::NotFound.into_response();
    }
    let Some(grant) = grant_of(&forge, &request) else { return next.run(request).await };
    if let Err(refusal) = demand(&forge, &grant, &request) {
        return refusal;
    }
    let mut response = next.run(request).await;
    let personal = grant.installation.is_none();
    if let Some(at) = grant.expires_at.filter(|_| personal)
        && let Ok(value) = HeaderValue::from_str(&at.format("%Y-%m-%d %H:%M:%S UTC").to_string())
    {
        response.headers_mut().insert(EXPIRY_HEADER, value);
    }
    response
}

/// Whether the token is one of a sign-in: it tells who somebody is, and writes nothing.
fn signed_in_only(forge: &Forge, request: &Request) -> bool {
    let Ok(Some(token)) = token_of(request.headers()) else { return false };
    forge.read(|view| view.model.tokens.get(&token).is_some_and(|known| known.oauth_scopes.is_some()))
}

fn grant_of(forge: &Forge, request: &Request) -> Option<Grant> {
    let token = token_of(request.headers()).ok()??;
    forge.read(|view| view.model.tokens.get(&token)?.grant.clone())
}

#[expect(clippy::result_large_err, reason = "the refusal is the answer")]
fn demand(forge: &Forge, grant: &Grant, request: &Request) -> Result<(), Response> {
    let path = request.uri().path();
    let app = grant.installation.is_some();
    let refused = || {
        let who = if app { "integration" } else { "personal access token" };
        ApiError::Forbidden(format!("Resource not accessible by {who}")).into_response()
    };
    if app && (path == "/user" || path.starts_with("/user/")) {
        return Err(refused());
    }
    let Some((owner, name, place)) = repository_of(path) else { return Ok(()) };
    let Some(any_of) = needed(request.method(), &place, request.uri().query().unwrap_or_default()) else {
        return Ok(());
    };
    let found = forge.read(|view| view.model.repo(owner, name).map(|repo| (repo.id, repo.private)));
    let Some((repo, private)) = found else { return Ok(()) };
    // What everybody may read needs no permission.
    let looks = any_of.iter().all(|(_, level)| *level == Level::Read);
    let open = !private && looks && !any_of.iter().any(|(name, _)| matches!(*name, "repository_hooks"));
    if open {
        return Ok(());
    }
    if !grant.covers(repo) {
        return Err(if private { ApiError::NotFound.into_response() } else { refused() });
    }
    if grant.allows(&any_of) {
        return Ok(());
    }
    let mut refusal = refused();
    let accepted: Vec<String> = any_of.iter().map(|(name, level)| format!("{name}={}", level.as_str())).collect();
    if let Ok(value) = HeaderValue::from_str(&accepted.join("; ")) {
        refusal.headers_mut().insert(ACCEPTED_HEADER, value);
    }
    Err(refusal)
}

/// Owner, name, and what comes after them.
fn repository_of(path: &str) -> Option<(&str, &str, Vec<&str>)> {
    if let Some(rest) = path.strip_prefix("/repos/") {
        let mut parts = rest.split('/');
        return Some((parts.next()?, parts.next()?, parts.collect()));
    }
    let mut parts = path.strip_prefix('/')?.split('/');
    let (owner, name) = (parts.next()?, parts.next()?);
    let rest: Vec<&str> = parts.collect();
    let git = matches!(rest.as_slice(), ["info", "refs"] | ["git-upload-pack" | "git-receive-pack"]);
    git.then_some((owner, name.strip_suffix(".git").unwrap_or(name), rest))
}

fn needed(method: &Method, place: &[&str], query: &str) -> Option<AnyOf> {
    let level = if matches!(*method, Method::GET | Method::HEAD) { Level::Read } else { Level::Write };
    let settings = |name| if level == Level::Read { vec![("metadata", level)] } else { vec![(name, level)] };
    Some(match place {
        ["installation"] => return None,
        ["info", "refs"] if query.contains("git-receive-pack") => vec![("contents", Level::Write)],
        ["info", "refs"] | ["git-upload-pack"] => vec![("contents", Level::Read)],
        ["git-receive-pack"] => vec![("contents", Level::Write)],
        [] | ["collaborators", ..] => settings("administration"),
        ["forks", ..] => vec![("administration", level)],
        ["issues"] if level == Level::Write => vec![("issues", level)],
        ["issues" | "labels", ..] => vec![("issues", level), ("pull_requests", level)],
        ["pulls", _, "merge"] => vec![("contents", Level::Write)],
        ["pulls", ..] => vec![("pull_requests", level)],
        ["statuses", ..] | ["commits", .., "status" | "statuses"] => vec![("statuses", level)],
        ["commits", .., "check-runs"] | ["check-runs", ..] => vec![("checks", level)],
        ["actions", ..] => vec![("actions", level)],
        ["hooks", ..] => vec![("repository_hooks", level)],
        _ => vec![("contents", level)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_its_permission() {
        let (get, post) = (Method::GET, Method::POST);
        for (method, path, expected) in [
            (&get, "/repos/a/b", "metadata=read"),
            (&post, "/repos/a/b/issues", "issues=write"),
            (&post, "/repos/a/b/issues/1/labels", "issues=write pull_requests=write"),
            (&get, "/repos/a/b/hooks", "repository_hooks=read"),
            (&post, "/repos/a/b/statuses/0", "statuses=write"),
            (&get, "/repos/a/b/commits/main/status", "statuses=read"),
            (&get, "/repos/a/b/commits/main", "contents=read"),
            (&get, "/repos/a/b/commits/main/check-runs", "checks=read"),
            (&get, "/repos/a/b/check-runs/1/annotations", "checks=read"),
            (&get, "/repos/a/b/actions/jobs/1/logs", "actions=read"),
            (&get, "/a/b.git/info/refs", "contents=read"),
            (&post, "/a/b.git/git-receive-pack", "contents=write"),
        ] {
            let (owner, name, place) = repository_of(path).unwrap();
            assert_eq!((owner, name), ("a", "b"));
            let needed = needed(method, &place, "").unwrap();
            let words: Vec<String> = needed.iter().map(|(name, level)| format!("{name}={}", level.as_str())).collect();
            assert_eq!(words.join(" "), expected, "{method} {path}");
        }
        assert!(repository_of("/users/a").is_none());
    }
}
