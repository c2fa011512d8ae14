//! A stand-in with the demo repository, and clients for its people.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use devkit::github::{Options, Seed, StandIn};
use domain::run::StateLabel;
use forge::{
    Account, AccountId, CommitSha, Credential, ForgeRepoId, IssueNumber, RepoRef, RepositoryProvider, Secret,
    git::GitAuth,
    github::{GitHub, Scope, Timeouts},
    labels::{self, LabelPlan},
};
use tempfile::TempDir;

pub const REPOSITORY: &str = "acme/greeter";
pub const BOT: &str = "codex-bot";

pub struct World {
    pub stand_in: StandIn,
    /// The platform's own client.
    pub github: GitHub,
    pub repo: RepoRef,
    data: TempDir,
}

/// The time that clients see.
pub fn now() -> DateTime<Utc> {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

impl World {
    pub async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut options = Options::new(data.path().join("stand-in"));
        options.seed = Some(Seed::demo());
        options.record = true;
        let stand_in = StandIn::start(options).await.unwrap();
        let forge_id = ForgeRepoId(stand_in.repo_id(REPOSITORY).unwrap().try_into().unwrap());
        let repo = RepoRef { owner: "acme".to_owned(), name: "greeter".to_owned(), forge_id };
        let github = client(stand_in.url(), &stand_in.token(BOT).unwrap());
        Self { stand_in, github, repo, data }
    }

    /// A client with somebody's token.
    pub fn client_of(&self, login: &str) -> GitHub {
        client(self.stand_in.url(), &self.stand_in.token(login).unwrap())
    }

    pub fn account(&self, login: &str) -> Account {
        let user = self.stand_in.user(login).unwrap();
        Account { login: user.login, id: AccountId(user.id.try_into().unwrap()) }
    }

    /// Where git finds the repository.
    pub fn clone_url(&self) -> String {
        format!("{}/{REPOSITORY}.git", self.stand_in.url())
    }

    pub fn auth_of(&self, login: &str) -> GitAuth {
        GitAuth::new(&self.clone_url(), Secret::new(self.stand_in.token(login).unwrap())).unwrap()
    }

    /// A folder of this test.
    pub fn folder(&self, name: &str) -> std::path::PathBuf {
        self.data.path().join(name)
    }

    /// Commits a file to a branch, as a push.
    pub async fn commit(&self, login: &str, branch: &str, path: &str, text: &str) -> CommitSha {
        let changes = [(path, Some(text))];
        self.stand_in.commit(login, REPOSITORY, branch, &changes).await.unwrap().parse().unwrap()
    }

    /// What the REST API shows to the bot under a path.
    pub async fn get(&self, path: &str) -> serde_json::Value {
        let request = reqwest::Client::new().get(format!("{}{path}", self.stand_in.url()));
        let request = request.bearer_auth(self.stand_in.token(BOT).unwrap());
        request.send().await.unwrap().json().await.unwrap()
    }
}

/// A client that is an App, for the demo repository.
pub fn app_client(world: &World, credential: Credential, clock: forge::Clock) -> GitHub {
    let RepoRef { owner, name, forge_id } = world.repo.clone();
    let scope = Scope { owner, name, forge_id: Some(forge_id) };
    GitHub::for_repository(world.stand_in.url(), credential, scope, clock, Timeouts::default()).unwrap()
}

pub fn client(url: &str, token: &str) -> GitHub {
    GitHub::new(url, Secret::new(token), Arc::new(now), Timeouts::default()).unwrap()
}

/// Makes this the only state label, as the worker does.
pub async fn set_state_label(world: &World, number: IssueNumber, new: StateLabel) -> LabelPlan {
    let (github, repo) = (&world.github, &world.repo);
    let plan = labels::plan(&github.labels(repo, number).await.unwrap(), new);
    for old in &plan.remove {
        github.remove_label(repo, number, old.as_str()).await.unwrap();
    }
    if plan.add {
        github.add_label(repo, number, new.as_str(), labels::style(new)).await.unwrap();
    }
    plan
}
