//! What a member wants done is done, at once or as a question that is answered in a later step.

use super::server::{PIECES, Question, piece};
use super::{Packet, World};
use crate::types::{Epoch, ServerId, Zxid};
use crate::zab::io::{ElectionInput, MemberEffect};
use crate::zab::{HistoryReader, Reign};
use bytes::Bytes;
use std::vec::Vec;

impl World {
    pub(super) fn perform(&mut self, server: ServerId, effects: Vec<MemberEffect>) {
        let mut look = None;
        for effect in effects {
            assert!(look.is_none(), "Look is the last effect");
            if let MemberEffect::Look { epoch, last } = effect {
                look = Some((epoch, last));
            } else {
                self.perform_one(server, effect);
            }
        }
        if let Some((epoch, last)) = look {
            self.look(server, epoch, last);
        }
    }

    fn perform_one(&mut self, server: ServerId, effect: MemberEffect) {
        match effect {
            MemberEffect::Send(to, message) => {
                self.check_promise(server, to, &message);
                self.send(server, to, Packet::Zab(message));
            }
            MemberEffect::Disconnect(peer) => self.break_link(server, peer, 1),
            MemberEffect::Log { mark, committed, orders } => {
                assert!(!orders.is_empty(), "an empty batch is no batch");
                self.check_elected(server, &orders);
                self.server(server).disk.queue.push_back((mark, committed, orders));
            }
            MemberEffect::Deliver(entries) => self.given(server, &entries),
            MemberEffect::LoadSnapshot(zxid) => self.load(server, zxid),
            MemberEffect::Serve { reign, history } => self.serve(server, reign, history),
            MemberEffect::Suspend => self.suspend(server),
            MemberEffect::Look { .. } => unreachable!("it is the last effect"),
            MemberEffect::BeginsAnew(_) => {}
            MemberEffect::Refused(origins) => {
                self.server(server).refused += origins.len() as u64;
            }
            MemberEffect::Confirmed { token, target } => self.confirmed(server, token, target),
            MemberEffect::ReadHistory(reader, after) => {
                self.ask(server, Question::History(reader, after));
            }
            MemberEffect::OpenSnapshot(learner) => {
                let snapshot = self.servers[&server].disk.image.snapshot;
                self.server(server).reading.insert(learner, (snapshot, 0));
                self.ask(server, Question::Snapshot(learner));
            }
            MemberEffect::ReadSnapshot(learner) => {
                assert!(self.servers[&server].reading.contains_key(&learner), "not open");
                self.ask(server, Question::Snapshot(learner));
            }
            MemberEffect::CloseSnapshot(learner) => {
                self.server(server).reading.remove(&learner);
            }
            MemberEffect::BeginSnapshot(zxid) => self.server(server).receiving = (zxid, 0),
            MemberEffect::WriteSnapshot { bytes, last } => {
                self.write_snapshot(server, &bytes, last);
            }
            MemberEffect::Halt(reason) => panic!("{server:?} halts: {reason}"),
        }
    }

    fn look(&mut self, server: ServerId, epoch: Epoch, last: Zxid) {
        let disk = &self.servers[&server].disk;
        assert!(disk.queue.is_empty(), "looks with writes on their way");
        assert_eq!((disk.image.current.epoch, disk.image.last()), (epoch, last));
        self.election(server, ElectionInput::Look { epoch, last });
    }

    fn load(&mut self, server: ServerId, zxid: Zxid) {
        let given = self.position(zxid);
        assert!(given >= self.servers[&server].given, "the host's state went back");
        assert_eq!(self.chosen[given - 1].zxid, zxid, "nobody was given the snapshot");
        let image = &self.servers[&server].disk.image;
        assert!(image.snapshot >= zxid, "loaded before it was adopted");
        self.server(server).given = given;
        self.server(server).questions.push_back(Question::Delivered(zxid));
    }

    fn suspend(&mut self, server: ServerId) {
        assert!(self.server(server).serving.take().is_some(), "suspended twice");
        self.server(server).suspended += 1;
    }

    fn confirmed(&mut self, server: ServerId, token: u64, target: Zxid) {
        let newest = self.server(server).tokens.remove(&token);
        let newest = newest.expect("a read is confirmed once, by the server that asked");
        assert!(target >= newest, "{server:?} confirmed a read of the past");
        self.server(server).confirmed += 1;
    }

    fn write_snapshot(&mut self, server: ServerId, bytes: &Bytes, last: bool) {
        let (zxid, pieces) = &mut self.server(server).receiving;
        *pieces += 1;
        let expected = piece(*zxid, *pieces);
        assert_eq!((bytes, last), (&expected, *pieces == PIECES), "wrong piece");
        let zxid = *zxid;
        if last {
            self.ask(server, Question::Installed(zxid));
        }
    }

    fn ask(&mut self, server: ServerId, question: Question) {
        let state = self.server(server);
        match &question {
            Question::History(HistoryReader::Learner(_), _) => state.history_reads += 1,
            Question::Snapshot(_) => state.snapshot_reads += 1,
            Question::History(HistoryReader::Host | HistoryReader::Rebuild, _)
            | Question::Installed(_)
            | Question::Delivered(_) => {}
        }
        state.questions.push_back(question);
    }

    fn serve(&mut self, server: ServerId, reign: Reign, history: Zxid) {
        if reign.leader == server {
            // Of earlier epochs: a leader that has been deposed already, and does not know of it,
            // may be established all the same. It cannot commit anything any more.
            let earlier = self.chosen.partition_point(|entry| entry.zxid.epoch() < reign.epoch);
            let newest = self.chosen[..earlier].last().map_or(Zxid::ZERO, |last| last.zxid);
            assert!(newest <= history, "{server:?} leads without all that is committed");
            let before = self.leaders.insert(reign.epoch, server);
            assert_eq!(before, None, "two leaders of {reign:?}");
        } else {
            assert_eq!(self.leaders.get(&reign.epoch), Some(&reign.leader));
        }
        assert_eq!(self.servers[&server].disk.image.current, reign);
        self.server(server).serving = Some(reign);
        self.election(server, ElectionInput::Settled(reign));
    }
}
