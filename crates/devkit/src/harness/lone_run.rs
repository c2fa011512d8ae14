//! A run whose Job is launched as far as the database knows, and that nobody works on: for what asks the model gateway itself.

use anyhow::{bail, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    event::{Sender, Subject, SubjectKind},
    ids::{Attempt, ProjectId, RunId},
    job_tokens::{SessionHashes, model_token, session_token},
    triggers::{BusinessKey, Trigger},
};
use store::{
    JobState, Store,
    attempts::{self, JobUpdate},
    repositories::{self, NewProject, NewRepository},
    runs::{self, NewRun, NewRunResult},
    tokens::{self, Claim, Claimed},
};

use crate::secrets::random_hex;

/// The run, and what opens the model gateway for it.
#[derive(Clone, Debug)]
pub struct LoneRun {
    /// The run; it has one attempt.
    pub run: RunId,
    /// Its project, which has no other.
    pub project: ProjectId,
    /// The model token.
    pub model_token: String,
}

impl LoneRun {
    /// Makes one, in a project of its own.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn make(store: &Store, now: DateTime<Utc>) -> anyhow::Result<Self> {
        let name = random_hex(6);
        let mut tx = store.begin().await?;
        let slug = format!("lone-{name}");
        let new = NewProject { slug: &slug, slots: 1, settings: serde_json::json!({}), now };
        let project = repositories::insert_project(&mut tx, new).await?;
        let repository = NewRepository {
            project,
            forge_repo_id: i64::from(u32::from_str_radix(&name[..7], 16)?),
            owner: "acme",
            name: &name,
            default_branch: "main",
            private: true,
            archived: false,
            credential: None,
            now,
        };
        let repository_id = repositories::upsert_repository(&mut tx, repository).await?;
        let agent = "dev".parse()?;
        let new = NewRun {
            repository_id,
            project_id: project,
            subject: Subject { kind: SubjectKind::Issue, number: 1 },
            subject_title: "Nobody works on this",
            agent: &agent,
            trigger: &Trigger::Label { label: "run:dev".to_owned(), at: now },
            business_key: &BusinessKey::by_hand(&name),
            requested_by: &Sender { id: 1, login: "maintainer".to_owned(), is_bot: false },
            instructions: "",
            cause_chain: &[],
            machine_depth: 0,
            deadline_at: now + TimeDelta::hours(1),
            now,
        };
        let NewRunResult::Started(run) = runs::insert(&mut tx, &new).await? else { bail!("the run can't be begun") };
        let session = session_token(rand::random());
        let job = JobUpdate { state: JobState::Launching, name: Some(&name), token_hash: None, now };
        attempts::set_job(&mut tx, run, Attempt::FIRST, job).await?;
        let hashes = SessionHashes::of(&session);
        let claim = Claim { run, attempt: Attempt::FIRST, by: "nobody", hashes, now };
        ensure!(tokens::claim(&mut tx, claim).await? == Claimed::First, "the attempt can't be claimed");
        tx.commit().await?;
        Ok(Self { run, project, model_token: model_token(&session) })
    }
}
