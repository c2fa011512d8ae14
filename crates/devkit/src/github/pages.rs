//! Plain pages to look at repositories, issues and pull requests.

use axum::{
    Router,
    extract::{Path, State},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;

use super::{
    access::{At, Caller, Need, RepoName},
    error::ApiError,
    forge::{Forge, View},
    ops::{pulls, statuses},
    shapes,
    state::{Issue, Repo},
};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1f2328}\
a{color:#0550ae}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}\
pre{background:#f6f8fa;padding:.75rem;overflow:auto;font-size:.85rem;white-space:pre-wrap}\
.label,.state{display:inline-block;border:1px solid #59636e;border-radius:1rem;padding:0 .6rem;font-size:.85rem}\
.meta{color:#59636e;font-size:.9rem}article{border-top:1px solid #d1d9e0;padding:.5rem 0}\
.add{background:#dafbe1;display:block}.del{background:#ffebe9;display:block}.at{color:#59636e;display:block}\
table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left}";

pub(crate) fn router() -> Router<Forge> {
    Router::new()
        .route("/", get(index))
        .route("/{owner}", get(account))
        .route("/{owner}/{repo}", get(repository))
        .route("/{owner}/{repo}/issues/{number}", get(issue))
        .route("/{owner}/{repo}/pull/{number}", get(pull))
}

#[derive(Deserialize)]
struct Numbered {
    owner: String,
    repo: String,
    number: String,
}

/// Text made safe to stand in a page.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

pub(crate) fn page(title: &str, body: &str) -> Response {
    let title = escape(title);
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style>\
         <nav><a href=\"/\">All repositories</a></nav><main><h1>{title}</h1>{body}</main></html>"
    ))
    .into_response()
}

/// The pages are for the person at this machine, so they show private repositories too.
fn find<'a>(view: View<'a>, owner: &str, name: &str) -> Result<&'a Repo, ApiError> {
    view.model.repo(owner, name).ok_or(ApiError::NotFound)
}

async fn index(State(forge): State<Forge>) -> Response {
    let list = forge.read(|view| repo_list(view, |_| true));
    page("Repositories", &list)
}

async fn account(State(forge): State<Forge>, Path(login): Path<String>) -> Result<Response, ApiError> {
    let (name, list) = forge.read(|view| {
        let user = view.model.user(&login).ok_or(ApiError::NotFound)?;
        Ok::<_, ApiError>((user.login.clone(), repo_list(view, |repo| repo.owner == user.id)))
    })?;
    Ok(page(&name, &list))
}

fn repo_list(view: View<'_>, wanted: impl Fn(&Repo) -> bool) -> String {
    let mut list = String::from("<ul>");
    for repo in view.model.repos.values().filter(|repo| wanted(repo)) {
        let name = escape(&view.model.full_name(repo));
        let about = escape(repo.description.as_deref().unwrap_or_default());
        list.push_str(&format!("<li><a href=\"/{name}\">{name}</a> <span class=\"meta\">{about}</span></li>"));
    }
    list + "</ul>"
}

fn login(view: View<'_>, id: u64) -> String {
    escape(view.model.users.get(&id).map_or("ghost", |user| user.login.as_str()))
}

fn labels(repo: &Repo, issue: &Issue) -> String {
    let known = issue.labels.iter().filter_map(|id| repo.label_by_id(*id));
    known.map(|label| format!(" <span class=\"label\">{}</span>", escape(&label.name))).collect()
}

fn state(issue: &Issue) -> &'static str {
    match &issue.pull {
        Some(pull) if pull.merged_at.is_some() => "merged",
        _ if issue.open => "open",
        _ => "closed",
    }
}

