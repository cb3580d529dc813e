//! The numbers, pair by pair, and how they are shown: a table for people, JSON for programs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::Seat;
use super::environment::Environment;

/// Which direction is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Throughput.
    Higher,
    /// Time, memory.
    Lower,
    /// It says something about the measurement, not about a server.
    Neither,
}

/// What a number means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Metric {
    /// The part of the table that it stands in.
    pub group: String,
    /// What was measured.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Which direction is good.
    pub better: Better,
}

/// All measurements of a metric, one per pair.
#[derive(Clone, Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    metric: Metric,
    baseline: Vec<f64>,
    contender: Vec<f64>,
    /// How many times better the contender is, per pair; empty if neither direction is better.
    ratios: Vec<f64>,
    /// Their median, if there are any.
    median_ratio: Option<f64>,
}

impl Row {
    fn complete(mut self) -> Self {
        let ratio = |(&baseline, &contender): (&f64, &f64)| match self.metric.better {
            Better::Higher => Some(contender / baseline),
            Better::Lower => Some(baseline / contender),
            Better::Neither => None,
        };
        self.ratios = self.baseline.iter().zip(&self.contender).filter_map(ratio).collect();
        self.median_ratio = (!self.ratios.is_empty()).then(|| median(&self.ratios));
        self
    }
}

/// All measurements, in the order in which they came up.
#[derive(Clone, Debug, Default)]
pub struct Results {
    rows: Vec<Row>,
}

impl Results {
    /// Adds a measurement. Those of one metric are matched into pairs by their order.
    pub fn add(&mut self, seat: Seat, metric: Metric, value: f64) {
        let place = match self.rows.iter().position(|row| row.metric == metric) {
            Some(place) => place,
            None => {
                self.rows.push(Row {
                    metric,
                    baseline: Vec::new(),
                    contender: Vec::new(),
                    ratios: Vec::new(),
                    median_ratio: None,
                });
                self.rows.len() - 1
            }
        };
        match seat {
            Seat::Baseline => self.rows[place].baseline.push(value),
            Seat::Contender => self.rows[place].contender.push(value),
        }
    }
}

/// A run with all that its figures depend on.
#[derive(Clone, Debug)]
pub struct Record {
    /// The machine.
    pub environment: Environment,
    /// The profile's name.
    pub profile: String,
    /// Name of the server that is compared with.
    pub baseline: String,
    /// Name of the server that is compared.
    pub contender: String,
    /// What a JVM was started with.
    pub jvm_flags: Vec<String>,
    /// Lines of the configuration of both servers.
    pub zoo_cfg: Vec<String>,
    /// The numbers.
    pub results: Results,
}

impl Record {
    /// Everything as a page of Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "# {} beside {}\n\n{}.\n\n",
            self.contender, self.baseline, self.environment
        );
        let (flags, lines) = (self.jvm_flags.join(" "), self.zoo_cfg.join(" "));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "JVM: `{flags}`. Both: `{lines}`, files on the same disk, profile {}.\n\
             Figures are medians over all pairs, with the smallest and largest; a ratio says how many times better {} \
             did, in each pair and as the median.\n",
            self.profile, self.contender
        );
        let _ = writeln!(
            text,
            "| | {} | {} | ratios | median |\n|---|---|---|---|---|",
            self.baseline, self.contender
        );
        let rows = self.rows();
        let mut group = "";
        for row in &rows {
            if row.metric.group != group {
                let _ = writeln!(text, "| **{}** | | | | |", row.metric.group);
            }
            let ratios: Vec<String> = row.ratios.iter().map(|&ratio| short(ratio)).collect();
            let _ = writeln!(
                text,
                "| {}, {} | {} | {} | {} | **{}** |",
                row.metric.name,
                row.metric.unit,
                spread(&row.baseline),
                spread(&row.contender),
                ratios.join(" "),
                row.median_ratio.map_or_else(|| "–".to_owned(), short)
            );
            group = &row.metric.group;
        }
        text
    }

    /// Writes the table and the JSON into this folder; returns the name of both without its ending.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<String> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let date = self.environment.date.replace(' ', "-").replace(':', "");
        let stem = format!("{date}-{}-{}", self.contender, self.profile);
        let json = serde_json::json!({
            "environment": self.environment,
            "profile": self.profile,
            "baseline": self.baseline,
            "contender": self.contender,
            "jvm_flags": self.jvm_flags,
            "zoo_cfg": self.zoo_cfg,
            "rows": self.rows(),
        });
        let json = serde_json::to_string_pretty(&json).context("cannot encode the figures")? + "\n";
        for (ending, content) in [("json", json), ("md", self.markdown())] {
            let path = folder.join(format!("{stem}.{ending}"));
            fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(stem)
    }

    /// The rows with their ratios; those of one group stand together, where the first of them came up.
    fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.results.rows.iter().cloned().map(Row::complete).collect();
        rows.sort_by_key(|row| {
            self.results
                .rows
                .iter()
                .position(|other| other.metric.group == row.metric.group)
        });
        rows
    }
}

/// The middle value, or the mean of the two in the middle; 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

/// The median, and in brackets the range where there is one.
fn spread(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match values.len() {
        0 => "–".to_owned(),
        1 => short(values[0]),
        _ => format!("{} [{} to {}]", short(median(values)), short(least), short(most)),
    }
}

/// Three significant digits or all before the point.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(better: Better) -> Metric {
        Metric {
            group: "g".to_owned(),
            name: "n",
            unit: "u",
            better,
        }
    }

    #[test]
    fn ratios_say_how_many_times_better_whichever_direction_is_good() {
        for (better, contender) in [(Better::Higher, [20.0, 30.0]), (Better::Lower, [5.0, 10.0 / 3.0])] {
            let mut results = Results::default();
            for value in contender {
                results.add(Seat::Baseline, metric(better), 10.0);
                results.add(Seat::Contender, metric(better), value);
            }
            let row = results.rows.remove(0).complete();
            assert!((row.median_ratio.unwrap() - 2.5).abs() < 1e-9, "{row:?}");
            assert!(results.rows.is_empty());
        }
    }

    #[test]
    fn a_figure_without_a_good_direction_gets_no_ratio() {
        let mut results = Results::default();
        results.add(Seat::Baseline, metric(Better::Neither), 10.0);
        results.add(Seat::Contender, metric(Better::Neither), 5.0);
        let row = results.rows.remove(0).complete();
        assert!(row.ratios.is_empty());
        assert_eq!(row.median_ratio, None);
    }

    #[test]
    fn medians_of_odd_even_and_no_values() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(&[]).abs() < 1e-9);
    }

    #[test]
    fn figures_are_shown_with_what_a_reader_can_use() {
        assert_eq!(spread(&[1.234]), "1.23");
        assert_eq!(spread(&[123.4, 150.6, 99.94]), "123 [99.9 to 151]");
        assert_eq!(spread(&[]), "–");
    }
}
