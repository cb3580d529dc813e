//! The roles of a server, one after the other: it looks for a leader, leads or learns, and looks again.
//!
//! Source: `org.apache.zookeeper.server.quorum.QuorumPeer.run`.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use zebu_proto::quorum::{PeerState, QuorumConfig};
use zebu_proto::{Epoch, Millis, Sid, Zxid};

use crate::election::{Decision, Election, ElectionTimes, Notification, Outgoing, Standing};
use crate::history::{LogPart, Proposal, RecentHistory};
use crate::leader::{Leader, LeaderEffect, LearnerId, LogRead, OwnHistory, SyncId, Times};
use crate::learner::{Identity, Learner, LearnerEffect};
use crate::members::{Members, stays_voter};
use crate::message::{ToLeader, ToLearner};
use crate::observer_master::{ObserverMaster, Source};

/// What a server starts with.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// Its id.
    pub sid: Sid,
    /// The ensemble.
    pub members: Members,
    /// Whether it observes: it logs and serves, and has no vote.
    pub is_observer: bool,
    /// Limits of time.
    pub times: Times,
    /// Those of the election.
    pub election: ElectionTimes,
    /// Whether its data is empty and it must not vote before a leader has filled it.
    pub is_untrusted: bool,
}

/// What a server wants done. Each may be done at once, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Say something on the election port.
    Notify(Outgoing),
    /// As leader; as follower, for its observers.
    Lead(LeaderEffect),
    /// As learner.
    Learn(LearnerEffect),
    /// Open the quorum port: this server may become the leader.
    Open,
    /// A configuration was proposed. Make it durable as the one that was seen last, in the place of another one, before
    /// anything that comes later is, and be ready to talk to its members.
    See(Arc<QuorumConfig>),
    /// A configuration is committed: make it durable, and be with its members. What became of this server's part in it is
    /// known by then ([`Peer::is_observer`]).
    Activate(Arc<QuorumConfig>),
    /// This server has no role any more. Stop serving, end all connections on the quorum port, make durable what was
    /// appended, and apply all of it; then call [`Peer::settled`]. Epochs that are still to be saved either are saved
    /// before that, or never.
    Settle {
        /// Why.
        why: &'static str,
        /// Whether the tree in memory is not that of the disk, and has to be loaded again first.
        must_reload: bool,
    },
}

/// What a server does.
#[derive(Debug)]
enum Role {
    /// It puts its history in order.
    Settling(Option<RecentHistory>),
    Looking(RecentHistory),
    Leading(Leader),
    Learning(Learner, ObserverMaster),
}

/// A server of an ensemble.
#[derive(Debug)]
pub struct Peer {
    config: PeerConfig,
    election: Election,
    own: OwnHistory,
    role: Role,
    /// Who is meant to lead with the configuration that has just come into force.
    named: Option<Sid>,
    /// While this server is elected and does not lead yet: voters that have said since that they are not with it.
    elsewhere: BTreeSet<Sid>,
    is_untrusted: bool,
    reads_log: bool,
    /// `zookeeper.leader.maxTimeToWaitForEpoch`, milliseconds.
    epoch_wait_ms_max: Option<u64>,
    #[cfg(feature = "faults")]
    faults: Faults,
}

/// What is wrong in a simulated server.
#[cfg(feature = "faults")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Where the counter of zxids ends, for whenever this server leads.
    pub counter_end: Option<u32>,
    /// Whether it follows leaders of epochs before the one that it has accepted, and as leader takes followers that have
    /// accepted a later one.
    pub goes_back: bool,
}

#[cfg(feature = "faults")]
impl Faults {
    const fn in_leader(self, mut leader: Leader) -> Leader {
        if let Some(end) = self.counter_end {
            leader.set_counter_end(end);
        }
        if self.goes_back {
            leader.ignore_later_epochs();
        }
        leader
    }
}

type Effects = Vec<Effect>;

impl Peer {
    /// A server that has loaded its data: `recent` is the end of its history. It begins when [`Peer::settled`] is called.
    #[must_use]
    pub fn new(config: PeerConfig, own: OwnHistory, recent: RecentHistory) -> Self {
        let standing = Standing {
            last_zxid: own.last_zxid,
            current_epoch: own.current_epoch,
            is_observer: config.is_observer,
        };
        Self {
            election: Election::new(config.sid, config.members.clone(), config.election, standing),
            is_untrusted: config.is_untrusted,
            config,
            own,
            role: Role::Settling(Some(recent)),
            named: None,
            elsewhere: BTreeSet::new(),
            reads_log: false,
            epoch_wait_ms_max: None,
            #[cfg(feature = "faults")]
            faults: Faults::default(),
        }
    }

