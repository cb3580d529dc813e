//! Fast leader election: who looks for a leader tells everybody whom it proposes, adopts better proposals, and decides
//! once a quorum proposes the same.
//!
//! Source: `org.apache.zookeeper.server.quorum.FastLeaderElection`. Otherwise than there, a server does not wait for
//! better proposals when everybody who can be reached has agreed: nobody could send one.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::Ordering;

use zebu_proto::quorum::PeerState;
use zebu_proto::{Epoch, Millis, Sid, Zxid};

use crate::members::Members;
use crate::vote::{Ballot, NO_PROPOSAL, Vote};

/// What the election of a server says to another one. The driver adds the text of the committed configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What the sender does.
    pub state: PeerState,
    /// Whom it proposes, or proposed when it last decided.
    pub vote: Vote,
    /// The round of the election in which it does, or did.
    pub round: i64,
    /// Format version: 0 for releases that do not keep the epochs of votes in step.
    pub version: i32,
}

/// The format version that is sent.
const VERSION: i32 = 2;

/// How long a server without a vote waits at most until it asks again.
const OBSERVER_REPEAT_MS_MAX: u64 = 1000;

/// A notification and who is to get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The receiver.
    pub to: Sid,
    /// What it gets.
    pub notification: Notification,
}

/// How long an election waits, milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct ElectionTimes {
    /// Until the first repetition of a proposal (`zookeeper.fastleader.minNotificationInterval`).
    pub repeat_ms_min: u64,
    /// The time doubles up to this (`zookeeper.fastleader.maxNotificationInterval`; a minute in Java, where a server that was
    /// alone for long may take as long to notice that it is so no more). Who does not vote repeats at least once a second:
    /// nobody tells observers of an election, they have to ask.
    pub repeat_ms_max: u64,
    /// For better proposals, once a quorum has agreed (`finalizeWait`).
    pub finalize_ms: u64,
}

impl Default for ElectionTimes {
    fn default() -> Self {
        Self {
            repeat_ms_min: 200,
            repeat_ms_max: 2000,
            finalize_ms: 200,
        }
    }
}

/// What a server brings into an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The last transaction in its durable log; −1 when its data is empty and cannot be trusted.
    pub last_zxid: Zxid,
    /// Its `currentEpoch`.
    pub current_epoch: Epoch,
    /// Whether it is an observer: it looks for the leader and is none.
    pub is_observer: bool,
}

/// How an election ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This server is to lead.
    Lead,
    /// This server is to follow, as participant or observer.
    Learn {
        /// Its leader.
        leader: Sid,
    },
}

/// The election of one server.
#[derive(Debug)]
pub struct Election {
    me: Sid,
    members: Members,
    times: ElectionTimes,
    round: i64,
    state: PeerState,
    /// What the last election came to.
    decided: Ballot,
    standing: Standing,
    /// Who proposed the same when this server last decided.
    supporters: BTreeSet<Sid>,
    /// Voters that cannot be reached at the moment, as far as is known.
    unreachable: BTreeSet<Sid>,
    looking: Option<Looking>,
}

/// An election under way.
#[derive(Debug)]
struct Looking {
    proposal: Vote,
    /// Votes of this round.
    received: BTreeMap<Sid, Ballot>,
    /// Votes of servers that have a leader, of any round.
    outside: BTreeMap<Sid, Ballot>,
    repeat_ms: u64,
    repeat_at: Millis,
    /// A quorum has agreed; if nothing better comes until then, that is the result.
    finalize_at: Option<Millis>,
}

impl Election {
    /// A server that has not looked for a leader yet.
    #[must_use]
    pub fn new(me: Sid, members: Members, times: ElectionTimes, standing: Standing) -> Self {
        Self {
            me,
            members,
            times,
            round: 0,
            state: PeerState::Looking,
            decided: Ballot {
                vote: Vote {
                    leader: me,
                    zxid: standing.last_zxid,
                    peer_epoch: i64::from(standing.current_epoch.0),
                },
                round: 0,
                is_looking: true,
                is_leading: false,
                is_versioned: true,
            },
            standing,
            supporters: BTreeSet::new(),
            unreachable: BTreeSet::new(),
            looking: None,
        }
    }

