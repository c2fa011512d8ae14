//! Who may do what, and how the others are told.

use devkit::github::{AccountKind, NewRepo, NewUser};
use http::StatusCode;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_wrong_token_is_refused_even_where_none_is_needed() {
    let world = World::start().await;
    let answer = world.with_token("github_pat_made_up").get("/repos/acme/greeter").await;
    assert_eq!(answer.expect(StatusCode::UNAUTHORIZED)["message"], "Bad credentials");
    world.nobody().get("/repos/acme/greeter").await.ok();
    let nobody = world.nobody().get("/user").await.expect(StatusCode::UNAUTHORIZED);
    assert_eq!(nobody["message"], "Requires authentication");
}

#[tokio::test]
async fn a_token_may_come_as_bearer_token_or_password() {
    let world = World::start().await;
    let token = world.stand_in.token("writer").unwrap();
    for request in [
        world.nobody().request(http::Method::GET, "/user").bearer_auth(&token),
        world.nobody().request(http::Method::GET, "/user").header("authorization", format!("token {token}")),
        world.nobody().request(http::Method::GET, "/user").basic_auth("anything", Some(&token)),
    ] {
        assert_eq!(crate::world::answer(request).await.ok()["login"], "writer");
    }
}

#[tokio::test]
async fn a_missing_right_is_403_and_settings_are_404() {
    let world = World::start().await;
    let outsider = world.person("outsider");
    let refused = outsider.post("/repos/acme/greeter/issues/1/labels", json!({"labels": ["bug"]})).await;
    refused.expect(StatusCode::FORBIDDEN);
    outsider.get("/repos/acme/greeter/hooks").await.expect(StatusCode::NOT_FOUND);
    world.person("writer").get("/repos/acme/greeter/hooks").await.expect(StatusCode::NOT_FOUND);
    world.nobody().post("/repos/acme/greeter/issues", json!({"title": "x"})).await.expect(StatusCode::UNAUTHORIZED);
    assert!(world.stand_in.labels("acme/greeter", 1).unwrap().is_empty());
}

#[tokio::test]
async fn a_private_repository_does_not_exist_for_outsiders() {
    let world = World::start().await;
    let new = NewRepo { name: "secret".into(), description: None, private: true };
    world.stand_in.create_repo("acme", new).await.unwrap();
    let role = devkit::github::Role::Read;
    world.stand_in.add_collaborator("acme/secret", "writer", role).unwrap();
    world.person("outsider").get("/repos/acme/secret").await.expect(StatusCode::NOT_FOUND);
    world.nobody().get("/repos/acme/secret").await.expect(StatusCode::NOT_FOUND);
    let reader = world.person("writer");
    reader.get("/repos/acme/secret").await.ok();
    reader.post("/repos/acme/secret/labels", json!({"name": "x"})).await.expect(StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn permission_is_told_to_those_who_may_push() {
    let world = World::start().await;
    let bot = world.person("codex-bot");
    for (login, permission, role) in
        [("maintainer", "admin", "admin"), ("writer", "write", "write"), ("outsider", "read", "read")]
    {
        let told = bot.get(&format!("/repos/acme/greeter/collaborators/{login}/permission")).await.ok();
        assert_eq!((&told["permission"], &told["role_name"]), (&json!(permission), &json!(role)));
        assert_eq!(told["user"]["login"], login);
    }
    let path = "/repos/acme/greeter/collaborators/writer/permission";
    world.person("outsider").get(path).await.expect(StatusCode::FORBIDDEN);
    bot.get("/repos/acme/greeter/collaborators/ghost/permission").await.expect(StatusCode::NOT_FOUND);
    let new = NewRepo { name: "secret".into(), description: None, private: true };
    world.stand_in.create_repo("acme", new).await.unwrap();
    let role = devkit::github::Role::Write;
    world.stand_in.add_collaborator("acme/secret", "codex-bot", role).unwrap();
    let told = bot.get("/repos/acme/secret/collaborators/outsider/permission").await.ok();
    assert_eq!(told["permission"], "none");
}

#[tokio::test]
async fn an_archived_repository_is_read_only() {
    let world = World::start().await;
    let maintainer = world.person("maintainer");
    maintainer.patch("/repos/acme/greeter", json!({"archived": true})).await.ok();
    let refused = maintainer.post("/repos/acme/greeter/issues/1/comments", json!({"body": "hello"})).await;
    let told = refused.expect(StatusCode::FORBIDDEN);
    assert_eq!(told["message"], "Repository was archived so is read-only.");
    maintainer.get("/repos/acme/greeter/issues/1").await.ok();
    maintainer.patch("/repos/acme/greeter", json!({"archived": false})).await.ok();
    maintainer.post("/repos/acme/greeter/issues/1/comments", json!({"body": "hello"})).await.created();
}

#[tokio::test]
async fn people_can_be_made_with_a_token_of_ones_choice() {
    let world = World::start().await;
    let new = NewUser { login: "late".into(), name: None, kind: AccountKind::User, token: Some("late-token".into()) };
    world.stand_in.create_user(new.clone()).unwrap();
    assert_eq!(world.with_token("late-token").get("/user").await.ok()["login"], "late");
    assert!(world.stand_in.create_user(new).is_err());
    assert_eq!(world.nobody().get("/users/LATE").await.ok()["type"], "User");
}
