//! Where this node's bytes are not Java's, and why. What whole servers answer is compared in `interop/differences.toml`.

use std::collections::BTreeSet;

use zebu_proto::client::{MultiHeader, ReplyHeader};
use zebu_proto::jute::{Reader, Write};
use zebu_proto::txn::{CreateTxnKind, Txn, TxnRecord};
use zebu_proto::{ErrorCode, OpCode, Stat, Xid, Zxid};

use super::fixture::{Frame, Logged, Release, Run};

/// Steps whose replies differ from those of 3.9.
///
/// * `set-watches/null-list`: Java reads the lists one by one, and has told the client what it missed of the first
///   before it finds that the second is null. This node reads the whole request before it does anything.
/// * `multi/bad-flags`: Java 3.9 refuses the whole request as unreadable. This node names the element, as 3.8 does.
/// * `error/set-data-null-path`: for Java a null path of setData is a bad argument, and the refusal a transaction. This
///   node refuses every null path as unreadable, without one.
const FROM_395: [&str; 3] = ["error/set-data-null-path", "multi/bad-flags", "set-watches/null-list"];

/// Steps whose replies differ from those of 3.8, besides that its events have zxid −1 instead of the transaction's.
///
/// * `check-watches/persistent`, `remove-watches/persistent-none`, `remove-watches/persistent`,
///   `remove-watches/recursive`: 3.8 does not know the types of persistent watches.
/// * `multi/create2`: 3.8 answers an element create2 as if it were a create.
const FROM_380: [&str; 7] = [
    "check-watches/persistent",
    "error/set-data-null-path",
    "multi/create2",
    "remove-watches/persistent",
    "remove-watches/persistent-none",
    "remove-watches/recursive",
    "set-watches/null-list",
];

/// What is expected where it is not what was recorded.
pub(super) struct Differences<'a> {
    run: &'a Run,
    met: BTreeSet<&'static str>,
}

impl<'a> Differences<'a> {
    pub(super) const fn new(run: &'a Run) -> Self {
        Self {
            run,
            met: BTreeSet::new(),
        }
    }

    fn steps(&self) -> &'static [&'static str] {
        match self.run.release {
            Release::V380 => &FROM_380,
            Release::V395 => &FROM_395,
        }
    }

    /// What this node is to send where Java sent `frame`; `None`: nothing.
    pub(super) fn expected(&mut self, frame: &Frame) -> Option<Vec<u8>> {
        if !self.steps().contains(&frame.name) {
            return Some(in_order(frame, &frame.payload));
        }
        self.met.insert(frame.name);
        let header = header(&frame.payload);
        let expected = match frame.name {
            "set-watches/null-list" if header.xid == Xid::NOTIFICATION => return None,
            "set-watches/null-list" => frame.payload.clone(),
            "multi/bad-flags" => refused_element(header),
            "error/set-data-null-path" => {
                let before = Zxid(header.zxid.0 - 1);
                reply(ReplyHeader::error(header.xid, before, ErrorCode::MarshallingError))
            }
            "multi/create2" => self.create2_element(header),
            "remove-watches/persistent-none" => {
                assert_eq!(header.err, ErrorCode::MarshallingError.code());
                reply(ReplyHeader::error(header.xid, header.zxid, ErrorCode::NoWatcher))
            }
            "check-watches/persistent" | "remove-watches/persistent" | "remove-watches/recursive" => {
                assert_eq!(header.err, ErrorCode::MarshallingError.code());
                reply(ReplyHeader::ok(header.xid, header.zxid))
            }
            other => unreachable!("{other} is not listed"),
        };
        assert!(expected != frame.payload || frame.name == "set-watches/null-list");
        Some(expected)
    }

    /// The reply to the multi of create2, create of a container, and setData, as 3.9 gives it.
    fn create2_element(&self, header: ReplyHeader) -> Vec<u8> {
        let mut out = reply(header);
        let time = self.run.time(header.zxid.0);
        let stat = Stat {
            czxid: header.zxid,
            mzxid: header.zxid,
            ctime: time,
            mtime: time,
            pzxid: header.zxid,
            ..Stat::default()
        };
        let created = [("/raw", 3), ("/raw/c-", 1)];
        for (path, data_length) in created {
            result(OpCode::Create2, &mut out);
            out.string(path);
            Stat { data_length, ..stat }.encode(&mut out);
        }
        result(OpCode::SetData, &mut out);
        let stat = Stat {
            version: 1,
            cversion: 1,
            num_children: 1,
            ..stat
        };
        stat.encode(&mut out);
        MultiHeader::END.encode(&mut out);
        out
    }

    /// What this node sent, in the form in which it is compared with what is expected.
    pub(super) fn sent(&self, frame: &Frame, sent: &[u8]) -> Vec<u8> {
        let mut sent = in_order(frame, sent);
        let is_caught_up = frame.name.starts_with("set-watches");
        if self.run.release == Release::V380 && header(&frame.payload).xid == Xid::NOTIFICATION && !is_caught_up {
            let ours = header(&sent);
            assert!(ours.zxid > Zxid::ZERO, "the zxid of a transaction");
            sent.splice(..ReplyHeader::BYTES, reply(ReplyHeader { zxid: Zxid(-1), ..ours }));
        }
        sent
    }

    /// What this node is to write where Java wrote `record`; `None`: nothing.
    pub(super) fn expected_record(&self, record: &Logged) -> Option<Vec<u8>> {
        if record.name == "error/set-data-null-path" {
            return None;
        }
        if record.name == "multi/bad-flags" && self.run.release == Release::V395 {
            let mut expected = TxnRecord::decode(&record.bytes).unwrap();
            let err = ErrorCode::BadArguments.code();
            expected.txn = Txn::Multi(vec![Txn::Error { err }]);
            expected.header.op = OpCode::Multi;
            // The tree is as it was before; the transaction before this one carries its digest.
            let before = self
                .run
                .log
                .iter()
                .rev()
                .find(|record| record.name == "close/multi")
                .unwrap();
            expected.digest = TxnRecord::decode(&before.bytes).unwrap().digest;
            return Some(expected.to_vec());
        }
        if record.name == "multi/create2" && self.run.release == Release::V380 {
            return Some(with_create2(&record.bytes));
        }
        Some(without_undone(&record_in_order(&record.bytes)))
    }

    pub(super) fn assert_all_were_met(&self) {
        assert!(self.steps().iter().all(|step| self.met.contains(step)));
    }
}

