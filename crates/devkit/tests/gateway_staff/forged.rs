//! Tokens that are none of ours, and keys that change.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use devkit::github::AppKeys;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::{browser::Browser, log, world::World};

/// PKCS #8 of an Ed25519 key, before its 32 bytes.
const ED25519_PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// Header and claims of a token.
fn opened(token: &str) -> (Value, Value) {
    let parts: Vec<Value> = token
        .split('.')
        .take(2)
        .map(|part| serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect();
    (parts[0].clone(), parts[1].clone())
}

fn encoded(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

/// The claims signed with a key that we do not know, under some key id.
fn with_another_key(claims: &Value, kid: &str) -> String {
    let der = [ED25519_PREFIX.as_slice(), &[7; 32]].concat();
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::EdDSA) };
    encode(&header, claims, &EncodingKey::from_ed_der(&der)).unwrap()
}

/// The claims signed with the public key as if it were a shared secret.
fn with_public_key_as_secret(claims: &Value, kid: &str, public: &[u8]) -> String {
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) };
    encode(&header, claims, &EncodingKey::from_secret(public)).unwrap()
}

fn with_rsa(claims: &Value, kid: &str) -> String {
    let pem = AppKeys::generate().unwrap().private_key;
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::RS256) };
    encode(&header, claims, &EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap()).unwrap()
}

async fn keys(browser: &Browser<'_>) -> Vec<Value> {
    browser.get("/.well-known/jwks.json").await.ok()["keys"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_token_that_is_none_of_ours_is_refused_and_never_logged() {
    let world = World::start().await;
    let browser = world.signed_in("writer").await;
    let good = browser.cookie("access").unwrap();
    let (header, claims) = opened(&good);
    let kid = header["kid"].as_str().unwrap();
    let public = BASE64_URL_SAFE_NO_PAD.decode(keys(&browser).await[0]["x"].as_str().unwrap()).unwrap();
    let signature = good.rsplit('.').next().unwrap();
    let owner = world.signed_in("owner").await;
    let sub = opened(&owner.cookie("access").unwrap()).1["sub"].clone();
    let changed = |field: &str, value: Value| {
        let mut claims = claims.clone();
        claims[field] = value;
        claims
    };
    let middle = encoded(&claims);
    let table = [
        ("another person", format!("{}.{}.{signature}", encoded(&header), encoded(&changed("sub", sub)))),
        (
            "a longer life",
            format!("{}.{}.{signature}", encoded(&header), encoded(&changed("exp", json!(9_999_999_999_i64)))),
        ),
        ("no algorithm", format!("{}.{middle}.", encoded(&json!({"alg": "none", "kid": kid})))),
        ("no algorithm, signed", format!("{}.{middle}.{signature}", encoded(&json!({"alg": "none", "kid": kid})))),
        ("an unknown algorithm", format!("{}.{middle}.{signature}", encoded(&json!({"alg": "HS999", "kid": kid})))),
        ("another key under our id", with_another_key(&claims, kid)),
        ("another key under its own id", with_another_key(&claims, "k0123456789abcdef")),
        ("the public key as a secret", with_public_key_as_secret(&claims, kid, &public)),
        ("RSA", with_rsa(&claims, kid)),
        ("no key id", format!("{}.{middle}.{signature}", encoded(&json!({"alg": "EdDSA"})))),
        ("no signature", format!("{}.{middle}", encoded(&header))),
        ("cut", good[..good.len() - 6].to_owned()),
        ("cut early", good[..20].to_owned()),
        ("something else", "x.y.z".to_owned()),
        ("very long", "a".repeat(3_000)),
    ];
    for (what, token) in &table {
        browser.set_cookie("access", token);
        let answer = browser.get("/api/v1/me").await;
        assert_eq!((answer.status, answer.code()), (401, "token_invalid"), "{what}");
        assert!(!answer.body.to_string().contains(token.as_str()), "{what}");
    }
    browser.set_cookie("access", &good);
    browser.get("/api/v1/me").await.ok();
    let log = log::read();
    assert!(log.contains("an access token was refused"), "the log is read");
    let refresh = browser.cookie("refresh").unwrap();
    for secret in table.iter().map(|(_, token)| token.as_str()).chain([good.as_str(), &refresh]) {
        if secret.len() > 10 {
            let secret = &secret[secret.len().saturating_sub(30)..];
            assert!(!log.contains(secret), "{secret} is in the log");
        }
    }
}

#[tokio::test]
async fn a_token_of_another_platform_is_none_of_ours() {
    let (world, other) = (World::start().await, World::start().await);
    let (here, there) = (world.signed_in("writer").await, other.signed_in("writer").await);
    here.set_cookie("access", &there.cookie("access").unwrap());
    here.get("/api/v1/me").await.refused(401, "token_invalid");
    here.set_cookie("refresh", &there.cookie("refresh").unwrap());
    here.refresh().await.refused(401, "session_over");
}

#[tokio::test]
async fn keys_are_changed_under_people_who_are_signed_in() {
    let world = World::start().await;
    let browser = world.signed_in("writer").await;
    let before = keys(&browser).await;
    let old = gateway::auth::rotate(world.store(), &world.key, world.now()).await.unwrap();
    let new = gateway::auth::rotate(world.store(), &world.key, world.now()).await.unwrap();
    let ids = |keys: &[Value]| keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let now = ids(&keys(&browser).await);
    assert_eq!((now.len(), now[0].as_str()), (3, new.as_str()), "the newest, then those with living tokens");
    assert!(now.contains(&old) && now.contains(&ids(&before)[0]));
    // Nobody notices.
    browser.get("/api/v1/me").await.ok();
    browser.refresh().await.ok();
    browser.get("/api/v1/me").await.ok();
    assert_eq!(opened(&browser.cookie("access").unwrap()).0["kid"], new.as_str());
    // Once the last token of theirs is dead, the old ones are gone.
    world.pass(TimeDelta::minutes(20));
    assert_eq!(ids(&keys(&browser).await), [new]);
}

#[tokio::test]
async fn a_key_that_was_taken_away_opens_nothing() {
    let world = World::start().await;
    let browser = world.signed_in("writer").await;
    browser.get("/api/v1/me").await.ok();
    gateway::auth::rotate(world.store(), &world.key, world.now() - TimeDelta::hours(1)).await.unwrap();
    world.pass(TimeDelta::seconds(30));
    browser.get("/api/v1/me").await.refused(401, "token_invalid");
    browser.refresh().await.ok();
    browser.get("/api/v1/me").await.ok();
}

#[tokio::test]
async fn a_key_has_its_time() {
    let world = World::start().await;
    let first = world.signed_in("writer").await;
    let kid = |browser: &Browser<'_>| opened(&browser.cookie("access").unwrap()).0["kid"].clone();
    let before = kid(&first);
    world.pass(gateway::auth::KEY_LIFE);
    let second = world.signed_in("writer").await;
    assert_ne!(kid(&second), before);
    second.get("/api/v1/me").await.ok();
}
