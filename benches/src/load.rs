//! The closed loop: connections that always have the same number of requests outstanding.

use std::net::SocketAddr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token};
use serde::Serialize;

use crate::connection::{Connection, READ_BUFFER_BYTES};
use crate::session::Session;
use crate::workload::{Keys, Mix, Requests};
use crate::{BenchError, cpu};

/// After so long without any reply a run is given up. A server that is alive never pauses that long.
const STALL: Duration = Duration::from_secs(30);
/// With at least so many requests on the way, a thread lets replies gather before it looks at them.
///
/// A server that answers one request at a time would otherwise wake the generator for each of them, and a generator on
/// the same machine takes that time from the server: with a Java server on two cores and 3200 requests on the way, the
/// generator used 4 us per operation, and the server did a quarter less. A client on another machine would not.
const GATHER_OUTSTANDING_MIN: usize = 256;
/// How long it lets them gather: a server runs dry in this time only if it answers half a million requests per second
/// for each 256 outstanding, which none does that has to do work for them.
const GATHER_PAUSE: Duration = Duration::from_micros(500);
/// No pause when the last look found this part of all requests answered: the server is fast, and must not run dry.
const GATHERED_ENOUGH: usize = 16;
/// Latencies are recorded from 1 ns to here and cut above.
const LATENCY_MAX_NANOS: u64 = 60_000_000_000;
/// Significant digits of a latency: 0.1 %.
const LATENCY_DIGITS: u8 = 3;

/// A run to be made.
#[derive(Debug, Clone)]
pub struct Load {
    /// Where the servers listen; the connections are dealt out among them.
    pub servers: Vec<SocketAddr>,
    /// Their processes, if their CPU time is to be measured.
    pub server_pids: Vec<u32>,
    /// Number of connections, each with a session of its own.
    pub connections: usize,
    /// Requests that each connection keeps on the way.
    pub outstanding: usize,
    /// Threads of the generator; the connections are dealt out among them.
    pub threads: usize,
    /// What is asked.
    pub mix: Mix,
    /// Of what.
    pub keys: Keys,
    /// How long.
    pub extent: Extent,
}

/// How long a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// For a time, of which the first part is not counted.
    Time {
        /// Not counted: caches fill and a Java server compiles.
        warm_up: Duration,
        /// Counted.
        measured: Duration,
    },
    /// So many operations, all counted.
    Ops(u64),
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The mix, as on the command line.
    pub op: String,
    /// As in [`Load`].
    pub connections: usize,
    /// As in [`Load`].
    pub outstanding: usize,
    /// As in [`Load`].
    pub threads: usize,
    /// Number of keys.
    pub keys: u64,
    /// Bytes of each key's data.
    pub data_bytes: usize,
    /// Length of the counted part.
    pub seconds: f64,
    /// Replies that came in the counted part, all of them checked.
    pub ops: u64,
    /// Replies per second.
    pub ops_per_second: f64,
    /// Time from making a request to reading its reply, microseconds.
    pub latency_us: Latency,
    /// CPU time of all servers together per operation, microseconds, if their processes were given.
    pub server_cpu_us_per_op: Option<f64>,
    /// CPU time of the generator per operation, microseconds.
    pub generator_cpu_us_per_op: f64,
}

/// A distribution of latencies in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub p50: f64,
    /// 90 of 100 are at most this.
    pub p90: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1000.
    pub p99_9: f64,
    /// The longest.
    pub max: f64,
}

impl Load {
    /// Makes the keys, opens the sessions, runs the loop, closes the sessions.
    ///
    /// # Errors
    /// Whatever makes the figures worthless: a lost connection, a reply that is wrong in any way, a stall.
    pub fn run(&self) -> Result<Outcome, BenchError> {
        self.check()?;
        let mut first = Session::open(self.server(0))?;
        self.keys.prepare(&mut first)?;
        first.close()?;
        let mut groups = Vec::new();
        for thread in 0..self.threads {
            groups.push(self.connections_of(thread)?);
        }
        let (tallies, server_micros, generator_micros) = self.drive(groups)?;
        Ok(self.outcome(&tallies, server_micros, generator_micros))
    }

