//! What there is at the beginning.

use super::{
    access::{At, Caller, RepoName},
    error::ApiError,
    forge::Forge,
    git::FileChange,
    ops::{
        files, issues,
        repos::{self, NewRepo, NewUser},
    },
    state::{AccountKind, Role},
};

/// Accounts and repositories to begin with.
#[derive(Clone, Debug, Default)]
pub struct Seed {
    /// Accounts, made in this order.
    pub users: Vec<NewUser>,
    /// Repositories, made in this order.
    pub repos: Vec<SeedRepo>,
}

/// A repository to begin with.
#[derive(Clone, Debug)]
pub struct SeedRepo {
    /// Who it belongs to.
    pub owner: String,
    /// Its name and kind.
    pub new: NewRepo,
    /// Who may do what; the first must be an administrator and writes what is below.
    pub people: Vec<(String, Role)>,
    /// Path and text of each file of the first commit.
    pub files: Vec<(String, String)>,
    /// Labels with colour and meaning.
    pub labels: Vec<(String, String, String)>,
    /// Issues.
    pub issues: Vec<SeedIssue>,
}

/// An issue to begin with.
#[derive(Clone, Debug)]
pub struct SeedIssue {
    /// Title.
    pub title: String,
    /// Text.
    pub body: String,
}

impl Seed {
    /// `acme/greeter`: a small program with a failing test and an issue about it, and five people.
    #[must_use]
    pub fn demo() -> Self {
        let person =
            |login: &str, name: &str, kind| NewUser { login: login.into(), name: Some(name.into()), kind, token: None };
        let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let label = |name: &str, color: &str, meaning: &str| (name.to_owned(), color.to_owned(), meaning.to_owned());
        Self {
            users: vec![
                person("acme", "Acme", AccountKind::Organization),
                person("maintainer", "Mara Tainer", AccountKind::User),
                person("writer", "Will Riter", AccountKind::User),
                person("reader", "Rita Eader", AccountKind::User),
                person("outsider", "Otto Sider", AccountKind::User),
                person("codex-bot", "Codex", AccountKind::User),
            ],
            repos: vec![SeedRepo {
                owner: "acme".into(),
                new: NewRepo {
                    name: "greeter".into(),
                    description: Some("Greets people politely".into()),
                    private: false,
                },
                people: vec![
                    ("maintainer".into(), Role::Admin),
                    ("writer".into(), Role::Write),
                    ("reader".into(), Role::Read),
                    // Whose token makes hooks and reads their logs has to be an administrator.
                    ("codex-bot".into(), Role::Admin),
                ],
                files: vec![
                    file("README.md", include_str!("../../assets/demo/README.md")),
                    file("services.yaml", include_str!("../../assets/demo/services.yaml")),
                    file("greeter/__init__.py", include_str!("../../assets/demo/greeter/__init__.py")),
                    file("greeter/__main__.py", include_str!("../../assets/demo/greeter/__main__.py")),
                    file("greeter/greeting.py", include_str!("../../assets/demo/greeter/greeting.py")),
                    file("tests/__init__.py", include_str!("../../assets/demo/tests/__init__.py")),
                    file("tests/test_greeting.py", include_str!("../../assets/demo/tests/test_greeting.py")),
                ],
                labels: vec![
                    label("bug", "d73a4a", "Something isn't working"),
                    label("enhancement", "a2eeef", "New feature or request"),
                    label("run:dev", "1d76db", "Let the dev agent work on this"),
                    label("run:planner", "5319e7", "Let the planner agent write a plan"),
                    label("need:reviewer", "fbca04", "Let the reviewer agent look at this"),
                ],
                issues: vec![SeedIssue {
                    title: "Names with spaces around them are greeted badly".into(),
                    body: include_str!("../../assets/demo/issue-1.md").trim_end().into(),
                }],
            }],
        }
    }
}

/// Makes all of it.
pub(crate) async fn plant(forge: &Forge, seed: Seed) -> Result<(), ApiError> {
    for user in seed.users {
        repos::create_user(forge, user)?;
    }
    for repo in seed.repos {
        plant_repo(forge, repo).await?;
    }
    Ok(())
}

async fn plant_repo(forge: &Forge, seed: SeedRepo) -> Result<(), ApiError> {
    let repo = repos::create(forge, &seed.owner, seed.new).await?;
    let first = forge.write(|tx| {
        let mut first = repo.owner;
        for (login, role) in seed.people.iter().rev() {
            first = tx.model.user(login).ok_or(ApiError::NotFound)?.id;
            tx.repo_mut(repo.id)?.collaborators.insert(first, *role);
        }
        Ok(first)
    })?;
    let name = RepoName { owner: seed.owner, name: repo.name };
    let at = At { caller: Caller(Some(first)), repo: name };
    let changes: Vec<FileChange> =
        seed.files.into_iter().map(|(path, text)| FileChange { path, content: Some(text.into_bytes()) }).collect();
    if !changes.is_empty() {
        files::commit(forge, &at, "main", "Greet people by name", changes).await?;
    }
    for (name, color, meaning) in seed.labels {
        let new = super::ops::labels::NewLabel { name, color: Some(color), description: Some(meaning) };
        super::ops::labels::create(forge, &at, new)?;
    }
    for issue in seed.issues {
        let new = issues::NewIssue { title: issue.title, body: Some(issue.body), labels: Vec::new() };
        issues::create(forge, &at, new)?;
    }
    Ok(())
}
