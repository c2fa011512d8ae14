//! Who is let in, and who is not.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use devkit::github::{AccountKind, Address, Effect, Fault, NewUser};
use gateway::{AppState, auth::TrustedProxies, hook_secrets::GatewayKey};
use serde_json::json;
use store::{blobs::Blobs, people, testing::TestDatabase};
use tokio::net::TcpListener;

use crate::world::{World, parts, serve};

#[tokio::test]
async fn whoever_is_on_the_list_signs_in_and_is_known() {
    let world = World::start().await;
    let browser = world.browser();
    browser.get("/api/v1/me").await.refused(401, "signed_out");
    let answer = browser.sign_in("writer").await;
    assert_eq!((answer.status, answer.header("location")), (303, format!("{}/runs", world.url()).as_str()));
    let me = browser.get("/api/v1/me").await.ok();
    assert_eq!((&me["login"], &me["email"]), (&json!("writer"), &json!("writer@people.example")));
    assert_eq!(me["projects"], json!([{"project": "demo", "role": "write"}]));
    assert_eq!((&me["role"], &me["signed_in_with"]["kind"]), (&json!("none"), &json!("session")));
    let id = world.stand_in.user("writer").unwrap().id;
    assert_eq!(world.person("writer").await.github_id, Some(i64::try_from(id).unwrap()));
    assert_eq!(world.audited("sign_in.done").await.len(), 1);
    assert!(browser.cookie("sign-in").is_none(), "the state's cookie is gone");
}

#[tokio::test]
async fn the_first_owner_comes_from_the_settings() {
    let world = World::start().await;
    let me = world.signed_in("owner").await.get("/api/v1/me").await.ok();
    assert_eq!(me["role"], "owner");
}

#[tokio::test]
async fn nobody_registers() {
    let world = World::start().await;
    let browser = world.browser();
    browser.sign_in("stranger").await.refused(403, "not_on_the_list");
    assert!(browser.cookie("access").is_none() && browser.cookie("refresh").is_none());
    assert_eq!(world.audited("sign_in.refused").await[0]["reason"], "not_on_the_list");
}

#[tokio::test]
async fn an_address_that_is_not_verified_or_not_primary_lets_nobody_in() {
    let world = World::start().await;
    let [writer, reader] = ["writer@people.example", "reader@people.example"];
    world.stand_in.set_emails("stranger", vec![Address::primary(writer, false)]).unwrap();
    world.browser().sign_in("stranger").await.refused(403, "email_not_verified");
    let second = Address { email: reader.into(), primary: false, verified: true };
    let addresses = vec![Address::primary("stranger@people.example", true), second];
    world.stand_in.set_emails("stranger", addresses).unwrap();
    world.browser().sign_in("stranger").await.refused(403, "not_on_the_list");
}

#[tokio::test]
async fn another_account_with_the_address_is_refused_and_audited() {
    let world = World::start().await;
    world.signed_in("writer").await;
    let new = NewUser { login: "impostor".into(), name: None, kind: AccountKind::User, token: None };
    world.stand_in.create_user(new).unwrap();
    world.stand_in.set_emails("impostor", vec![Address::primary("Writer@People.Example", true)]).unwrap();
    world.browser().sign_in("impostor").await.refused(403, "another_account");
    let refused = &world.audited("sign_in.refused").await[0];
    assert_eq!((&refused["reason"], &refused["login"]), (&json!("another_account"), &json!("impostor")));
    // The account itself may not move to another address either.
    world.stand_in.set_emails("writer", vec![Address::primary("outsider@people.example", true)]).unwrap();
    world.browser().sign_in("writer").await.refused(403, "account_bound_elsewhere");
}

#[tokio::test]
async fn who_is_locked_out_stays_out() {
    let world = World::start().await;
    let person = world.person("writer").await;
    let mut conn = world.store().acquire().await.unwrap();
    people::set_standing(&mut conn, person.id, person.role, Some(Utc::now())).await.unwrap();
    world.browser().sign_in("writer").await.refused(403, "person_disabled");
}

#[tokio::test]
async fn a_sign_in_is_completed_once_and_by_the_browser_that_began_it() {
    let world = World::start().await;
    let browser = world.browser();
    let asked = browser.begin().await;
    let thief = browser.copied();
    let back = browser.agree(&asked, "writer").await;
    // Another browser with the same answer, which is how somebody is signed in as another against their will.
    let other = world.browser();
    other.begin().await;
    other.get(&back).await.refused(400, "state_mismatch");
    world.browser().get(&back).await.refused(400, "sign_in_stale");
    assert_eq!(browser.get(&back).await.status, 303);
    browser.get(&back).await.refused(400, "sign_in_stale");
    // Even with the cookie of before: the answer was taken.
    thief.get(&back).await.refused(400, "state_used");
}

