//! What operators do: one ends a run in the engine's own web UI, through the gateway, and the run says who it was; another changes the
//! key that sign-ins are signed with.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::Context;
use chrono::{TimeDelta, Utc};
use devkit::harness::{Platform, REPOSITORY};
use dispatch::{Dispatcher, Engine, EnginePlace, EngineSettings};
use domain::{
    egress::HostList,
    run::{Outcome, Step, comment_marker},
    workflow_id,
};
use gateway::{
    AppParts, AppState,
    auth::{SignIn, SignInSettings, TrustedProxies},
    engine_ui::EngineUi,
    hook_secrets::GatewayKey,
    webhooks::{HookSecret, PlatformSecrets},
};
use reqwest::{Client, Response, redirect::Policy};
use role::SecretText;
use serde_json::{Value, json};
use store::{
    operator_grants::{self, NewGrant},
    people,
};
use telemetry::{Telemetry, TelemetrySettings, catalogue::Role};
use tokio::{net::TcpListener, process::Command};
use url::{Url, form_urlencoded::Serializer};

const CLIENT_ID: &str = "operators";
const CLIENT_SECRET: &str = "operators-secret";

/// One more gateway of the platform with a key of its own, to which people sign in; where it is.
async fn gateway_with_sign_in(platform: &Platform, key: GatewayKey) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    platform.forge.register_oauth_app(CLIENT_ID, CLIENT_SECRET, &format!("{url}/auth/callback"))?;
    let sign_in = SignInSettings {
        client_id: CLIENT_ID.into(),
        client_secret: SecretText::new(CLIENT_SECRET),
        oauth_url: platform.forge.url().parse()?,
        api_url: platform.forge.url().parse()?,
        public_url: url.parse()?,
        owner_email: Some("maintainer@people.example".parse()?),
        trusted_proxies: TrustedProxies::default(),
    };
    let place = EnginePlace::at(std::env::var("CODEX_K8S_TEST_TEMPORAL")?);
    let engine = EngineSettings::at(&place, platform.instance.clone(), "gateway")?;
    let telemetry = Arc::new(Telemetry::new(Role::Gateway, &TelemetrySettings::default())?);
    let clock: dispatch::Clock = Arc::new(Utc::now);
    let (store, watch) = (platform.store().clone(), Arc::clone(&telemetry));
    let dispatcher =
        Dispatcher::new(store.clone(), Engine::new(engine), Arc::clone(&clock), TimeDelta::hours(12), watch);
    let secret = HookSecret::new("secret").context("no secret")?;
    let state = AppState::new(AppParts {
        store,
        dispatcher,
        blobs: platform.blobs()?,
        webhook_secrets: PlatformSecrets { current: secret, previous: None },
        key,
        buffer_bytes: None,
        egress_hosts: HostList::default(),
        clock,
        telemetry,
        sign_in: Some(SignIn::new(&platform.instance, sign_in)?),
        sealing: None,
        engine_ui: Some(EngineUi::new(&std::env::var("CODEX_K8S_TEST_TEMPORAL_UI")?.parse()?)?),
    });
    let service = gateway::router(state).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    Ok(url)
}

/// Somebody in whose browser the owner is signed in.
struct Owner {
    http: Client,
    gateway: String,
    cookies: String,
}

impl Owner {
    /// Goes the way of a browser.
    async fn sign_in(gateway: &str) -> anyhow::Result<Self> {
        let http = Client::builder().redirect(Policy::none()).no_proxy().build()?;
        let begun = http.get(format!("{gateway}/auth/login")).send().await?;
        let forge: Url = begun.headers()["location"].to_str()?.parse()?;
        let form = Serializer::new(String::new())
            .extend_pairs(forge.query_pairs())
            .append_pair("login", "maintainer")
            .finish();
        let request = http.post(forge).header("content-type", "application/x-www-form-urlencoded").body(form);
        let agreed = request.send().await?;
        let back = agreed.headers()["location"].to_str()?.to_owned();
        let done = http.get(back).header("cookie", cookies(&begun)).send().await?;
        anyhow::ensure!(done.status() == 303, "{done:?}");
        let cookies = cookies(&done);
        Ok(Self { http, gateway: gateway.to_owned(), cookies })
    }

    /// Presses the button of the engine's UI that ends a workflow.
    async fn terminate(&self, workflow: &str, reason: &str) -> anyhow::Result<Response> {
        let id = workflow.replace(':', "%3A");
        let url = format!("{}/ops/temporal/api/v1/namespaces/default/workflows/{id}/terminate", self.gateway);
        let request = self.http.post(url).header("cookie", &self.cookies).header("origin", &self.gateway);
        Ok(request.json(&json!({"reason": reason, "identity": "somebody"})).send().await?)
    }
}