    /// Learners that lack more than is kept in memory are sent what stands in the log on disk: the driver asks
    /// for [`Peer::next_log_read`] after each call.
    #[must_use]
    pub fn with_log(self) -> Self {
        Self {
            reads_log: true,
            ..self
        }
    }

    /// Once elected, this server gives up at once when it has waited for longer than this for its epoch, and one of those
    /// who elected it looks for a leader again (`zookeeper.leader.maxTimeToWaitForEpoch`). Without this it goes on as long
    /// as enough others may come.
    #[must_use]
    pub fn with_epoch_wait(self, ms_max: Option<u64>) -> Self {
        Self {
            epoch_wait_ms_max: ms_max,
            ..self
        }
    }

    /// Puts faults into this server.
    #[cfg(feature = "faults")]
    pub const fn put_in(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// What this server does, as others are told.
    #[must_use]
    pub const fn state(&self) -> PeerState {
        self.election.state()
    }

    /// The configurations.
    #[must_use]
    pub const fn members(&self) -> &Members {
        &self.config.members
    }

    /// Whether this server observes, by the newest configuration in force.
    #[must_use]
    pub const fn is_observer(&self) -> bool {
        self.config.is_observer
    }

    /// The leader, if this is one.
    #[must_use]
    pub const fn as_leader(&self) -> Option<&Leader> {
        match &self.role {
            Role::Leading(leader) => Some(leader),
            _ => None,
        }
    }

    /// The learner, if this is one.
    #[must_use]
    pub const fn as_learner(&self) -> Option<&Learner> {
        match &self.role {
            Role::Learning(learner, _) => Some(learner),
            _ => None,
        }
    }

    /// The observers of this server, if it is a learner.
    #[must_use]
    pub const fn as_observer_master(&self) -> Option<&ObserverMaster> {
        match &self.role {
            Role::Learning(_, observers) => Some(observers),
            _ => None,
        }
    }

    /// The epoch of an established leader that this server is or follows.
    #[must_use]
    pub fn established(&self) -> Option<Epoch> {
        match &self.role {
            Role::Leading(leader) => leader.established(),
            Role::Learning(learner, _) => learner.established(),
            Role::Settling(_) | Role::Looking(_) => None,
        }
    }

    /// The epochs as they are on disk, and the end of the history when this server last looked for a leader.
    #[must_use]
    pub const fn own(&self) -> OwnHistory {
        self.own
    }

    /// When [`Peer::tick`] wants to be called, if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        match &self.role {
            Role::Settling(_) => None,
            Role::Looking(_) => self.election.deadline(),
            Role::Leading(leader) => Some(leader.deadline()),
            Role::Learning(learner, observers) => {
                let own = learner.deadline();
                Some(observers.deadline().map_or(own, |deadline| deadline.min(own)))
            }
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Millis, out: &mut Effects) {
        match &mut self.role {
            Role::Settling(_) => {}
            Role::Looking(_) => self.elect(now, out, |election, now, notifications| {
                election.tick(now, notifications)
            }),
            Role::Leading(_) => self.lead(out, |leader, effects| leader.tick(now, effects)),
            Role::Learning(..) => {
                self.learn(out, |learner, effects| learner.tick(now, effects));
                self.serve_observers(out, |observers, source, effects| observers.tick(source, now, effects));
            }
        }
    }

    // The election.

    /// The log is durable and applied up to its end, `last_zxid`. After a reload, `reloaded` is the end of the history as
    /// it was read.
    ///
    /// # Panics
    /// If the end of the history in memory is another: something was lost or invented.
    pub fn settled(&mut self, last_zxid: Zxid, reloaded: Option<RecentHistory>, now: Millis, out: &mut Effects) {
        let Role::Settling(kept) = &mut self.role else { return };
        let Some(history) = reloaded.or_else(|| kept.take()) else {
            return;
        };
        assert!(
            history.last() == last_zxid,
            "the history ends with {}, the log with {last_zxid}",
            history.last()
        );
        self.own.last_zxid = last_zxid;
        // A history that was taken over, in part perhaps, before its epoch could be saved is one of its last epoch.
        self.own.current_epoch = self.own.current_epoch.max(last_zxid.epoch());
        self.role = Role::Looking(history);
        let standing = self.standing();
        if let Some(leader) = self.named.take() {
            return self.elect(now, out, |election, _, _| Some(election.follow_named(leader, standing)));
        }
        self.elect(now, out, |election, now, notifications| {
            election.look(standing, now, notifications)
        });
    }

