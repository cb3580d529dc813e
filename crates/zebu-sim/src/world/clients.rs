//! Clients: they write, and they read behind a `sync`.

use bytes::Bytes;
use zebu_proto::txn::{CreateTxn, CreateTxnKind, Txn, TxnHeader, TxnRecord};
use zebu_proto::{AclList, OpCode, SessionId, Value, WallMillis, Xid};
use zebu_zab::{Proposal, SyncId};

use super::*;

/// A read that waits for its sync.
pub(super) struct Read {
    /// Where the client is connected.
    at: Side,
    /// The connection to the leader over which the server has asked: the answer comes over it or never.
    over: Option<ConnId>,
    /// The last write that was acknowledged to anybody before it began.
    floor: Zxid,
}

impl World {
    pub(super) fn request(&mut self) -> Outcome<()> {
        if !self.has_clients {
            return Ok(());
        }
        let most = self.plan.request_ms_max;
        let pause = self.random.between(most / 16, most).max(1);
        self.at(pause, Event::Request);
        let index = usize::try_from(self.random.below(self.servers.len() as u64)).unwrap_or(0);
        let data = self.random.next();
        let server = &mut self.servers[index];
        let generation = server.generation;
        let side = Side {
            server: index,
            generation,
        };
        if server.paused_until > self.now {
            return Ok(());
        }
        if server.process.is_none() {
            return Ok(());
        }
        // Not only when it serves: what a server has logged and applied when it looks for a leader may never be committed.
        if self.random.once_in(40) {
            return self.take_snapshot(index);
        }
        if self.random.once_in(2) {
            return self.sync(side);
        }
        self.write(side, data)
    }

    /// A client writes, if the server leads.
    pub(super) fn write(&mut self, side: Side, data: u64) -> Outcome<()> {
        let (index, generation) = (side.server, side.generation);
        let sid = self.servers[index].sid;
        let has_bug = self.plan.bug == Some(Bug::CounterRunsOn);
        let takes_writes =
            |leader: &&zebu_zab::Leader| leader.established().is_some() && (has_bug || !leader.is_handing_over());
        let Some(process) = self.process_of(side) else {
            return Ok(());
        };
        let Some(leader) = process.peer.as_leader().filter(takes_writes) else {
            return Ok(());
        };
        let zxid = leader.last_proposed().next();
        let proposal = Proposal {
            zxid,
            txn: txn(zxid, data),
        };
        if self.plan.counter_end.is_some_and(|end| zxid.counter() > end) {
            return Err(self.violation(format!("{zxid} is beyond the end of the counter")));
        }
        self.checker
            .proposed(zxid, data, sid)
            .map_err(|what| self.violation(what))?;
        if let Err(error) = self.process(index).append(&proposal) {
            return self.died(index, &error);
        }
        self.schedule_flush(side);
        self.act(index, generation, |peer, now, out| peer.propose(proposal, now, out))
    }

    pub(super) fn take_snapshot(&mut self, index: usize) -> Outcome<()> {
        let process = self.process(index);
        if !process.is_trusted || !process.unflushed.is_empty() || !process.unapplied.is_empty() {
            return Ok(());
        }
        let taken = process.snapshot();
        self.report.own_snapshots += 1;
        taken.or_else(|error| self.died(index, &error))
    }

    /// A client sends `sync` to its server, which asks the leader, if it is not that itself.
    pub(super) fn sync(&mut self, side: Side) -> Outcome<()> {
        let floor = self.checker.last_acknowledged();
        self.serial += 1;
        let id = self.serial;
        let Some(process) = self.process_of(side).filter(|process| process.serving.is_some()) else {
            return Ok(());
        };
        let over = process.leader;
        self.reads.insert(id, Read { at: side, over, floor });
        match over {
            Some(conn) => {
                self.send(conn, side, Packet::Sync(id));
                Ok(())
            }
            None => self.sync_arrived(side, id),
        }
    }

    /// The leader, or who takes itself for the leader, has got a `sync`.
    pub(super) fn sync_arrived(&mut self, side: Side, id: u64) -> Outcome<()> {
        let has_bug = self.has(Bug::SyncUnconfirmed);
        let Some(process) = self.process_of(side) else {
            return Ok(());
        };
        let is_leading = process
            .peer
            .as_leader()
            .is_some_and(|leader| leader.established().is_some());
        if has_bug {
            if is_leading && process.unapplied.is_empty() {
                return self.synced(side, id);
            }
            return Ok(());
        }
        self.act(side.server, side.generation, |peer, _, out| peer.sync(SyncId(id), out))
    }

    /// The leader answers a `sync`: to its own client, or to the learner that asked.
    pub(super) fn synced(&mut self, side: Side, id: u64) -> Outcome<()> {
        let Some(read) = self.reads.get(&id) else { return Ok(()) };
        match read.over {
            Some(conn) => {
                self.send(conn, side, Packet::Synced(id));
                Ok(())
            }
            None => self.read(side, id),
        }
    }

    /// The client reads: it must see every write that was acknowledged before its `sync`.
    pub(super) fn read(&mut self, side: Side, id: u64) -> Outcome<()> {
        let Some(Read { at, floor, .. }) = self.reads.remove(&id) else {
            return Ok(());
        };
        if at != side {
            return Ok(());
        }
        let Some(process) = self.process_of(side) else {
            return Ok(());
        };
        let seen = process.tree.last_zxid();
        if seen < floor {
            let sid = self.servers[side.server].sid;
            return Err(self.violation(format!(
                "a read behind a sync at server {sid} sees the state of {seen}, and {floor} was acknowledged before it"
            )));
        }
        self.report.synced_reads += 1;
        Ok(())
    }
}

/// A transaction that makes a node with its zxid in the name.
fn txn(zxid: Zxid, data: u64) -> Bytes {
    let record = TxnRecord {
        header: TxnHeader {
            session: SessionId(1),
            cxid: Xid(1),
            zxid,
            time: WallMillis(1_000_000),
            op: OpCode::Create,
        },
        txn: Txn::Create(CreateTxn {
            kind: CreateTxnKind::Create { ephemeral: false },
            path: format!("/{:x}", zxid.0),
            data: Value::from(&data.to_be_bytes()[..]),
            acl: AclList::OPEN,
            parent_cversion: -1,
        }),
        digest: None,
    };
    Bytes::from(record.to_vec())
}
