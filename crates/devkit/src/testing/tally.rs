//! Counting what cargo's tests printed, by layer.

use std::collections::BTreeMap;

use super::Layer;

/// Results of one layer.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) passed: u32,
    pub(super) failed: u32,
    pub(super) ignored: u32,
}

/// Reads the lines of `cargo test` as they come.
#[derive(Debug, Default)]
pub(super) struct Tally {
    package: Option<String>,
    current: Option<Layer>,
    layers: BTreeMap<Layer, Count>,
}

impl Tally {
    /// A call of cargo begins. Test programs that run before any unit tests are those of the devkit.
    pub(super) fn begin_call(&mut self) {
        self.package = Some("devkit".to_owned());
        self.current = None;
    }

    /// Takes one line of output, colours and all.
    pub(super) fn read(&mut self, line: &str) {
        let plain = without_colours(line);
        let words = plain.trim();
        // Tests print what they like, among it lines that begin so and name no program.
        let program = words.strip_prefix("Running ").and_then(|rest| Some((rest, program_of(rest)?)));
        if let Some((rest, program)) = program {
            if rest.starts_with("unittests ") {
                self.enter_package(&program);
            }
            self.current = self.package.as_deref().and_then(|package| Layer::of(package, &program));
        } else if let Some(package) = words.strip_prefix("Doc-tests ") {
            self.enter_package(package.trim());
            self.current = Layer::of(package.trim(), package.trim());
        } else if let Some(result) = words.strip_prefix("test result: ") {
            self.count(result);
        }
    }

    /// The layers that ran, in order.
    pub(super) fn layers(&self) -> &BTreeMap<Layer, Count> {
        &self.layers
    }

    /// The unit tests of a package run first, under its name or that of its program.
    fn enter_package(&mut self, program: &str) {
        let package = if program == "dev" { "devkit" } else { program };
        self.package = Some(package.to_owned());
    }

    fn count(&mut self, result: &str) {
        let Some(layer) = self.current else { return };
        let count = self.layers.entry(layer).or_default();
        // "ok. 3 passed; 0 failed; 1 ignored; …": the verdict before the first number is implied.
        let numbers = result.split_once(". ").map_or(result, |(_, rest)| rest);
        for part in numbers.split("; ") {
            let Some((number, what)) = part.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u32>() else { continue };
            match what {
                "passed" => count.passed += number,
                "failed" => count.failed += number,
                "ignored" => count.ignored += number,
                _ => {}
            }
        }
    }
}

/// `unittests src/lib.rs (target/debug/deps/domain-0123)` is `domain`.
fn program_of(line: &str) -> Option<String> {
    let (_, path) = line.rsplit_once('(')?;
    let file = path.trim_end_matches(')').rsplit('/').next()?;
    let (name, _hash) = file.rsplit_once('-')?;
    Some(name.to_owned())
}

fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            for inner in characters.by_ref() {
                if inner.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted_for_the_layer_that_printed_them() {
        let mut tally = Tally::default();
        for line in [
            "     Running unittests src/lib.rs (target/debug/deps/devkit-aa01)",
            "test result: ok. 4 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "\u{1b}[1m\u{1b}[32m     Running\u{1b}[0m unittests src/bin/dev.rs (target/debug/deps/dev-aa02)",
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "     Running tests/crashes.rs (target/debug/deps/crashes-aa03)",
            "test result: \u{1b}[31mFAILED\u{1b}[0m. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 9.00s",
            "     Running tests/runner/main.rs (target/debug/deps/runner-aa04)",
            "test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 9.00s",
            "     Running tests/console/main.rs (target/debug/deps/console-aa06)",
            "Running 60 tests using 1 worker",
            "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 9.00s",
            "   Doc-tests domain",
            "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ] {
            tally.read(line);
        }
        tally.begin_call();
        tally.read("     Running tests/kubernetes/main.rs (target/debug/deps/kubernetes-aa05)");
        tally.read("test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 9.00s");
        let count = |passed, failed, ignored| Count { passed, failed, ignored };
        assert_eq!(
            tally.layers().iter().map(|(a, b)| (*a, *b)).collect::<Vec<_>>(),
            [
                (Layer::Domain, count(1, 0, 0)),
                (Layer::Runner, count(7, 0, 0)),
                (Layer::Devkit, count(4, 0, 1)),
                (Layer::Platform, count(2, 1, 0)),
                (Layer::Kubernetes, count(5, 0, 0)),
                (Layer::Console, count(1, 0, 0)),
            ]
        );
    }
}
