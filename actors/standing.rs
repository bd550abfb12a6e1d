//! What operators are told of a server's place in its ensemble: by every word that names a mode, and
//! by `mntr` in full. `words` asks; the text is made in `ostler_core::words`.

use crate::links::Links;
use crate::room::look;
use crate::settings::{EnsembleSettings, Settings};
use crate::wiring::Rooms;
use ostler_core::rooms::peer::Peer;
use ostler_core::rooms::pipeline::Pipeline;
use ostler_core::types::{ServerId, Zxid};
use ostler_core::words::{Gauges, ProposalSizes, Report, ServerState, Summary};
use ostler_core::zab::Reign;
use ostler_core::zab::quorum::Role;

/// Whether this server serves, and as what.
pub(crate) async fn stand(report: &mut Report, settings: &Settings, rooms: &Rooms) {
    // Whatever the tree has by now, it has when the pipeline is asked.
    let applied = report.zxid;
    let told = look(&rooms.pipeline, move |pipeline| {
        let reign = pipeline.reign_seen_by(applied);
        (reign, pipeline.last_proposal_bytes, pipeline.proposal_bytes)
    });
    let told = told.await;
    let Some(ensemble) = &settings.ensemble else {
        // A pipeline that is too busy to answer serves.
        report.serving = told.is_none_or(|(reign, ..)| reign.is_some());
        return;
    };
    let Some((Some(reign), last, sizes)) = told else {
        report.serving = false;
        return;
    };
    report.serving = true;
    report.state = state(reign, settings.server, ensemble);
    report.membership = Some(ensemble.text());
    if report.state == ServerState::Leader {
        report.proposal_sizes = Some(proposal_sizes(last, sizes));
    }
}

fn state(reign: Reign, me: ServerId, ensemble: &EnsembleSettings) -> ServerState {
    match ensemble.members.get(&me).map(|member| member.role) {
        _ if reign.leader == me => ServerState::Leader,
        Some(Role::Observer) => ServerState::Observer,
        Some(Role::Voter { .. }) | None => ServerState::Follower,
    }
}

fn proposal_sizes(last: u64, sizes: Summary) -> ProposalSizes {
    if sizes.count == 0 {
        return ProposalSizes { last: -1, min: -1, max: -1 };
    }
    ProposalSizes { last: signed(last), min: signed(sizes.min), max: signed(sizes.max) }
}

/// What `mntr` tells of an ensemble, behind everything else.
pub(crate) async fn measure(
    gauges: &mut Gauges,
    state: ServerState,
    settings: &Settings,
    rooms: &Rooms,
    links: &Links,
    now_ms: u64,
) {
    let Some(ensemble) = &settings.ensemble else { return };
    gauges.peer_state = Some(match state {
        ServerState::Leader => "leading - broadcast",
        ServerState::Observer => "observing - broadcast",
        ServerState::Follower | ServerState::Standalone | ServerState::ReadOnly => {
            "following - broadcast"
        }
    });
    let elections = look(&rooms.peer, Elections::of).await.unwrap_or_default();
    let history = look(&rooms.pipeline, History::of).await.unwrap_or_default();
    let mut values = vec![
        ("quorum_size", ensemble.voters() as u64),
        ("connected_members", links.up().len() as u64),
        ("looking_count", elections.begun),
        ("uncommitted_txns", distance(history.committed, history.logged)),
        ("learner_proposal_received_count", history.proposals_received),
        ("ack_received_count", history.acks_received),
    ];
    if state == ServerState::Leader {
        values.extend(of_leader(&history, ensemble));
        values.push(("leader_uptime", now_ms.saturating_sub(elections.settled_at_ms)));
    }
    gauges.values.extend(values.into_iter().map(|(name, value)| (name, signed(value))));
    gauges.summaries.push(("election_time", elections.lasted_ms));
}

fn of_leader(history: &History, ensemble: &EnsembleSettings) -> [(&'static str, u64); 6] {
    let is_observer = |server: &ServerId| {
        ensemble.members.get(server).is_some_and(|member| member.role == Role::Observer)
    };
    let synced = || history.learners.iter().filter(|(_, synced, _)| *synced);
    let observers = synced().filter(|(server, ..)| is_observer(server)).count() as u64;
    let lags = synced().map(|(.., durable)| distance(*durable, history.logged));
    [
        ("learners", history.learners.len() as u64),
        ("synced_followers", synced().count() as u64 - observers),
        ("synced_non_voting_followers", 0),
        ("synced_observers", observers),
        ("pending_syncs", history.confirmations),
        ("learner_lag_max", lags.max().unwrap_or_default()),
    ]
}

/// Transactions between two places in the history; of another epoch, only those of the later one.
fn distance(from: Zxid, to: Zxid) -> u64 {
    let before = if from.epoch() == to.epoch() { from.counter() } else { 0 };
    u64::from(to.counter().saturating_sub(before))
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[derive(Default)]
struct Elections {
    begun: u64,
    lasted_ms: Summary,
    settled_at_ms: u64,
}

impl Elections {
    fn of(peer: &Peer) -> Self {
        let settled_at_ms = peer.settled_at_ms();
        Self { begun: peer.elections, lasted_ms: peer.election_ms, settled_at_ms }
    }
}

#[derive(Default)]
struct History {
    logged: Zxid,
    committed: Zxid,
    learners: Vec<(ServerId, bool, Zxid)>,
    confirmations: u64,
    proposals_received: u64,
    acks_received: u64,
}

impl History {
    fn of(pipeline: &Pipeline) -> Self {
        let member = pipeline.member();
        Self {
            logged: member.logged(),
            committed: member.committed(),
            learners: member.learners(),
            confirmations: pipeline.confirmations() as u64,
            proposals_received: pipeline.proposals_received,
            acks_received: pipeline.acks_received,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_counted_in_one_epoch() {
        assert_eq!(distance(Zxid(0x1_0000_0003), Zxid(0x1_0000_0007)), 4);
        assert_eq!(distance(Zxid(0x1_0000_0009), Zxid(0x2_0000_0002)), 2);
        assert_eq!(distance(Zxid(0x1_0000_0009), Zxid(0x1_0000_0002)), 0);
    }
}
