//! Making a project, what its settings say, exporting and deleting it. What the worker makes of a deletion: `platform/deleting.rs`.

use domain::{
    run::Outcome,
    services_yaml::{BudgetConfig, PlatformBudgets, ServicesYaml},
    told_settings::{ToldProvider, ToldRole, ToldSetting, ToldSettings},
};
use serde_json::{Value, json};
use store::{members, project_deletions, repositories, role_settings, runs as rows};

use crate::{
    runs::{ended_run, finish, repositories as with_repositories, run},
    world::{PROJECT, World},
};

#[tokio::test]
async fn who_runs_the_platform_makes_projects() {
    let world = World::start().await;
    let admin = world.signed_in("admin").await;
    for (body, code) in [
        (json!({"slug": "Not Good"}), "slug_invalid"),
        (json!({"slug": "-x"}), "slug_invalid"),
        (json!({"slug": "new", "slots": 1001}), "slots_invalid"),
        (json!({"name": "new"}), "body_invalid"),
    ] {
        admin.post("/api/v1/projects", body).await.refused(400, code);
    }
    let made = admin.post("/api/v1/projects", json!({"slug": "new", "slots": 2})).await;
    assert_eq!((made.status, &made.body["slots"], &made.body["my_role"]), (201, &json!(2), &json!("admin")));
    admin.post("/api/v1/projects", json!({"slug": "new"})).await.refused(409, "project_exists");
    assert_eq!(admin.get("/api/v1/projects/new").await.ok()["slug"], json!("new"));
    assert_eq!(world.audited("project.made").await.len(), 1);
}

#[tokio::test]
async fn a_projects_settings_are_shown_with_where_they_come_from() {
    let world = World::start().await;
    let (greeter, _) = with_repositories(&world).await;
    let reader = world.signed_in("reader").await;
    let shown = reader.get("/api/v1/projects/demo/settings").await.ok();
    assert_eq!((&shown["platform_known"], &shown["repositories"][0]["has_file"]), (&json!(false), &json!(false)));

    let yaml = "version: 1\nlearning: summary\nbudget: {per_day_usd: 50}\n\
        schedules:\n  - {name: nightly, cron: 0 3 * * *, agent: dev, title: Look}\n";
    let config = serde_json::to_value(ServicesYaml::parse(yaml).unwrap()).unwrap();
    let sha = "a".repeat(40);
    let mut conn = world.store().acquire().await.unwrap();
    repositories::set_config(&mut conn, greeter, Some(config), &sha, None).await.unwrap();
    let ceiling = BudgetConfig { per_day_usd: Some("20".parse().unwrap()), ..BudgetConfig::default() };
    let told = ToldSettings {
        version: "1".into(),
        budgets: Some(PlatformBudgets { ceiling, ..PlatformBudgets::default() }),
        ..ToldSettings::default()
    };
    role_settings::put(&mut conn, ToldRole::Worker, &told, world.now()).await.unwrap();
    let shown = reader.get("/api/v1/projects/demo/settings").await.ok();
    let one = &shown["repositories"][0];
    assert_eq!(
        (&shown["platform_known"], &one["learning"], &one["sha"]),
        (&json!(true), &json!("summary"), &json!(sha))
    );
    assert_eq!(one["schedules"][0]["agent"], json!("dev"));
    let day = one["budgets"].as_array().unwrap().iter().find(|budget| budget["name"] == "per_day_usd").unwrap();
    assert_eq!(
        (&day["wanted"], &day["ceiling"], &day["in_force"]),
        (&json!("$50.00"), &json!("$20.00"), &json!("$20.00"))
    );
    assert_eq!(day["ceiling_variable"], json!("BUDGET_MAX_PER_DAY_USD"));
}

#[tokio::test]
async fn the_platforms_settings_are_shown_to_those_who_run_it() {
    let world = World::start().await;
    let mut conn = world.store().acquire().await.unwrap();
    let told = |version: &str, days: u32| ToldSettings {
        version: version.into(),
        settings: vec![ToldSetting::set("LOG_DAYS", &days)],
        ..ToldSettings::default()
    };
    let before = world.now() - chrono::TimeDelta::seconds(5);
    role_settings::put(&mut conn, ToldRole::Worker, &told("2", 7), world.now()).await.unwrap();
    // A process that began earlier and comes later with it changes nothing.
    role_settings::put(&mut conn, ToldRole::Worker, &told("1", 90), before).await.unwrap();
    let provider =
        ToldProvider { name: "first".into(), host: "models.example".into(), models: Some(vec!["m".into()]), keys: 2 };
    let of_models = ToldSettings { providers: vec![provider], ..told("2", 1) };
    role_settings::put(&mut conn, ToldRole::ModelGateway, &of_models, world.now()).await.unwrap();
    let shown = world.signed_in("admin").await.get("/api/v1/settings").await.ok();
    let worker = shown["roles"].as_array().unwrap().iter().find(|role| role["role"] == "worker").unwrap();
    assert_eq!((&worker["version"], &worker["settings"][0]["value"]), (&json!("2"), &json!("7")));
    assert_eq!((&shown["providers"][0]["name"], &shown["providers"][0]["keys"]), (&json!("first"), &json!(2)));
    assert_eq!(shown["slots"], json!([{"project": PROJECT, "slots": 3}]));
    assert!(shown["database_version"].as_str().is_some_and(|version| !version.is_empty()));
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let newest = files.max().unwrap();
    let schema = newest.strip_suffix(".sql").unwrap().split_once('_').unwrap();
    assert_eq!(shown["schema"]["version"], json!(schema.0));
    assert_eq!(shown["schema"]["change"], json!(schema.1.replace('_', " ")));
    assert_eq!(shown["version"], json!(env!("CARGO_PKG_VERSION")));
    world.signed_in("project-admin").await.get("/api/v1/settings").await.refused(403, "role_missing");
}