    const fn standing(&self) -> Standing {
        const UNTRUSTED: Zxid = Zxid(-1);
        Standing {
            last_zxid: if self.is_untrusted {
                UNTRUSTED
            } else {
                self.own.last_zxid
            },
            current_epoch: self.own.current_epoch,
            is_observer: self.config.is_observer,
        }
    }

    /// Another server says something on the election port.
    pub fn notified(&mut self, from: Sid, notification: &Notification, now: Millis, out: &mut Effects) {
        self.elect(now, out, |election, now, notifications| {
            election.receive(from, notification, now, notifications)
        });
        self.note_disloyal(from, notification, now, out);
        self.note_elsewhere(from, notification, out);
    }

    /// One that voted for this server, and looks for a leader again, may keep others from coming for all of `initLimit`:
    /// that is longer than another election takes (ZOOKEEPER-3109).
    ///
    /// Source: `Leader.reportLookingSid`.
    fn note_disloyal(&mut self, from: Sid, notification: &Notification, now: Millis, out: &mut Effects) {
        let (Role::Leading(leader), Some(ms_max)) = (&self.role, self.epoch_wait_ms_max) else {
            return;
        };
        let is_late = leader
            .waits_for_epoch_since()
            .is_some_and(|since| now.since(since) > ms_max);
        if is_late && notification.state == PeerState::Looking && self.election.is_supporter(from) {
            self.settle(
                "one of those who elected this server looks for a leader again (leader.maxTimeToWaitForEpoch)",
                out,
            );
        }
    }

    /// An elected server that no quorum can come to any more looks again, in place of waiting for all of `initLimit` as the
    /// reference does: the others may have taken it for somebody who is gone.
    fn note_elsewhere(&mut self, from: Sid, notification: &Notification, out: &mut Effects) {
        let Role::Leading(leader) = &self.role else { return };
        if leader.established().is_some() || !self.config.members.is_voter(from) {
            return;
        }
        let is_elsewhere = match notification.state {
            PeerState::Looking => notification.round > self.election.round(),
            PeerState::Following | PeerState::Leading => notification.vote.leader != self.config.sid,
            PeerState::Observing => false,
        };
        if !is_elsewhere {
            self.elsewhere.remove(&from);
            return;
        }
        self.elsewhere.insert(from);
        let members = &self.config.members;
        if !members.all_quorums(|sid| members.is_voter(sid) && !self.elsewhere.contains(&sid)) {
            self.settle("the others have no quorum left for this server", out);
        }
    }

    /// A voter cannot be reached on the election port.
    pub fn unreachable(&mut self, sid: Sid, now: Millis, out: &mut Effects) {
        self.elect(now, out, |election, now, _| election.unreachable(sid, now));
    }

    /// A voter can be reached on the election port.
    pub fn reachable(&mut self, sid: Sid) {
        self.election.reachable(sid);
    }

    fn elect(
        &mut self,
        now: Millis,
        out: &mut Effects,
        act: impl FnOnce(&mut Election, Millis, &mut Vec<Outgoing>) -> Option<Decision>,
    ) {
        let mut notifications = Vec::new();
        let decision = act(&mut self.election, now, &mut notifications);
        out.extend(notifications.into_iter().map(Effect::Notify));
        let Some(decision) = decision else { return };
        let Role::Looking(history) = core::mem::replace(&mut self.role, Role::Settling(None)) else {
            unreachable!("only a server that looks for a leader decides on one");
        };
        let (config, own) = (&self.config, self.own);
        match decision {
            Decision::Lead => {
                self.elsewhere.clear();
                let mut leader = Leader::new(config.sid, config.members.clone(), config.times, own, history, now);
                if self.reads_log {
                    leader.read_log();
                }
                #[cfg(feature = "faults")]
                let leader = self.faults.in_leader(leader);
                self.role = Role::Leading(leader);
                out.push(Effect::Open);
                // Alone it is a quorum.
                self.lead(out, |leader, effects| leader.begin(now, effects));
            }
            Decision::Learn { leader } => {
                let mut effects = Vec::new();
                let identity = Identity {
                    sid: config.sid,
                    is_observer: config.is_observer,
                };
                let mut learner = Learner::new(identity, leader, config.times, own, history, now, &mut effects);
                if self.is_untrusted {
                    learner.distrust_history();
                }
                #[cfg(feature = "faults")]
                if self.faults.goes_back {
                    learner.take_any_epoch();
                }
                self.role = Role::Learning(learner, ObserverMaster::new(config.sid, config.times));
                out.extend(effects.into_iter().map(Effect::Learn));
            }
        }
    }

