//! A server's part in its ensemble: what the node thread keeps of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::runtime::Runtime;
use zebu_proto::quorum::{
    ConnectionVersion, HostPort, LeaderMessage, LearnerMessage, MemberAddress, Notification, PeerEpoch, Role, Round,
};
use zebu_proto::{Millis, SessionId, Sid, Zxid};
use zebu_store::{Recovered, SnapshotWriter, Store, StoreError};
use zebu_zab::{
    Effect, ElectionTimes, LearnerId, Members, Outgoing, OwnHistory, Peer, PeerConfig, RecentHistory, SyncId, Times,
};

use super::PeerEvent;
use super::election_port::{ElectionPort, ElectionPortConfig};
use super::leader_connection::LeaderConnection;
use super::link::Link;
use super::observer_master::Asked;
use super::quorum_port::QuorumPort;
use crate::config::{Listen, dynamic_files};
use crate::shared::{NodeEvent, Shared};

/// A server's part in its ensemble.
pub(crate) struct Ensemble {
    pub(super) peer: Peer,
    pub(super) sid: Sid,
    /// The text of the committed configuration, as it travels.
    pub(super) config_text: Vec<u8>,
    /// This server's own addresses, as they were last configured: one that is no member any more stays where it is.
    pub(super) own_addresses: Vec<MemberAddress>,
    pub(super) listen_on_all_ips: bool,
    /// Where clients are served.
    pub(super) client_listen: Listen,
    /// What the node knows of the membership: the role in which it was told, and the number of that state.
    pub(super) told_membership: Option<(u64, u64)>,
    pub(super) election: ElectionPort,
    /// The number of the present role.
    pub(super) role: u64,
    /// As leader, or on the way to it.
    pub(super) port: Option<QuorumPort>,
    pub(super) learners: BTreeMap<LearnerId, Arc<Link>>,
    pub(super) next_learner: Arc<AtomicU64>,
    /// Who asked for the syncs that wait, oldest first.
    pub(super) syncs: VecDeque<(SyncId, SyncFor)>,
    pub(super) next_sync: u64,
    /// As learner, or on the way to it.
    pub(super) connection: u64,
    pub(super) leader_connection: Option<LeaderConnection>,
    pub(super) leader: Option<Arc<Link>>,
    /// Whom this server learns from, or did last: the leader, or for an observer a follower.
    pub(super) master: Option<Sid>,
    /// As observer without a leader: when it looks for another.
    pub(super) look_at: Option<Millis>,
    /// Whether the log on disk lacks what was applied: that of an observer that writes none (`syncEnabled=false`).
    pub(super) is_disk_behind: bool,
    /// As observer: since when no follower takes it in.
    pub(super) without_master_since: Option<Millis>,
    pub(super) asked: Asked,
    /// Sessions that observers of this follower have heard of since the leader was told, with their timeouts in
    /// milliseconds.
    pub(super) heard_by_observers: BTreeMap<SessionId, i32>,
    /// A tree that was received and is not installed.
    pub(super) received: Option<SnapshotWriter>,
    /// The zxid of the ping that is answered next.
    pub(super) pinged: Zxid,
    /// Sessions heard of since then are told with the next answer to a ping.
    pub(super) heard_since: Millis,
    /// Without a leader until then, this server serves those who only read.
    pub(super) read_only_at: Option<Millis>,
    /// The role is over, and what was appended is being made durable; whether the tree has to be read again then.
    pub(super) settling: Option<bool>,
    /// Whether the server is about to end, and takes no part in elections.
    pub(super) is_ending: bool,
    pub(super) effects: Vec<Effect>,
    /// Tasks of the ports. Dropped last.
    pub(super) runtime: Runtime,
}

/// Who asked for a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncFor {
    /// A client of this server.
    Client,
    /// A client of a learner.
    Learner(LearnerId),
    /// A client that came back to a learner, while something that its session had asked for elsewhere was in flight.
    Revalidation(LearnerId, SessionId),
}

/// What a server finds on its disk.
pub(crate) struct OwnData {
    pub(crate) own: OwnHistory,
    pub(crate) recent: RecentHistory,
    pub(crate) is_trustworthy: bool,
}