/// The reply to a multi of one element that is refused for its flags.
fn refused_element(header: ReplyHeader) -> Vec<u8> {
    assert_eq!(header.err, ErrorCode::MarshallingError.code());
    let mut out = reply(ReplyHeader::ok(header.xid, header.zxid));
    let err = ErrorCode::BadArguments.code();
    MultiHeader {
        kind: OpCode::Error.code(),
        done: false,
        err,
    }
    .encode(&mut out);
    out.int(err);
    MultiHeader::END.encode(&mut out);
    out
}

fn result(op: OpCode, out: &mut Vec<u8>) {
    MultiHeader {
        kind: op.code(),
        done: false,
        err: 0,
    }
    .encode(out);
}

/// A reply without record.
fn reply(header: ReplyHeader) -> Vec<u8> {
    let mut out = Vec::new();
    header.encode(&mut out);
    out
}

fn header(payload: &[u8]) -> ReplyHeader {
    ReplyHeader::decode(&mut Reader::new(payload)).unwrap()
}

/// The record of the multi of create2 as 3.9 writes it: 3.8 makes the element a create.
fn with_create2(bytes: &[u8]) -> Vec<u8> {
    let mut record = TxnRecord::decode(bytes).unwrap();
    if let Txn::Multi(elements) = &mut record.txn
        && let Txn::Create(create) = &mut elements[0]
    {
        assert_eq!(create.kind, CreateTxnKind::Create { ephemeral: false });
        create.kind = CreateTxnKind::Create2 { ephemeral: false };
    }
    record.to_vec()
}

/// A record of the log, without what a failed multi did not do: Java leaves the elements before the failed one in the
/// record, and reads them as errors without code when it applies it. This node writes what they are read as.
fn without_undone(bytes: &[u8]) -> Vec<u8> {
    let mut record = TxnRecord::decode(bytes).unwrap();
    let Txn::Multi(elements) = &mut record.txn else {
        return bytes.into();
    };
    let is_error = |element: &Txn| matches!(element, Txn::Error { .. });
    if let Some(failed) = elements.iter().position(is_error) {
        elements[..failed].fill(Txn::Error { err: 0 });
    }
    record.to_vec()
}

/// A reply with its names sorted where their order means nothing: Java gives children, ephemeral nodes and identities
/// in the order of its hash tables.
fn in_order(frame: &Frame, payload: &[u8]) -> Vec<u8> {
    let strings_per_name = match frame.name.split('/').next().unwrap() {
        "get-children" | "get-children2" | "get-ephemerals" => 1,
        "who-am-i" => 2,
        _ => return payload.into(),
    };
    let mut reader = Reader::new(payload);
    assert_eq!(ReplyHeader::decode(&mut reader).unwrap().err, 0);
    let count = reader.count("names").unwrap().unwrap();
    let mut name = || (0..strings_per_name).map(|_| reader.buffer("name").unwrap()).collect();
    let mut names: Vec<Vec<_>> = (0..count).map(|_| name()).collect();
    names.sort_unstable();
    let mut sorted = payload[..ReplyHeader::BYTES].to_vec();
    sorted.length(count);
    names.iter().flatten().for_each(|name| sorted.buffer(*name));
    sorted.put(reader.rest());
    sorted
}

/// A record of the log with the paths of a closed session sorted, which Java lists in the order of a hash table.
pub(super) fn record_in_order(bytes: &[u8]) -> Vec<u8> {
    let mut record = TxnRecord::decode(bytes).unwrap();
    let Txn::CloseSession { paths: Some(paths) } = &mut record.txn else {
        return bytes.into();
    };
    paths.sort_unstable();
    record.to_vec()
}