    // The disk.

    /// `acceptedEpoch` is durable.
    pub fn accepted_epoch_saved(&mut self, epoch: Epoch, now: Millis, out: &mut Effects) {
        self.own.accepted_epoch = epoch;
        self.lead(out, |leader, effects| leader.accepted_epoch_saved(now, effects));
        self.learn(out, Learner::accepted_epoch_saved);
    }

    /// `currentEpoch` is durable.
    pub fn current_epoch_saved(&mut self, epoch: Epoch, now: Millis, out: &mut Effects) {
        self.own.current_epoch = epoch;
        // From here on the data is a part of the ensemble's.
        self.is_untrusted = false;
        self.lead(out, |leader, effects| leader.current_epoch_saved(now, effects));
        self.learn(out, |learner, effects| learner.current_epoch_saved(now, effects));
    }

    /// The history that was in memory only has gone, with the epoch that it was of: what is on disk is of this one.
    pub const fn history_is_of(&mut self, current_epoch: Epoch) {
        self.own.current_epoch = current_epoch;
    }

    /// Everything up to `zxid` is durable in the log.
    pub fn flushed(&mut self, zxid: Zxid, out: &mut Effects) {
        self.lead(out, |leader, effects| leader.flushed(zxid, effects));
        self.learn(out, |learner, effects| learner.flushed(zxid, effects));
    }

    /// The log was cut: see [`Learner::truncated`].
    pub fn truncated(&mut self, wanted: Zxid, last: Zxid, now: Millis, out: &mut Effects) {
        self.learn(out, |learner, effects| learner.truncated(wanted, last, now, effects));
    }

    /// The leader's tree is loaded: see [`Learner::snapshot_loaded`].
    pub fn snapshot_loaded(&mut self, zxid: Zxid, now: Millis, out: &mut Effects) {
        self.learn(out, |learner, _| learner.snapshot_loaded(zxid, now));
    }

    /// It is on disk as well: see [`Learner::snapshot_installed`].
    pub fn snapshot_installed(&mut self, out: &mut Effects) {
        self.learn(out, Learner::snapshot_installed);
    }

    // As leader.

    fn lead(&mut self, out: &mut Effects, act: impl FnOnce(&mut Leader, &mut Vec<LeaderEffect>)) {
        let Role::Leading(leader) = &mut self.role else { return };
        let mut effects = Vec::new();
        act(leader, &mut effects);
        for effect in effects {
            match effect {
                LeaderEffect::Resign(why) => {
                    self.settle(why, out);
                    return;
                }
                LeaderEffect::Established(epoch) => {
                    self.election.epoch_established(epoch);
                    out.push(Effect::Lead(effect));
                }
                LeaderEffect::See(config) => self.see(config, out),
                LeaderEffect::Activate { config, leader } => {
                    self.activate(config, out);
                    self.named = Some(leader).filter(|leader| *leader != self.config.sid);
                }
                effect => out.push(Effect::Lead(effect)),
            }
        }
    }

    /// A learner has connected to the quorum port of a leader, or to the port of a follower for observers.
    pub fn learner_connected(&mut self, id: LearnerId, now: Millis, out: &mut Effects) {
        self.lead(out, |leader, _| leader.connected(id, now));
        self.serve_observers(out, |observers, _, _| observers.connected(id, now));
    }

    /// A learner says something.
    pub fn learner_said(&mut self, id: LearnerId, message: &ToLeader, now: Millis, out: &mut Effects) {
        self.lead(out, |leader, effects| leader.receive(id, message, now, effects));
        self.serve_observers(out, |observers, source, effects| {
            observers.receive(id, message, source, now, effects)
        });
    }

    /// The connection of a learner is gone.
    pub fn learner_lost(&mut self, id: LearnerId, out: &mut Effects) {
        self.lead(out, |leader, effects| leader.lost(id, effects));
        self.serve_observers(out, |observers, _, _| observers.lost(id));
    }