    /// What this server does.
    #[must_use]
    pub const fn state(&self) -> PeerState {
        self.state
    }

    /// The round that this server is in, or was in when it last decided.
    #[must_use]
    pub const fn round(&self) -> i64 {
        self.round
    }

    /// What the last election came to.
    #[must_use]
    pub const fn decided_vote(&self) -> Vote {
        self.decided.vote
    }

    /// Whether this server's last decision is due to that one as well: they proposed the same in the same round.
    #[must_use]
    pub fn is_supporter(&self, sid: Sid) -> bool {
        self.supporters.contains(&sid)
    }

    /// When [`Election::tick`] wants to be called, if nothing arrives before.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        let looking = self.looking.as_ref()?;
        Some(
            looking
                .finalize_at
                .map_or(looking.repeat_at, |at| at.min(looking.repeat_at)),
        )
    }

    /// Begins to look for a leader.
    pub fn look(&mut self, standing: Standing, now: Millis, out: &mut Vec<Outgoing>) -> Option<Decision> {
        self.round += 1;
        self.state = PeerState::Looking;
        self.standing = standing;
        self.looking = Some(Looking {
            proposal: self.own_vote(),
            received: BTreeMap::new(),
            outside: BTreeMap::new(),
            repeat_ms: self.times.repeat_ms_min,
            repeat_at: now.plus(self.times.repeat_ms_min),
            finalize_at: None,
        });
        self.propose(out);
        self.count(now)
    }

    /// The configurations have changed.
    pub fn set_members(&mut self, members: Members) {
        self.members = members;
    }

    /// A server that lost its leader by a change of the configuration goes with the one that was named with it. That one
    /// may not know or not be able to: then there is an election as always.
    ///
    /// Source: `QuorumPeer.updateVote`.
    pub fn follow_named(&mut self, leader: Sid, standing: Standing) -> Decision {
        self.standing = standing;
        self.looking = None;
        self.decided.vote = Vote {
            leader,
            zxid: standing.last_zxid,
            peer_epoch: i64::from(standing.current_epoch.0),
        };
        self.decide()
    }

    /// The epoch of the leader that this server now follows, or has become, is part of its vote from here on: so the
    /// votes of all members stay comparable. Source: `QuorumPeer.updateElectionVote`.
    pub fn epoch_established(&mut self, epoch: Epoch) {
        self.decided.vote.peer_epoch = i64::from(epoch.0);
    }

    /// Notes that a voter cannot be reached: nothing better will come from it.
    pub fn unreachable(&mut self, sid: Sid, now: Millis) -> Option<Decision> {
        self.unreachable.insert(sid);
        self.count(now)
    }

    /// Notes that this server has given up its leader, for its silence or because the connection is lost. Nobody waits for
    /// its vote, until it says something: a frozen one can still be reached.
    pub fn given_up(&mut self, leader: Sid) {
        self.unreachable.insert(leader);
    }

    /// Notes that a voter can be reached.
    pub fn reachable(&mut self, sid: Sid) {
        self.unreachable.remove(&sid);
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Millis, out: &mut Vec<Outgoing>) -> Option<Decision> {
        let looking = self.looking.as_mut()?;
        if looking.finalize_at.is_some_and(|at| at <= now) {
            return Some(self.decide());
        }
        if looking.repeat_at <= now {
            let longest = if self.standing.is_observer {
                self.times.repeat_ms_max.min(OBSERVER_REPEAT_MS_MAX)
            } else {
                self.times.repeat_ms_max
            };
            looking.repeat_ms = looking.repeat_ms.saturating_mul(2).min(longest);
            looking.repeat_at = now.plus(looking.repeat_ms);
            self.broadcast(out);
        }
        None
    }

    /// Takes what another server says.
    pub fn receive(
        &mut self,
        from: Sid,
        notification: &Notification,
        now: Millis,
        out: &mut Vec<Outgoing>,
    ) -> Option<Decision> {
        self.unreachable.remove(&from);
        if from == self.me {
            return None;
        }
        if !self.members.is_voter(from) {
            self.answer(from, self.decided, out);
            return None;
        }
        if self.looking.is_none() {
            if notification.state == PeerState::Looking {
                self.answer(from, self.decided, out);
            }
            return None;
        }
        match notification.state {
            PeerState::Looking => {
                if notification.round < self.round {
                    self.answer_running(from, out);
                }
                self.hear_voter(from, notification, now, out)
            }
            PeerState::Following | PeerState::Leading => self.hear_member(from, notification),
            PeerState::Observing => None,
        }
    }

    /// A voter that looks for a leader, too.
    fn hear_voter(
        &mut self,
        from: Sid,
        notification: &Notification,
        now: Millis,
        out: &mut Vec<Outgoing>,
    ) -> Option<Decision> {
        const UNTRUSTED: Zxid = Zxid(-1);
        if !self.members.is_voter(notification.vote.leader)
            || notification.vote.zxid == UNTRUSTED
            || self.standing.last_zxid == UNTRUSTED
        {
            return None;
        }
        let own = self.own_vote();
        let is_better_than = |vote: &Vote| self.is_better(&notification.vote, vote);
        let (is_better_than_own, is_better) = (is_better_than(&own), is_better_than(&self.looking.as_ref()?.proposal));
        let looking = self.looking.as_mut()?;
        match notification.round.cmp(&self.round) {
            Ordering::Less => {
                // It will come back with this round; what it proposes is worth a little time.
                if is_better && looking.finalize_at.is_some() {
                    looking.finalize_at = Some(now.plus(self.times.finalize_ms));
                }
                return None;
            }
            Ordering::Greater => {
                self.round = notification.round;
                looking.received.clear();
                looking.finalize_at = None;
                looking.proposal = if is_better_than_own { notification.vote } else { own };
                self.propose(out);
            }
            Ordering::Equal if is_better => {
                looking.finalize_at = None;
                looking.proposal = notification.vote;
                self.propose(out);
            }
            // What this server proposes came before the other one looked for a leader, and was not heard.
            Ordering::Equal if looking.proposal.order(&notification.vote) == Ordering::Greater => {
                self.answer_running(from, out);
            }
            Ordering::Equal => {}
        }
        self.keep(from, notification);
        self.count(now)
    }

    /// A member of an ensemble that has a leader.
    fn hear_member(&mut self, from: Sid, notification: &Notification) -> Option<Decision> {
        let leader = notification.vote.leader;
        if !self.members.is_voter(leader) {
            return None;
        }
        let ballot = ballot(notification);
        let is_of_this_round = notification.round == self.round;
        let looking = self.looking.as_mut()?;
        looking.outside.insert(from, ballot);
        if is_of_this_round {
            looking.received.insert(from, ballot);
            if self.is_elected(&self.looking.as_ref()?.received, &ballot) {
                return Some(self.join(ballot));
            }
        }
        if self.is_elected(&self.looking.as_ref()?.outside, &ballot) {
            self.round = notification.round;
            return Some(self.join(ballot));
        }
        None
    }

    /// Whether a quorum says what `ballot` says, and the leader it names says so as well: a dead one would not.
    ///
    /// Source: `FastLeaderElection.checkLeader`.
    fn is_elected(&self, votes: &BTreeMap<Sid, Ballot>, ballot: &Ballot) -> bool {
        let leader = ballot.vote.leader;
        let is_confirmed = if leader == self.me {
            self.round == ballot.round
        } else {
            votes.get(&leader).is_some_and(|vote| vote.is_leading)
        };
        is_confirmed
            && self
                .members
                .all_quorums(|sid| votes.get(&sid).is_some_and(|vote| vote.agrees(ballot)))
    }

    fn join(&mut self, ballot: Ballot) -> Decision {
        if let Some(looking) = &mut self.looking {
            looking.proposal = ballot.vote;
        }
        self.decide()
    }

    fn keep(&mut self, from: Sid, notification: &Notification) {
        if let Some(looking) = &mut self.looking {
            looking.received.insert(from, ballot(notification));
        }
    }

    /// Counts the votes of this round.
    fn count(&mut self, now: Millis) -> Option<Decision> {
        let round = self.round;
        let looking = self.looking.as_ref()?;
        let running = Ballot {
            vote: looking.proposal,
            round,
            is_looking: true,
            is_leading: false,
            is_versioned: true,
        };
        let agrees = |sid: Sid| looking.received.get(&sid).is_some_and(|vote| vote.agrees(&running));
        if looking.proposal.leader.0 == NO_PROPOSAL || !self.members.all_quorums(agrees) {
            return None;
        }
        let is_unanimous = self
            .members
            .voters()
            .into_iter()
            .all(|sid| agrees(sid) || self.unreachable.contains(&sid));
        if is_unanimous {
            return Some(self.decide());
        }
        let finalize_at = now.plus(self.times.finalize_ms);
        self.looking.as_mut()?.finalize_at.get_or_insert(finalize_at);
        None
    }

    fn decide(&mut self) -> Decision {
        self.supporters.clear();
        let vote = match self.looking.take() {
            Some(looking) => {
                let same = looking
                    .received
                    .iter()
                    .filter(|(_, ballot)| ballot.vote == looking.proposal);
                self.supporters.extend(same.map(|(sid, _)| *sid));
                looking.proposal
            }
            None => self.decided.vote,
        };
        let is_leading = vote.leader == self.me;
        self.decided = Ballot {
            vote,
            round: self.round,
            is_looking: false,
            is_leading,
            is_versioned: true,
        };
        if is_leading {
            self.state = PeerState::Leading;
            return Decision::Lead;
        }
        self.state = if self.standing.is_observer {
            PeerState::Observing
        } else {
            PeerState::Following
        };
        Decision::Learn { leader: vote.leader }
    }

    fn own_vote(&self) -> Vote {
        if self.standing.is_observer || !self.members.is_voter(self.me) {
            return Vote::NONE;
        }
        Vote {
            leader: self.me,
            zxid: self.standing.last_zxid,
            peer_epoch: i64::from(self.standing.current_epoch.0),
        }
    }

    fn is_better(&self, new: &Vote, than: &Vote) -> bool {
        self.members.may_lead(new.leader) && new.order(than) == Ordering::Greater
    }

    /// The proposal is new: it is this server's vote, and everybody is told.
    fn propose(&mut self, out: &mut Vec<Outgoing>) {
        let (me, round) = (self.me, self.round);
        if self.members.is_voter(me)
            && let Some(looking) = &mut self.looking
        {
            let own = Ballot {
                vote: looking.proposal,
                round,
                is_looking: true,
                is_leading: false,
                is_versioned: true,
            };
            looking.received.insert(me, own);
        }
        self.broadcast(out);
    }

    fn broadcast(&self, out: &mut Vec<Outgoing>) {
        for to in self.members.voters() {
            if to != self.me {
                self.answer_running(to, out);
            }
        }
    }

    fn answer_running(&self, to: Sid, out: &mut Vec<Outgoing>) {
        let Some(looking) = &self.looking else { return };
        let notification = Notification {
            state: PeerState::Looking,
            vote: looking.proposal,
            round: self.round,
            version: VERSION,
        };
        out.push(Outgoing { to, notification });
    }

    fn answer(&self, to: Sid, ballot: Ballot, out: &mut Vec<Outgoing>) {
        // Who looks for a leader says so, in its present round, to those who do not vote.
        let round = if self.looking.is_some() {
            self.round
        } else {
            ballot.round
        };
        let notification = Notification {
            state: self.state,
            vote: ballot.vote,
            round,
            version: VERSION,
        };
        out.push(Outgoing { to, notification });
    }
}