fn cookies(answer: &Response) -> String {
    let lines = answer.headers().get_all("set-cookie").iter().filter_map(|line| line.to_str().ok());
    lines.filter_map(|line| line.split(';').next()).collect::<Vec<_>>().join("; ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_terminated_through_the_gateway_is_lost_and_says_by_whom() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let owner = Owner::sign_in(&gateway_with_sign_in(&platform, GatewayKey::generate()).await?).await?;
    let number = platform.open_issue("endless-loop")?;
    platform.label(number, "run:dev")?;
    let run = platform.await_run(number, "at work", |run| run.step == Some(Step::Agent)).await?;
    let workflow = workflow_id::agent_run(&platform.instance, run.id, run.attempt);
    let refused = owner.terminate(&workflow, "it turns in circles").await?;
    assert_eq!(refused.status(), 403, "{refused:?}");
    let mut tx = platform.store().begin().await?;
    let person = people::lock_by_email(&mut tx, &"maintainer@people.example".parse()?).await?.context("nobody")?.id;
    operator_grants::give(&mut tx, NewGrant { person, reason: "on call", by: person, now: Utc::now() }).await?;
    tx.commit().await?;
    let ended = owner.terminate(&workflow, "it turns in circles").await?;
    assert_eq!(ended.status(), 200, "{ended:?}");

    let run = platform.await_end(number).await?;
    assert_eq!(run.outcome, Some(Outcome::Lost), "{run:?}");
    let expected = "Its workflow was terminated by maintainer in the engine: it turns in circles.";
    assert_eq!(run.cause.as_deref(), Some(expected));
    let marker = comment_marker(run.id);
    platform
        .await_that("the comment tells it", async || {
            let comments = platform.forge.comments(REPOSITORY, number)?;
            let told =
                comments.iter().any(|one| one.body.contains(&marker) && one.body.contains("terminated by maintainer"));
            Ok(told.then_some(()))
        })
        .await?;
    let events = store::audit::list_for_run(&mut *platform.store().acquire().await?, run.id).await?;
    let written: Vec<_> = events.iter().filter(|event| event.kind.starts_with("engine_ui.")).collect();
    assert_eq!(written.len(), 2, "{events:?}");
    assert!(written.iter().all(|event| event.actor == "maintainer" && event.repository.is_some()), "{written:?}");
    // The slot is free: the next one works.
    let next = platform.open_issue("no-change")?;
    platform.label(next, "run:dev")?;
    platform.await_end(next).await?;
    // That no Job is left is looked at here.
    platform.finish().await
}

/// Ids of the keys whose tokens are good, the one in force first.
async fn key_ids(gateway: &str) -> anyhow::Result<Vec<String>> {
    let answer = Client::builder().no_proxy().build()?.get(format!("{gateway}/.well-known/jwks.json")).send().await?;
    let told: Value = answer.json().await?;
    let keys = told["keys"].as_array().context("no keys")?;
    Ok(keys.iter().filter_map(|key| key["kid"].as_str()).map(str::to_owned).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signing_key_is_changed_by_a_command_and_nobody_is_signed_out() -> anyhow::Result<()> {
    let platform = super::platform_with(1).await?;
    let key = GatewayKey::generate();
    let key_file = platform.folder().join("gateway.key");
    std::fs::write(&key_file, key.to_hex())?;
    let gateway = gateway_with_sign_in(&platform, key).await?;
    let owner = Owner::sign_in(&gateway).await?;
    let before = key_ids(&gateway).await?;

    let program = Path::new(env!("CARGO_BIN_EXE_dev")).with_file_name("codex-k8s");
    let mut command = Command::new(program);
    command.args(["keys", "rotate-signing"]).env_clear();
    command.env("DATABASE_URL", platform.database_url()).env("GATEWAY_KEY_FILE", &key_file);
    let said = command.output().await?;
    anyhow::ensure!(said.status.success(), "{said:?}");
    let now = key_ids(&gateway).await?;
    assert_eq!((before.len(), &now[1..]), (1, &before[..]), "the old one stays until its last token is dead");
    assert!(String::from_utf8(said.stdout)?.contains(&format!("Key {} signs from now on.", now[0])));
    let me = owner.http.get(format!("{gateway}/api/v1/me")).header("cookie", &owner.cookies).send().await?;
    assert_eq!(me.status(), 200);
    Owner::sign_in(&gateway).await?;
    platform.finish().await
}