    /// Whether this learner of the server has the history, and may serve clients.
    #[must_use]
    pub fn is_synced(&self, id: LearnerId) -> bool {
        match &self.role {
            Role::Leading(leader) => leader.is_synced(id),
            Role::Learning(_, observers) => observers.is_synced(id),
            Role::Settling(_) | Role::Looking(_) => false,
        }
    }

    /// Proposes a transaction; only an established leader is asked to. See [`Leader::propose`].
    pub fn propose(&mut self, proposal: Proposal, now: Millis, out: &mut Effects) {
        self.lead(out, |leader, effects| leader.propose(proposal, now, effects));
    }

    /// Proposes a change of the configuration: see [`Leader::propose_reconfig`].
    pub fn propose_reconfig(&mut self, proposal: Proposal, config: Arc<QuorumConfig>, now: Millis, out: &mut Effects) {
        self.lead(out, |leader, effects| {
            leader.propose_reconfig(proposal, config, now, effects)
        });
    }

    /// What is to be read from the log now, if anything: see [`Leader::next_log_read`].
    pub fn next_log_read(&mut self) -> Option<LogRead> {
        match &mut self.role {
            Role::Leading(leader) => leader.next_log_read(),
            Role::Learning(_, observers) => observers.next_log_read(),
            Role::Settling(_) | Role::Looking(_) => None,
        }
    }

    /// What [`LogRead`] asked for: see [`Leader::log_read`].
    pub fn log_read(&mut self, id: LearnerId, part: Option<LogPart>, now: Millis, out: &mut Effects) {
        match &self.role {
            Role::Leading(_) => self.lead(out, |leader, effects| leader.log_read(id, part, now, effects)),
            Role::Learning(..) => self.serve_observers(out, |observers, source, effects| {
                observers.log_read(id, part, source, now, effects);
            }),
            Role::Settling(_) | Role::Looking(_) => {}
        }
    }

    /// The server is about to end, or to lead no more: see [`Leader::hand_over`]. It ends with [`Effect::Settle`]. A server
    /// that does not lead goes on as before; it may end whenever it likes.
    pub fn hand_over(&mut self, now: Millis, out: &mut Effects) {
        self.lead(out, |leader, effects| leader.hand_over(now, effects));
    }

    /// A sync waits: see [`Leader::sync`].
    pub fn sync(&mut self, id: SyncId, out: &mut Effects) {
        self.lead(out, |leader, effects| leader.sync(id, effects));
    }

    // As learner.

    fn learn(&mut self, out: &mut Effects, act: impl FnOnce(&mut Learner, &mut Vec<LearnerEffect>)) {
        let Role::Learning(learner, _) = &mut self.role else {
            return;
        };
        let mut effects = Vec::new();
        let leader = learner.leader();
        act(learner, &mut effects);
        for effect in effects {
            match effect {
                LearnerEffect::Leave(why) => {
                    self.settle(why, out);
                    return;
                }
                LearnerEffect::See(config) => self.see(config, out),
                LearnerEffect::Activate { config, leader: named } => {
                    let before = self.config.members.committed().clone();
                    let is_other_role = self.activate(config, out);
                    let after = self.config.members.committed();
                    if Arc::ptr_eq(&before, after) || before.has_same_servers(after) {
                        continue;
                    }
                    let is_other_leader =
                        named.map_or_else(|| !stays_voter(leader, &before, after), |named| named != leader);
                    if is_other_role || is_other_leader {
                        self.named = named.filter(|_| is_other_leader);
                        return self.settle("its role or its leader changes with the new configuration", out);
                    }
                }
                LearnerEffect::Serve(epoch) => {
                    self.election.epoch_established(epoch);
                    if let Role::Learning(learner, observers) = &mut self.role {
                        observers.begin(epoch, learner.history());
                    }
                    out.push(Effect::Learn(effect));
                }
                effect => out.push(Effect::Learn(effect)),
            }
        }
    }

    /// The leader's next proposal changes the configuration: see [`Learner::reconfig_proposed`].
    pub fn reconfig_proposed(&mut self, zxid: Zxid, config: Arc<QuorumConfig>) {
        if let (Role::Learning(learner, _), true) = (&mut self.role, self.config.members.is_dynamic()) {
            learner.reconfig_proposed(zxid, config);
        }
    }

