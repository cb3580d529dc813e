//! What servers of an ensemble said to each other, on both ports.

use std::collections::{BTreeMap, BTreeSet};

use zebu_proto::jute::Write;
use zebu_proto::quorum::{
    ConfigVersion, ConnectionVersion, HostPort, InitialMessage, LeaderMessage, LearnerInfo, LearnerMessage,
    Notification, PacketType, PeerEpoch, PeerState, QuorumConfig, QuorumPacket, Role, Round, SNAPSHOT_SIGNATURE,
    SessionTouch, SnapshotPart, SnapshotStream, election_frame,
};
use zebu_proto::snapshot::{END_MARK, encode_node};
use zebu_proto::txn::{Txn, TxnRecord};
use zebu_proto::{Epoch, ErrorCode, Id, OpCode, SessionId, Sid, Value, Xid, Zxid};

use super::fixture::{Between, Port, each_release_between, hex};

/// Above all lengths in the fixture.
const DATA_BYTES_MAX: usize = 1000;

/// Which side of a connection to the quorum port spoke.
enum Spoken<'a> {
    Learner(LearnerMessage<'a>),
    Leader(LeaderMessage<'a>),
}

impl Between {
    /// Who opened a connection to the quorum port.
    fn learner(&self) -> Sid {
        self.opener
    }

    fn spoken(&self) -> Spoken<'_> {
        assert_eq!(self.port, Port::Quorum);
        let (packet, taken) = QuorumPacket::decode(&self.bytes, DATA_BYTES_MAX).unwrap().unwrap();
        assert_eq!(taken, self.bytes.len());
        if self.sender == self.learner() {
            Spoken::Learner(LearnerMessage::decode(packet).unwrap())
        } else {
            Spoken::Leader(LeaderMessage::decode(&packet).unwrap())
        }
    }

    fn notification(&self) -> Notification<'_> {
        let (payload, taken) = election_frame(&self.bytes).unwrap().unwrap();
        assert_eq!(taken, self.bytes.len());
        Notification::decode(payload).unwrap()
    }
}

/// The messages of a step between two servers, either direction.
fn step<'a>(messages: &'a [Between], name: &str, one: i64, other: i64) -> Vec<&'a Between> {
    let pair = BTreeSet::from([Sid(one), Sid(other)]);
    messages
        .iter()
        .filter(|message| message.step == name && BTreeSet::from([message.sender, message.receiver]) == pair)
        .collect()
}

/// The only message of that type in a step, in one direction.
fn only<'a>(messages: &'a [Between], name: &str, sender: i64, receiver: i64, kind: &str) -> &'a Between {
    let mut found = messages.iter().filter(|message| {
        (message.step, message.kind) == (name, kind)
            && (message.sender, message.receiver) == (Sid(sender), Sid(receiver))
    });
    let first = found
        .next()
        .unwrap_or_else(|| panic!("{name}: {kind} from {sender} to {receiver}"));
    assert!(found.all(|other| other.bytes == first.bytes), "{name}: {kind}");
    first
}

#[test]
fn every_message_is_read_and_written_as_it_was() {
    each_release_between(|messages| {
        let mut kinds = BTreeSet::new();
        for message in messages {
            let mut again = Vec::new();
            match message.kind {
                "initial" => {
                    let (initial, taken) = InitialMessage::decode(&message.bytes).unwrap().unwrap();
                    assert_eq!((initial.sid, taken), (message.sender, message.bytes.len()));
                    initial.encode(&mut again);
                }
                "notification" => again = message.notification().to_frame(),
                "snapshot" => {
                    check_snapshot(&message.bytes);
                    continue;
                }
                kind => {
                    let kind_read = match message.spoken() {
                        Spoken::Learner(spoken) => {
                            spoken.encode(&mut again);
                            spoken.packet_type()
                        }
                        Spoken::Leader(spoken) => {
                            spoken.encode(&mut again);
                            spoken.packet_type()
                        }
                    };
                    assert_eq!(kind_read.name(), kind);
                    kinds.insert(kind_read);
                }
            }
            assert_eq!(hex(&again), hex(&message.bytes), "{} {}", message.step, message.kind);
        }
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), PacketType::ALL);
    });
}

