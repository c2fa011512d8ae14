//! Signing in with GitHub, as an application sees it.

use devkit::github::{Address, openapi::Description};
use serde_json::{Value, json};
use url::{Url, form_urlencoded::Serializer};

use crate::world::{World, answer};

const CALLBACK: &str = "http://127.0.0.1:9/auth/callback";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

async fn world() -> World {
    let world = World::start().await;
    world.stand_in.register_oauth_app("app", "secret", CALLBACK).unwrap();
    world
}

/// A code for the writer, who agreed to these scopes.
async fn code(world: &World, scope: &str) -> String {
    let back = agree(world, &[("scope", scope)]).await.unwrap();
    back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
}

/// Agrees; gives where the person is sent back to, or the status of the refusal.
async fn agree(world: &World, fields: &[(&str, &str)]) -> Result<Url, u16> {
    let mut form = Serializer::new(String::new());
    let usual = [
        ("client_id", "app"),
        ("state", "xyz"),
        ("redirect_uri", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("login", "writer"),
    ];
    let left = usual.iter().filter(|(name, _)| !fields.iter().any(|(given, _)| given == name));
    form.extend_pairs(left).extend_pairs(fields);
    let request = world.nobody().request(http::Method::POST, "/login/oauth/authorize");
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.finish());
    let answer = answer(request).await;
    if answer.status != 303 {
        return Err(answer.status);
    }
    Ok(answer.headers["location"].to_str().unwrap().parse().unwrap())
}

async fn exchange(world: &World, code: &str, fields: &[(&str, &str)]) -> Value {
    let mut body = json!({
        "client_id": "app", "client_secret": "secret", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER,
    });
    for (name, value) in fields {
        body[*name] = json!(value);
    }
    let request = world.nobody().request(http::Method::POST, "/login/oauth/access_token");
    let answer = answer(request.header("accept", "application/json").json(&body)).await;
    // What is wrong comes with status 200, too.
    answer.ok()
}

#[tokio::test]
async fn a_code_becomes_a_token_that_tells_who_somebody_is() {
    let world = world().await;
    let code = code(&world, "read:user user:email").await;
    let granted = exchange(&world, &code, &[]).await;
    assert_eq!((&granted["token_type"], &granted["scope"]), (&json!("bearer"), &json!("read:user,user:email")));
    let person = world.with_token(granted["access_token"].as_str().unwrap());
    assert_eq!(person.get("/user").await.ok()["login"], "writer");
    let addresses = person.get("/user/emails").await.ok();
    let primary = json!({"email": "writer@people.example", "primary": true, "verified": true, "visibility": "private"});
    assert_eq!(addresses[0], primary);
    // It is not the token that the person works with, and writes nothing.
    assert_eq!(person.post("/repos/acme/greeter/issues", json!({"title": "x"})).await.status, 404);
    assert!(world.stand_in.token("writer").unwrap().starts_with("github_pat_"));
    let complaints = Description::from_env().unwrap().complaints(&world.stand_in.exchanges());
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[tokio::test]
async fn addresses_are_told_to_whoever_was_let_see_them() {
    let world = world().await;
    let unverified = Address::primary("new@people.example", false);
    world.stand_in.set_emails("writer", vec![unverified]).unwrap();
    let granted = exchange(&world, &code(&world, "user:email").await, &[]).await;
    let person = world.with_token(granted["access_token"].as_str().unwrap());
    assert_eq!(person.get("/user/emails").await.ok()[0]["verified"], false);
    let granted = exchange(&world, &code(&world, "read:user").await, &[]).await;
    let person = world.with_token(granted["access_token"].as_str().unwrap());
    assert_eq!(person.get("/user/emails").await.status, 404);
    assert_eq!(world.nobody().get("/user/emails").await.status, 401);
}

#[tokio::test]
async fn a_code_is_good_once_for_ten_minutes_and_for_whoever_asked() {
    let world = world().await;
    let error = |answer: Value| answer["error"].as_str().unwrap().to_owned();
    let used = code(&world, "").await;
    assert!(exchange(&world, &used, &[]).await["access_token"].is_string());
    assert_eq!(error(exchange(&world, &used, &[]).await), "bad_verification_code");
    let wrong = code(&world, "").await;
    assert_eq!(error(exchange(&world, &wrong, &[("code_verifier", "guessed")]).await), "bad_verification_code");
    assert_eq!(error(exchange(&world, &wrong, &[]).await), "bad_verification_code", "a wrong try uses it up");
    let other = [("redirect_uri", "http://127.0.0.1:9/other")];
    assert_eq!(error(exchange(&world, &code(&world, "").await, &other).await), "redirect_uri_mismatch");
    let secret = [("client_secret", "x")];
    assert_eq!(error(exchange(&world, &code(&world, "").await, &secret).await), "incorrect_client_credentials");
}

#[tokio::test]
async fn a_person_goes_back_to_the_registered_address_alone() {
    let world = world().await;
    let back = agree(&world, &[]).await.unwrap();
    assert!(back.as_str().starts_with(CALLBACK) && back.query().unwrap().ends_with("state=xyz"), "{back}");
    let denied = agree(&world, &[("login", "")]).await.unwrap();
    assert!(denied.query().unwrap().contains("error=access_denied"), "{denied}");
    assert_eq!(agree(&world, &[("redirect_uri", "http://127.0.0.1:9/evil")]).await.unwrap_err(), 422);
    assert_eq!(agree(&world, &[("client_id", "unknown")]).await.unwrap_err(), 404);
    assert_eq!(agree(&world, &[("code_challenge_method", "plain")]).await.unwrap_err(), 422);
    let page = world.nobody().get("/login/oauth/authorize?client_id=app&state=%22%3E%3Cb%3E").await.ok();
    let page = page.as_str().unwrap();
    assert!(page.contains("value=\"writer\"") && page.contains("value=\"&quot;&gt;&lt;b&gt;\""), "{page}");
}
