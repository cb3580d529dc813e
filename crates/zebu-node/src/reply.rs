//! Replies to writes, made from the transaction and what came of it.

use zebu_proto::client::{MultiHeader, ReplyHeader};
use zebu_proto::jute::Write;
use zebu_proto::txn::{CreateTxn, CreateTxnKind, Txn};
use zebu_proto::{Stat, ValueRef, Xid, Zxid};
use zebu_tree::Outcome;

use crate::output::Rope;
use crate::read::encode_multi_error;

/// Appends the reply to a write.
pub(crate) fn encode(xid: Xid, zxid: Zxid, txn: &Txn, outcome: &Outcome, out: &mut Rope) {
    let err = match outcome {
        Outcome::Error(code) => *code,
        // A multi that was refused says so in its results.
        Outcome::Done | Outcome::Stat(_) | Outcome::Multi(_) => 0,
    };
    out.reply(ReplyHeader { xid, zxid, err }, |out| {
        if err == 0 {
            encode_body(txn, outcome, out);
        }
    });
}

fn encode_body(txn: &Txn, outcome: &Outcome, out: &mut Rope) {
    match (txn, outcome) {
        (Txn::Multi(elements), Outcome::Multi(outcomes)) => {
            for (element, outcome) in elements.iter().zip(outcomes) {
                encode_element(element, outcome, out);
            }
            MultiHeader::END.encode(out);
        }
        // As getData does.
        (Txn::Reconfig { data, .. }, Outcome::Stat(stat)) => {
            out.value(ValueRef::Shared(data));
            stat.encode(out);
        }
        (Txn::Create(create), Outcome::Stat(stat)) => encode_created(create, stat, out),
        (_, Outcome::Stat(stat)) => stat.encode(out),
        _ => {}
    }
}

/// create answers with the path; its younger relatives with path and metadata.
fn encode_created(create: &CreateTxn, stat: &Stat, out: &mut Rope) {
    out.string(&create.path);
    if !matches!(create.kind, CreateTxnKind::Create { .. }) {
        stat.encode(out);
    }
}

fn encode_element(element: &Txn, outcome: &Outcome, out: &mut Rope) {
    if let Outcome::Error(code) = outcome {
        encode_multi_error(*code, out);
        return;
    }
    let kind = match element {
        // Clients know results of containers and TTL nodes as those of create2.
        Txn::Create(create) if !matches!(create.kind, CreateTxnKind::Create { .. }) => zebu_proto::OpCode::Create2,
        other => other.op(),
    };
    MultiHeader {
        kind: kind.code(),
        done: false,
        err: 0,
    }
    .encode(out);
    encode_body(element, outcome, out);
}
