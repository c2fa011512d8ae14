//! Apps of the stand-in: signatures, installations, and what their tokens may do.

use chrono::Utc;
use devkit::{
    github::{AppKeys, Knob, Level, permissions_of},
    harness::all_rights,
};
use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::world::{Answer, REPOSITORY, World};

const REPO: &str = "/repos/acme/greeter";

pub struct App {
    pub id: u64,
    pub installation: u64,
    keys: AppKeys,
}

pub fn install(world: &World) -> App {
    let keys = AppKeys::generate().unwrap();
    let id = world.stand_in.register_app("poster", "acme", &keys.public_key).unwrap();
    let installation = world.stand_in.install_app(id, "acme", Some(&[REPOSITORY]), all_rights()).unwrap();
    App { id, installation, keys }
}

impl App {
    pub fn signature(&self, iat: i64, exp: i64) -> String {
        let now = Utc::now().timestamp();
        let claims = json!({ "iat": now + iat, "exp": now + exp, "iss": self.id.to_string() });
        let key = EncodingKey::from_rsa_pem(self.keys.private_key.as_bytes()).unwrap();
        encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap()
    }

    pub async fn mint(&self, world: &World, cut: Value) -> Answer {
        let path = format!("/app/installations/{}/access_tokens", self.installation);
        world.with_token(&self.signature(-60, 540)).post(&path, cut).await
    }

    pub async fn token(&self, world: &World, cut: Value) -> String {
        self.mint(world, cut).await.created()["token"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn only_a_fresh_signature_of_the_app_counts() {
    let world = World::start().await;
    let app = install(&world);
    let get = async |token: &str| world.with_token(token).get("/app").await;
    assert_eq!(get(&app.signature(-60, 540)).await.ok()["slug"], "poster");
    for (iat, exp) in [(-60, -1), (-60, 900), (120, 300)] {
        get(&app.signature(iat, exp)).await.expect(StatusCode::UNAUTHORIZED);
    }
    let foreign = App { keys: AppKeys::generate().unwrap(), ..app };
    get(&foreign.signature(-60, 540)).await.expect(StatusCode::UNAUTHORIZED);
    get("not.a.token").await.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_is_cut_to_what_was_asked_for() {
    let world = World::start().await;
    let app = install(&world);
    let cut = json!({ "repositories": ["greeter"], "permissions": { "metadata": "read", "issues": "write" } });
    let token = app.token(&world, cut).await;
    let bot = world.with_token(&token);
    let comment = bot.post(&format!("{REPO}/issues/1/comments"), json!({ "body": "hello" })).await.created();
    assert_eq!(
        (comment["user"]["login"].as_str(), comment["user"]["type"].as_str()),
        (Some("poster[bot]"), Some("Bot"))
    );
    assert_eq!(comment["performed_via_github_app"]["slug"], "poster");
    let refused = bot.post(&format!("{REPO}/statuses/{}", "0".repeat(40)), json!({ "state": "pending" })).await;
    assert_eq!(refused.headers["x-accepted-github-permissions"], "statuses=write");
    assert_eq!(refused.expect(StatusCode::FORBIDDEN)["message"], "Resource not accessible by integration");
    bot.get("/user").await.expect(StatusCode::FORBIDDEN);
    assert_eq!(bot.get("/installation/repositories").await.ok()["total_count"], 1);

    app.mint(&world, json!({ "permissions": { "actions": "write" } })).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    app.mint(&world, json!({ "repositories": ["none"] })).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_token_ends_with_its_hour() {
    let world = World::start().await;
    let app = install(&world);
    let token = app.token(&world, json!({})).await;
    world.with_token(&token).get(REPO).await.ok();
    world.stand_in.knob(Knob::AdvanceClock { seconds: 3_601 }).await.unwrap();
    world.with_token(&token).get(REPO).await.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_fine_grained_token_is_cut_too() {
    let world = World::start().await;
    let new = devkit::github::NewRepo { name: "hidden".into(), description: None, private: true };
    world.stand_in.create_repo("acme", new).await.unwrap();
    world.stand_in.add_collaborator("acme/hidden", "maintainer", devkit::github::Role::Admin).unwrap();
    let permissions = permissions_of(&[("metadata", Level::Read), ("contents", Level::Read)]);
    let ends = Some("2031-01-02T03:04:05Z".parse().unwrap());
    let token = world.stand_in.fine_grained_token("maintainer", &[REPOSITORY], permissions, ends).unwrap();
    let person = world.with_token(&token);
    let answer = person.get(REPO).await;
    assert_eq!(answer.headers["github-authentication-token-expiration"], "2031-01-02 03:04:05 UTC");
    answer.ok();
    person.get("/repos/acme/hidden").await.expect(StatusCode::NOT_FOUND);
    // What everybody may read needs no permission; webhooks are never public.
    person.get(&format!("{REPO}/issues")).await.ok();
    person.get(&format!("{REPO}/hooks")).await.expect(StatusCode::FORBIDDEN);
    let refused = person.post(&format!("{REPO}/issues"), json!({ "title": "" })).await;
    assert_eq!(refused.expect(StatusCode::FORBIDDEN)["message"], "Resource not accessible by personal access token");
}
