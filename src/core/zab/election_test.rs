//! Elections between machines, without links or members.

use super::*;
use crate::types::{Epoch, Zxid};
use crate::zab::Reign;
use crate::zab::quorum::{Ensemble, Role};

const TIMING: Timing = Timing { heartbeat_ms: 50, silence_ms: 200, join_ms: 500, finalize_ms: 20 };

fn membership(voters: u64, observers: u64) -> Membership {
    let voter = |server| (ServerId(server), Role::VOTER);
    let observer = |server| (ServerId(server), Role::Observer);
    let members = (1..=voters).map(voter);
    let members = members.chain((voters + 1..=voters + observers).map(observer)).collect();
    Membership::new(Ensemble { version: Zxid::ZERO, members })
}

fn election(me: u64, voters: u64, observers: u64) -> Election {
    Election::new(ServerId(me), membership(voters, observers), TIMING)
}

fn step(election: &mut Election, mono_ms: u64, input: ElectionInput) -> Vec<ElectionEffect> {
    let mut effects = Vec::new();
    election.step(Now { mono_ms, wall_ms: 0 }, input, &mut effects);
    effects
}

fn look(election: &mut Election, counter: u32) -> Vec<ElectionEffect> {
    let last = Zxid::new(Epoch(1), counter);
    step(election, 0, ElectionInput::Look { epoch: Epoch(1), last })
}

fn vote(counter: u32, leader: u64) -> Vote {
    let zxid = Zxid::new(Epoch(1), counter);
    Vote { epoch: Epoch(1), zxid, leader: ServerId(leader) }
}

fn said(round: u64, standing: Standing, vote: Vote) -> Notification {
    Notification { round, standing, vote, asks: false }
}

fn from(peer: u64, notification: Notification) -> ElectionInput {
    ElectionInput::Received(ServerId(peer), notification)
}

fn tried(effects: &[ElectionEffect]) -> Option<u64> {
    effects.iter().find_map(|effect| match effect {
        ElectionEffect::Try(leader) => Some(leader.0),
        ElectionEffect::Send(_, _) => None,
    })
}

#[test]
fn a_lone_voter_elects_itself_at_once() {
    assert_eq!(tried(&look(&mut election(1, 1, 0), 0)), Some(1));
    assert_eq!(tried(&look(&mut election(1, 1, 1), 0)), Some(1));
}

#[test]
fn nobody_is_followed_to_whom_there_is_no_link() {
    let mut election = election(2, 5, 0);
    look(&mut election, 3);
    // A quorum votes for server 5, which only the others can reach.
    for peer in [1, 3] {
        let effects = step(&mut election, 1, from(peer, said(1, Standing::Looking, vote(3, 5))));
        assert_eq!(tried(&effects), None);
    }
    assert_eq!(tried(&step(&mut election, 60, ElectionInput::Tick)), None);
    assert_eq!(tried(&step(&mut election, 61, ElectionInput::LinkUp(ServerId(5)))), Some(5));

    look(&mut election, 3);
    step(&mut election, 600, ElectionInput::LinkDown(ServerId(5)));
    for peer in [1, 3] {
        let effects = step(&mut election, 700, from(peer, said(2, Standing::Looking, vote(3, 5))));
        assert_eq!(tried(&effects), None);
    }
    assert_eq!(tried(&step(&mut election, 760, ElectionInput::Tick)), None);
}

#[test]
fn votes_for_a_candidate_that_went_do_not_stand_for_ever() {
    let mut election = election(2, 5, 0);
    look(&mut election, 3);
    for peer in [5, 1, 3] {
        let said = said(1, Standing::Looking, vote(3, 5));
        if peer == 3 {
            step(&mut election, 1, ElectionInput::LinkDown(ServerId(5)));
        }
        assert_eq!(tried(&step(&mut election, 1, from(peer, said))), None);
    }
    let again = step(&mut election, 80, ElectionInput::Tick);
    let own = Notification { round: 2, standing: Standing::Looking, vote: vote(3, 2), asks: true };
    assert!(again.contains(&ElectionEffect::Send(ServerId(1), own)), "{again:?}");
    for peer in [1, 3] {
        step(&mut election, 90, from(peer, said(2, Standing::Looking, vote(3, 3))));
    }
    assert_eq!(tried(&step(&mut election, 120, ElectionInput::Tick)), Some(3));
}

#[test]
fn all_agreeing_need_no_wait_and_a_quorum_waits_for_a_better_candidate() {
    let mut one = election(1, 3, 0);
    look(&mut one, 5);
    let effects = step(&mut one, 1, from(2, said(1, Standing::Looking, vote(5, 1))));
    assert_eq!(tried(&effects), None);
    let mut unanimous = one.clone();
    let effects = step(&mut unanimous, 2, from(3, said(1, Standing::Looking, vote(5, 1))));
    assert_eq!(tried(&effects), Some(1));
    assert_eq!(tried(&step(&mut one, 20, ElectionInput::Tick)), None);
    assert_eq!(tried(&step(&mut one, 21, ElectionInput::Tick)), Some(1));
}

#[test]
fn the_most_recent_history_wins_and_then_the_greater_server() {
    let mut one = election(1, 3, 0);
    look(&mut one, 5);
    let effects = step(&mut one, 1, from(3, said(1, Standing::Looking, vote(4, 3))));
    assert!(effects.is_empty(), "a worse vote changes nothing: {effects:?}");
    let effects = step(&mut one, 1, from(2, said(1, Standing::Looking, vote(5, 2))));
    let told = said(1, Standing::Looking, vote(5, 2));
    assert_eq!(
        effects,
        [ElectionEffect::Send(ServerId(2), told), ElectionEffect::Send(ServerId(3), told)]
    );
}