    fn check(&self) -> Result<(), BenchError> {
        let sensible = !self.servers.is_empty()
            && self.threads >= 1
            && (self.threads..=100_000).contains(&self.connections)
            && (1..=100_000).contains(&self.outstanding);
        if sensible {
            return Ok(());
        }
        Err(BenchError::Parameters(
            "connections and outstanding: 1 to 100000 each; at most one thread per connection".to_owned(),
        ))
    }

    fn server(&self, connection: usize) -> SocketAddr {
        self.servers[connection % self.servers.len()]
    }

    /// The connections with an index that belongs to this thread.
    fn connections_of(&self, thread: usize) -> Result<Vec<Connection>, BenchError> {
        (thread..self.connections)
            .step_by(self.threads)
            .map(|index| {
                // A follower grants a session behind everything that was written before.
                let mut session = Session::open(self.server(index))?;
                let requests = Requests::new(self.mix, &self.keys, &mut session)?;
                Connection::new(index, session, requests, self.outstanding, self.budget(index))
            })
            .collect()
    }

    /// How many requests this connection may send.
    fn budget(&self, connection: usize) -> u64 {
        match self.extent {
            Extent::Time { .. } => u64::MAX,
            Extent::Ops(ops) => {
                let connections = self.connections as u64;
                ops / connections + u64::from((connection as u64) < ops % connections)
            }
        }
    }

    /// Runs the threads; returns their tallies and the CPU time of server and generator in the counted part.
    fn drive(&self, groups: Vec<Vec<Connection>>) -> Result<(Vec<Tally>, Option<u64>, u64), BenchError> {
        let origin = Instant::now();
        let (report, reports) = mpsc::channel();
        let window = Window::of(self.extent);
        thread::scope(|scope| {
            for group in groups {
                let report = report.clone();
                scope.spawn(move || {
                    let tally = Worker::new(group, origin, window).and_then(Worker::run);
                    // The receiver leaves early only when another thread failed; then this tally is of no use.
                    let _ = report.send(tally);
                });
            }
            drop(report);
            let mut tallies = Vec::new();
            if let Extent::Time { warm_up, .. } = self.extent {
                collect_until(Some(origin + warm_up), &reports, &mut tallies)?;
            }
            let server_before = self.server_micros()?;
            let generator_before = cpu::process_micros(std::process::id())?;
            let end = match self.extent {
                Extent::Time { warm_up, measured } => Some(origin + warm_up + measured),
                Extent::Ops(_) => None,
            };
            collect_until(end, &reports, &mut tallies)?;
            let server = self
                .server_micros()?
                .zip(server_before)
                .map(|(after, before)| after - before);
            let generator = cpu::process_micros(std::process::id())? - generator_before;
            collect_until(None, &reports, &mut tallies)?;
            Ok((tallies, server, generator))
        })
    }

    fn server_micros(&self) -> Result<Option<u64>, BenchError> {
        if self.server_pids.is_empty() {
            return Ok(None);
        }
        let each = self.server_pids.iter().map(|pid| cpu::process_micros(*pid));
        each.sum::<Result<u64, _>>().map(Some)
    }

    fn outcome(&self, tallies: &[Tally], server_micros: Option<u64>, generator_micros: u64) -> Outcome {
        let mut latencies = histogram();
        for tally in tallies {
            latencies
                .add(&tally.latencies)
                .expect("both histograms have the same range");
        }
        let ops = latencies.len();
        let seconds = match self.extent {
            Extent::Time { measured, .. } => measured.as_secs_f64(),
            Extent::Ops(_) => {
                let last = tallies.iter().map(|tally| tally.last_reply).max().unwrap_or(0);
                Duration::from_nanos(last).as_secs_f64()
            }
        };
        Outcome {
            op: self.mix.to_string(),
            connections: self.connections,
            outstanding: self.outstanding,
            threads: self.threads,
            keys: self.keys.count(),
            data_bytes: self.keys.data_bytes(),
            seconds,
            ops,
            ops_per_second: ops as f64 / seconds,
            latency_us: Latency::of(&latencies),
            server_cpu_us_per_op: server_micros.map(|micros| micros as f64 / ops as f64),
            generator_cpu_us_per_op: generator_micros as f64 / ops as f64,
        }
    }
}

impl Latency {
    fn of(latencies: &Histogram<u64>) -> Self {
        let at = |quantile| latencies.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            mean: latencies.mean() / 1000.0,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: latencies.max() as f64 / 1000.0,
        }
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_MAX_NANOS, LATENCY_DIGITS).expect("the constants are within the library's limits")
}

