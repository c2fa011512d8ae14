//! The staff console in a real Chromium, served by a real gateway of `cargo dev up`: what the files in `ui/browser` say.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../devkit_up/tree.rs"]
#[allow(dead_code, reason = "a console needs less of it")]
mod tree;

use devkit::{layout::Layout, staff_console::Workshop, tools};

use self::tree::Tree;

#[test]
fn everything_in_the_browser() {
    let layout = Layout::find().unwrap();
    let chromium = tools::chromium().unwrap();
    let postgres = tools::platform_tools(&layout.cache).unwrap().postgres_bin;
    let workshop = Workshop::open(&layout).unwrap();
    let tree = Tree::with_console(&layout);
    tree.dev(&["up", "--detach"]).succeeds();
    let status = workshop
        .command("playwright")
        .arg("test")
        .env("CODEX_K8S_CHROMIUM", chromium)
        .env("CODEX_K8S_STATE", tree.state_file())
        .env("CODEX_K8S_POSTGRES_BIN", postgres)
        .status()
        .unwrap();
    tree.dev(&["down"]).succeeds();
    assert!(status.success(), "a browser test failed; the lines above say which");
}
