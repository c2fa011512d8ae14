//! A fresh database with one project and one repository in it.

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use domain::{
    event::{Sender, Subject, SubjectKind},
    ids::{ProjectId, RepositoryId, RunId},
    run::Outcome,
    services_yaml::AgentName,
    triggers::{BusinessKey, Trigger},
};
use sqlx::{Postgres, Transaction, pool::PoolConnection};
use store::{
    Store,
    repositories::{self, NewProject, NewRepository},
    runs::{self, End, NewRun, NewRunResult},
    testing::TestDatabase,
};

pub struct World {
    database: TestDatabase,
    pub project: ProjectId,
    pub repository: RepositoryId,
}

impl World {
    pub async fn new() -> Self {
        let database = TestDatabase::create().await;
        let mut conn = database.store().acquire().await.unwrap();
        let new = NewProject { slug: "demo", slots: 3, settings: serde_json::json!({}), now: at(0) };
        let project = repositories::insert_project(&mut conn, new).await.unwrap();
        let repository =
            repositories::upsert_repository(&mut conn, new_repository(project, 1, "greeter")).await.unwrap();
        drop(conn);
        Self { database, project, repository }
    }

    pub fn store(&self) -> Store {
        self.database.store().clone()
    }

    pub async fn conn(&self) -> PoolConnection<Postgres> {
        self.database.store().acquire().await.unwrap()
    }

    pub async fn begin(&self) -> Transaction<'static, Postgres> {
        self.database.store().begin().await.unwrap()
    }

    /// Begins a run on an issue of its own.
    pub async fn run(&self, number: i64) -> RunId {
        let wish = Wish::new(number, &format!("run-{number}"));
        match self.wish(&wish).await {
            NewRunResult::Started(run) => run,
            other => panic!("{other:?}"),
        }
    }

    pub async fn wish(&self, wish: &Wish) -> NewRunResult {
        let mut tx = self.begin().await;
        let result = runs::insert(&mut tx, &wish.on(self.project, self.repository)).await.unwrap();
        tx.commit().await.unwrap();
        result
    }

    pub async fn finish(&self, run: RunId, outcome: Outcome) {
        let attempt = runs::get(&mut *self.conn().await, run).await.unwrap().attempt;
        let end = End { attempt, outcome, cause: "The test said so.", now: at(100) };
        assert!(runs::finish(&mut *self.conn().await, run, end).await.unwrap());
    }
}

/// What a test asks for.
#[derive(Clone)]
pub struct Wish {
    pub subject: Subject,
    pub key: BusinessKey,
    pub agent: AgentName,
    pub trigger: Trigger,
    pub by: Sender,
    pub instructions: String,
    pub now: DateTime<Utc>,
}

impl Wish {
    pub fn new(number: i64, key: &str) -> Self {
        Self {
            subject: issue(number),
            key: BusinessKey::by_hand(key),
            agent: "dev".parse().unwrap(),
            trigger: Trigger::Label { label: "run:dev".to_owned(), at: at(0) },
            by: ada(),
            instructions: String::new(),
            now: at(0),
        }
    }

    pub fn on(&self, project_id: ProjectId, repository_id: RepositoryId) -> NewRun<'_> {
        NewRun {
            repository_id,
            project_id,
            subject: self.subject,
            subject_title: "The greeting is wrong",
            agent: &self.agent,
            trigger: &self.trigger,
            business_key: &self.key,
            requested_by: &self.by,
            instructions: &self.instructions,
            cause_chain: &[],
            machine_depth: 0,
            deadline_at: self.now + TimeDelta::hours(1),
            now: self.now,
        }
    }
}

pub fn new_repository(project: ProjectId, forge_repo_id: i64, name: &str) -> NewRepository<'_> {
    NewRepository {
        project,
        forge_repo_id,
        owner: "acme",
        name,
        default_branch: "main",
        private: true,
        archived: false,
        credential: None,
        now: at(0),
    }
}

pub const fn issue(number: i64) -> Subject {
    Subject { kind: SubjectKind::Issue, number }
}

pub fn ada() -> Sender {
    Sender { id: 7, login: "ada".to_owned(), is_bot: false }
}

/// A moment, so many seconds after the tests' beginning of time.
pub fn at(seconds: i64) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 23, 12, 0, 0).unwrap() + TimeDelta::seconds(seconds)
}
