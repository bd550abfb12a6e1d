//! Two runs side by side.

use super::Report;
use super::report::Row;

/// One figure of two runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratio {
    /// What it is.
    pub name: String,
    /// Of the first run.
    pub first: f64,
    /// Of the second.
    pub second: f64,
    /// Whether more of it is better.
    pub more_is_better: bool,
}

impl Ratio {
    /// How many times better the second run is; below 1 it is worse. None where a figure is 0,
    /// which says nothing.
    pub fn gain(&self) -> Option<f64> {
        let (first, second) = (self.first, self.second);
        let gain = if self.more_is_better { second / first } else { first / second };
        (first > 0.0 && second > 0.0).then_some(gain)
    }
}

/// Every figure that both runs have.
pub fn compare(first: &Report, second: &Report) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    if first.operations.len() > 1 && second.operations.len() > 1 {
        rows(&first.total, &second.total, &mut ratios);
    }
    for row in &first.operations {
        if let Some(other) = second.operations.iter().find(|other| other.name == row.name) {
            rows(row, other, &mut ratios);
        }
    }
    if let (Some(one), Some(two)) = (&first.server, &second.server) {
        let (one_mb, two_mb) = (one.rss_after_bytes as f64 / 1e6, two.rss_after_bytes as f64 / 1e6);
        let cpu = (one.cpu_per_operation, two.cpu_per_operation);
        ratios.push(ratio("server CPU per operation, us", cpu, false));
        ratios.push(ratio("server memory, MB", (one_mb, two_mb), false));
    }
    ratios
}

fn rows(first: &Row, second: &Row, ratios: &mut Vec<Ratio>) {
    let name = &first.name;
    ratios.push(ratio(&format!("{name}, a second"), (first.rate, second.rate), true));
    let latencies = |row: &Row| [row.p50, row.p90, row.p99, row.p999, row.max];
    let names = ["p50", "p90", "p99", "p99.9", "max"];
    for (figure, both) in names.iter().zip(latencies(first).into_iter().zip(latencies(second))) {
        ratios.push(ratio(&format!("{name} {figure}, us"), both, false));
    }
}

fn ratio(name: &str, (first, second): (f64, f64), more_is_better: bool) -> Ratio {
    Ratio { name: name.to_owned(), first, second, more_is_better }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_is_above_one_whichever_way_a_figure_counts() {
        assert_eq!(ratio("rate", (100.0, 300.0), true).gain(), Some(3.0));
        assert_eq!(ratio("p99", (300.0, 100.0), false).gain(), Some(3.0));
        assert_eq!(ratio("p99", (100.0, 400.0), false).gain(), Some(0.25));
        assert_eq!(ratio("rate", (0.0, 300.0), true).gain(), None);
        assert_eq!(ratio("p99", (5.0, 0.0), false).gain(), None);
    }

    #[test]
    fn every_figure_of_a_row_is_compared() {
        let mut ratios = Vec::new();
        let row = |rate, p50| Row { name: "get".into(), rate, p50, ..Row::default() };
        rows(&row(10.0, 4.0), &row(20.0, 1.0), &mut ratios);
        let gains: Vec<_> = ratios.iter().map(|one| (&*one.name, one.gain())).collect();
        assert_eq!(gains[0], ("get, a second", Some(2.0)));
        assert_eq!(gains[1], ("get p50, us", Some(4.0)));
        assert_eq!(gains.len(), 6);
    }
}
