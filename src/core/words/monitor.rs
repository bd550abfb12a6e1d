//! `mntr`: one line per metric, for scripts. Only what is really measured is told.

use super::report::Report;
use super::rooms::RoomLine;
use super::{Quantiles, Summary};
use alloc::format;
use alloc::string::String;
use core::fmt::Display;

pub(super) fn mntr(report: &Report) -> String {
    let mut lines = Lines(String::new());
    lines.add("version", &report.version);
    lines.add("server_state", report.state.name());
    lines.add_if_known("peer_state", report.gauges.peer_state);
    add_traffic(&mut lines, report);
    add_contents(&mut lines, report);
    add_process(&mut lines, report);
    for (name, value) in &report.gauges.values {
        lines.add(name, value);
    }
    for (name, summary) in &report.gauges.summaries {
        lines.add_summary(name, summary);
    }
    for (name, quantiles) in &report.gauges.quantiles {
        lines.add_quantiles(name, quantiles);
    }
    add_rooms(&mut lines, report);
    lines.0
}

fn add_rooms(lines: &mut Lines, report: &Report) {
    let mut total = 0;
    for line in &report.rooms {
        match line {
            RoomLine::Group { .. } => {}
            RoomLine::Room { name, state, restarts, .. } => {
                total += restarts;
                lines.add(&format!("room_state_{name}"), state.name());
                lines.add(&format!("room_restart_count_{name}"), restarts);
            }
        }
    }
    if !report.rooms.is_empty() {
        lines.add("room_restart_count", total);
    }
}

fn add_traffic(lines: &mut Lines, report: &Report) {
    lines.add("avg_latency", report.latency_ms.mean());
    lines.add("max_latency", report.latency_ms.max);
    lines.add("min_latency", report.latency_ms.min);
    lines.add("packets_received", report.packets_received);
    lines.add("packets_sent", report.packets_sent);
    lines.add("num_alive_connections", report.connections_alive);
    lines.add("outstanding_requests", report.outstanding_requests);
    lines.add_if_known("auth_failed_count", report.gauges.auth_failed);
    if let Some(sizes) = report.gauges.response_sizes {
        lines.add("last_client_response_size", sizes.last);
        lines.add("max_client_response_size", sizes.max);
        lines.add("min_client_response_size", sizes.min);
    }
    if let Some(sizes) = report.proposal_sizes {
        lines.add("last_proposal_size", sizes.last);
        lines.add("max_proposal_size", sizes.max);
        lines.add("min_proposal_size", sizes.min);
    }
}

fn add_contents(lines: &mut Lines, report: &Report) {
    lines.add("znode_count", report.znodes);
    lines.add("watch_count", report.watches.watches_of_both_tables);
    lines.add("ephemerals_count", report.gauges.ephemerals);
    lines.add("approximate_data_size", report.gauges.data_bytes);
    lines.add("global_sessions", report.gauges.sessions);
    // Every session is known to the whole ensemble.
    lines.add("local_sessions", 0);
}

fn add_process(lines: &mut Lines, report: &Report) {
    lines.add("uptime", report.gauges.uptime_ms);
    lines.add_if_known("open_file_descriptor_count", report.gauges.open_files);
    lines.add_if_known("max_file_descriptor_count", report.gauges.open_files_max);
}

struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, value: impl Display) {
        self.0.push_str(&format!("zk_{name}\t{value}\n"));
    }

    fn add_if_known(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    fn add_summary(&mut self, name: &str, summary: &Summary) {
        self.add(&format!("avg_{name}"), summary.mean());
        self.add(&format!("min_{name}"), summary.min);
        self.add(&format!("max_{name}"), summary.max);
        self.add(&format!("cnt_{name}"), summary.count);
        self.add(&format!("sum_{name}"), summary.sum);
    }

    fn add_quantiles(&mut self, name: &str, quantiles: &Quantiles) {
        let Quantiles { summary, p50, p95, p99, p999 } = quantiles;
        self.add_summary(name, summary);
        for (prefix, value) in [("p50", p50), ("p95", p95), ("p99", p99), ("p999", p999)] {
            self.add(&format!("{prefix}_{name}"), value);
        }
    }
}
