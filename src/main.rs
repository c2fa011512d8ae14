//! The codex-k8s binary: every role is a subcommand.
fn main() {}
