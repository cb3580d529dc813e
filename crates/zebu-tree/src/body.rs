//! How a node is packed into bytes: what is as in a fresh node is left out, numbers take as many bytes as they need.
//!
//! | part | bytes | there if |
//! |---|---|---|
//! | flags | 1 | |
//! | children: first or table, number, digest prefix, pzxid, created | 4, 4, 4, 8, 4 | it has or had children |
//! | length of the name, name | 1 and more | |
//! | lengths of czxid and ctime in half a byte each, czxid, ctime | 1, 5 or 6, 6, as a rule | |
//! | the same for mzxid and mtime, version | 13 and more | it was written to |
//! | aversion | 1 to 5 | its ACL was set |
//! | owner | 8 | it is ephemeral, a container, or has a time to live |
//! | number of its ACL | 1 to 5 | that is not the open one |
//! | data: length, bytes | 1 and more | it is short |
//! | data: number of the value, digest prefix | 4, 4 | it is long |
//!
//! The children stand in front with fixed widths, since to look up a path is to go from one to the next.

use alloc::vec::Vec;

use zebu_proto::{StatPersisted, Zxid};

use crate::children::Children;

const HAS_CHILDREN: u8 = 1;
const CHILDREN_IN_TABLE: u8 = 1 << 1;
const WRITTEN: u8 = 1 << 2;
const ACL_SET: u8 = 1 << 3;
const OWNED: u8 = 1 << 4;
const CLOSED: u8 = 1 << 5;
const DATA_SHORT: u8 = 1 << 6;
const DATA_LONG: u8 = 1 << 7;

/// A node's data as it stands in its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored<'a> {
    Null,
    /// The bytes themselves.
    Short(&'a [u8]),
    /// Number of a value that is kept elsewhere, and the digest prefix, which takes its time to compute.
    Long {
        value: u32,
        prefix: u32,
    },
}

/// Everything about a node but its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Body<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) stat: StatPersisted,
    pub(crate) children: Children,
    /// CRC-32 of path and data, see [`digest::prefix`](crate::digest::prefix). Kept for nodes with children, whose
    /// counters change often; written wherever there is a place for it.
    pub(crate) prefix: Option<u32>,
    /// Number in the [`AclTable`](crate::acl_table::AclTable).
    pub(crate) acl: u32,
    pub(crate) data: Stored<'a>,
}

