//! A report, or two side by side, as one page that stands alone: no script, no other file.

use super::plot::{Axis, Line, escape, plot};
use super::report::{Instant, Quantile, Row};
use super::text::figure;
use super::{Report, compare};
use std::fmt::Write;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1d232b; --paper: #fff; --faint: #d9dee5;
        --first: #1f6feb; --first-soft: #79b0ff; --second: #d1570a; --second-soft: #f0a46c; }
@media (prefers-color-scheme: dark) { :root { --ink: #dfe5ec; --paper: #14181d; --faint: #333b45; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 780px; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2em .5em; border-bottom: 1px solid var(--faint); }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1.5em 0; } figcaption { font-weight: 600; }
svg { width: 100%; height: auto; } svg text { font-size: 11px; fill: var(--ink); }
svg path { fill: none; stroke-width: 1.6; } .grid { stroke: var(--faint); stroke-width: 1; }
path.first { stroke: var(--first); } path.first-soft { stroke: var(--first-soft); }
path.second { stroke: var(--second); } path.second-soft { stroke: var(--second-soft); }
.legend { font-size: 13px; margin: .2em 0; } .legend span { margin-right: 1em; font-weight: 600; }
span.first { color: var(--first); } span.first-soft { color: var(--first-soft); }
span.second { color: var(--second); } span.second-soft { color: var(--second-soft); }
.better { color: #1a7f37; } .worse { color: #cf222e; }
";
/// Colours of the first and the second run: strong and soft.
const CLASSES: [(&str, &str); 2] = [("first", "first-soft"), ("second", "second-soft")];

/// The page.
pub fn page(first: &Report, second: Option<&Report>) -> String {
    let mut out = String::new();
    write_page(&mut out, first, second).expect("writing to memory does not fail");
    out
}

fn write_page(out: &mut String, first: &Report, second: Option<&Report>) -> std::fmt::Result {
    let mut runs = vec![first];
    runs.extend(second);
    let title = escape(&format!("ostler bench: {}", name(first)));
    writeln!(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width\">")?;
    writeln!(out, "<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>")?;
    if let Some(second) = second {
        comparison(out, first, second)?;
    }
    out.push_str(&plots(&runs));
    for (index, run) in runs.iter().enumerate() {
        details(out, index, run)?;
    }
    writeln!(out, "</body></html>")
}

fn name(report: &Report) -> String {
    let setting = &report.setting;
    let servers = setting.servers.join(", ");
    format!(
        "{} {} x {} on {servers} ({})",
        setting.workload, setting.connections, setting.in_flight, setting.protocol
    )
}

fn comparison(out: &mut String, first: &Report, second: &Report) -> std::fmt::Result {
    writeln!(out, "<h2>Second against first</h2><table>")?;
    writeln!(out, "<tr><th></th><th>first</th><th>second</th><th>times better</th></tr>")?;
    for ratio in compare(first, second) {
        let (class, gain) = match ratio.gain() {
            Some(gain) if gain >= 1.0 => ("better", format!("{gain:.2}")),
            Some(gain) => ("worse", format!("{gain:.2}")),
            None => ("", String::new()),
        };
        writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"{class}\">{gain}</td></tr>",
            escape(&ratio.name),
            figure(ratio.first),
            figure(ratio.second),
        )?;
    }
    writeln!(out, "</table>")
}

fn plots(runs: &[&Report]) -> String {
    let label = |index: usize, what: &str| {
        let which = ["first ", "second "][index];
        format!("{}{what}", if runs.len() > 1 { which } else { "" })
    };
    let over_time = |of: fn(&Instant) -> f64, what: &str, soft: bool| {
        let line = |(index, run): (usize, &&Report)| Line {
            class: if soft { CLASSES[index].1 } else { CLASSES[index].0 },
            name: label(index, what),
            points: run.timeline.iter().map(|moment| (moment.at, of(moment))).collect(),
        };
        runs.iter().enumerate().map(line).collect::<Vec<_>>()
    };
    let instants = || runs.iter().flat_map(|run| &run.timeline);
    let time = Axis::linear(instants().map(|moment| moment.at));
    let time = (&time, "seconds");
    let rates = Axis::linear(instants().map(|moment| moment.rate));
    let rate = over_time(|moment| moment.rate, "requests a second", false);
    let mut out = plot("Throughput over time", time, (&rates, "a second"), &rate);
    let latencies = Axis::powers(instants().flat_map(|moment| [moment.p50, moment.max]));
    let mut lines = over_time(|moment| moment.p50, "p50", true);
    lines.extend(over_time(|moment| moment.p99, "p99", false));
    lines.extend(over_time(|moment| moment.max, "max", true));
    out += &plot("Latency over time", time, (&latencies, "microseconds"), &lines);
    let distribution = |(index, run): (usize, &&Report)| Line {
        class: CLASSES[index].0,
        name: label(index, "latency"),
        points: run.distribution.iter().map(|point| (depth(point.share), point.latency)).collect(),
    };
    let lines: Vec<_> = runs.iter().enumerate().map(distribution).collect();
    let points = || runs.iter().flat_map(|run| &run.distribution);
    let latencies = Axis::powers(points().map(|point: &Quantile| point.latency));
    let marks = [(0.0, "0 %"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %")];
    let marks = marks.into_iter().chain([(0.9999, "99.99 %"), (1.0, "100 %")]);
    let marks = marks.map(|(share, label)| (depth(share), label.to_owned())).collect();
    out += &plot(
        "Distribution of latency",
        (&Axis::Marked(marks), "share of requests that were not slower"),
        (&latencies, "microseconds"),
        &lines,
    );
    out
}

/// Where a share lies on an axis that gives each further nine the same room, 0 to 1.
fn depth(share: f64) -> f64 {
    /// The last is at the end of the axis.
    const NINES_MAX: f64 = 6.0;
    let nines = -(1.0 - share).max(10_f64.powf(-NINES_MAX)).log10();
    nines / NINES_MAX
}

fn details(out: &mut String, index: usize, run: &Report) -> std::fmt::Result {
    let title = ["first", "second"][index];
    writeln!(out, "<h2><span class=\"{title}\">{}</span></h2>", escape(&name(run)))?;
    writeln!(out, "<p>{}</p>", escape(&run.verdict.to_string()))?;
    writeln!(out, "<table><tr><th></th><th>rate/s</th><th>p50</th><th>p90</th><th>p99</th>")?;
    writeln!(out, "<th>p99.9</th><th>max us</th><th>errors</th></tr>")?;
    for row in run.operations.iter().chain([&run.total]) {
        line(out, row)?;
    }
    writeln!(out, "</table><p>")?;
    for count in &run.errors {
        writeln!(out, "failed: {} x {}<br>", count.count, escape(&count.what))?;
    }
    for fact in &run.facts {
        let value = figure(fact.value);
        writeln!(out, "{}: {value} {}<br>", escape(&fact.name), escape(&fact.unit))?;
    }
    if let Some(server) = &run.server {
        writeln!(
            out,
            "server: {:.2} us CPU per operation, {:.2} cores, {:.1} MB resident, {:.1} MB written\
             <br>",
            server.cpu_per_operation,
            server.cores,
            server.rss_after_bytes as f64 / 1e6,
            server.written_bytes as f64 / 1e6,
        )?;
    }
    let (setting, machine) = (&run.setting, &run.machine);
    writeln!(
        out,
        "{} B values, {} keys {}, paths of {} B, {:.1} s; {}, {} cores, {:.0} GB, Linux {}</p>",
        setting.value_bytes,
        setting.keys,
        escape(&setting.skew),
        setting.path_bytes,
        run.seconds,
        escape(&machine.processor),
        machine.cores,
        machine.memory_bytes as f64 / 1e9,
        escape(&machine.kernel),
    )
}

fn line(out: &mut String, row: &Row) -> std::fmt::Result {
    write!(out, "<tr><td>{}</td>", escape(&row.name))?;
    for value in [row.rate, row.p50, row.p90, row.p99, row.p999, row.max] {
        write!(out, "<td>{}</td>", figure(value))?;
    }
    writeln!(out, "<td>{}</td></tr>", row.errors)
}
