//! The binary as its users call it.

#![allow(clippy::unwrap_used, reason = "a test fails where it is surprised")]

use std::{
    io::{BufRead as _, BufReader, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

const TOKEN: &str = "github_pat_hunter2";

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_codex-k8s"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn key(folder: &Path, kind: &str) -> String {
    let path = folder.join(kind).to_str().unwrap().to_owned();
    let output = command(&["keys", "generate", kind, &path]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    path
}

#[test]
fn every_missing_setting_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    let token = token.to_str().unwrap();
    let output =
        command(&["repo", "add", "acme/greeter", "--project", "demo", "--token-file", token]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    for variable in ["CODEX_K8S_INSTANCE", "DATABASE_URL", "GATEWAY_KEY_FILE", "SEALING_PUBLIC_KEY_FILE", "PUBLIC_URL"]
    {
        assert!(said(&output).contains(variable), "{variable}: {}", said(&output));
    }
}

#[test]
fn wrong_usage_has_a_code_of_its_own() {
    for arguments in [
        &["repo", "add", "acme/greeter"][..],
        &["repo", "check", "greeter"],
        &["repo"],
        // Nothing says in whose name runs would be cancelled.
        &["repo", "detach", "acme/greeter", "--reason", "x", "--cancel-runs"],
        &["project", "export"],
        &["project", "delete", "demo", "--confirm", "demo"],
    ] {
        assert_eq!(command(arguments).output().unwrap().status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_database_that_is_away_is_said_without_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let (gateway, sealing) = (key(folder.path(), "gateway"), key(folder.path(), "sealing"));
    let mut child = command(&["repo", "add", "acme/greeter", "--project", "demo", "--token-file", "-"])
        .env("CODEX_K8S_INSTANCE", "test")
        .env("DATABASE_URL", "postgres://nobody:hunter3@127.0.0.1:1/none")
        .env("GATEWAY_KEY_FILE", gateway)
        .env("SEALING_PUBLIC_KEY_FILE", format!("{sealing}.pub"))
        .env("PUBLIC_URL", "https://codex.example")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(TOKEN.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = said(&output);
    assert!(said.contains("DATABASE_URL") && !said.contains("hunter"), "{said}");
}

/// The worker's settings, whole; its cluster is still to be found.
fn worker_check(folder: &Path) -> Command {
    let (sealing, run_token) = (folder.join("sealing"), folder.join("run-token"));
    if !sealing.exists() {
        key(folder, "sealing");
    }
    std::fs::write(&run_token, "5a".repeat(32)).unwrap();
    let mut check = command(&["config", "check", "worker"]);
    check
        .env("HOME", folder)
        .env("CODEX_K8S_INSTANCE", "test")
        .env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")
        .env("TEMPORAL_ADDRESS", "127.0.0.1:1")
        .env("FORGE_URL", "https://api.github.com")
        .env("GATEWAY_URL", "http://gateway:8080")
        .env("MODEL_GATEWAY_URL", "http://models:8081")
        .env("BLOB_DIR", folder)
        .env("MIRROR_DIR", folder)
        .env("SEALING_PRIVATE_KEY_FILE", sealing)
        .env("RUN_TOKEN_KEY_FILE", run_token)
        .env("RUNNER_IMAGE", "runner:1");
    check
}

#[test]
fn a_worker_without_a_cluster_says_what_helps() {
    let folder = tempfile::tempdir().unwrap();
    let output = worker_check(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("KUBECONFIG"), "{}", said(&output));

    let kubeconfig = folder.path().join("kubeconfig");
    let text = "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
        clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]\n\
        users: [{name: u, user: {}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n";
    std::fs::write(&kubeconfig, text).unwrap();
    let output = worker_check(folder.path()).env("KUBECONFIG", kubeconfig).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("the Kubernetes cluster at http://127.0.0.1:9/ can't be used"), "{}", said(&output));

    let output = worker_check(folder.path()).env("JOBS_IN", "processes").env_remove("RUNNER_IMAGE").output().unwrap();
    for variable in ["JOBS_IN", "RUNNER_IMAGE"] {
        assert!(said(&output).contains(variable), "{variable}: {}", said(&output));
    }
}

#[test]
fn staff_commands_say_where_the_token_comes_from_and_never_take_it_as_an_argument() {
    for arguments in [
        &["run", "list", "--help"][..],
        &["run", "show", "--help"],
        &["run", "start", "--help"],
        &["logs", "--help"],
        &["cancel", "--help"],
        &["retry", "--help"],
        &["why", "--help"],
        &["project", "export", "--help"],
        &["project", "delete", "--help"],
    ] {
        let output = command(arguments).output().unwrap();
        let help = said(&output);
        assert!(output.status.success(), "{help}");
        assert!(help.contains("CODEX_K8S_TOKEN_FILE") && help.contains("Exit codes:"), "{arguments:?}: {help}");
        assert!(!help.contains("--token ") && !help.contains("--token="), "{arguments:?}: {help}");
    }
}

#[test]
fn staff_commands_tell_what_is_missing_and_who_does_not_answer() {
    let run = "01900000-0000-7000-8000-000000000000";
    let nowhere = command(&["why", run]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(2), "{}", said(&nowhere));
    let url = ["CODEX_K8S_URL", "http://127.0.0.1:1"];
    let nobody = command(&["why", run]).env(url[0], url[1]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(1));
    assert!(said(&nobody).contains("CODEX_K8S_TOKEN_FILE"), "{}", said(&nobody));
    let away = command(&["why", run]).env(url[0], url[1]).env("CODEX_K8S_TOKEN", "ck8s_hunter2").output().unwrap();
    let text = said(&away);
    assert_eq!(away.status.code(), Some(1));
    assert!(text.contains("does not answer") && !text.contains("hunter2"), "{text}");
    let wrong = command(&["why", "not-a-run"]).env(url[0], url[1]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

/// A gateway that answers one question with these lines, and says no more.
fn answers_once(lines: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{lines}", lines.len());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = BufReader::new(stream.try_clone().unwrap()).lines();
        while asked.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        stream.write_all(answer.as_bytes()).unwrap();
    });
    url
}

#[test]
fn an_export_that_was_cut_off_is_no_export() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("demo.jsonl");
    let export = |lines: &str| {
        let mut export = command(&["project", "export", "demo", "--to", file.to_str().unwrap()]);
        export.env("CODEX_K8S_URL", answers_once(lines)).env("CODEX_K8S_TOKEN", "ck8s_hunter2").output().unwrap()
    };
    let cut = export("{\"kind\":\"project\"}\n{\"kind\":\"run\"}\n");
    assert_eq!(cut.status.code(), Some(1), "{}", said(&cut));
    assert!(said(&cut).contains("cut off"), "{}", said(&cut));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    let whole = export("{\"kind\":\"project\"}\n{\"kind\":\"end\"}\n");
    assert!(whole.status.success(), "{}", said(&whole));
    assert!(file.is_file() && said(&whole).starts_with("2 lines are in "), "{}", said(&whole));
}