#[tokio::test]
async fn a_sign_in_that_takes_too_long_is_begun_anew() {
    let world = World::start().await;
    let browser = world.browser();
    let asked = browser.begin().await;
    let back = browser.agree(&asked, "writer").await;
    world.pass(TimeDelta::minutes(10));
    browser.get(&back).await.refused(400, "sign_in_stale");
}

#[tokio::test]
async fn a_code_for_another_verifier_is_worth_nothing() {
    let world = World::start().await;
    let browser = world.browser();
    let mut asked = browser.begin().await;
    // A code that somebody else got: its challenge belongs to their verifier.
    asked.insert("code_challenge".into(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".into());
    let back = browser.agree(&asked, "writer").await;
    browser.get(&back).await.refused(403, "sign_in_refused");
    // One that was got without any is none of ours either.
    let mut asked = browser.begin().await;
    asked.remove("code_challenge");
    asked.remove("code_challenge_method");
    let back = browser.agree(&asked, "writer").await;
    browser.get(&back).await.refused(403, "sign_in_refused");
}

#[tokio::test]
async fn who_says_no_at_github_is_told_so() {
    let world = World::start().await;
    let browser = world.browser();
    let asked = browser.begin().await;
    let back = browser.agree(&asked, "").await;
    browser.get(&back).await.refused(403, "sign_in_denied");
}

#[tokio::test]
async fn a_person_is_led_back_to_a_page_that_says_what_is_wrong() {
    let world = World::start().await;
    let browser = world.browser();
    let asked = browser.begin().await;
    let back = browser.agree(&asked, "stranger").await;
    let request = browser.request(reqwest::Method::GET, &back).header("accept", "text/html,*/*");
    let answer = browser.send(request).await;
    let page = format!("{}/sign-in?problem=not_on_the_list", world.url());
    assert_eq!((answer.status, answer.header("location")), (303, page.as_str()));
}

#[tokio::test]
async fn github_being_away_is_told_as_that() {
    let world = World::start().await;
    let browser = world.browser();
    let asked = browser.begin().await;
    let back = browser.agree(&asked, "writer").await;
    world.stand_in.fail(Fault::once("GET", "/user/emails", Effect::Error(502)));
    browser.get(&back).await.refused(503, "github_unavailable");
}

/// How many of 40 sign-ins may begin, each said to be forwarded for somebody else.
async fn begun(world: &World, forwarded: impl Fn(u32) -> String) -> usize {
    let browser = world.browser();
    let mut begun = 0;
    for number in 0..40 {
        let request = browser.request(reqwest::Method::GET, "/auth/login").header("x-forwarded-for", forwarded(number));
        let answer = browser.send(request).await;
        if answer.status == 303 {
            begun += 1;
        } else {
            answer.refused(429, "too_many_sign_ins");
        }
    }
    begun
}

#[tokio::test]
async fn whom_a_request_is_said_to_come_from_is_believed_of_proxies_alone() {
    let invented = |number: u32| format!("198.51.100.{number}");
    let world = World::trusting(TrustedProxies::none()).await;
    assert_eq!(begun(&world, invented).await, 30, "this machine is one client, whatever it says");
    // Behind a proxy: everybody whom it saw is somebody else, and what they said before does not count.
    let world = World::trusting("127.0.0.1".parse().unwrap()).await;
    assert_eq!(begun(&world, invented).await, 40);
    assert_eq!(begun(&world, |number| format!("198.51.101.{number}, 203.0.113.9")).await, 30);
}

#[tokio::test]
async fn without_its_settings_the_gateway_says_so() {
    let (database, folder) = (TestDatabase::create().await, tempfile::tempdir().unwrap());
    let blobs = Blobs::local(folder.path()).unwrap();
    let parts = parts(database.store().clone(), blobs, GatewayKey::generate(), Arc::new(Utc::now));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = serve(listener, AppState::new(parts));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (path, status, code) in [
        ("/auth/login", 503, "sign_in_not_configured"),
        ("/auth/callback?code=x&state=y", 503, "sign_in_not_configured"),
        ("/api/v1/me", 401, "signed_out"),
    ] {
        let answer = client.get(format!("{url}{path}")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(body["code"], code, "{path}");
    }
    server.abort();
}