/// Sessions, ACLs and nodes as in a file, then the signature and nothing else.
fn check_snapshot(bytes: &[u8]) {
    let mut stream = SnapshotStream::new(DATA_BYTES_MAX);
    let (mut sessions, mut acls, mut nodes) = ((0, Vec::new()), (0, Vec::new()), Vec::new());
    let mut paths = Vec::new();
    let mut at = 0;
    loop {
        let (part, taken) = stream.decode(&bytes[at..]).unwrap().unwrap();
        at += taken;
        match part {
            SnapshotPart::Session { session, timeout_ms } => {
                sessions.0 += 1;
                sessions.1.long(session.0);
                sessions.1.int(timeout_ms);
            }
            SnapshotPart::Acl { key, list } => {
                acls.0 += 1;
                acls.1.long(key);
                list.encode(&mut acls.1);
            }
            SnapshotPart::Node(node) => {
                let data = Value::from_option(node.data);
                encode_node(&mut nodes, &node.path, &data, node.acl_key, &node.stat);
                paths.push(node.path);
            }
            SnapshotPart::End => break,
        }
    }
    assert_eq!(paths[0], "");
    assert!(paths.iter().any(|path| path == "/zookeeper/config"), "{paths:?}");
    let mut again = Vec::new();
    for (count, part) in [sessions, acls] {
        again.int(count);
        again.put(&part);
    }
    again.put(&nodes);
    again.string(END_MARK);
    again.string(SNAPSHOT_SIGNATURE);
    assert_eq!(hex(&again), hex(bytes));
}

#[test]
fn a_stream_falls_into_its_messages_wherever_it_is_cut() {
    each_release_between(|messages| {
        let mut streams: BTreeMap<_, Vec<&Between>> = BTreeMap::new();
        for message in messages {
            streams
                .entry((message.connection, message.sender))
                .or_default()
                .push(message);
        }
        for messages in streams.values() {
            let stream: Vec<u8> = messages.iter().flat_map(|message| message.bytes.clone()).collect();
            let mut rest = &stream[..];
            for message in messages {
                let len = message.bytes.len();
                if message.kind != "snapshot" {
                    assert_eq!(taken(message.kind, rest), Some(len));
                    for cut in 0..len {
                        assert_eq!(taken(message.kind, &rest[..cut]), None, "{} of {len}", cut);
                    }
                }
                rest = &rest[len..];
            }
        }
    });
}

/// How many bytes the message at the start takes, if it is whole.
fn taken(kind: &str, bytes: &[u8]) -> Option<usize> {
    match kind {
        "initial" => InitialMessage::decode(bytes).unwrap().map(|(_, taken)| taken),
        "notification" => election_frame(bytes).unwrap().map(|(_, taken)| taken),
        _ => QuorumPacket::decode(bytes, DATA_BYTES_MAX)
            .unwrap()
            .map(|(_, taken)| taken),
    }
}

#[test]
fn transactions_are_those_of_the_log() {
    each_release_between(|messages| {
        let mut count = 0;
        for message in messages {
            if !["PROPOSAL", "INFORM", "INFORMANDACTIVATE"].contains(&message.kind) {
                continue;
            }
            let Spoken::Leader(
                LeaderMessage::Proposal { zxid, txn }
                | LeaderMessage::Inform { zxid, txn }
                | LeaderMessage::InformAndActivate { zxid, txn, .. },
            ) = message.spoken()
            else {
                panic!("{} is a leader's", message.kind);
            };
            let record = TxnRecord::decode(txn).unwrap();
            assert_eq!(record.header.zxid, zxid);
            assert_eq!(hex(&record.to_vec()), hex(txn));
            count += 1;
        }
        assert!(count > 30, "{count}");
    });
}