fn ballot(notification: &Notification) -> Ballot {
    Ballot {
        vote: notification.vote,
        round: notification.round,
        is_looking: notification.state == PeerState::Looking,
        is_leading: notification.state == PeerState::Leading,
        is_versioned: notification.version > 0,
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::sync::Arc;
    use alloc::vec;

    use zebu_proto::quorum::QuorumConfig;

    use super::*;

    fn members() -> Members {
        let mut config = QuorumConfig::default();
        for sid in 1..=3 {
            config
                .add(&format!("server.{sid}"), &format!("h:{}:{}", 2000 + sid, 3000 + sid))
                .unwrap();
        }
        Members::new(Arc::new(config))
    }

    const fn standing(last_zxid: i64) -> Standing {
        Standing {
            last_zxid: Zxid(last_zxid),
            current_epoch: Epoch(1),
            is_observer: false,
        }
    }

    const fn vote(leader: i64, zxid: i64) -> Vote {
        Vote {
            leader: Sid(leader),
            zxid: Zxid(zxid),
            peer_epoch: 1,
        }
    }

    const fn says(state: PeerState, vote: Vote, round: i64) -> Notification {
        Notification {
            state,
            vote,
            round,
            version: VERSION,
        }
    }

    /// Server 1, looking for a leader in round 1 with a log up to 50.
    fn looking() -> Election {
        let mut election = Election::new(Sid(1), members(), ElectionTimes::default(), standing(50));
        let mut out = Vec::new();
        assert_eq!(election.look(standing(50), Millis(0), &mut out), None);
        assert_eq!(out.len(), 2, "both others are told");
        election
    }

    const FOLLOWS: Option<Decision> = Some(Decision::Learn { leader: Sid(3) });

    #[test]
    fn a_better_proposal_is_adopted_and_wins_after_a_moment() {
        let (mut election, mut out) = (looking(), Vec::new());
        let better = says(PeerState::Looking, vote(3, 60), 1);
        assert_eq!(election.receive(Sid(3), &better, Millis(1), &mut out), None);
        let told: Vec<_> = out
            .drain(..)
            .map(|outgoing| (outgoing.to, outgoing.notification.vote))
            .collect();
        assert_eq!(told, vec![(Sid(2), vote(3, 60)), (Sid(3), vote(3, 60))]);
        assert_eq!(election.deadline(), Some(Millis(200)));
        assert_eq!(election.tick(Millis(200), &mut out), None, "it is said once more");
        assert_eq!(election.tick(Millis(201), &mut out), FOLLOWS);
        assert_eq!(election.state(), PeerState::Following);
    }

    #[test]
    fn nobody_waits_for_those_who_cannot_say_anything() {
        let mut out = Vec::new();
        let better = says(PeerState::Looking, vote(3, 60), 1);
        let mut election = looking();
        assert_eq!(election.unreachable(Sid(2), Millis(1)), None);
        assert_eq!(election.receive(Sid(3), &better, Millis(1), &mut out), FOLLOWS);
        let mut election = looking();
        election.receive(Sid(3), &better, Millis(1), &mut out);
        assert_eq!(election.receive(Sid(2), &better, Millis(2), &mut out), FOLLOWS);
        let mut election = looking();
        election.unreachable(Sid(2), Millis(1));
        election.reachable(Sid(2));
        assert_eq!(election.receive(Sid(3), &better, Millis(1), &mut out), None);
    }

    #[test]
    fn a_later_round_begins_the_count_anew_and_an_earlier_one_is_told() {
        let (mut election, mut out) = (looking(), Vec::new());
        let worse = says(PeerState::Looking, vote(3, 40), 5);
        assert_eq!(election.receive(Sid(3), &worse, Millis(1), &mut out), None);
        assert_eq!(election.round(), 5);
        assert!(out.iter().all(|outgoing| outgoing.notification.vote == vote(1, 50)));
        out.clear();
        let late = says(PeerState::Looking, vote(2, 70), 4);
        assert_eq!(election.receive(Sid(2), &late, Millis(2), &mut out), None);
        assert_eq!(out.len(), 1);
        assert_eq!((out[0].to, out[0].notification.round), (Sid(2), 5));
    }

    #[test]
    fn an_established_leader_is_joined_only_if_it_says_so_itself() {
        let (mut election, mut out) = (looking(), Vec::new());
        let member = |state, epoch| Notification {
            vote: Vote {
                peer_epoch: epoch,
                ..vote(3, 60)
            },
            ..says(state, vote(3, 60), 9)
        };
        let following = member(PeerState::Following, 4);
        assert_eq!(election.receive(Sid(2), &following, Millis(1), &mut out), None);
        // It leads by now, in another epoch than the follower knows of.
        let leading = member(PeerState::Leading, 5);
        assert_eq!(election.receive(Sid(3), &leading, Millis(2), &mut out), None);
        let following = member(PeerState::Following, 5);
        assert_eq!(election.receive(Sid(2), &following, Millis(3), &mut out), FOLLOWS);
        assert_eq!(election.round(), 9);

        // Nobody is made the leader by the word of others from another round.
        let mut election = looking();
        let stale = says(PeerState::Following, vote(1, 50), 9);
        for sid in [2, 3] {
            assert_eq!(election.receive(Sid(sid), &stale, Millis(1), &mut out), None);
        }
    }

    #[test]
    fn those_without_a_vote_are_answered_and_not_counted() {
        let (mut election, mut out) = (looking(), Vec::new());
        let stranger = says(PeerState::Looking, vote(9, 900), 1);
        assert_eq!(election.receive(Sid(9), &stranger, Millis(1), &mut out), None);
        assert_eq!((out.len(), out[0].to), (1, Sid(9)));
        out.clear();
        // Nor is a vote for one of them.
        assert_eq!(election.receive(Sid(2), &stranger, Millis(1), &mut out), None);
        assert_eq!(election.tick(Millis(199), &mut out), None);
        let untrusted = says(PeerState::Looking, vote(3, -1), 1);
        assert_eq!(election.receive(Sid(3), &untrusted, Millis(1), &mut out), None);
        assert_eq!(out, vec![]);
    }

    #[test]
    fn an_observer_proposes_nobody_and_finds_the_leader() {
        let mut out = Vec::new();
        let standing = Standing {
            is_observer: true,
            ..standing(50)
        };
        let mut election = Election::new(Sid(7), members(), ElectionTimes::default(), standing);
        assert_eq!(election.look(standing, Millis(0), &mut out), None);
        assert!(out.iter().all(|outgoing| outgoing.notification.vote == Vote::NONE));
        assert_eq!(out.len(), 3);
        let leading = says(PeerState::Leading, vote(3, 60), 2);
        assert_eq!(election.receive(Sid(3), &leading, Millis(1), &mut out), None);
        let following = says(PeerState::Following, vote(3, 60), 2);
        assert_eq!(election.receive(Sid(1), &following, Millis(2), &mut out), FOLLOWS);
        assert_eq!(election.state(), PeerState::Observing);

        // Nobody tells it when the election is over: it asks often enough.
        let mut election = Election::new(Sid(7), members(), ElectionTimes::default(), standing);
        election.look(standing, Millis(0), &mut out);
        let mut at = Millis(0);
        for _ in 0..20 {
            let next = election.deadline().unwrap();
            assert!(next.since(at) <= OBSERVER_REPEAT_MS_MAX);
            at = next;
            assert_eq!(election.tick(at, &mut out), None);
        }
    }
}