    /// The leader's next packet is `NEWLEADER` with this configuration: see [`Learner::config_of_leader`].
    pub fn config_of_leader(&mut self, config: Arc<QuorumConfig>) {
        if let (Role::Learning(learner, _), true) = (&mut self.role, self.config.members.is_dynamic()) {
            learner.config_of_leader(config);
        }
    }

    /// Lets the server's observers, if it follows, be told something.
    fn serve_observers(
        &mut self,
        out: &mut Effects,
        act: impl FnOnce(&mut ObserverMaster, Source<'_>, &mut Vec<LeaderEffect>),
    ) {
        let Role::Learning(learner, observers) = &mut self.role else {
            return;
        };
        let source = Source {
            history: learner.history(),
            durable: self.reads_log.then(|| learner.durable()),
        };
        let mut effects = Vec::new();
        act(observers, source, &mut effects);
        out.extend(effects.into_iter().map(Effect::Lead));
    }

    /// The connection to the leader is there.
    pub fn leader_connected(&mut self, now: Millis, out: &mut Effects) {
        self.learn(out, |learner, effects| learner.connected(now, effects));
    }

    /// The leader says something.
    pub fn leader_said(&mut self, message: ToLearner, now: Millis, out: &mut Effects) {
        let activated = match &message {
            ToLearner::CommitAndActivate { zxid, leader } => Some((*zxid, *leader)),
            _ => None,
        };
        self.learn(out, |learner, effects| learner.receive(message, now, effects));
        self.serve_observers(out, |observers, source, effects| {
            observers.relay(source, activated, now, effects)
        });
    }

    /// The leader cannot be reached, or the connection is gone.
    pub fn leader_lost(&mut self, out: &mut Effects) {
        self.learn(out, Learner::lost);
    }

    /// The server gives its role up, whatever it is; the text says why.
    pub fn step_down(&mut self, why: &'static str, out: &mut Effects) {
        if matches!(self.role, Role::Leading(_) | Role::Learning(..)) {
            self.settle(why, out);
        }
    }

    // The configuration.

    fn see(&mut self, config: Arc<QuorumConfig>, out: &mut Effects) {
        if self.config.members.last_seen().version == config.version {
            return;
        }
        self.config.members.see(config.clone());
        self.election.set_members(self.config.members.clone());
        out.push(Effect::See(config));
    }

    /// A configuration is committed; returns whether this server's role is another one in it.
    ///
    /// Source: `QuorumPeer.processReconfig`, `updateLearnerType`.
    fn activate(&mut self, config: Arc<QuorumConfig>, out: &mut Effects) -> bool {
        if self.config.members.activate(config.clone()).is_none() {
            return false;
        }
        self.election.set_members(self.config.members.clone());
        // Who is in no configuration any more goes on as a follower whose vote does not count.
        let member = config.members.get(&self.config.sid);
        let is_observer = member.is_some_and(|member| member.role == zebu_proto::quorum::Role::Observer);
        let was_observer = core::mem::replace(&mut self.config.is_observer, is_observer);
        out.push(Effect::Activate(config));
        was_observer != is_observer
    }

    /// A server without a leader hears of a newer configuration that is in force: it looks for one with that.
    ///
    /// Source: `FastLeaderElection.WorkerReceiver`.
    pub fn config_heard(&mut self, config: Arc<QuorumConfig>, now: Millis, out: &mut Effects) {
        if !self.config.members.is_dynamic() || !matches!(self.role, Role::Looking(_)) {
            return;
        }
        let before = self.config.members.committed().clone();
        self.activate(config, out);
        if before.has_same_servers(self.config.members.committed()) {
            return;
        }
        let standing = self.standing();
        self.elect(now, out, |election, now, notifications| {
            election.look(standing, now, notifications)
        });
    }

    fn settle(&mut self, why: &'static str, out: &mut Effects) {
        let history = match core::mem::replace(&mut self.role, Role::Settling(None)) {
            Role::Leading(leader) => Some(leader.into_history()),
            Role::Learning(learner, _) => {
                self.election.given_up(learner.leader());
                learner.into_history()
            }
            Role::Settling(history) => history,
            Role::Looking(history) => Some(history),
        };
        let must_reload = history.is_none();
        self.role = Role::Settling(history);
        out.push(Effect::Settle { why, must_reload });
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::sync::Arc;

    use zebu_proto::quorum::QuorumConfig;

    use super::*;
    use crate::vote::Vote;

    fn members() -> Members {
        let mut config = QuorumConfig::default();
        for sid in 1..=3 {
            config
                .add(&format!("server.{sid}"), &format!("host:{sid}:1{sid}"))
                .unwrap();
        }
        Members::new(Arc::new(config))
    }

    fn says(state: PeerState, leader: i64, round: i64) -> Notification {
        Notification {
            state,
            vote: Vote {
                leader: Sid(leader),
                zxid: Zxid::ZERO,
                peer_epoch: 0,
            },
            round,
            version: 2,
        }
    }

    /// Server 1, elected by server 2 in its first round, while 3 cannot be reached.
    fn elected() -> Peer {
        let config = PeerConfig {
            sid: Sid(1),
            members: members(),
            is_observer: false,
            times: Times {
                tick_ms: 2000,
                init_limit: 10,
                sync_limit: 5,
            },
            election: ElectionTimes::default(),
            is_untrusted: false,
        };
        let own = OwnHistory {
            accepted_epoch: Epoch(0),
            current_epoch: Epoch(0),
            last_zxid: Zxid::ZERO,
        };
        let mut peer = Peer::new(config, own, RecentHistory::new(Zxid::ZERO, 10));
        let mut out = Vec::new();
        peer.settled(Zxid::ZERO, None, Millis(0), &mut out);
        peer.unreachable(Sid(3), Millis(0), &mut out);
        peer.notified(Sid(2), &says(PeerState::Looking, 1, 1), Millis(1), &mut out);
        assert!(out.contains(&Effect::Open), "{out:?}");
        peer
    }

    fn settles(peer: &mut Peer, from: i64, notification: &Notification) -> bool {
        settles_at(peer, Millis(2), from, notification)
    }

    fn settles_at(peer: &mut Peer, now: Millis, from: i64, notification: &Notification) -> bool {
        let mut out = Vec::new();
        peer.notified(Sid(from), notification, now, &mut out);
        out.iter().any(|effect| matches!(effect, Effect::Settle { .. }))
    }

    /// Found by chaos: it waited for all of `initLimit`.
    #[test]
    fn who_was_elected_and_has_nobody_left_looks_again() {
        let mut peer = elected();
        assert!(!settles(&mut peer, 2, &says(PeerState::Following, 3, 2)), "3 may come");
        assert!(settles(&mut peer, 3, &says(PeerState::Leading, 3, 2)));

        let mut peer = elected();
        assert!(!settles(&mut peer, 3, &says(PeerState::Looking, 3, 2)));
        assert!(
            !settles(&mut peer, 2, &says(PeerState::Following, 1, 1)),
            "2 is with it"
        );
        assert!(
            !settles(&mut peer, 2, &says(PeerState::Looking, 2, 1)),
            "of the same round"
        );
        assert!(settles(&mut peer, 2, &says(PeerState::Looking, 2, 3)));
    }

    /// ZOOKEEPER-3109: while it waits for its epoch, a voter of the quorum that elected it goes away.
    #[test]
    fn who_is_left_by_those_who_elected_it_gives_up_after_a_while() {
        let looking = says(PeerState::Looking, 1, 1);
        let late = Millis(1 + 301);
        let waiting = |ms_max| elected().with_epoch_wait(ms_max);
        assert!(settles_at(&mut waiting(Some(300)), late, 2, &looking));
        assert!(!settles_at(&mut waiting(None), late, 2, &looking), "it is off");
        assert!(
            !settles_at(&mut waiting(Some(300)), Millis(301), 2, &looking),
            "it has not waited for long"
        );
        assert!(
            !settles_at(&mut waiting(Some(300)), late, 3, &looking),
            "3 has not elected it"
        );
        let following = says(PeerState::Following, 1, 1);
        assert!(!settles_at(&mut waiting(Some(300)), late, 2, &following));

        // Once its epoch is found, nobody waits for it any more.
        let mut peer = waiting(Some(300));
        let mut out = Vec::new();
        peer.learner_connected(LearnerId(1), Millis(2), &mut out);
        let info = ToLeader::Info {
            is_observer: false,
            accepted_epoch: Epoch(0),
            sid: Sid(2),
        };
        peer.learner_said(LearnerId(1), &info, Millis(2), &mut out);
        assert!(
            out.contains(&Effect::Lead(LeaderEffect::SaveAcceptedEpoch(Epoch(1)))),
            "{out:?}"
        );
        assert!(!settles_at(&mut peer, late, 2, &looking));
    }
}