#[test]
fn every_configuration_is_parsed_and_printed_as_it_was() {
    each_release_between(|messages| {
        let mut texts = BTreeSet::new();
        for message in messages {
            let config = match (message.port, message.kind) {
                (Port::Election, "notification") => message.notification().config,
                (Port::Quorum, "NEWLEADER") => match message.spoken() {
                    Spoken::Leader(LeaderMessage::NewLeader { config, .. }) => config,
                    _ => panic!("NEWLEADER is a leader's"),
                },
                _ => continue,
            };
            let text = std::str::from_utf8(config.unwrap()).unwrap();
            assert_eq!(QuorumConfig::parse(text).unwrap().to_string(), text);
            texts.insert(text.to_owned());
        }
        // Before and after the first leader and the change, with groups, and with groups after the first leader.
        assert_eq!(texts.len(), 5);
        let config = |start| {
            let text = texts.iter().find(|text| text.ends_with(start)).unwrap();
            QuorumConfig::parse(text).unwrap()
        };
        let first = config("version=100000000");
        assert_eq!(first.version, ConfigVersion(1 << 32));
        let roles: Vec<_> = first.members.values().map(|member| member.role).collect();
        assert!(roles.len() == 4 || first.is_hierarchical());
    });
}

#[test]
fn an_election_s_first_message_says_where_to_call_back() {
    each_release_between(|messages| {
        let initial = |step, sender, receiver| {
            let message = only(messages, step, sender, receiver, "initial");
            InitialMessage::decode(&message.bytes).unwrap().unwrap().0
        };
        let plain = initial("start/voters", 3, 1);
        assert_eq!((plain.version, plain.addresses.len()), (ConnectionVersion::V1, 1));
        assert_eq!(plain.addresses[0].host, "127.0.0.1");
        // With multiAddress.enabled, and two addresses; 3.8.0 looked the names up before it sent them.
        let several = initial("groups/start", 2, 1);
        assert_eq!(several.version, ConnectionVersion::V2);
        let hosts: Vec<_> = several
            .addresses
            .iter()
            .map(|HostPort { host, .. }| host.as_str())
            .collect();
        assert_eq!(hosts.len(), 2);
        assert!(
            hosts.iter().all(|host| ["127.0.0.1", "localhost"].contains(host)),
            "{hosts:?}"
        );
    });
}

#[test]
fn votes_tell_state_and_candidate() {
    each_release_between(|messages| {
        let sent = |step: &str, sender: i64, receiver: i64| -> Vec<Notification<'_>> {
            let sent = messages.iter().filter(|message| {
                (message.step, message.kind) == (step, "notification")
                    && (message.sender, message.receiver) == (Sid(sender), Sid(receiver))
            });
            sent.map(Between::notification).collect()
        };
        // 3 votes for itself, with nothing in its log.
        let first = sent("start/voters", 3, 2)[0];
        let vote = Notification {
            state: PeerState::Looking,
            leader: Sid(3),
            zxid: Zxid::ZERO,
            round: Round(1),
            peer_epoch: PeerEpoch(0),
            version: Notification::VERSION,
            config: first.config,
        };
        assert_eq!(first, vote);
        // An observer asks, without a vote; the leader answers.
        let asked = sent("start/observer", 4, 3)[0];
        let nobody = Notification {
            leader: Sid(i64::MIN),
            zxid: Zxid(i64::MIN),
            peer_epoch: PeerEpoch::NONE,
            ..vote
        };
        assert_eq!(
            asked,
            Notification {
                config: asked.config,
                ..nobody
            }
        );
        let answers = sent("start/observer", 3, 4);
        let answer = answers[0];
        let leading = Notification {
            state: PeerState::Leading,
            peer_epoch: PeerEpoch(1),
            config: answer.config,
            ..vote
        };
        assert_eq!(answer, leading);
        assert_eq!(sent("start/observer", 1, 4)[0].state, PeerState::Following);
    });
}