async fn repository(
    State(forge): State<Forge>,
    Path((owner, name)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let name = name.strip_suffix(".git").unwrap_or(&name).to_owned();
    forge.read(|view| {
        let repo = find(view, &owner, &name)?;
        let links = view.links(repo);
        let mut body = format!(
            "<p>{}</p><pre>git clone {}.git</pre>",
            escape(repo.description.as_deref().unwrap_or_default()),
            escape(&links.html)
        );
        for (title, kind, pulls) in [("Pull requests", "pull", true), ("Issues", "issues", false)] {
            body.push_str(&format!("<h2>{title}</h2><ul>"));
            for issue in repo.issues.values().rev().filter(|issue| issue.pull.is_some() == pulls) {
                body.push_str(&format!(
                    "<li><a href=\"/{}/{kind}/{}\">#{} {}</a> <span class=\"state\">{}</span>{}</li>",
                    escape(&links.full_name),
                    issue.number,
                    issue.number,
                    escape(&issue.title),
                    state(issue),
                    labels(repo, issue)
                ));
            }
            body.push_str("</ul>");
        }
        Ok(page(&links.full_name, &body))
    })
}

/// Title, text, labels: what issues and pull requests have in common.
fn top(view: View<'_>, repo: &Repo, issue: &Issue) -> String {
    let name = escape(&view.model.full_name(repo));
    format!(
        "<p class=\"meta\"><a href=\"/{name}\">{name}</a> · <span class=\"state\">{}</span> opened by {} at {}{}</p><pre>{}</pre>",
        state(issue),
        login(view, issue.author),
        shapes::time(issue.created_at),
        labels(repo, issue),
        escape(issue.body.as_deref().unwrap_or_default())
    )
}

fn conversation(view: View<'_>, repo: &Repo, number: u64) -> String {
    let mut body = String::from("<h2>Comments</h2>");
    for comment in repo.comments_of(number) {
        body.push_str(&format!(
            "<article id=\"issuecomment-{}\"><p class=\"meta\">{} at {}</p><pre>{}</pre></article>",
            comment.id,
            login(view, comment.author),
            shapes::time(comment.updated_at),
            escape(&comment.body)
        ));
    }
    body
}

async fn issue(State(forge): State<Forge>, Path(of): Path<Numbered>) -> Result<Response, ApiError> {
    let number: u64 = of.number.parse().map_err(|_| ApiError::NotFound)?;
    forge.read(|view| {
        let repo = find(view, &of.owner, &of.repo)?;
        let issue = repo.issues.get(&number).ok_or(ApiError::NotFound)?;
        let body = top(view, repo, issue) + &conversation(view, repo, number);
        Ok(page(&format!("#{number} {}", issue.title), &body))
    })
}

async fn pull(State(forge): State<Forge>, Path(of): Path<Numbered>) -> Result<Response, ApiError> {
    let (number, as_diff) = match of.number.strip_suffix(".diff") {
        Some(number) => (number, true),
        None => (of.number.as_str(), false),
    };
    let number: u64 = number.parse().map_err(|_| ApiError::NotFound)?;
    let at = forge.read(|view| {
        let owner = find(view, &of.owner, &of.repo)?.owner;
        let repo = RepoName { owner: of.owner.clone(), name: of.repo.clone() };
        Ok::<_, ApiError>(At { caller: Caller(Some(owner)), repo })
    })?;
    let (id, pull) = pulls::find(&forge, &at, number)?;
    let (from, to) = pulls::range(&forge, id, &pull).await?;
    let diff = forge.git.diff_text(id, &from, &to).await?;
    let diff = String::from_utf8_lossy(&diff).into_owned();
    if as_diff {
        return Ok(diff.into_response());
    }
    forge.read(|view| {
        let repo = view.repo(&at, Need::Read)?;
        let issue = repo.issues.get(&number).ok_or(ApiError::NotFound)?;
        let mut body = top(view, repo, issue);
        body.push_str(&format!(
            "<p><b>{}</b> into <b>{}</b> · {} commits, {} files, +{} −{}</p>",
            escape(&pull.head_ref),
            escape(&pull.base_ref),
            pull.size.commits,
            pull.size.changed_files,
            pull.size.additions,
            pull.size.deletions
        ));
        body.push_str(&statuses_of(repo, &pull.head_sha));
        body.push_str(&reviews_of(view, repo, number));
        body.push_str(&conversation(view, repo, number));
        body.push_str("<h2>Changes</h2>");
        body.push_str(&coloured(&diff));
        Ok(page(&format!("#{number} {}", issue.title), &body))
    })
}

fn statuses_of(repo: &Repo, sha: &str) -> String {
    let mut body = String::from("<h2>Statuses</h2><table>");
    for status in statuses::newest(repo, sha) {
        let target = status.target_url.filter(|url| url.starts_with("http://") || url.starts_with("https://"));
        let context = match target {
            Some(url) => format!("<a href=\"{}\">{}</a>", escape(&url), escape(&status.context)),
            None => escape(&status.context),
        };
        body.push_str(&format!(
            "<tr><td>{context}</td><td>{}</td><td>{}</td></tr>",
            escape(&status.state),
            escape(status.description.as_deref().unwrap_or_default())
        ));
    }
    body + "</table>"
}

fn reviews_of(view: View<'_>, repo: &Repo, number: u64) -> String {
    let mut body = String::from("<h2>Reviews</h2>");
    for review in repo.reviews.values().filter(|review| review.number == number) {
        if review.state == "PENDING" {
            continue;
        }
        body.push_str(&format!(
            "<article id=\"pullrequestreview-{}\"><p class=\"meta\">{} · {}</p><pre>{}</pre>",
            review.id,
            login(view, review.author),
            escape(&review.state.to_lowercase().replace('_', " ")),
            escape(&review.body)
        ));
        for comment in repo.review_comments.values().filter(|comment| comment.review == review.id) {
            let line = comment.line.map(|line| format!(":{line}")).unwrap_or_default();
            body.push_str(&format!(
                "<p id=\"discussion_r{}\"><code>{}{line}</code> {}</p>",
                comment.id,
                escape(&comment.path),
                escape(&comment.body)
            ));
        }
        body.push_str("</article>");
    }
    body
}

fn coloured(diff: &str) -> String {
    let mut body = String::from("<pre>");
    for line in diff.lines() {
        let class = match line.as_bytes().first() {
            Some(b'+') => "add",
            Some(b'-') => "del",
            Some(b'@') => "at",
            _ => "",
        };
        if class.is_empty() {
            body.push_str(&escape(line));
            body.push('\n');
        } else {
            body.push_str(&format!("<span class=\"{class}\">{}</span>", escape(line)));
        }
    }
    body + "</pre>"
}
