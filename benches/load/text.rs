//! A report for a reader at a terminal.

use super::Report;
use super::report::Row;
use std::fmt::Write;

/// The whole report, a few lines.
pub fn summary(report: &Report) -> String {
    let mut out = String::new();
    write(report, &mut out).expect("writing to memory does not fail");
    out
}

fn write(report: &Report, out: &mut String) -> std::fmt::Result {
    let setting = &report.setting;
    let pace = setting.rate.map_or("closed loop".to_owned(), |rate| format!("{rate}/s asked for"));
    let reads = if setting.linearizable { " with linearizable reads" } else { "" };
    writeln!(
        out,
        "{}  {} x {}  {pace}  {} protocol{reads}  {} B values  {} keys {}  {:.1} s",
        setting.workload,
        setting.connections,
        setting.in_flight,
        setting.protocol,
        setting.value_bytes,
        setting.keys,
        setting.skew,
        report.seconds,
    )?;
    writeln!(
        out,
        "{:15} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>8}",
        "", "rate/s", "p50 us", "p90 us", "p99 us", "p99.9 us", "max us", "errors"
    )?;
    for row in &report.operations {
        line(row, out)?;
    }
    if report.operations.len() > 1 && report.total.count > report.operations[0].count {
        line(&report.total, out)?;
    }
    for count in &report.errors {
        writeln!(out, "failed: {} x {}", count.count, count.what)?;
    }
    for fact in &report.facts {
        writeln!(out, "{}: {} {}", fact.name, figure(fact.value), fact.unit)?;
    }
    if let Some(server) = &report.server {
        writeln!(
            out,
            "server: {:.2} us CPU per operation, {:.2} cores, {:.1} MB resident ({:.1} before, \
             {:.1} at most), {:.1} MB written",
            server.cpu_per_operation,
            server.cores,
            server.rss_after_bytes as f64 / 1e6,
            server.rss_before_bytes as f64 / 1e6,
            server.rss_peak_bytes as f64 / 1e6,
            server.written_bytes as f64 / 1e6,
        )?;
    }
    writeln!(
        out,
        "harness: {:.0} % of a core at most, machine {:.0} % busy: {}",
        report.busiest_thread * 100.0,
        report.machine_busy * 100.0,
        report.verdict,
    )
}

fn line(row: &Row, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "{:15} {:>10.0} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {:>8}",
        row.name, row.rate, row.p50, row.p90, row.p99, row.p999, row.max, row.errors
    )
}

/// A figure with as many digits as it deserves.
pub(super) fn figure(value: f64) -> String {
    let size = value.abs();
    if size >= 100.0 || value.fract().abs() < 1e-9 {
        format!("{value:.0}")
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}
