//! What a benchmark says: figures, most of them as ratios to something measured beside them.

use std::{fs, path::Path, time::Duration};

use serde::Serialize;

use crate::console::say;

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// Not less.
    AtLeast(f64),
    /// Not more.
    AtMost(f64),
    /// It is told, and that is all.
    None,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The number.
    pub value: f64,
    /// In what.
    pub unit: &'static str,
    /// The number that it is compared with.
    pub baseline: Option<f64>,
    /// What the target is about: the ratio if there is a baseline, else the value.
    pub ratio: Option<f64>,
    /// The target in words.
    pub target: Option<String>,
    /// Whether it is met.
    pub met: Option<bool>,
}

/// Figures so far, shown as they come.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    figures: Vec<Figure>,
    notes: Vec<String>,
}

impl Report {
    /// A figure that stands alone.
    pub fn value(&mut self, name: impl Into<String>, value: f64, unit: &'static str, target: Target) {
        self.add(name.into(), (value, unit), None, target);
    }

    /// A figure beside its baseline; the target is about `value / baseline`.
    pub fn ratio(&mut self, name: impl Into<String>, value: f64, baseline: f64, unit: &'static str, target: Target) {
        self.add(name.into(), (value, unit), Some(baseline), target);
    }

    /// Something that a reader of the figures has to know.
    pub fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        say(format_args!("    {note}"));
        self.notes.push(note);
    }

    /// Writes everything down as JSON.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::other)?;
        fs::write(path, text + "\n")
    }

    fn add(&mut self, name: String, (value, unit): (f64, &'static str), baseline: Option<f64>, target: Target) {
        let ratio = baseline.map(|baseline| value / baseline);
        let judged = ratio.unwrap_or(value);
        let (words, met) = match target {
            Target::AtLeast(bound) => (Some(format!("at least {bound}")), Some(judged >= bound)),
            Target::AtMost(bound) => (Some(format!("at most {bound}")), Some(judged <= bound)),
            Target::None => (None, None),
        };
        let figure = Figure { name, value, unit, baseline, ratio, target: words, met };
        say(figure.line());
        self.figures.push(figure);
    }
}

impl Figure {
    fn line(&self) -> String {
        let mark = match self.met {
            Some(true) => "✓",
            Some(false) => "✗",
            None => "·",
        };
        let mut line = format!("  {mark} {}: {} {}", self.name, short(self.value), self.unit);
        if let (Some(baseline), Some(ratio)) = (self.baseline, self.ratio) {
            line += &format!(", baseline {}, ratio {ratio:.2}", short(baseline));
        }
        if let Some(target) = &self.target {
            line += &format!(" ({target})");
        }
        line
    }
}

fn short(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// The duration that this share of all is not longer than.
#[must_use]
pub fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a place in a list"
    )]
    let place = (share * last as f64).ceil() as usize;
    sorted.get(place.min(last)).copied().unwrap_or_default()
}

/// Milliseconds.
#[must_use]
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_about_ratios_where_there_is_a_baseline() {
        let mut report = Report::default();
        report.ratio("a", 80.0, 100.0, "1/s", Target::AtLeast(0.8));
        report.ratio("b", 50.0, 10.0, "ms", Target::AtMost(2.0));
        report.value("c", 70.0, "MB", Target::AtMost(60.0));
        report.value("d", 1.0, "", Target::None);
        let met: Vec<_> = report.figures.iter().map(|figure| figure.met).collect();
        assert_eq!(met, [Some(true), Some(false), Some(false), None]);
        assert_eq!(report.figures[0].line(), "  ✓ a: 80.00 1/s, baseline 100, ratio 0.80 (at least 0.8)");
    }

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let seen: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(quantile(&seen, 0.5), Duration::from_millis(51));
        assert_eq!(quantile(&seen, 0.99), Duration::from_millis(100));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }
}