/// Collects what the threads report until then, or until all have reported; the first failure ends it at once.
fn collect_until(
    then: Option<Instant>,
    reports: &mpsc::Receiver<Result<Tally, BenchError>>,
    tallies: &mut Vec<Tally>,
) -> Result<(), BenchError> {
    loop {
        let wait = then.map_or(Duration::MAX, |then| then.saturating_duration_since(Instant::now()));
        match reports.recv_timeout(wait) {
            Ok(tally) => tallies.push(tally?),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// The counted part of a run, nanoseconds since its start.
#[derive(Debug, Clone, Copy)]
struct Window {
    start: u64,
    end: u64,
}

impl Window {
    fn of(extent: Extent) -> Self {
        match extent {
            Extent::Time { warm_up, measured } => Self {
                start: nanos(warm_up),
                end: nanos(warm_up.saturating_add(measured)),
            },
            Extent::Ops(_) => Self {
                start: 0,
                end: u64::MAX,
            },
        }
    }
}

/// 584 years fit; longer is cut.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What one thread found.
#[derive(Debug)]
struct Tally {
    latencies: Histogram<u64>,
    /// Nanoseconds since the start of the run.
    last_reply: u64,
}

/// One thread of the generator with its connections.
#[derive(Debug)]
struct Worker {
    poll: Poll,
    connections: Vec<Connection>,
    origin: Instant,
    window: Window,
    buffer: Vec<u8>,
    tally: Tally,
}

impl Worker {
    fn new(mut connections: Vec<Connection>, origin: Instant, window: Window) -> Result<Self, BenchError> {
        let poll = Poll::new().map_err(BenchError::Setup)?;
        for (index, connection) in connections.iter_mut().enumerate() {
            poll.registry()
                .register(
                    connection.source(),
                    Token(index),
                    Interest::READABLE | Interest::WRITABLE,
                )
                .map_err(BenchError::Setup)?;
        }
        let tally = Tally {
            latencies: histogram(),
            last_reply: 0,
        };
        Ok(Self {
            poll,
            connections,
            origin,
            window,
            buffer: vec![0; READ_BUFFER_BYTES],
            tally,
        })
    }

    fn run(mut self) -> Result<Tally, BenchError> {
        let mut events = Events::with_capacity(self.connections.len());
        let origin = self.origin;
        let clock = move || nanos(origin.elapsed());
        for connection in &mut self.connections {
            connection.send(clock())?;
        }
        let mut replies = usize::MAX;
        while !self.connections.iter().all(Connection::is_done) {
            if self.should_gather(replies) {
                thread::sleep(GATHER_PAUSE);
            }
            replies = 0;
            self.wait(&mut events)?;
            for event in &events {
                let connection = &mut self.connections[event.token().0];
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    let (tally, window) = (&mut self.tally, self.window);
                    connection.receive(&mut self.buffer, clock, |sent, now| tally.count(window, sent, now))?;
                }
                // One look at the clock per batch suffices, and here it is due: the requests of the next batch start.
                let now = clock();
                if now >= self.window.end {
                    connection.stop();
                }
                connection.send(now)?;
            }
        }
        for connection in self.connections {
            connection.close()?;
        }
        Ok(self.tally)
    }

    /// Whether to pause before the next look, given how many replies the last one found.
    fn should_gather(&self, replies: usize) -> bool {
        let outstanding: usize = self.connections.iter().map(Connection::in_flight).sum();
        outstanding >= GATHER_OUTSTANDING_MIN && replies < outstanding / GATHERED_ENOUGH
    }

    /// Waits until a connection can be read or written.
    fn wait(&mut self, events: &mut Events) -> Result<(), BenchError> {
        match self.poll.poll(events, Some(STALL)) {
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => Ok(()),
            Err(e) => Err(BenchError::Setup(e)),
            Ok(()) if events.is_empty() => Err(BenchError::Stalled {
                seconds: STALL.as_secs(),
                outstanding: self.connections.iter().map(Connection::in_flight).sum(),
            }),
            Ok(()) => Ok(()),
        }
    }
}

impl Tally {
    fn count(&mut self, window: Window, sent: u64, now: u64) {
        if (window.start..window.end).contains(&now) {
            self.latencies.saturating_record(now - sent);
            self.last_reply = now;
        }
    }
}
