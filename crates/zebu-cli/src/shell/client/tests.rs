//! Tests against servers that do what they should not, each a thread with a script.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use zebu_proto::client::{ConnectRequest, ConnectResponse, ReplyHeader, RequestHeader, SetWatches};
use zebu_proto::jute::{Write as _, begin_frame, end_frame};
use zebu_proto::session::password;
use zebu_proto::{Xid, Zxid};

use super::*;

const FRAME_BYTES_MAX: usize = 4096;
const SESSION: SessionId = SessionId(0x0100_0000_0000_0007);

/// A server that goes through its script, one step to a connection.
struct FakeServer {
    address: String,
    thread: JoinHandle<()>,
}

type Step = Box<dyn FnOnce(Peer) + Send>;

impl FakeServer {
    fn start(script: Vec<Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let thread = std::thread::spawn(move || {
            for step in script {
                step(Peer(listener.accept().unwrap().0));
            }
        });
        Self { address, thread }
    }

    fn client(&self, timeout_ms: u64) -> (Client, Receiver<Event>) {
        let (sender, events) = channel();
        let sender = Mutex::new(sender);
        let config = ClientConfig {
            servers: Servers::parse(&self.address).unwrap().servers,
            timeout: Duration::from_millis(timeout_ms),
            read_only: false,
            frame_bytes_max: FRAME_BYTES_MAX,
        };
        let client = Client::start(config, move |event| {
            // The test may not look at events.
            let _ = sender.lock().unwrap().send(event);
        });
        (client.unwrap(), events)
    }
}

/// The server's end of a connection.
struct Peer(TcpStream);

