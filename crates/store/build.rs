//! Migrations are compiled in, and Cargo does not see them by itself.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