#[test]
fn a_later_round_voids_the_votes_of_an_earlier_one_and_a_laggard_is_told() {
    let mut one = election(1, 3, 0);
    look(&mut one, 5);
    step(&mut one, 1, from(2, said(1, Standing::Looking, vote(5, 1))));
    step(&mut one, 2, from(3, said(4, Standing::Looking, vote(1, 3))));
    assert_eq!(tried(&step(&mut one, 49, ElectionInput::Tick)), None);
    let effects = step(&mut one, 49, from(2, said(1, Standing::Looking, vote(5, 1))));
    let told = said(4, Standing::Looking, vote(5, 1));
    assert_eq!(effects, [ElectionEffect::Send(ServerId(2), told)]);
}

#[test]
fn a_leader_that_is_there_is_joined_only_if_it_says_so_itself() {
    let mut one = election(1, 5, 0);
    look(&mut one, 5);
    for peer in [2, 4] {
        let input = from(peer, said(9, Standing::Following, vote(3, 3)));
        assert_eq!(tried(&step(&mut one, 1, input)), None);
    }
    let leads = said(9, Standing::Leading, vote(3, 3));
    assert_eq!(tried(&step(&mut one.clone(), 2, from(3, leads))), Some(3));
    let mut broken = one;
    let mut other = broken.clone();
    step(&mut other, 2, ElectionInput::LinkDown(ServerId(4)));
    step(&mut other, 2, ElectionInput::LinkDown(ServerId(2)));
    assert_eq!(tried(&step(&mut other, 3, from(3, leads))), None, "no quorum names it");
    step(&mut broken, 2, from(3, said(1, Standing::Looking, vote(1, 3))));
    assert_eq!(tried(&step(&mut broken, 3, ElectionInput::Tick)), None, "it leads no more");
}

#[test]
fn a_server_that_others_wait_for_leads_without_their_votes() {
    let mut three = election(3, 5, 0);
    look(&mut three, 5);
    let waits = said(9, Standing::Following, vote(3, 3));
    assert_eq!(tried(&step(&mut three, 1, from(1, waits))), None, "two are no quorum");
    let elsewhere = said(9, Standing::Following, vote(3, 4));
    assert_eq!(tried(&step(&mut three, 1, from(2, elsewhere))), None);
    assert_eq!(tried(&step(&mut three, 1, from(5, waits))), Some(3));
}

#[test]
fn a_settled_server_answers_and_is_not_drawn_into_a_new_round() {
    let mut two = election(2, 3, 0);
    look(&mut two, 5);
    let reign = Reign { epoch: Epoch(2), leader: ServerId(3) };
    step(&mut two, 0, ElectionInput::Settled(reign));
    let asks = Notification { round: 7, standing: Standing::Looking, vote: vote(9, 1), asks: true };
    let effects = step(&mut two, 1, from(1, asks));
    let [ElectionEffect::Send(ServerId(1), answer)] = effects[..] else { panic!("{effects:?}") };
    assert_eq!((answer.standing, answer.vote.leader), (Standing::Following, ServerId(3)));
    let effects = step(&mut two, 1, from(1, Notification { asks: false, ..asks }));
    assert!(effects.is_empty());
}

#[test]
fn observers_and_strangers_never_count() {
    let mut one = election(1, 3, 2);
    look(&mut one, 5);
    for stranger in [4, 5, 9] {
        let input = from(stranger, said(1, Standing::Looking, vote(5, 1)));
        step(&mut one, 1, input);
        step(&mut one, 1, from(stranger, said(1, Standing::Looking, vote(9, stranger))));
    }
    assert_eq!(tried(&step(&mut one, 49, ElectionInput::Tick)), None);
    assert_eq!(one.vote, vote(5, 1));
}

#[test]
fn an_observer_tries_the_leader_that_a_quorum_of_voters_names() {
    let mut observer = election(4, 3, 2);
    look(&mut observer, 5);
    let leads = said(3, Standing::Leading, vote(5, 3));
    assert_eq!(tried(&step(&mut observer, 1, from(3, leads))), None);
    let observes = said(3, Standing::Observing, vote(5, 3));
    assert_eq!(tried(&step(&mut observer, 1, from(5, observes))), None);
    let follows = said(3, Standing::Following, vote(5, 3));
    assert_eq!(tried(&step(&mut observer, 1, from(2, follows))), Some(3));
}

#[test]
fn questions_are_repeated_ever_more_slowly() {
    let mut one = election(1, 3, 0);
    look(&mut one, 5);
    let mut asked = Vec::new();
    for mono_ms in 1..4000 {
        if !step(&mut one, mono_ms, ElectionInput::Tick).is_empty() {
            asked.push(mono_ms);
        }
    }
    assert_eq!(asked, [50, 150, 350, 750, 1550, 2550, 3550]);
}

#[test]
fn a_candidate_that_failed_at_once_is_not_tried_again_without_a_pause() {
    let mut one = election(1, 1, 0);
    assert_eq!(tried(&look(&mut one, 0)), Some(1));
    assert_eq!(tried(&look(&mut one, 0)), None);
    assert_eq!(tried(&step(&mut one, 49, ElectionInput::Tick)), None);
    assert_eq!(tried(&step(&mut one, 50, ElectionInput::Tick)), Some(1));
}