impl Peer {
    fn read_frame(&mut self) -> Vec<u8> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut frame = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        self.0.read_exact(&mut frame).unwrap();
        frame
    }

    /// The next request that is no ping: its number and its record.
    fn read_request(&mut self) -> (Xid, OpCode, Vec<u8>) {
        loop {
            let frame = self.read_frame();
            let mut reader = Reader::new(&frame);
            let header = RequestHeader::decode(&mut reader).unwrap();
            let op = OpCode::from_i32(header.op).unwrap();
            if op != OpCode::Ping {
                return (header.xid, op, reader.rest().to_vec());
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        // The client may have gone, as it should where this is garbage.
        let _ = self.0.write_all(bytes);
    }

    fn write_frame(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = Vec::new();
        let start = begin_frame(&mut bytes);
        fill(&mut bytes);
        end_frame(&mut bytes, start);
        self.write(&bytes);
    }

    fn reply(&mut self, xid: Xid, zxid: i64, err: i32, body: &[u8]) {
        self.write_frame(|out| {
            ReplyHeader {
                xid,
                zxid: Zxid(zxid),
                err,
            }
            .encode(out);
            out.put(body);
        });
    }

    /// Answers the connect request with a session of this timeout, and returns what the client wrote.
    fn welcome(&mut self, timeout_ms: i32) -> (SessionId, Zxid, Vec<u8>) {
        let frame = self.read_frame();
        let request = ConnectRequest::decode(&frame).unwrap();
        let response = ConnectResponse {
            timeout_ms,
            session: SESSION,
            password: password(SESSION),
            read_only: Some(false),
        };
        self.write_frame(|out| response.encode(out));
        (request.session, request.last_zxid_seen, request.password.to_vec())
    }

    /// Reads until the client closes.
    fn drain(mut self) {
        let _ = self.0.read_to_end(&mut Vec::new());
    }
}

/// What a client makes of a server that sends `bytes` in place of a welcome, on every connection.
fn error_after_greeting(bytes: &'static [u8]) -> ClientError {
    let step = move || {
        Box::new(move |mut peer: Peer| {
            peer.read_frame();
            peer.write(bytes);
        }) as Step
    };
    let server = FakeServer::start(vec![step()]);
    let (client, _events) = server.client(5000);
    client.children("/", false).unwrap_err()
}

#[test]
fn servers_of_other_protocols_are_told_apart() {
    let error = error_after_greeting(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert!(
        matches!(
            error,
            ClientError::NotConnected(Loss::FrameLength {
                length: 0x4854_5450,
                limit: FRAME_BYTES_MAX
            })
        ),
        "{error:?}"
    );
    let error = error_after_greeting(b"\xff\xff\xff\xff");
    assert!(
        matches!(error, ClientError::NotConnected(Loss::FrameLength { length: -1, .. })),
        "{error:?}"
    );
    let error = error_after_greeting(b"\0\0\0\x03abc");
    assert!(
        matches!(error, ClientError::NotConnected(Loss::Garbage(_))),
        "{error:?}"
    );
    let error = error_after_greeting(b"");
    assert!(matches!(error, ClientError::NotConnected(Loss::Closed)), "{error:?}");
    let refused = [&[0, 0, 0, 37][..], &[0; 16], &[0, 0, 0, 16], &[0; 17]].concat();
    let error = error_after_greeting(refused.leak());
    assert!(matches!(error, ClientError::NotConnected(Loss::NoSession)), "{error:?}");
}

/// What a client makes of a server that welcomes it and answers a request in this way. Writes, since reads are sent again.
fn error_of_answer(answer: impl FnOnce(&mut Peer, Xid) + Send + 'static) -> ClientError {
    let server = FakeServer::start(vec![Box::new(|mut peer| {
        peer.welcome(5000);
        let (xid, _, _) = peer.read_request();
        answer(&mut peer, xid);
    })]);
    let (client, _events) = server.client(5000);
    let error = client.set_data("/a", None, -1).unwrap_err();
    server.thread.join().unwrap();
    error
}

#[test]
fn answers_that_are_none_end_the_connection_or_the_request() {
    let error = error_of_answer(|peer, _| peer.write(b"\x7f\xff\xff\xff"));
    assert!(
        matches!(
            error,
            ClientError::ConnectionLost(Loss::FrameLength { length: i32::MAX, .. })
        ),
        "{error:?}"
    );
    let error = error_of_answer(|peer, _| peer.write(b"\0\0\0\x02ab"));
    assert!(
        matches!(error, ClientError::ConnectionLost(Loss::Garbage(_))),
        "{error:?}"
    );
    let error = error_of_answer(|peer, xid| peer.reply(Xid(xid.0 + 1), 1, 0, b""));
    assert!(
        matches!(error, ClientError::ConnectionLost(Loss::UnexpectedReply { .. })),
        "{error:?}"
    );
    let error = error_of_answer(|peer, _| peer.reply(Xid(-4), 1, 0, b""));
    assert!(
        matches!(error, ClientError::ConnectionLost(Loss::UnexpectedReply { .. })),
        "{error:?}"
    );
    let error = error_of_answer(|peer, _| peer.reply(Xid(-1), 1, 0, b"\0\0\0\x63\0\0\0\x03\0\0\0\0"));
    assert!(
        matches!(error, ClientError::ConnectionLost(Loss::Garbage(_))),
        "{error:?}"
    );
    let error = error_of_answer(|_, _| {});
    assert!(
        matches!(error, ClientError::ConnectionLost(Loss::Closed | Loss::Io { .. })),
        "{error:?}"
    );
    let error = error_of_answer(|peer, xid| peer.reply(xid, 1, 0, b"short"));
    assert!(matches!(error, ClientError::Answer(_)), "{error:?}");
    let error = error_of_answer(|peer, xid| peer.reply(xid, 1, -101, b""));
    assert!(matches!(error, ClientError::Refused(ErrorCode::NoNode)), "{error:?}");
    let error = error_of_answer(|peer, xid| peer.reply(xid, 1, -9999, b""));
    assert!(matches!(error, ClientError::UnknownCode(-9999)), "{error:?}");
}

/// Bytes of a generator whose state is its seed.
fn random_bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn random_answers_are_errors_or_values_and_never_panics() {
    let steps = |seed: u64| {
        Box::new(move |mut peer: Peer| {
            peer.welcome(5000);
            let (xid, _, _) = peer.read_request();
            let body = random_bytes(seed, usize::try_from(seed % 200).unwrap());
            match seed % 3 {
                0 => peer.write(&body),
                1 => peer.write_frame(|out| out.put(&body)),
                _ => peer.reply(xid, 5, 0, &body),
            }
        }) as Step
    };
    for seed in 1..=150 {
        // Reads are sent once more after a loss.
        let server = FakeServer::start(vec![steps(seed), steps(seed + 3)]);
        let (client, _events) = server.client(5000);
        let _ = match seed % 7 {
            0 => client.children("/", true).map(|_| ()),
            1 => client.data("/", true).map(|_| ()),
            2 => client.acl("/").map(|_| ()),
            3 => client.identities().map(|_| ()),
            4 => client.delete_all(&["/a".to_owned()]).map_err(|(_, error)| error),
            5 => client.exists("/", true).map(|_| ()),
            _ => client.ephemerals("/").map(|_| ()),
        };
        assert!(!client.thread.as_ref().unwrap().is_finished(), "seed {seed}");
        drop(client);
    }
}

#[test]
fn a_server_that_falls_silent_is_left() {
    let server = FakeServer::start(vec![Box::new(|mut peer| {
        peer.welcome(90);
        peer.drain();
    })]);
    let (client, events) = server.client(90);
    let error = client.set_data("/a", None, -1).unwrap_err();
    assert!(
        matches!(error, ClientError::ConnectionLost(Loss::Silent(_))),
        "{error:?}"
    );
    // With nobody to go to, the session is given up when its time is over.
    assert_eq!(events.recv().unwrap(), Event::State(SessionState::Connected));
    assert_eq!(events.recv().unwrap(), Event::State(SessionState::Connecting));
    assert_eq!(events.recv().unwrap(), Event::State(SessionState::Ended(End::Expired)));
    let error = client.set_data("/a", None, -1).unwrap_err();
    assert!(matches!(error, ClientError::SessionExpired), "{error:?}");
}

#[test]
fn a_quiet_session_is_kept_alive_by_pings() {
    let (pinged, enough) = channel();
    let server = FakeServer::start(vec![Box::new(move |mut peer| {
        peer.welcome(1500);
        for _ in 0..2 {
            let frame = peer.read_frame();
            let header = RequestHeader::decode(&mut Reader::new(&frame)).unwrap();
            assert_eq!((header.xid, header.op), (Xid::PING, OpCode::Ping.code()));
            peer.reply(Xid::PING, 1, 0, b"");
        }
        pinged.send(()).unwrap();
        let (xid, op, _) = peer.read_request();
        assert_eq!(op, OpCode::CloseSession);
        peer.reply(xid, 2, 0, b"");
    })]);
    let (client, events) = server.client(1500);
    enough.recv().unwrap();
    client.close();
    server.thread.join().unwrap();
    let events: Vec<_> = events.try_iter().collect();
    let (connected, closed) = (SessionState::Connected, SessionState::Ended(End::Closed));
    assert_eq!(events, [Event::State(connected), Event::State(closed)]);
}

/// A stat, as an answer's body.
fn stat_bytes() -> Vec<u8> {
    let mut body = Vec::new();
    Stat::default().encode(&mut body);
    body
}

#[test]
fn a_new_connection_renews_the_session_with_its_credentials_and_watches() {
    let server = FakeServer::start(vec![
        Box::new(|mut peer| {
            assert_eq!(peer.welcome(5000), (SessionId::NONE, Zxid::ZERO, vec![0; 16]));
            let (xid, op, body) = peer.read_request();
            assert_eq!((xid, op), (Xid(-4), OpCode::Auth));
            assert!(matches!(
                Request::decode(op, &body).unwrap(),
                Request::Auth { scheme, auth: Some(b"bob:pw") } if scheme == "digest"
            ));
            peer.reply(xid, 0, 0, b"");
            let (xid, _, _) = peer.read_request();
            peer.reply(xid, 0x55, 0, &stat_bytes());
            let (xid, _, _) = peer.read_request();
            peer.reply(xid, 0x56, -101, b"");
            let (xid, _, _) = peer.read_request();
            peer.reply(xid, 0x57, 0, b"\0\0\0\0");
            peer.read_request();
        }),
        Box::new(|mut peer| {
            assert_eq!(peer.welcome(5000), (SESSION, Zxid(0x57), password(SESSION).to_vec()));
            let (xid, op, _) = peer.read_request();
            assert_eq!((xid, op), (Xid(-4), OpCode::Auth));
            let (xid, op, body) = peer.read_request();
            assert_eq!((xid, op), (Xid(-8), OpCode::SetWatches2));
            let expected = SetWatches {
                relative_zxid: Zxid(0x57),
                data: vec!["/there".into()],
                exist: vec!["/not-there".into()],
                persistent_recursive: vec!["/all".into()],
                ..SetWatches::default()
            };
            assert_eq!(Request::decode(op, &body).unwrap(), Request::SetWatches(expected));
            peer.reply(Xid(-4), 0, 0, b"");
            peer.reply(Xid(-1), -1, 0, b"\0\0\0\x03\0\0\0\x03\0\0\0\x06/there");
            peer.reply(Xid(-8), 0x60, 0, b"");
            let (xid, op, _) = peer.read_request();
            assert_eq!(op, OpCode::Sync);
            peer.reply(xid, 0x60, 0, b"\0\0\0\0");
            peer.drain();
        }),
    ]);
    let (client, events) = server.client(5000);
    client.add_auth("digest", b"bob:pw").unwrap();
    assert!(client.exists("/there", true).unwrap().is_some());
    assert!(client.exists("/not-there", true).unwrap().is_none());
    client.add_watch("/all", AddWatchMode::PersistentRecursive).unwrap();
    // Lost once, and asked again on the next connection.
    client.sync("/").unwrap();
    assert_eq!(client.session_id(), SESSION);
    let events: Vec<_> = (0..4).map(|_| events.recv().unwrap()).collect();
    assert_eq!(
        events,
        [
            Event::State(SessionState::Connected),
            Event::State(SessionState::Connecting),
            Event::State(SessionState::Connected),
            Event::Watch {
                event: zebu_proto::client::EventType::NodeDataChanged,
                path: "/there".into()
            },
        ]
    );
    drop(client);
    server.thread.join().unwrap();
}

#[test]
fn a_write_whose_answer_is_lost_is_not_sent_again() {
    let server = FakeServer::start(vec![
        Box::new(|mut peer| {
            peer.welcome(5000);
            peer.read_request();
        }),
        Box::new(|mut peer| {
            peer.welcome(5000);
            let (xid, op, _) = peer.read_request();
            assert_eq!(op, OpCode::Sync);
            peer.reply(xid, 1, 0, b"\0\0\0\0");
        }),
    ]);
    let (client, _events) = server.client(5000);
    let error = client.set_data("/a", Some(b"x"), -1).unwrap_err();
    assert!(matches!(error, ClientError::ConnectionLost(_)), "{error:?}");
    client.sync("/").unwrap();
    server.thread.join().unwrap();
}

#[test]
fn a_session_that_the_server_has_forgotten_is_over() {
    let server = FakeServer::start(vec![
        Box::new(|mut peer| {
            peer.welcome(5000);
            peer.read_request();
        }),
        Box::new(|mut peer| {
            peer.read_frame();
            peer.write_frame(|out| ConnectResponse::invalid(Some(false)).encode(out));
        }),
    ]);
    let (client, _events) = server.client(5000);
    let error = client.sync("/").unwrap_err();
    assert!(matches!(error, ClientError::SessionExpired), "{error:?}");
    assert_eq!(client.state(), SessionState::Ended(End::Expired));
}

#[test]
fn credentials_that_a_new_connection_refuses_end_the_session() {
    let server = FakeServer::start(vec![
        Box::new(|mut peer| {
            peer.welcome(5000);
            let (xid, _, _) = peer.read_request();
            peer.reply(xid, 0, 0, b"");
            peer.read_request();
        }),
        Box::new(|mut peer| {
            peer.welcome(5000);
            let (xid, _, _) = peer.read_request();
            peer.reply(xid, 0, -115, b"");
            peer.drain();
        }),
    ]);
    let (client, events) = server.client(5000);
    client.add_auth("digest", b"bob:pw").unwrap();
    let error = client.sync("/").unwrap_err();
    assert!(matches!(error, ClientError::AuthFailed), "{error:?}");
    while events.recv().unwrap() != Event::State(SessionState::Ended(End::AuthFailed)) {}
    assert_eq!(client.state(), SessionState::Ended(End::AuthFailed));
}

#[test]
fn requests_above_the_limit_are_not_sent() {
    let server = FakeServer::start(vec![Box::new(|mut peer| {
        peer.welcome(5000);
        let (xid, op, _) = peer.read_request();
        assert_eq!(op, OpCode::Sync);
        peer.reply(xid, 1, 0, b"\0\0\0\0");
        peer.drain();
    })]);
    let (client, _events) = server.client(5000);
    for bytes in [FRAME_BYTES_MAX, FRAME_BYTES_MAX + 1] {
        let error = client.set_data("/a", Some(&vec![0; bytes]), -1).unwrap_err();
        assert!(
            matches!(
                error,
                ClientError::RequestTooLarge {
                    limit: FRAME_BYTES_MAX,
                    ..
                }
            ),
            "{error:?}"
        );
    }
    client.sync("/").unwrap();
    drop(client);
    server.thread.join().unwrap();
}

#[test]
fn an_answer_above_the_limit_is_named_with_its_size() {
    let error = error_of_answer(|peer, xid| peer.reply(xid, 1, 0, &[0; FRAME_BYTES_MAX]));
    let expected = i32::try_from(FRAME_BYTES_MAX + ReplyHeader::BYTES).unwrap();
    assert!(
        matches!(error, ClientError::ConnectionLost(Loss::FrameLength { length, .. }) if length == expected),
        "{error:?}"
    );
}
