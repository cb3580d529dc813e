//! Which requests are sent: the operation, its keys and its data.

use std::fmt;

use crate::BenchError;
use crate::session::Session;
use crate::wire::{self, Shape, Template};

/// Parent of everything that load runs create.
pub const ROOT: &str = "/bench";
/// Path of a key, without its number.
const KEY_PREFIX: &str = "/bench/key-";
/// Width of a key's number.
const KEY_DIGITS: usize = 8;
/// Width of a created znode's number: as sequential znodes have it.
const CREATE_DIGITS: usize = 10;
/// Requests that are sent ahead while keys are made.
const SETUP_WINDOW: usize = 100;

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `getData` without a watch, of a random key.
    Get,
    /// `setData` without a version, of a random key.
    Set,
    /// `create` of a new persistent znode; each connection has its own parent.
    Create,
}

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mix {
    /// One operation only.
    Only(Op),
    /// Reads with this probability, otherwise sets.
    Reads(f64),
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only(Op::Get) => f.write_str("get"),
            Self::Only(Op::Set) => f.write_str("set"),
            Self::Only(Op::Create) => f.write_str("create"),
            Self::Reads(share) => write!(f, "mixed:{share}"),
        }
    }
}

impl std::str::FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "get" => Ok(Self::Only(Op::Get)),
            "set" => Ok(Self::Only(Op::Set)),
            "create" => Ok(Self::Only(Op::Create)),
            _ => match text.strip_prefix("mixed:").map(str::parse::<f64>) {
                Some(Ok(share)) if (0.0..=1.0).contains(&share) => Ok(Self::Reads(share)),
                _ => Err("expected get, set, create or mixed:<share of reads, 0 to 1>".to_owned()),
            },
        }
    }
}

/// The keys of a run and their data.
#[derive(Debug, Clone)]
pub struct Keys {
    count: u64,
    data: Vec<u8>,
}

impl Keys {
    /// `count` keys of `data_bytes` each. The data looks random, so that nothing on the way can compress it.
    ///
    /// # Errors
    /// [`BenchError::Parameters`] for no keys, more than their numbers can tell apart, or data that no server takes.
    pub fn new(count: u64, data_bytes: usize) -> Result<Self, BenchError> {
        // One frame is at most 1 MiB with a server's default jute.maxbuffer; leave room for path and header.
        if count == 0 || count > 100_000_000 || data_bytes > 1_000_000 {
            return Err(BenchError::Parameters(
                "keys: 1 to 100000000, data bytes: 0 to 1000000".to_owned(),
            ));
        }
        let mut random = Random::new(1);
        let data = (0..data_bytes).map(|_| random.next().to_be_bytes()[0]).collect();
        Ok(Self { count, data })
    }

    /// Bytes of every key's data.
    pub fn data_bytes(&self) -> usize {
        self.data.len()
    }

    /// Number of keys.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Creates the keys that are missing and gives every one the data of this run.
    ///
    /// # Errors
    /// As [`Session::pipeline`].
    pub fn prepare(&self, session: &mut Session) -> Result<(), BenchError> {
        session.ensure(ROOT, b"")?;
        let create = Template::create(KEY_PREFIX, KEY_DIGITS, &self.data);
        let path = Shape::Path(KEY_PREFIX.len() + KEY_DIGITS);
        let mut number = 0..self.count;
        session.pipeline(SETUP_WINDOW, path, Some(wire::ERR_NODE_EXISTS), |out, xid| {
            number.next().map(|number| create.push(out, xid, number))
        })?;
        let set = Template::set(KEY_PREFIX, KEY_DIGITS, &self.data);
        let mut number = 0..self.count;
        session.pipeline(SETUP_WINDOW, Shape::Stat, None, |out, xid| {
            number.next().map(|number| set.push(out, xid, number))
        })?;
        Ok(())
    }
}

/// The endless stream of requests of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Requests {
    mix: Mix,
    keys: u64,
    data_bytes: usize,
    get: Template,
    set: Template,
    create: Template,
    create_path_bytes: usize,
    created: u64,
    random: Random,
}

impl Requests {
    /// Requests for one session; makes the parent for its creates if the mix has any.
    pub(crate) fn new(mix: Mix, keys: &Keys, session: &mut Session) -> Result<Self, BenchError> {
        let parent = format!("{ROOT}/created-by-{:016x}", session.id());
        if mix == Mix::Only(Op::Create) {
            session.ensure(&parent, b"")?;
        }
        let prefix = format!("{parent}/node-");
        Ok(Self {
            mix,
            keys: keys.count,
            data_bytes: keys.data.len(),
            get: Template::get(KEY_PREFIX, KEY_DIGITS),
            set: Template::set(KEY_PREFIX, KEY_DIGITS, &keys.data),
            create: Template::create(&prefix, CREATE_DIGITS, &keys.data),
            create_path_bytes: prefix.len() + CREATE_DIGITS,
            created: 0,
            random: Random::new(session.id().unsigned_abs()),
        })
    }

    /// Appends the next request to `out`; tells its operation.
    pub(crate) fn push(&mut self, out: &mut Vec<u8>, xid: i32) -> Op {
        let op = match self.mix {
            Mix::Only(op) => op,
            Mix::Reads(share) if self.random.unit() < share => Op::Get,
            Mix::Reads(_) => Op::Set,
        };
        match op {
            Op::Get => self.get.push(out, xid, self.random.below(self.keys)),
            Op::Set => self.set.push(out, xid, self.random.below(self.keys)),
            Op::Create => {
                self.create.push(out, xid, self.created);
                self.created += 1;
            }
        }
        op
    }

    /// What the reply to `op` must look like.
    pub(crate) fn shape(&self, op: Op) -> Shape {
        match op {
            Op::Get => Shape::Data(self.data_bytes),
            Op::Set => Shape::Stat,
            Op::Create => Shape::Path(self.create_path_bytes),
        }
    }
}

/// A small generator of numbers that look random (xorshift64*); the same seed gives the same run.
#[derive(Debug, Clone)]
struct Random {
    state: u64,
}

impl Random {
    fn new(seed: u64) -> Self {
        // The state must not be 0; an odd constant spreads small seeds.
        Self {
            state: (seed ^ 0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, by multiplication instead of division.
    fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("the upper half of a product of two u64 fits a u64")
    }

    /// A number from 0 to just below 1.
    fn unit(&mut self) -> f64 {
        let thirty_two = u32::try_from(self.next() >> 32).expect("32 bits remain");
        f64::from(thirty_two) / 4_294_967_296.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixes_parse_as_they_print() {
        for text in ["get", "set", "create", "mixed:0.9"] {
            assert_eq!(text.parse::<Mix>().unwrap().to_string(), text);
        }
        for text in ["", "mixed", "mixed:", "mixed:2", "mixed:-1", "mixed:NaN", "delete"] {
            assert!(text.parse::<Mix>().is_err(), "{text}");
        }
    }

    #[test]
    fn random_keys_cover_all_and_stay_below_the_bound() {
        let mut random = Random::new(0);
        let mut seen = [0; 10];
        for _ in 0..10_000 {
            seen[usize::try_from(random.below(10)).unwrap()] += 1;
            assert!((0.0..1.0).contains(&random.unit()));
        }
        assert!(seen.iter().all(|&count| (800..1200).contains(&count)), "{seen:?}");
    }

    #[test]
    fn senseless_keys_are_refused() {
        assert!(Keys::new(0, 1).is_err());
        assert!(Keys::new(1, 1 << 20).is_err());
        assert_eq!(Keys::new(1, 1000).unwrap().data_bytes(), 1000);
    }
}