fn lines(body: &Value) -> Vec<Value> {
    body.as_str().unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_kind(all: &[Value], kind: &str) -> Vec<Value> {
    all.iter().filter(|line| line["kind"] == kind).cloned().collect()
}

#[tokio::test]
async fn an_export_has_everything_of_the_project_and_nothing_of_others() {
    let world = World::start().await;
    let (greeter, vault) = with_repositories(&world).await;
    for number in 1..=450 {
        let id = run(&world, greeter, number, world.now() - chrono::TimeDelta::seconds(number)).await;
        finish(&world, id, Outcome::Failed).await;
    }
    run(&world, vault, 1, world.now()).await;
    let admin = world.signed_in("project-admin").await;
    let answer = admin.get("/api/v1/projects/demo/export").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"));
    assert!(answer.header("content-disposition").contains("demo.jsonl"));
    let all = lines(&answer.body);
    assert_eq!(all[0]["kind"], json!("project"));
    assert_eq!(all.last().unwrap(), &json!({"kind": "end"}));
    assert_eq!(of_kind(&all, "run").len(), 450);
    assert_eq!(of_kind(&all, "attempt").len(), 450);
    let mut numbers: Vec<i64> = of_kind(&all, "run").iter().map(|run| run["number"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=450).collect::<Vec<_>>(), "each once");
    assert_eq!(of_kind(&all, "member").len(), 3);
    assert_eq!(of_kind(&all, "repository").len(), 1);
    assert!(!answer.body.to_string().contains(&vault.to_string()));
    let audited = world.audited("project.exported").await;
    assert_eq!((audited.len(), &audited[0]["name"]), (1, &json!("demo")));
}

#[tokio::test]
async fn a_deleted_project_can_be_read_and_not_changed() {
    let world = World::start().await;
    let ended = ended_run(&world).await;
    let (admin, owner) = (world.signed_in("project-admin").await, world.signed_in("owner").await);
    let path = "/api/v1/projects/demo/delete";
    let wish = |name: &str, reason: &str| json!({"name": name, "reason": reason});
    for (body, code) in [
        (wish("demo", " "), "reason_missing"),
        (wish("Demo", "x"), "name_differs"),
        (json!({"reason": "x"}), "body_invalid"),
    ] {
        admin.post(path, body).await.refused(400, code);
    }
    let keyed = || {
        let request = admin.request(reqwest::Method::POST, path).header("idempotency-key", "once");
        request.json(&wish("demo", "It is over."))
    };
    let begun = admin.send(keyed()).await;
    assert_eq!((begun.status, &begun.body["deletion"]["reason"]), (202, &json!("It is over.")), "{}", begun.body);
    let again = admin.send(keyed()).await;
    assert_eq!((again.status, again.body), (202, begun.body), "the same wish gets the same answer");
    admin.post(path, wish("demo", "again")).await.refused(409, "project_deleted");

    let mut conn = world.store().acquire().await.unwrap();
    let greeter = rows::get(&mut conn, ended).await.unwrap().repository_id;
    assert!(
        repositories::get(&mut conn, greeter).await.unwrap().detached_at.is_some(),
        "nothing starts there any more"
    );
    let token = json!({"repository": "acme/new", "token": "github_pat_x"});
    admin.post("/api/v1/projects/demo/repositories", token).await.refused(409, "project_deleted");
    admin.patch("/api/v1/projects/demo", json!({"slots": 1})).await.refused(409, "project_deleted");
    assert_eq!(admin.get(&format!("/api/v1/runs/{ended}")).await.status, 200);
    assert_eq!(admin.get("/api/v1/projects/demo/export").await.status, 200);
    let shown = admin.get("/api/v1/projects/demo").await.ok();
    assert_eq!((&shown["deletion"]["by"], &shown["deletion"]["ended_at"]), (&json!("project-admin"), &Value::Null));

    // Once nothing is left it is for those who run the platform alone.
    let reader = world.person("reader").await.id;
    let id = members::project(&mut conn, PROJECT, reader).await.unwrap().unwrap().id;
    let mut tx = world.store().begin().await.unwrap();
    assert_eq!(project_deletions::end(&mut tx, id, world.now()).await.unwrap().map(|who| who.len()), Some(3));
    tx.commit().await.unwrap();
    admin.get("/api/v1/projects/demo").await.refused(404, "project_not_found");
    admin.get(&format!("/api/v1/runs/{ended}")).await.refused(404, "run_not_found");
    assert_eq!(owner.get(&format!("/api/v1/runs/{ended}")).await.status, 200);
    let shown = owner.get("/api/v1/projects").await.ok();
    let demo = shown["items"].as_array().unwrap().iter().find(|project| project["slug"] == "demo").unwrap();
    assert!(demo["deletion"]["ended_at"].is_string(), "{demo}");
    owner.post("/api/v1/projects", json!({"slug": "demo"})).await.refused(409, "project_exists");
    assert_eq!(of_kind(&lines(&owner.get("/api/v1/projects/demo/export").await.body), "run").len(), 1);
    assert_eq!(world.audited("project.deleting").await[0]["reason"], json!("It is over."));
}