/// The types that passed on the first connection to the quorum port between two servers in a step, in order; pings and
/// what follows UPTODATE and its ACK left out.
fn handshake(messages: &[Between], name: &str, learner: i64, leader: i64) -> Vec<&'static str> {
    let kinds: Vec<_> = step(messages, name, learner, leader)
        .into_iter()
        .filter(|message| message.port == Port::Quorum && message.kind != "PING")
        .map(|message| message.kind)
        .collect();
    let start = kinds.iter().position(|kind| kind.ends_with("INFO")).unwrap();
    let end = kinds.iter().position(|kind| *kind == "UPTODATE").unwrap();
    kinds[start..=end].to_vec()
}

#[test]
fn a_learner_is_synchronized_in_each_of_the_ways() {
    const HEAD: [&str; 3] = ["FOLLOWERINFO", "LEADERINFO", "ACKEPOCH"];
    const TAIL: [&str; 3] = ["NEWLEADER", "ACK", "UPTODATE"];
    each_release_between(|messages| {
        let check = |name, learner, leader, middle: &[&str]| {
            let expected = [&HEAD, middle, &TAIL].concat();
            assert_eq!(handshake(messages, name, learner, leader), expected, "{name}");
        };
        check("sync/nothing", 1, 3, &["DIFF"]);
        check("sync/diff", 1, 3, &["DIFF", "PROPOSAL", "COMMIT", "PROPOSAL", "COMMIT"]);
        check("sync/snap", 1, 3, &["SNAP", "snapshot"]);
        check("trunc/return", 3, 2, &["TRUNC"]);
    });
}

#[test]
fn the_handshake_carries_epochs_and_the_configuration_s_version() {
    each_release_between(|messages| {
        let learner = |name, kind| match only(messages, name, 1, 3, kind).spoken() {
            Spoken::Learner(message) => message,
            Spoken::Leader(_) => panic!("{kind}"),
        };
        // The first epoch: nobody has promised anything.
        assert_eq!(
            learner("start/voters", "FOLLOWERINFO"),
            LearnerMessage::FollowerInfo {
                accepted_epoch: Epoch(0),
                info: LearnerInfo::new(Sid(1), ConfigVersion(0)),
            }
        );
        let bytes = "0000000b0000000000000000000000140000000000000001000100000000000000000000ffffffff";
        assert_eq!(hex(&only(messages, "start/voters", 1, 3, "FOLLOWERINFO").bytes), bytes);
        assert_eq!(
            learner("start/voters", "ACKEPOCH"),
            LearnerMessage::AckEpoch {
                last_zxid: Zxid::ZERO,
                current_epoch: Some(Epoch(0)),
            }
        );
        let bytes = "0000001100000001000000000000000400010000ffffffff";
        let info = only(messages, "start/voters", 3, 1, "LEADERINFO");
        assert_eq!(hex(&info.bytes), bytes);
        let Spoken::Leader(info) = info.spoken() else {
            panic!("LEADERINFO is a leader's");
        };
        assert_eq!(info, LeaderMessage::leader_info(Epoch(1)));
        assert_eq!(
            hex(&LeaderMessage::UpToDate.to_vec()),
            "0000000cffffffffffffffffffffffffffffffff"
        );
        // Back in the same epoch: it has promised it before, so this is no promise.
        assert_eq!(
            learner("sync/diff", "FOLLOWERINFO"),
            LearnerMessage::FollowerInfo {
                accepted_epoch: Epoch(1),
                info: LearnerInfo::new(Sid(1), ConfigVersion(1 << 32)),
            }
        );
        let LearnerMessage::AckEpoch {
            last_zxid,
            current_epoch: None,
        } = learner("sync/diff", "ACKEPOCH")
        else {
            panic!("no promise");
        };
        assert_eq!(last_zxid.epoch(), Epoch(1));
    });
}

