//! Asking a role for its metrics, as Prometheus does, and reading the answer.

use std::collections::BTreeMap;

use anyhow::Context;
use telemetry::ops::Ops;

use super::parts::any_port;

/// One number of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The number.
    pub value: f64,
}

/// A whole answer.
#[derive(Clone, Debug, Default)]
pub struct Samples(pub Vec<Sample>);

impl Samples {
    /// The sum over all samples of that name which have these labels, whatever else they have.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |sample: &&Sample| {
            sample.name == name
                && labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|has| has == value))
        };
        self.0.iter().filter(fits).map(|sample| sample.value).sum()
    }

    /// Reads the text form, as far as we write it: no escapes, no timestamps.
    ///
    /// # Errors
    /// When a line is no sample.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Ok(Self(lines.map(sample).collect::<anyhow::Result<_>>()?))
    }
}

fn sample(line: &str) -> anyhow::Result<Sample> {
    let (head, value) = line.rsplit_once(' ').with_context(|| format!("no value: {line}"))?;
    let (name, inside) = match head.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}').with_context(|| format!("no end of labels: {line}"))?),
        None => (head, ""),
    };
    let mut labels = BTreeMap::new();
    for pair in inside.split("\",").filter(|pair| !pair.is_empty()) {
        let (label, text) = pair.split_once("=\"").with_context(|| format!("no label: {line}"))?;
        labels.insert(label.to_owned(), text.trim_end_matches('"').to_owned());
    }
    Ok(Sample { name: name.to_owned(), labels, value: value.parse().with_context(|| format!("no number: {line}"))? })
}

/// Asks each role over HTTP, on a port that is there only for the question.
pub(super) async fn all(ops: &[Ops]) -> anyhow::Result<BTreeMap<&'static str, Samples>> {
    let mut answers = BTreeMap::new();
    for ops in ops {
        let served = ops.clone().serve(any_port()).await?;
        let answer = reqwest::get(format!("http://{}/metrics", served.address)).await?.error_for_status()?;
        let text = answer.text().await?;
        let samples = Samples::parse(&text)?;
        let role = ops.telemetry.role().name();
        anyhow::ensure!(answers.insert(role, samples).is_none(), "{role} is there twice");
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read() {
        let text = "# HELP a b\n# TYPE a counter\na{x=\"1\",y=\"/b, {c}\"} 2\na{x=\"1\",y=\"d\"} 3\nb 1.5\n";
        let samples = Samples::parse(text).unwrap();
        assert_eq!(samples.sum("a", &[("x", "1")]), 5.0);
        assert_eq!(samples.sum("a", &[("y", "/b, {c}")]), 2.0);
        assert_eq!((samples.sum("b", &[]), samples.sum("c", &[])), (1.5, 0.0));
        assert!(Samples::parse("nonsense").is_err());
    }
}
