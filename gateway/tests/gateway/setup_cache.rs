//! What set-up leaves behind, as runners fetch and store it.

use chrono::Utc;
use domain::{
    ids::{Attempt, RunId},
    job::{JobLimits, JobSpec, SetupCache, SetupSpec},
    model::{ModelStop, Stopped},
};
use reqwest::{Method, RequestBuilder};
use store::{
    ModelCallKind,
    blobs::BlobKey,
    model_calls::{self, NewCall},
    runs,
};

use crate::{
    runner::{TOKEN, launched},
    world::{World, describing, problem},
};

const PATH: &str = "/runner/v1/setup-cache";

fn ask(world: &World, method: Method) -> RequestBuilder {
    world.client.request(method, world.url(PATH)).bearer_auth(TOKEN)
}

fn spec(run: RunId) -> JobSpec {
    JobSpec {
        run,
        attempt: Attempt::FIRST,
        repository: "acme/greeter".to_owned(),
        base_sha: "a".repeat(40),
        agent: "dev".to_owned(),
        model: "m".to_owned(),
        prompt: "p".to_owned(),
        wants_changes: true,
        commit_subject: "s".to_owned(),
        setup: SetupSpec::default(),
        checks: Vec::new(),
        resume: None,
        limits: JobLimits { agent_secs: 1, log_bytes: 1, checkpoint_secs: 1 },
    }
}

async fn describe(world: &World, run: RunId, may_store: bool) -> BlobKey {
    let mut spec = spec(run);
    let key = "b".repeat(64);
    spec.setup.cache = Some(SetupCache { key: key.clone(), paths: vec!["modules".to_owned()], may_store });
    world.blobs.put(&BlobKey::job(run, Attempt::FIRST), serde_json::to_vec(&spec).unwrap().into()).await.unwrap();
    let repository = runs::get(&mut world.store().acquire().await.unwrap(), run).await.unwrap().repository_id;
    BlobKey::setup_cache(repository, &key)
}

#[tokio::test]
async fn it_is_kept_for_the_repository_until_the_agent_begins() {
    let (world, run) = launched().await;
    let key = describe(&world, run, true).await;
    let early = ask(&world, Method::GET).send().await.unwrap();
    assert_eq!(early.status().as_u16(), 204, "there is none yet");
    for body in ["first", "second"] {
        let stored = describing(ask(&world, Method::PUT), body.as_bytes()).body(body).send().await.unwrap();
        assert_eq!(stored.status().as_u16(), 204);
    }
    assert_eq!(world.blobs.get(&key).await.unwrap(), "second", "a broken one can be replaced");
    let fetched = ask(&world, Method::GET).send().await.unwrap();
    assert_eq!((fetched.status().as_u16(), fetched.text().await.unwrap()), (200, "second".to_owned()));

    let (project, kind, now) = (world.project, ModelCallKind::Responses, Utc::now());
    let call = NewCall { run, attempt: Attempt::FIRST, project, kind, model: "m", now };
    let stopped = Stopped { stop: ModelStop::Budget, problem: "It is spent.".to_owned() };
    model_calls::refused(&mut world.store().acquire().await.unwrap(), &call, 429, &stopped).await.unwrap();
    let late = describing(ask(&world, Method::PUT), b"poison").body("poison").send().await.unwrap();
    assert_eq!(problem(late).await, (409, "agent_at_work".to_owned()));
    assert_eq!(world.blobs.get(&key).await.unwrap(), "second");
}

#[tokio::test]
async fn a_job_that_may_not_store_it_can_still_use_it() {
    let (world, run) = launched().await;
    let key = describe(&world, run, false).await;
    world.blobs.put(&key, "kept".into()).await.unwrap();
    assert_eq!(ask(&world, Method::GET).send().await.unwrap().text().await.unwrap(), "kept");
    let refused = describing(ask(&world, Method::PUT), b"other").body("other").send().await.unwrap();
    assert_eq!(problem(refused).await, (409, "not_to_be_stored".to_owned()));
    assert_eq!(world.blobs.get(&key).await.unwrap(), "kept");
}

#[tokio::test]
async fn another_repositorys_and_an_undescribed_one_are_out_of_reach() {
    let (world, run) = launched().await;
    assert_eq!(problem(ask(&world, Method::GET).send().await.unwrap()).await, (404, "job_missing".to_owned()));
    describe(&world, run, true).await;
    let other = BlobKey::setup_cache("01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(), &"b".repeat(64));
    world.blobs.put(&other, "of others".into()).await.unwrap();
    assert_eq!(ask(&world, Method::GET).send().await.unwrap().status().as_u16(), 204);
    world.blobs.put(&BlobKey::job(run, Attempt::FIRST), serde_json::to_vec(&spec(run)).unwrap().into()).await.unwrap();
    assert_eq!(ask(&world, Method::GET).send().await.unwrap().status().as_u16(), 204);
    let refused = describing(ask(&world, Method::PUT), b"x").body("x").send().await.unwrap();
    assert_eq!(problem(refused).await, (409, "not_to_be_stored".to_owned()));
}

#[tokio::test]
async fn one_that_is_announced_too_large_is_refused_unread() {
    let (world, run) = launched().await;
    let key = describe(&world, run, true).await;
    let request = ask(&world, Method::PUT)
        .header("upload-length", (1_u64 << 30) + 1)
        .header("upload-digest", "ab".repeat(32))
        .body(reqwest::Body::wrap_stream(futures::stream::iter([Ok::<_, std::io::Error>("x")])));
    // The gateway may hang up while the rest is still being waited for.
    if let Ok(refused) = request.send().await {
        assert_eq!(problem(refused).await, (413, "setup_cache_too_large".to_owned()));
    }
    assert!(!world.blobs.exists(&key).await.unwrap());
}
