//! `cargo dev up` and what it promises: every role a process, one platform a tree, and nothing left behind.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sign_in;
mod tree;

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt};

use devkit::processes::is_alive;

use self::tree::{Tree, eventually};

#[test]
fn up_tells_where_everything_is_and_down_leaves_nothing() {
    let tree = Tree::new();
    tree.dev(&["up", "--detach"]).succeeds();
    let state = tree.state();
    for key in ["gateway_url", "console_url", "temporal_address", "temporal_ui_url", "postgres_url", "forge_url"] {
        assert!(state[key].is_string(), "{key} is missing");
    }
    let engine_ui = tree.get(state["temporal_ui_url"].as_str().unwrap());
    assert!(engine_ui.contains("/ops/temporal/_app/"), "{engine_ui}");
    assert!(state["forge_tokens"]["maintainer"].is_string());
    let mode = fs::metadata(tree.state_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let pids = tree.pids();
    let roles: Vec<&str> = pids.keys().map(String::as_str).collect();
    assert_eq!(roles, ["forge", "gateway", "model", "model-gateway", "postgres", "temporal", "worker"]);
    assert!(pids.values().all(|pid| is_alive(*pid)));
    for role in ["gateway", "worker", "model-gateway"] {
        let metrics = tree.get(&format!("{}/metrics", state["ops_urls"][role].as_str().unwrap()));
        assert!(metrics.contains(&format!("codexk8s_build_info{{role=\"{role}\",version=")), "{metrics}");
    }

    let second = tree.dev(&["up"]).fails();
    assert!(second.contains("the platform is up already"), "{second}");

    tree.dev(&["down"]).succeeds();
    assert!(!pids.values().any(|pid| is_alive(*pid)), "a process is left");
    assert!(tree.ports_are_free(), "a port is left");
    assert!(!tree.state_file().exists() && !tree.lock_file().exists(), "a file is left");
}

#[test]
fn a_role_that_dies_is_started_again() {
    let tree = Tree::new();
    tree.dev(&["up", "--detach"]).succeeds();
    let before = tree.pids();
    for role in ["model", "gateway"] {
        tree.kill(before[role]);
    }
    eventually("both run again", || {
        let now = tree.pids();
        ["model", "gateway"]
            .iter()
            .all(|role| now.get(*role).is_some_and(|pid| *pid != before[*role] && is_alive(*pid)))
    });
    assert_eq!(tree.pids()["worker"], before["worker"], "the others are left alone");
    tree.dev(&["down"]).succeeds();
}

#[test]
fn a_killed_supervisor_leaves_no_process_and_no_port() {
    let tree = Tree::new();
    tree.dev(&["up", "--detach"]).succeeds();
    let pids = tree.pids();
    let supervisor = tree.state()["supervisor"].as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap();
    tree.kill(supervisor);
    eventually("every role is gone", || !pids.values().any(|pid| is_alive(*pid)));
    eventually("every port is free", || tree.ports_are_free());

    let again = tree.dev(&["up", "--detach"]).succeeds();
    assert!(again.contains("did not end in order"), "{again}");
    tree.dev(&["down"]).succeeds();
}

#[test]
fn a_taken_port_is_a_sentence() {
    let tree = Tree::new();
    let _taken = TcpListener::bind(("127.0.0.1", tree.port_base + 4)).unwrap();
    let said = tree.dev(&["up"]).fails();
    assert!(said.contains("meant for Postgres, is taken"), "{said}");
    assert!(!tree.lock_file().exists() && !tree.state_file().exists());
}

#[test]
fn what_is_not_up_is_said_to_be_not_up() {
    let tree = Tree::new();
    assert!(tree.dev(&["status"]).fails().contains("cargo dev up"));
    assert!(tree.dev(&["demo"]).fails().contains("cargo dev up"));
    assert!(tree.dev(&["logs", "gateway"]).fails().contains("has not run here yet"));
    assert!(tree.dev(&["down"]).succeeds().contains("was not up"));
}
