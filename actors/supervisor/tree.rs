//! Which rooms are built anew when one fails, and when there is no more use in it: decided from
//! arguments alone, so that it can be tested without a room or a clock.
//!
//! Groups stand in a tree. A failure is counted in the group of the room. Beyond the group's
//! limit the group itself has failed, which is counted in the group above it; beyond the root's
//! limit nothing is left but to end.

use std::collections::VecDeque;
use std::time::Duration;

/// Who in a group is built anew together with the one that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// Nobody: the others do not depend on it.
    One,
    /// Everybody: none of them is of use with what another one remembers.
    All,
}

impl Strategy {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::One => "one for one",
            Self::All => "one for all",
        }
    }
}

/// How many failures a group bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intensity {
    /// So many; 0 bears none.
    pub(crate) max: usize,
    /// In any stretch of time as long as this.
    pub(crate) within: Duration,
}

/// A group of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupId(usize);

/// A room of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RoomId(usize);

impl RoomId {
    /// Rooms are numbered from 0 in the order they joined.
    pub(crate) fn number(self) -> usize {
        self.0
    }
}

/// What follows from a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// These are built anew, in this order; the one that failed is among them.
    Rebuild(Vec<RoomId>),
    /// This group, the root, has borne all that it bears.
    End { group: &'static str, failures: usize, within: Duration },
}

/// One line of the tree as an operator sees it, with what `R` says of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line<R> {
    /// A group, so deep in the tree, and how many failures it counts at present.
    Group {
        depth: usize,
        name: &'static str,
        strategy: Strategy,
        intensity: Intensity,
        failures: usize,
    },
    /// A room, so deep in the tree.
    Room { depth: usize, room: R },
}

impl<R> Line<R> {
    /// The same line, with what `of` says of the room.
    pub(super) fn map<S>(self, of: impl FnOnce(R) -> S) -> Line<S> {
        match self {
            Self::Group { depth, name, strategy, intensity, failures } => {
                Line::Group { depth, name, strategy, intensity, failures }
            }
            Self::Room { depth, room } => Line::Room { depth, room: of(room) },
        }
    }
}

#[derive(Debug)]
struct Group {
    name: &'static str,
    parent: Option<GroupId>,
    strategy: Strategy,
    intensity: Intensity,
    members: Vec<Member>,
    /// Failures that still count, oldest first.
    failures: VecDeque<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Group(GroupId),
    Room(RoomId),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Tree {
    groups: Vec<Group>,
    /// Each room's group.
    rooms: Vec<GroupId>,
}

impl Tree {
    /// The group that all others descend from.
    pub(crate) const ROOT: GroupId = GroupId(0);

    pub(crate) fn new(name: &'static str, strategy: Strategy, intensity: Intensity) -> Self {
        let mut tree = Self { groups: Vec::new(), rooms: Vec::new() };
        tree.found(name, None, strategy, intensity);
        tree
    }

    /// A group in a group.
    pub(crate) fn add_group(
        &mut self,
        parent: GroupId,
        name: &'static str,
        strategy: Strategy,
        intensity: Intensity,
    ) -> GroupId {
        let id = self.found(name, Some(parent), strategy, intensity);
        self.groups[parent.0].members.push(Member::Group(id));
        id
    }

    /// A room in a group.
    pub(crate) fn add_room(&mut self, group: GroupId) -> RoomId {
        let id = RoomId(self.rooms.len());
        self.rooms.push(group);
        self.groups[group.0].members.push(Member::Room(id));
        id
    }

    /// A room failed at this time, reckoned from any fixed instant.
    pub(crate) fn failed(&mut self, room: RoomId, at: Duration) -> Verdict {
        let mut failed = Member::Room(room);
        let mut group = self.rooms[room.0];
        loop {
            let Group { name, parent, intensity, failures, .. } = &mut self.groups[group.0];
            failures.push_back(at);
            forget_old(failures, *intensity, at);
            if failures.len() <= intensity.max {
                return Verdict::Rebuild(self.affected(group, failed));
            }
            let Some(above) = *parent else {
                let (group, within) = (*name, intensity.within);
                return Verdict::End { group, failures: failures.len(), within };
            };
            // It begins anew, if those above it let it.
            failures.clear();
            failed = Member::Group(group);
            group = above;
        }
    }

    /// The whole tree, groups before their members.
    pub(crate) fn lines(&self, now: Duration) -> Vec<Line<RoomId>> {
        let mut lines = Vec::new();
        self.add_lines(Self::ROOT, 0, now, &mut lines);
        lines
    }

    fn found(
        &mut self,
        name: &'static str,
        parent: Option<GroupId>,
        strategy: Strategy,
        intensity: Intensity,
    ) -> GroupId {
        let (members, failures) = (Vec::new(), VecDeque::new());
        self.groups.push(Group { name, parent, strategy, intensity, members, failures });
        GroupId(self.groups.len() - 1)
    }

