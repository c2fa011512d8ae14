//! What the runner relies on in Codex itself; to be looked at with every new version.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Stdio,
};

use devkit::model::{Options, ScriptedModel};

use crate::job::{TOKEN, real_codex};

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

async fn codex(home: &Path, config: &str, arguments: &[&str]) -> Ended {
    std::fs::write(home.join("config.toml"), config).unwrap();
    let output = tokio::process::Command::new(real_codex())
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("CODEX_HOME", home)
        .env("HOME", home)
        .env("RUN_TOKEN", TOKEN)
        .current_dir(home)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

#[tokio::test]
async fn it_is_the_pinned_version() {
    let ended = codex(home().path(), "", &["--version"]).await;
    assert_eq!(ended.stdout.trim(), "codex-cli 0.169.0");
}

#[tokio::test]
async fn an_unknown_flag_is_usage_on_standard_error() {
    let ended = codex(home().path(), "", &["exec", "--no-such-flag"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("Usage"));
}

#[tokio::test]
async fn an_unknown_key_is_refused_in_strict_mode() {
    let ended = codex(home().path(), "no_such_key = 1\n", &["exec", "--json", "--strict-config", "hello"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("no_such_key"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_folder_without_a_repository_is_refused_without_json() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["exec", "--json", "--cd", folder.path().to_str().unwrap(), "hello"];
    let ended = codex(home().path(), "", &arguments).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(!ended.stderr.is_empty());
}

#[tokio::test]
async fn a_missing_token_fails_the_turn_without_a_request() {
    let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let options = Options { bind, api_key: TOKEN.to_owned(), scenario_dir: None };
    let model = ScriptedModel::start(options).await.unwrap();
    let config = |variable: &str| {
        format!(
            "model = 'm'\nmodel_provider = 'p'\n[model_providers.p]\nname = 'p'\nbase_url = '{}/v1'\n\
             wire_api = 'responses'\nenv_key = '{variable}'\nsupports_websockets = false\n",
            model.url()
        )
    };
    let arguments = ["exec", "--json", "--skip-git-repo-check", "[scenario:plan]"];
    let home = home();
    let ended = codex(home.path(), &config("NO_SUCH_VARIABLE"), &arguments).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("turn.failed"), "{}", ended.stdout);
    assert!(model.requests().is_empty());

    let ended = codex(home.path(), &config("RUN_TOKEN"), &arguments).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("turn.completed"));
    model.shutdown().await;
}