impl Ensemble {
    /// Opens the election port.
    ///
    /// # Errors
    /// If the port cannot be opened, or there can be no more threads.
    pub(crate) fn start(shared: &Arc<Shared>, data: OwnData) -> std::io::Result<Self> {
        let config = &shared.config;
        let ensemble = &config.ensemble;
        let sid = config.server_id.unwrap_or_default();
        let membership = Arc::new(ensemble.membership.clone());
        let is_observer = ensemble.role == Role::Observer;
        let own = membership.members.get(&sid).map(|member| member.addresses.clone());
        let own = own.unwrap_or_default();
        let last_seen = ensemble.last_seen.clone().map(Arc::new);
        let members = if ensemble.reconfig_enabled {
            Members::dynamic(membership, last_seen)
        } else {
            Members::new(membership)
        };
        if let (Some(file), None, true) = (&config.file, &ensemble.dynamic_config_file, ensemble.reconfig_enabled) {
            dynamic_files::back_up(file)?;
        }
        let others = election_addresses(&members);
        let config_text = members.committed().to_string().into_bytes();
        let tick_ms = u64::from(config.tick_time_ms);
        let ticks = |limit: Option<std::num::NonZeroU32>| limit.map_or(1, |limit| u64::from(limit.get()));
        let times = Times {
            tick_ms,
            init_limit: ticks(ensemble.init_limit_ticks),
            sync_limit: ticks(ensemble.sync_limit_ticks),
        };
        let peer = Peer::new(
            PeerConfig {
                sid,
                members,
                is_observer,
                times,
                election: ElectionTimes {
                    repeat_ms_min: ensemble.notifications.interval_ms_min.into(),
                    repeat_ms_max: ensemble.notifications.interval_ms_max.into(),
                    ..ElectionTimes::default()
                },
                is_untrusted: !data.is_trustworthy,
            },
            data.own,
            data.recent,
        )
        .with_log()
        .with_epoch_wait(ensemble.epoch_wait_ms_max.map(u64::from));
        let connections = &ensemble.connections;
        let initial_message_timeout_ms = match connections.initial_message_timeout_ms {
            Some(ms) => u64::from(ms.get()),
            None => tick_ms.saturating_mul(times.sync_limit),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("zebu-peers")
            .enable_all()
            .build()?;
        let events = {
            let shared = shared.clone();
            Arc::new(move |event| shared.queue.push(NodeEvent::Peer(PeerEvent::Election(event))))
        };
        let election = ElectionPort::start(
            runtime.handle(),
            ElectionPortConfig {
                sid,
                addresses: own.iter().map(MemberAddress::election).collect(),
                listen_on_all_ips: ensemble.quorum_listen_on_all_ips,
                others,
                version: if ensemble.multi_address {
                    ConnectionVersion::V2
                } else {
                    ConnectionVersion::V1
                },
                connect_timeout_ms: connections.connect_timeout_ms.into(),
                initial_message_timeout_ms,
                tcp_keep_alive: connections.tcp_keep_alive,
                bind_retry: connections.election_port_bind_retry,
            },
            events,
        )?;
        tracing::info!(%sid, address = ?election.listening(), "votes are exchanged on the election port");
        Ok(Self {
            peer,
            sid,
            config_text,
            own_addresses: own,
            listen_on_all_ips: ensemble.quorum_listen_on_all_ips,
            client_listen: config.client.unwrap_or(Listen { host: None, port: 0 }),
            told_membership: None,
            election,
            role: 0,
            port: None,
            learners: BTreeMap::new(),
            next_learner: Arc::new(AtomicU64::new(1)),
            syncs: VecDeque::new(),
            next_sync: 0,
            connection: 0,
            leader_connection: None,
            leader: None,
            master: None,
            look_at: None,
            is_disk_behind: false,
            without_master_since: None,
            asked: Asked::default(),
            heard_by_observers: BTreeMap::new(),
            received: None,
            pinged: Zxid::ZERO,
            heard_since: Millis(0),
            read_only_at: None,
            settling: None,
            is_ending: false,
            effects: Vec::new(),
            runtime,
        })
    }

    /// Where learners are to connect.
    pub(super) fn quorum_listen(&self) -> Vec<HostPort> {
        let all_ips = |address: &MemberAddress| HostPort::new("0.0.0.0", address.quorum_port);
        let own = self.own_addresses.iter();
        if self.listen_on_all_ips {
            own.map(all_ips).collect()
        } else {
            own.map(MemberAddress::quorum).collect()
        }
    }

    /// When [`NodeThread::tick_peer`] wants to be called.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        let own = [self.peer.deadline(), self.read_only_at, self.look_at];
        own.into_iter().flatten().min()
    }

    pub(super) fn notify(&self, outgoing: &Outgoing) {
        let Outgoing { to, notification } = outgoing;
        tracing::debug!(%to, ?notification, "saying on the election port");
        let vote = notification.vote;
        let notification = Notification {
            state: notification.state,
            leader: vote.leader,
            zxid: vote.zxid,
            round: Round(notification.round),
            peer_epoch: PeerEpoch(vote.peer_epoch),
            version: notification.version,
            config: Some(&self.config_text),
        };
        self.election.send(*to, notification.to_frame());
    }

    pub(super) fn send_to_learner(&self, id: LearnerId, message: &LeaderMessage<'_>) {
        if let Some(link) = self.learners.get(&id)
            && !link.send(|out| message.encode(out))
        {
            tracing::warn!(peer = %link.peer, "the connection of a learner is ended: too much waits to be sent to it");
            link.close();
        }
    }

    pub(super) fn send_to_leader(&self, message: &LearnerMessage<'_>) {
        if let Some(link) = &self.leader
            && !link.send(|out| message.encode(out))
        {
            tracing::warn!(peer = %link.peer, "the connection to the leader is ended: too much waits to be sent to it");
            link.close();
        }
    }

    /// Ends everything that belongs to the present role.
    pub(super) fn end_role(&mut self) {
        self.role += 1;
        self.connection += 1;
        self.port = None;
        for link in std::mem::take(&mut self.learners).values() {
            link.close();
        }
        self.leader = None;
        self.leader_connection = None;
        self.received = None;
        self.asked.clear();
        self.heard_by_observers.clear();
        self.read_only_at = None;
        self.syncs.clear();
    }
}

/// Where the election ports of all members are, by the committed configuration and by the one that was proposed last.
pub(super) fn election_addresses(members: &Members) -> BTreeMap<Sid, Vec<HostPort>> {
    let mut known: BTreeMap<Sid, Vec<HostPort>> = BTreeMap::new();
    for (sid, member) in members.committed().members.iter().chain(&members.last_seen().members) {
        let addresses = known.entry(*sid).or_default();
        for address in member.addresses.iter().map(MemberAddress::election) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    known
}

/// The end of the history on disk, put together while it is read.
pub(crate) fn own_data(store: &Store, recovered: &Recovered, recent: RecentHistory) -> Result<OwnData, StoreError> {
    let epochs = store.load_epochs(recovered.last_zxid)?;
    Ok(OwnData {
        own: OwnHistory {
            accepted_epoch: epochs.accepted,
            current_epoch: epochs.current,
            last_zxid: recovered.last_zxid,
        },
        recent,
        is_trustworthy: recovered.trustworthy,
    })
}
