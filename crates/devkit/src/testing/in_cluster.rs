//! The tests that need a real cluster: run where one can be had, and left out by name and count elsewhere.

use std::{
    env,
    fmt::{self, Display, Formatter},
    process::{Command, Stdio},
};

use super::{Layer, Selection, TestingError};
use crate::{
    console::say,
    kube::{self, Holder, KubeError, Lease},
    layout::Layout,
};

/// What the names of these tests begin with.
pub(super) const PREFIX: &str = "in_cluster::";

/// What the names of those begin with that no other may run beside.
pub(super) const ALONE: &str = "in_cluster::alone::";

/// Whether there is a cluster.
pub(super) enum Cluster {
    /// There is.
    There(Box<Prepared>),
    /// There is none, and that is no failure.
    Missing {
        /// What is missing, and what helps.
        why: String,
    },
}

/// A cluster that is ready for the tests.
pub(super) struct Prepared {
    lease: Lease,
    /// What tests find in their environment.
    pub(super) environment: Vec<(String, String)>,
}

impl Prepared {
    /// Ends the cluster if it was started for these tests.
    pub(super) fn end(self) -> Result<(), TestingError> {
        Ok(self.lease.end()?)
    }
}

/// The tests that did not run.
pub(super) struct LeftOut {
    pub(super) why: String,
    pub(super) tests: Vec<String>,
}

impl Display for LeftOut {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} tests left out: {}", self.tests.len(), self.why)?;
        self.tests.iter().try_for_each(|name| write!(f, "\n      {}", name.strip_prefix(PREFIX).unwrap_or(name)))
    }
}

/// What cargo is asked for. Without a layer it has just built the whole workspace, and must not build it with other features.
pub(super) fn call(selection: &Selection) -> Vec<String> {
    let whole = ["--workspace"].as_slice();
    let alone = ["-p", "devkit"].as_slice();
    let packages = if selection.layer.is_some() { alone } else { whole };
    packages.iter().copied().chain(["--test", "kubernetes"]).map(str::to_owned).collect()
}

/// Whether `call` is that one.
pub(super) fn is_call(call: &[String]) -> bool {
    call.last().is_some_and(|word| *word == Layer::Kubernetes.name())
}

/// Finds or starts a cluster and puts the images into it.
///
/// # Errors
/// When one that should be had fails; where `CI` is `true` and we are root, one should.
pub(super) fn prepare(layout: &Layout) -> Result<Cluster, TestingError> {
    let prepared = kube::obtain(layout, Holder::this_process()).and_then(|lease| {
        let environment = kube::prepare(layout, &lease.cluster)?;
        Ok(Prepared { lease, environment })
    });
    match prepared {
        Ok(prepared) => {
            say(format_args!("  ✓ kubernetes     {}", prepared.lease.cluster.title));
            Ok(Cluster::There(Box::new(prepared)))
        }
        Err(KubeError::Unavailable { why }) if !is_required() => Ok(Cluster::Missing { why }),
        Err(error) => Err(error.into()),
    }
}

/// In a gate that could have a cluster a silent omission would hide what it is there to find.
fn is_required() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true") && nix::unistd::geteuid().is_root()
}

/// The names of the tests that `command` would run.
pub(super) fn names(mut command: Command) -> Result<Vec<String>, TestingError> {
    let output =
        command.arg("--list").stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(TestingError::Cargo)?;
    Ok(listed(&String::from_utf8_lossy(&output.stdout)))
}

fn listed(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .filter(|name| name.starts_with(PREFIX))
        .map(str::to_owned)
        .collect()
}

/// Words for the test program by which it runs those of `names` that no other may run beside, one by one; none if there are none.
pub(super) fn alone(names: Vec<String>) -> Option<Vec<String>> {
    let alone: Vec<String> = names.into_iter().filter(|name| name.starts_with(ALONE)).collect();
    let words = ["--exact", "--test-threads=1"].map(str::to_owned);
    (!alone.is_empty()).then(|| words.into_iter().chain(alone).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_that_are_left_out_are_named_and_counted() {
        let text = "in_cluster::smoke::a_pod: test\nworld::tests::of_itself: test\nin_cluster::runs::b: test\n\n3 tests, 0 benchmarks\n";
        let left_out = LeftOut { why: "no root".into(), tests: listed(text) };
        assert_eq!(left_out.to_string(), "2 tests left out: no root\n      smoke::a_pod\n      runs::b");
    }

    #[test]
    fn who_takes_the_node_from_everybody_runs_alone() {
        let text = "in_cluster::alone::a: test\nin_cluster::runs::b: test\nin_cluster::alone::c: test\n";
        let words = ["--exact", "--test-threads=1", "in_cluster::alone::a", "in_cluster::alone::c"];
        assert_eq!(alone(listed(text)).unwrap(), words);
        assert_eq!(alone(listed("in_cluster::runs::b: test\n")), None);
    }

    #[test]
    fn only_the_call_for_the_cluster_keeps_its_tests() {
        let selection = |layer| Selection { layer, full: false, rest: Vec::new() };
        assert!(is_call(&call(&selection(None))) && is_call(&call(&selection(Some(Layer::Kubernetes)))));
        assert!(!is_call(&["--workspace".to_owned()]));
    }
}
