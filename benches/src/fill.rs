//! Making, and checking, a tree of a given size.

use std::net::SocketAddr;
use std::time::Instant;

use serde::Serialize;

use crate::BenchError;
use crate::session::Session;
use crate::wire::{self, Frame, Shape, Template};

/// Parent of the tree.
const ROOT: &str = "/tree";
/// Width of the numbers in names, as sequential znodes have it.
const DIGITS: usize = 10;
/// Multis on the way at a time: enough that the server never waits for the generator.
const MULTIS_AHEAD: usize = 4;
/// Reads on the way at a time while the tree is checked.
const READS_AHEAD: usize = 500;

/// A tree of three levels: `/tree/parent-0000000000/node-0000000000`.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Znodes below the root of the tree.
    pub parents: u64,
    /// Znodes below each of those.
    pub children: u64,
    /// Bytes of data in each of the children; the upper levels have none.
    pub data_bytes: usize,
    /// Creates per multi.
    pub per_multi: usize,
}

/// What was done.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Znodes that were made or read.
    pub znodes: u64,
    /// How long it took.
    pub seconds: f64,
    /// Znodes per second.
    pub znodes_per_second: f64,
}

impl Outcome {
    fn of(znodes: u64, start: Instant) -> Self {
        let seconds = start.elapsed().as_secs_f64();
        Self {
            znodes,
            seconds,
            znodes_per_second: znodes as f64 / seconds,
        }
    }
}

impl Tree {
    /// Creates the tree, which must not be there yet, with multis over one connection.
    ///
    /// # Errors
    /// As [`Session::pipeline`]; [`BenchError::Parameters`] if a multi would be larger than servers take.
    pub fn make(&self, server: SocketAddr) -> Result<Outcome, BenchError> {
        let data = self.data();
        // Servers take frames up to 1 MiB; path, ACL and headers of one element are about 100 bytes.
        if self.per_multi == 0 || self.per_multi.saturating_mul(self.data_bytes + 100) > 1_000_000 {
            return Err(BenchError::Parameters(
                "a multi must have creates, and be below a megabyte".to_owned(),
            ));
        }
        let start = Instant::now();
        let mut session = Session::open(server)?;
        session.ensure(ROOT, b"")?;
        self.create_all(&mut session, &mut (0..self.parents).map(parent), b"")?;
        self.create_all(&mut session, &mut self.leaves(), &data)?;
        session.close()?;
        Ok(Outcome::of(1 + self.parents + self.parents * self.children, start))
    }

    /// Reads every one of the children and checks the length of its data.
    ///
    /// # Errors
    /// As [`Session::pipeline`]: the first znode that is not there, or not as it was made.
    pub fn check(&self, server: SocketAddr) -> Result<Outcome, BenchError> {
        let start = Instant::now();
        let mut session = Session::open(server)?;
        let mut read = 0;
        for number in 0..self.parents {
            let template = Template::get(&format!("{}/node-", parent(number)), DIGITS);
            let mut children = 0..self.children;
            read += session.pipeline(READS_AHEAD, Shape::Data(self.data_bytes), None, |out, xid| {
                children.next().map(|child| template.push(out, xid, child))
            })?;
        }
        session.close()?;
        Ok(Outcome::of(read, start))
    }

    /// Paths of the lowest level, in order.
    fn leaves(&self) -> impl Iterator<Item = String> + use<> {
        let children = self.children;
        (0..self.parents).flat_map(move |number| {
            let prefix = format!("{}/node-", parent(number));
            (0..children).map(move |child| wire::numbered(&prefix, child, DIGITS))
        })
    }

    /// Bytes that look like a small text value; all znodes have the same.
    fn data(&self) -> Vec<u8> {
        b"zookeeper-".iter().copied().cycle().take(self.data_bytes).collect()
    }

    fn create_all(
        &self,
        session: &mut Session,
        paths: &mut dyn Iterator<Item = String>,
        data: &[u8],
    ) -> Result<(), BenchError> {
        session.pipeline(MULTIS_AHEAD, Shape::Creates, None, |out, xid| {
            let mut paths = paths.take(self.per_multi).peekable();
            paths.peek()?;
            let multi = paths.fold(Frame::request(xid, wire::OP_MULTI), |frame, path| {
                frame.multi_element(wire::OP_CREATE).create_body(&path, data)
            });
            out.extend_from_slice(&multi.multi_end().finish());
            Some(())
        })?;
        Ok(())
    }
}

fn parent(number: u64) -> String {
    wire::numbered("/tree/parent-", number, DIGITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_come_in_order_with_the_names_of_sequential_znodes() {
        let tree = Tree {
            parents: 2,
            children: 2,
            data_bytes: 12,
            per_multi: 1,
        };
        let leaves: Vec<_> = tree.leaves().collect();
        assert_eq!(leaves.len(), 4);
        assert_eq!(leaves[0], "/tree/parent-0000000000/node-0000000000");
        assert_eq!(leaves[3], "/tree/parent-0000000001/node-0000000001");
        assert_eq!(tree.data(), b"zookeeper-zo");
    }
}