    fn affected(&self, group: GroupId, failed: Member) -> Vec<RoomId> {
        let Group { strategy, members, .. } = &self.groups[group.0];
        let at = members.iter().position(|member| *member == failed);
        let at = at.expect("who failed in a group is a member of it");
        let chosen = match strategy {
            Strategy::One => &members[at..=at],
            Strategy::All => &members[..],
        };
        let mut rooms = Vec::new();
        chosen.iter().for_each(|member| self.add_rooms(*member, &mut rooms));
        rooms
    }

    fn add_rooms(&self, member: Member, rooms: &mut Vec<RoomId>) {
        match member {
            Member::Room(room) => rooms.push(room),
            Member::Group(group) => {
                let members = &self.groups[group.0].members;
                members.iter().for_each(|member| self.add_rooms(*member, rooms));
            }
        }
    }

    fn add_lines(&self, id: GroupId, depth: usize, now: Duration, lines: &mut Vec<Line<RoomId>>) {
        let Group { name, strategy, intensity, members, failures, .. } = &self.groups[id.0];
        let mut counted = failures.clone();
        forget_old(&mut counted, *intensity, now);
        let (name, strategy, intensity) = (*name, *strategy, *intensity);
        lines.push(Line::Group { depth, name, strategy, intensity, failures: counted.len() });
        for member in members {
            match member {
                Member::Group(group) => self.add_lines(*group, depth + 1, now, lines),
                Member::Room(room) => lines.push(Line::Room { depth: depth + 1, room: *room }),
            }
        }
    }
}

fn forget_old(failures: &mut VecDeque<Duration>, intensity: Intensity, now: Duration) {
    while failures.front().is_some_and(|at| now.saturating_sub(*at) >= intensity.within) {
        failures.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn bears(max: usize) -> Intensity {
        Intensity { max, within: MINUTE }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_strategy_says_who_is_built_anew() {
        for (strategy, expected) in [(Strategy::One, &[1][..]), (Strategy::All, &[0, 1, 2])] {
            let mut tree = Tree::new("root", strategy, bears(1));
            let rooms: Vec<_> = (0..3).map(|_| tree.add_room(Tree::ROOT)).collect();
            let expected = expected.iter().map(|number| rooms[*number]).collect();
            assert_eq!(tree.failed(rooms[1], at(0)), Verdict::Rebuild(expected));
        }
    }

    #[test]
    fn a_limit_holds_in_any_stretch_of_its_length() {
        let mut tree = Tree::new("root", Strategy::One, bears(2));
        let room = tree.add_room(Tree::ROOT);
        for seconds in [0, 40, 60, 100, 120] {
            assert_eq!(tree.failed(room, at(seconds)), Verdict::Rebuild(vec![room]), "{seconds}");
        }
        let end = Verdict::End { group: "root", failures: 3, within: MINUTE };
        assert_eq!(tree.failed(room, at(159)), end);
    }

    #[test]
    fn members_of_a_group_share_its_limit() {
        let mut tree = Tree::new("root", Strategy::One, bears(1));
        let (a, b) = (tree.add_room(Tree::ROOT), tree.add_room(Tree::ROOT));
        assert_eq!(tree.failed(a, at(0)), Verdict::Rebuild(vec![a]));
        assert!(matches!(tree.failed(b, at(1)), Verdict::End { .. }));
    }

    #[test]
    fn a_group_beyond_its_limit_fails_in_the_one_above_and_begins_anew() {
        let mut tree = Tree::new("root", Strategy::One, bears(1));
        let before = tree.add_room(Tree::ROOT);
        let group = tree.add_group(Tree::ROOT, "pair", Strategy::One, bears(1));
        let (a, b) = (tree.add_room(group), tree.add_room(group));
        assert_eq!(tree.failed(a, at(0)), Verdict::Rebuild(vec![a]));
        assert_eq!(tree.failed(b, at(1)), Verdict::Rebuild(vec![a, b]), "not {before:?}");
        assert_eq!(tree.failed(b, at(2)), Verdict::Rebuild(vec![b]));
        let end = Verdict::End { group: "root", failures: 2, within: MINUTE };
        assert_eq!(tree.failed(b, at(3)), end);
    }

    #[test]
    fn lines_tell_of_groups_before_their_members_and_of_what_still_counts() {
        let mut tree = Tree::new("root", Strategy::One, bears(0));
        let group = tree.add_group(Tree::ROOT, "pair", Strategy::All, bears(5));
        let room = tree.add_room(group);
        tree.failed(room, at(0));
        tree.failed(room, at(30));
        let line = |depth, name, strategy, max, failures| Line::Group {
            depth,
            name,
            strategy,
            intensity: bears(max),
            failures,
        };
        let expected = [
            line(0, "root", Strategy::One, 0, 0),
            line(1, "pair", Strategy::All, 5, 1),
            Line::Room { depth: 2, room },
        ];
        assert_eq!(tree.lines(at(60)), expected);
    }
}