impl<'a> Body<'a> {
    /// Appends the bytes.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let stat = &self.stat;
        let had_children = self.children != Children::None || stat.pzxid != stat.czxid || stat.cversion != 0;
        let is_written = stat.mzxid != stat.czxid || stat.mtime != stat.ctime || stat.version != 0;
        let flag = |holds: bool, flag: u8| if holds { flag } else { 0 };
        let data = match self.data {
            Stored::Null => 0,
            Stored::Short(_) => DATA_SHORT,
            Stored::Long { .. } => DATA_LONG,
        };
        out.push(
            flag(had_children, HAS_CHILDREN)
                | flag(matches!(self.children, Children::Table { .. }), CHILDREN_IN_TABLE)
                | flag(is_written, WRITTEN)
                | flag(stat.aversion != 0, ACL_SET)
                | flag(stat.ephemeral_owner != 0, OWNED)
                | flag(self.acl != 0, CLOSED)
                | data,
        );
        if had_children {
            let (first, count) = self.children.to_raw();
            out.extend_from_slice(&first.to_le_bytes());
            out.extend_from_slice(&count.to_le_bytes());
            let prefix = self.prefix.expect("whoever gives a node children knows its prefix");
            out.extend_from_slice(&prefix.to_le_bytes());
            out.extend_from_slice(&stat.pzxid.0.to_le_bytes());
            out.extend_from_slice(&stat.cversion.to_le_bytes());
        }
        put_number(out, self.name.len() as u64);
        out.extend_from_slice(self.name);
        put_pair(out, stat.czxid.0, stat.ctime);
        if is_written {
            put_pair(out, stat.mzxid.0, stat.mtime);
            put_number(out, u64::from(stat.version.cast_unsigned()));
        }
        if stat.aversion != 0 {
            put_number(out, u64::from(stat.aversion.cast_unsigned()));
        }
        if stat.ephemeral_owner != 0 {
            out.extend_from_slice(&stat.ephemeral_owner.to_le_bytes());
        }
        if self.acl != 0 {
            put_number(out, u64::from(self.acl));
        }
        match self.data {
            Stored::Null => {}
            Stored::Short(bytes) => {
                put_number(out, bytes.len() as u64);
                out.extend_from_slice(bytes);
            }
            Stored::Long { value, prefix } => {
                out.extend_from_slice(&value.to_le_bytes());
                out.extend_from_slice(&prefix.to_le_bytes());
            }
        }
    }

    /// Reads what [`Body::encode`] wrote. Bytes behind it do not matter.
    pub(crate) fn decode(bytes: &'a [u8]) -> Self {
        let flags = bytes[0];
        let has = |flag: u8| flags & flag != 0;
        let mut rest = Rest(&bytes[1..]);
        let mut stat = StatPersisted::default();
        let (mut children, mut prefix) = (Children::None, None);
        if has(HAS_CHILDREN) {
            children = Children::from_raw(rest.int(), rest.int(), has(CHILDREN_IN_TABLE));
            prefix = Some(rest.int());
            stat.pzxid = Zxid(rest.long());
            stat.cversion = rest.int().cast_signed();
        }
        let name = rest.short_bytes();
        (stat.czxid.0, stat.ctime) = rest.pair();
        (stat.mzxid, stat.mtime) = (stat.czxid, stat.ctime);
        if !has(HAS_CHILDREN) {
            stat.pzxid = stat.czxid;
        }
        if has(WRITTEN) {
            (stat.mzxid.0, stat.mtime) = rest.pair();
            stat.version = rest.number_32().cast_signed();
        }
        if has(ACL_SET) {
            stat.aversion = rest.number_32().cast_signed();
        }
        if has(OWNED) {
            stat.ephemeral_owner = rest.long();
        }
        let acl = if has(CLOSED) { rest.number_32() } else { 0 };
        let data = if has(DATA_SHORT) {
            Stored::Short(rest.short_bytes())
        } else if has(DATA_LONG) {
            let (value, stored_prefix) = (rest.int(), rest.int());
            prefix = Some(stored_prefix);
            Stored::Long {
                value,
                prefix: stored_prefix,
            }
        } else {
            Stored::Null
        };
        Self {
            name,
            stat,
            children,
            prefix,
            acl,
            data,
        }
    }

    /// The children alone.
    pub(crate) fn decode_children(bytes: &[u8]) -> Children {
        let flags = bytes[0];
        if flags & HAS_CHILDREN == 0 {
            return Children::None;
        }
        let mut rest = Rest(&bytes[1..]);
        Children::from_raw(rest.int(), rest.int(), flags & CHILDREN_IN_TABLE != 0)
    }

    /// The name alone.
    pub(crate) fn decode_name(bytes: &'a [u8]) -> &'a [u8] {
        let children_bytes = if bytes[0] & HAS_CHILDREN == 0 { 0 } else { 24 };
        Rest(&bytes[1 + children_bytes..]).short_bytes()
    }
}

/// What is still to be read. All bytes are our own, so an end too early is a fault of this program, and a panic.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_first_chunk().expect("a body ends with its data");
        self.0 = rest;
        *taken
    }

    fn int(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn long(&mut self) -> i64 {
        i64::from_le_bytes(self.take())
    }

    /// Two numbers with leading zeros left out, behind a byte with their lengths.
    fn pair(&mut self) -> (i64, i64) {
        let [lens] = self.take();
        (self.sized(lens & 0xf), self.sized(lens >> 4))
    }

    fn sized(&mut self, len: u8) -> i64 {
        let number = match self.0.first_chunk() {
            // Eight bytes at once, and what is too much cut off.
            Some(chunk) => u64::from_le_bytes(*chunk) & u64::MAX.checked_shr(64 - 8 * u32::from(len)).unwrap_or(0),
            None => {
                let mut chunk = [0; 8];
                chunk[..usize::from(len)].copy_from_slice(&self.0[..usize::from(len)]);
                u64::from_le_bytes(chunk)
            }
        };
        self.0 = &self.0[usize::from(len)..];
        number.cast_signed()
    }

    /// Seven bits a byte, lowest first; the top bit says that more follow.
    fn number(&mut self) -> u64 {
        let [byte] = self.take();
        if byte < 0x80 {
            return u64::from(byte);
        }
        let mut number = u64::from(byte & 0x7f);
        let mut shift = 7;
        loop {
            let [byte] = self.take();
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return number;
            }
        }
    }

    fn number_32(&mut self) -> u32 {
        u32::try_from(self.number()).expect("written from 32 bits")
    }

    fn short_bytes(&mut self) -> &'a [u8] {
        let len = usize::try_from(self.number()).expect("written from a length");
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        bytes
    }
}

