//! `cargo dev`: the commands of the development kit.

use std::process::ExitCode;

fn main() -> ExitCode {
    devkit::cli::main()
}
