//! What is let in and what is not.

use serde_json::json;

use crate::{
    events::labeled,
    world::{SECRET_BEFORE, World, problem, sign},
};

#[tokio::test]
async fn both_of_the_platforms_secrets_are_good() {
    let world = World::new().await;
    let body = labeled(1, "bug", 0).to_string().into_bytes();
    let accepted = world.webhook("issues", "guid-1", body.clone()).send().await.unwrap();
    assert_eq!(accepted.status().as_u16(), 202);
    let old = sign(SECRET_BEFORE, &body);
    let accepted = world.unsigned("issues", "guid-2", body.clone()).header("x-hub-signature-256", old).send().await;
    assert_eq!(accepted.unwrap().status().as_u16(), 202);
    let other = sign("another", &body);
    let refused = world.unsigned("issues", "guid-3", body).header("x-hub-signature-256", other).send().await.unwrap();
    assert_eq!(problem(refused).await, (401, "signature_invalid".to_owned()));
    assert_eq!(world.deliveries().await.len(), 2);
}

#[tokio::test]
async fn the_published_vector_opens_the_door_and_then_is_no_json() {
    let mut world = World::new().await;
    let state = crate::world::state_with_secret(&world, "It's a Secret to Everybody");
    let (address, server) = crate::world::listen(state).await;
    world.address = address;
    let vector = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let send = |body: &str, signature: &str| {
        let request = world.unsigned("ping", "guid", body.as_bytes().to_vec());
        request.header("x-hub-signature-256", signature).send()
    };
    let good = send("Hello, World!", vector).await.unwrap();
    assert_eq!(problem(good).await, (400, "body_not_json".to_owned()));
    let changed = send("Hello, World?", vector).await.unwrap();
    assert_eq!(problem(changed).await, (401, "signature_invalid".to_owned()));
    server.abort();
}

#[tokio::test]
async fn a_missing_header_is_400_and_a_malformed_signature_401() {
    let world = World::new().await;
    let body = json!({}).to_string();
    for missing in ["x-github-event", "x-github-delivery", "x-hub-signature-256"] {
        let headers = [
            ("x-github-event", "ping".to_owned()),
            ("x-github-delivery", "guid".to_owned()),
            ("x-hub-signature-256", sign(crate::world::SECRET, body.as_bytes())),
        ];
        let mut request = world.client.post(world.url("/webhooks/github")).body(body.clone());
        for (name, value) in headers.into_iter().filter(|(name, _)| *name != missing) {
            request = request.header(name, value);
        }
        assert_eq!(problem(request.send().await.unwrap()).await, (400, "header_missing".to_owned()), "{missing}");
    }
    for malformed in ["sha256=12", "sha1=757107ea0eb2509fc211221cce984b8a37570b6d", "", "sha256=é"] {
        let request = world.unsigned("ping", "guid", body.clone().into_bytes());
        let refused = request.header("x-hub-signature-256", malformed.as_bytes()).send().await.unwrap();
        assert_eq!(problem(refused).await, (401, "signature_invalid".to_owned()), "{malformed}");
    }
    assert!(world.deliveries().await.is_empty());
}

#[tokio::test]
async fn broken_json_is_400_after_a_good_signature_only() {
    let world = World::new().await;
    for broken in [&b"{\"a\":"[..], b"", b"\xff\xfe", b"payload=%7B%7D"] {
        let refused = world.webhook("issues", "guid", broken.to_vec()).send().await.unwrap();
        assert_eq!(problem(refused).await, (400, "body_not_json".to_owned()), "{broken:?}");
    }
    for odd in ["[]", "null", "3", "\"text\"", "{}", "{\"issue\":7,\"action\":\"labeled\"}"] {
        let accepted = world.webhook("issues", odd, odd.as_bytes().to_vec()).send().await.unwrap();
        assert_eq!(accepted.status().as_u16(), 202, "{odd}");
    }
    assert_eq!(world.deliveries().await.len(), 6);
}

#[tokio::test]
async fn the_same_guid_keeps_its_verdict_and_has_no_second_effect() {
    let world = World::new().await;
    let first = world.send("issues", "guid", &labeled(1, "run:dev", 0)).await;
    assert_eq!(first["verdict"], "started", "{first}");
    let again = world.send("issues", "guid", &labeled(1, "run:dev", 0)).await;
    assert_eq!(again, first);
    let run = first["run"].as_str().unwrap().parse().unwrap();
    assert_eq!((world.deliveries().await.len(), world.commands(run).await.len()), (1, 1));
}

#[tokio::test]
async fn other_addresses_and_methods_are_problems_too() {
    let world = World::new().await;
    let absent = world.client.get(world.url("/nowhere")).send().await.unwrap();
    assert_eq!(problem(absent).await, (404, "not_found".to_owned()));
    let wrong = world.client.get(world.url("/webhooks/github")).send().await.unwrap();
    assert_eq!(wrong.headers()["allow"], "POST");
    assert_eq!(problem(wrong).await, (405, "method_not_allowed".to_owned()));
    let named = world.client.get(world.url("/healthz")).header("x-request-id", "abc-1").send().await.unwrap();
    assert_eq!((named.status().as_u16(), &named.headers()["x-request-id"]), (200, &"abc-1".parse().unwrap()));
}