fn put_pair(out: &mut Vec<u8>, first: i64, second: i64) {
    let len = |number: i64| (64 - number.leading_zeros()).div_ceil(8).to_le_bytes()[0];
    let (first_len, second_len) = (len(first), len(second));
    out.push(first_len | second_len << 4);
    out.extend_from_slice(&first.to_le_bytes()[..usize::from(first_len)]);
    out.extend_from_slice(&second.to_le_bytes()[..usize::from(second_len)]);
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &Body<'_>, len: usize) {
        let mut bytes = Vec::new();
        body.encode(&mut bytes);
        assert_eq!(bytes.len(), len, "{body:?}");
        bytes.extend_from_slice(b"rounded up");
        assert_eq!(&Body::decode(&bytes), body);
        assert_eq!(Body::decode_name(&bytes), body.name);
        assert_eq!(Body::decode_children(&bytes), body.children);
    }

    #[test]
    fn bodies_read_back_as_written_and_fresh_ones_are_short() {
        let fresh = Body {
            name: b"node-0000000123",
            stat: StatPersisted {
                czxid: Zxid(0x1_0000_1234),
                mzxid: Zxid(0x1_0000_1234),
                pzxid: Zxid(0x1_0000_1234),
                ctime: 1_700_000_000_000,
                mtime: 1_700_000_000_000,
                ..StatPersisted::default()
            },
            children: Children::None,
            prefix: None,
            acl: 0,
            data: Stored::Short(&[7; 100]),
        };
        check(&fresh, 1 + 16 + 12 + 101);
        check(
            &Body {
                data: Stored::Null,
                ..fresh
            },
            1 + 16 + 12,
        );
        let owned = Body {
            stat: StatPersisted {
                ephemeral_owner: i64::MIN,
                aversion: -1,
                ..fresh.stat
            },
            acl: 300,
            ..fresh
        };
        check(&owned, 1 + 16 + 12 + 5 + 8 + 2 + 101);
        let odd = Body {
            name: &[b'n'; 300],
            stat: StatPersisted {
                czxid: Zxid(-1),
                mzxid: Zxid(i64::MIN),
                pzxid: Zxid(i64::MAX),
                ctime: -5,
                mtime: i64::MAX,
                version: i32::MIN,
                cversion: i32::MAX,
                aversion: 3,
                ephemeral_owner: 9,
            },
            children: Children::Table {
                table: 3,
                count: 1 << 30,
            },
            prefix: Some(6),
            acl: u32::MAX,
            data: Stored::Long { value: 5, prefix: 6 },
        };
        check(&odd, 1 + 24 + 302 + 17 + 17 + 5 + 1 + 8 + 5 + 8);
        // Each alone is enough for the group that it is in.
        let change = |change: fn(&mut StatPersisted)| {
            let mut stat = fresh.stat;
            change(&mut stat);
            let prefix = (stat.pzxid != stat.czxid || stat.cversion != 0).then_some(9);
            Body { stat, prefix, ..fresh }
        };
        check(&change(|stat| stat.mzxid = Zxid(5)), 1 + 16 + 12 + 8 + 1 + 101);
        check(&change(|stat| stat.mtime = 5), 1 + 16 + 12 + 7 + 1 + 101);
        check(&change(|stat| stat.version = 5), 1 + 16 + 12 + 12 + 1 + 101);
        check(&change(|stat| stat.pzxid = Zxid(5)), 1 + 24 + 16 + 12 + 101);
        check(&change(|stat| stat.cversion = 5), 1 + 24 + 16 + 12 + 101);
        let parent = Body {
            children: Children::Chain { first: 77, count: 2 },
            prefix: Some(12),
            ..fresh
        };
        check(&parent, 1 + 24 + 16 + 12 + 101);
    }
}