#[test]
fn a_follower_that_logged_alone_is_cut_back() {
    each_release_between(|messages| {
        let Spoken::Learner(LearnerMessage::AckEpoch { last_zxid, .. }) =
            only(messages, "trunc/return", 3, 2, "ACKEPOCH").spoken()
        else {
            panic!("ACKEPOCH is a learner's");
        };
        let Spoken::Leader(LeaderMessage::Trunc { zxid }) = only(messages, "trunc/return", 2, 3, "TRUNC").spoken()
        else {
            panic!("TRUNC is a leader's");
        };
        assert_eq!(zxid.next(), last_zxid);
        assert_eq!(zxid.epoch(), Epoch(1));
    });
}

#[test]
fn requests_are_forwarded_with_the_client_s_identities() {
    each_release_between(|messages| {
        let request = |name, sender| match only(messages, name, sender, 3, "REQUEST").spoken() {
            Spoken::Learner(LearnerMessage::Request {
                session,
                cxid,
                op,
                body,
                authinfo,
            }) => (session, cxid, OpCode::from_i32(op).unwrap(), body.to_vec(), authinfo),
            _ => panic!("REQUEST is a learner's"),
        };
        let ip = Id::new("ip", "127.0.0.1");
        let (session, cxid, op, body, authinfo) = request("session/create", 1);
        assert_eq!((cxid, op, authinfo), (Xid(0), OpCode::CreateSession, None));
        assert_eq!(hex(&body), "00002710");
        let (asked_by, cxid, op, body, authinfo) = request("request/create", 1);
        assert_eq!((asked_by, cxid, op), (session, Xid(1), OpCode::Create));
        assert_eq!(authinfo, Some(vec![ip.clone()]));
        let expected = "000000022f61000000036f6e65000000010000001f00000005776f726c6400000006616e796f6e6500000000";
        assert_eq!(hex(&body), expected);
        let (_, cxid, op, body, authinfo) = request("request/sync", 1);
        assert_eq!((op, body.as_slice()), (OpCode::Sync, &b"\0\0\0\x02/a"[..]));
        assert!(cxid > Xid(1));
        let known: Vec<_> = authinfo.unwrap().into_iter().map(|id| id.scheme).collect();
        assert!(known.contains(&"super".to_owned()), "{known:?}");
        let (_, _, op, body, authinfo) = request("session/close", 4);
        assert_eq!((op, body, authinfo), (OpCode::CloseSession, vec![], Some(vec![ip])));
        // The answer to the sync has nothing in it.
        let sync = only(messages, "request/sync", 3, 1, "SYNC");
        assert_eq!(hex(&sync.bytes), "000000070000000000000000ffffffffffffffff");
    });
}

#[test]
fn a_refused_request_becomes_a_transaction() {
    each_release_between(|messages| {
        let Spoken::Leader(LeaderMessage::Proposal { txn, .. }) =
            only(messages, "request/error", 3, 2, "PROPOSAL").spoken()
        else {
            panic!("PROPOSAL is a leader's");
        };
        let record = TxnRecord::decode(txn).unwrap();
        assert_eq!(
            record.txn,
            Txn::Error {
                err: ErrorCode::NoNode.code()
            }
        );
        assert_eq!(record.digest, None);
        let committed = only(messages, "request/error", 3, 2, "COMMIT");
        let Spoken::Leader(LeaderMessage::Commit { zxid }) = committed.spoken() else {
            panic!("COMMIT is a leader's");
        };
        assert_eq!(zxid, record.header.zxid);
        assert_eq!(
            only(messages, "request/error", 3, 4, "INFORM").bytes[12..],
            only(messages, "request/error", 3, 2, "PROPOSAL").bytes[12..]
        );
        let Spoken::Learner(acknowledged) = only(messages, "request/error", 1, 3, "ACK").spoken() else {
            panic!("ACK is a learner's");
        };
        assert_eq!(acknowledged, LearnerMessage::Ack { zxid });
    });
}

