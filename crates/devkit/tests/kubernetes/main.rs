//! What only a real cluster can show. `cargo dev test kubernetes` finds or starts one and runs these tests in it.
//!
//! Everything that needs the cluster is below `in_cluster`: by this name `cargo dev test` tells its tests from others, leaves them out where
//! no cluster can be had, and names them then. New files are named in `tests.rs`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod forward;
#[path = "tests.rs"]
mod in_cluster;
mod machine;
#[path = "../devkit_up/tree.rs"]
#[allow(dead_code, reason = "one of the programs that share this file")]
mod tree;
mod world;
