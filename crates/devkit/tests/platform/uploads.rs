//! An upload whose gateway is killed in the middle goes on where it was.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use devkit::harness::{Hosting, Platform, Victim};
use domain::{
    event::{Sender, Subject, SubjectKind},
    ids::{Attempt, RunId},
    job_tokens::{SessionHashes, session_token},
    run::Outcome,
    triggers::{BusinessKey, Trigger},
};
use futures::{StreamExt as _, stream};
use reqwest::{Body, Client, Method, RequestBuilder};
use sha2::{Digest as _, Sha256};
use store::{
    attempts,
    runs::{self, NewRun, NewRunResult},
    tokens::{self, Claim, Claimed},
};

const MIB: usize = 1 << 20;

/// A run without a workflow, whose attempt the test itself has claimed.
async fn claimed(platform: &Platform, number: u64, session: &str) -> anyhow::Result<RunId> {
    let now = Utc::now();
    let asked_by = i64::try_from(platform.forge.user("maintainer")?.id)?;
    let mut tx = platform.store().begin().await?;
    let new = NewRun {
        repository_id: platform.repository.id,
        project_id: platform.repository.project,
        subject: Subject { kind: SubjectKind::Issue, number: i64::try_from(number)? },
        subject_title: "Uploads",
        agent: &"dev".parse()?,
        trigger: &Trigger::Manual { at: now },
        business_key: &BusinessKey::by_hand("uploads"),
        requested_by: &Sender { id: asked_by, login: "maintainer".to_owned(), is_bot: false },
        instructions: "",
        cause_chain: &[],
        machine_depth: 0,
        deadline_at: now + TimeDelta::hours(1),
        now,
    };
    let NewRunResult::Started(run) = runs::insert(&mut tx, &new).await? else { anyhow::bail!("it is there already") };
    let claim = Claim { run, attempt: Attempt::FIRST, by: "test", hashes: SessionHashes::of(session), now };
    assert_eq!(tokens::claim(&mut tx, claim).await?, Claimed::First);
    tx.commit().await?;
    Ok(run)
}

struct Upload<'a> {
    client: Client,
    url: String,
    session: &'a str,
    whole: &'a [u8],
    digest: String,
}

impl Upload<'_> {
    fn ask(&self, method: Method) -> RequestBuilder {
        let request = self.client.request(method, &self.url).bearer_auth(self.session);
        request.header("upload-length", self.whole.len()).header("upload-digest", &self.digest)
    }

    async fn offset(&self) -> anyhow::Result<usize> {
        let answer = self.ask(Method::HEAD).send().await?.error_for_status()?;
        Ok(answer.headers()["upload-offset"].to_str()?.parse()?)
    }

    /// Sends from `offset` to `end`; if that is not all, it hesitates there for ever.
    fn put(&self, offset: usize, end: usize) -> RequestBuilder {
        let pieces: Vec<Result<Vec<u8>, std::io::Error>> =
            self.whole[offset..end].chunks(MIB / 4).map(|piece| Ok(piece.to_vec())).collect();
        let sent = stream::iter(pieces);
        let all: Body = if end == self.whole.len() {
            Body::wrap_stream(sent)
        } else {
            Body::wrap_stream(sent.chain(stream::pending::<Result<Vec<u8>, std::io::Error>>()))
        };
        self.ask(Method::PUT).header("upload-offset", offset).body(all)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_survives_the_death_of_the_gateway() -> anyhow::Result<()> {
    let mut platform = super::start(1, Hosting::Processes).await?;
    let number = platform.open_issue("good-fix")?;
    // It would find that nobody works at the run.
    platform.stop(Victim::Worker).await?;
    let session = session_token([3; 32]);
    let run = claimed(&platform, number, &session).await?;
    let whole: Vec<u8> = (0..40 * MIB).map(|place| u8::try_from(place / 3 % 256).unwrap_or_default()).collect();
    let url = format!("{}/runner/v1/result", platform.gateway_url);
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build()?;
    // Made once: without optimisation that takes seconds.
    let digest = hex::encode(Sha256::digest(&whole));
    let upload = Upload { client, url, session: &session, whole: &whole, digest };

    let sending = tokio::spawn(upload.put(0, 20 * MIB).send());
    platform.await_that("some of it is kept", async || Ok((upload.offset().await? >= 8 * MIB).then_some(()))).await?;
    platform.kill(Victim::Gateway).await?;
    assert!(sending.await?.is_err(), "the gateway was killed in the middle");
    let kept = upload.offset().await?;
    assert!((8 * MIB..=20 * MIB).contains(&kept), "{kept}");
    // Only the bytes of the announced digest are taken.
    assert_eq!(upload.put(kept, whole.len()).send().await?.status().as_u16(), 204);
    let row = attempts::get(&mut *platform.store().acquire().await?, run, Attempt::FIRST).await?;
    assert!(row.result_blob.is_some());

    platform.bring_up(Victim::Worker).await?;
    assert_eq!(platform.await_end(number).await?.outcome, Some(Outcome::Lost));
    platform.finish().await
}