#[test]
fn pings_bring_back_the_sessions_that_were_heard_of() {
    each_release_between(|messages| {
        let touched: Vec<SessionTouch> = messages
            .iter()
            .filter(|message| (message.step, message.kind, message.sender) == ("ping/sessions", "PING", Sid(1)))
            .flat_map(|message| match message.spoken() {
                Spoken::Learner(LearnerMessage::Ping { sessions, .. }) => sessions,
                _ => panic!("an answer to a ping"),
            })
            .collect();
        assert!(
            touched
                .iter()
                .any(|touch| touch.timeout_ms > 0 && touch.session.0 >> 56 == 1)
        );
        let asked = only(messages, "start/observer", 3, 2, "PING");
        let Spoken::Leader(LeaderMessage::Ping { zxid }) = asked.spoken() else {
            panic!("a leader's ping");
        };
        assert_eq!(zxid, Zxid::epoch_start(Epoch(1)));
        assert_eq!(hex(&asked.bytes), "000000050000000100000000ffffffffffffffff");
    });
}

#[test]
fn a_session_is_asked_for_and_confirmed_or_not() {
    each_release_between(|messages| {
        for (name, expected) in [("revalidate/valid", true), ("revalidate/unknown", false)] {
            let Spoken::Learner(LearnerMessage::Revalidate { session, .. }) =
                only(messages, name, 2, 3, "REVALIDATE").spoken()
            else {
                panic!("a question");
            };
            let Spoken::Leader(answer) = only(messages, name, 3, 2, "REVALIDATE").spoken() else {
                panic!("an answer");
            };
            let valid = expected;
            assert_eq!(answer, LeaderMessage::Revalidate { session, valid });
            assert_eq!(session == SessionId(0x0900_1234_5678_0000), !expected);
        }
    });
}

#[test]
fn a_change_of_the_configuration_names_the_next_leader() {
    const STEP: &str = "reconfig/leader-leaves";
    each_release_between(|messages| {
        let mut named = BTreeSet::new();
        let mut activated = BTreeSet::new();
        for message in messages.iter().filter(|message| message.step == STEP) {
            match (message.port, message.kind) {
                (Port::Quorum, "COMMITANDACTIVATE") => {
                    let Spoken::Leader(LeaderMessage::CommitAndActivate {
                        zxid,
                        designated_leader,
                    }) = message.spoken()
                    else {
                        panic!("a leader's");
                    };
                    named.insert(designated_leader);
                    activated.insert(zxid);
                }
                (Port::Quorum, "INFORMANDACTIVATE") => {
                    let Spoken::Leader(LeaderMessage::InformAndActivate {
                        zxid,
                        designated_leader,
                        txn,
                    }) = message.spoken()
                    else {
                        panic!("a leader's");
                    };
                    named.insert(designated_leader);
                    activated.insert(zxid);
                    let Txn::Reconfig { data, .. } = TxnRecord::decode(txn).unwrap().txn else {
                        panic!("a change of the configuration sets data");
                    };
                    let config = QuorumConfig::from_bytes(data.as_bytes()).unwrap();
                    assert_eq!(config.version, ConfigVersion(zxid.0));
                    let voters: Vec<_> = config.participants().map(|(sid, _)| sid).collect();
                    assert_eq!(voters, [Sid(1), Sid(3)]);
                    assert_eq!(config.members[&Sid(4)].role, Role::Observer);
                }
                _ => {}
            }
        }
        assert_eq!((named.len(), activated.len()), (1, 1));
        // The one that was named leads: the other of the two follows it.
        let follower = messages
            .iter()
            .find(|message| (message.step, message.kind) == (STEP, "FOLLOWERINFO"))
            .unwrap();
        assert_eq!(Some(&follower.receiver), named.first());
    });
}
