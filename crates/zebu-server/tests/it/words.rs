//! The four-letter words, beside recorded answers of the Java server.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::TcpStream;

use zebu_server::config::FourLetterWords;

use crate::support::{self, Client, half_closed_word, op, string, until, watch, word};
use crate::{Running, start, template};

/// An answer of Java's 3.9.5 with placeholders.
macro_rules! java {
    ($name:literal) => {
        include_str!(concat!("testdata/java-3.9.5/", $name, ".txt"))
    };
}

/// A server as the one that the answers were recorded from.
fn start_as_recorded() -> Running {
    start(|config| {
        config.tick_time_ms = 2000;
        config.sessions.min_timeout_ms = 4000;
        config.sessions.max_timeout_ms = 40_000;
        config.limits.max_client_cnxns = std::num::NonZeroU32::new(60);
        config.limits.sessionless_cnxn_timeout_ms = 600_000;
    })
}

/// The clients that were connected then: two with sessions, one that says nothing.
struct Scenario {
    a: Client,
    b: Client,
    silent: TcpStream,
    names: BTreeMap<&'static str, String>,
}

fn scenario(running: &Running) -> Scenario {
    let mut a = Client::new(running.address, 30_000);
    let mut b = Client::new(running.address, 20_000);
    a.create("/p", b"hello", 0);
    a.create("/p/c1", b"", 0);
    a.create("/eph", b"e", 1);
    a.create("/p/e2", b"", 1);
    b.create("/ephb", b"", 1);
    a.call(op::GET_DATA, &watch("/p"));
    a.call(op::EXISTS, &watch("/missing"));
    a.call(op::GET_CHILDREN, &watch("/"));
    b.call(op::GET_DATA, &watch("/p"));
    let recursive = [&string("/p")[..], &1i32.to_be_bytes()].concat();
    b.call(op::ADD_WATCH, &recursive);
    b.call(op::PING, b"");
    let silent = support::connect(running.address);
    let names = BTreeMap::from([
        ("session A", format!("0x{:x}", a.session)),
        ("session B", format!("0x{:x}", b.session)),
    ]);
    Scenario { a, b, silent, names }
}

impl Scenario {
    /// Asks until the answer has the form of `expected`: connections of earlier words may take a moment to go.
    fn expect(&self, running: &Running, word: &str, expected: &str) -> String {
        let mut answer = String::new();
        let mut difference = String::new();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while std::time::Instant::now() < deadline {
            answer = running.word(word);
            match template::check(expected, &answer, &self.names) {
                Ok(()) => return answer,
                Err(found) => difference = found,
            }
        }
        panic!("{word}: {difference}\n{answer}");
    }
}

#[test]
fn words_answer_as_java_does_when_nobody_is_connected() {
    let running = start_as_recorded();
    let nobody = BTreeMap::new();
    for (word, expected) in [
        ("wchs", java!("wchs-empty")),
        ("wchc", java!("wchc-empty")),
        ("wchp", java!("wchc-empty")),
        ("ruok", java!("ruok")),
        ("isro", java!("isro")),
        ("hash", ""),
    ] {
        assert_eq!(
            template::check(expected, &running.word(word), &nobody),
            Ok(()),
            "{word}"
        );
    }
    until("dump shows the asker alone", || {
        template::check(java!("dump-empty"), &running.word("dump"), &nobody).is_ok()
    });
}

#[test]
fn words_answer_as_java_does() {
    let running = start_as_recorded();
    let scenario = scenario(&running);
    for (word, expected) in [
        ("srvr", java!("srvr")),
        ("stat", java!("stat")),
        ("cons", java!("cons")),
        ("dump", java!("dump")),
        ("conf", java!("conf")),
        ("envi", java!("envi")),
        ("dirs", java!("dirs")),
        ("wchs", java!("wchs")),
        ("wchc", java!("wchc")),
        ("wchp", java!("wchp")),
        ("crst", java!("crst")),
        ("cons", java!("cons-after-crst")),
        ("srst", java!("srst")),
    ] {
        scenario.expect(&running, word, expected);
    }
}

#[test]
fn hash_lists_the_digest_of_every_128th_transaction() {
    let running = start_as_recorded();
    let mut client = Client::new(running.address, 30_000);
    for _ in 0..400 {
        client.send(op::SET_DATA, &support::set_data("/", b"x"));
    }
    for _ in 0..400 {
        assert_eq!(client.reply().unwrap().err, 0);
    }
    let answer = running.word("hash");
    assert_eq!(template::check(java!("hash"), &answer, &BTreeMap::new()), Ok(()));
}

#[test]
fn the_monitor_speaks_javas_keys() {
    let running = start_as_recorded();
    let scenario = scenario(&running);
    let answer = running.word("mntr");
    let java: BTreeMap<&str, &str> = java!("mntr")
        .lines()
        .map(|line| line.split_once('\t').unwrap())
        .collect();
    let mut seen = BTreeSet::new();
    for line in answer.lines() {
        let (key, value) = line.split_once('\t').unwrap();
        assert!(seen.insert(key), "{key} comes twice");
        // Java has these since 3.10.
        let kind = if key.starts_with("zk_op_count_") {
            "<n>"
        } else {
            java[key]
        };
        assert_eq!(template::check(kind, value, &scenario.names), Ok(()), "{key}");
    }
    let mut first = answer.lines().map(|line| line.split_once('\t').unwrap().0);
    assert_eq!(first.next(), Some("zk_version"));
    assert_eq!(first.next(), Some("zk_server_state"));
}

/// What monitoring tools read, each with its value after the scenario.
#[test]
fn the_monitor_tells_what_happened() {
    let running = start_as_recorded();
    let Scenario {
        mut a,
        b,
        silent: _silent,
        ..
    } = scenario(&running);
    let monitor = || -> BTreeMap<String, String> {
        let lines = running.word("mntr");
        let pair = |line: &str| {
            line.split_once('\t')
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .unwrap()
        };
        lines.lines().map(pair).collect()
    };
    let values = monitor();
    for (key, value) in [
        ("znode_count", "10"),
        ("ephemerals_count", "3"),
        ("watch_count", "4"),
        ("approximate_data_size", "71"),
        ("global_sessions", "2"),
        ("connection_request_count", "2"),
        ("connection_revalidate_count", "0"),
        ("outstanding_requests", "0"),
        ("max_client_response_size", "93"),
        ("min_client_response_size", "16"),
        ("last_client_response_size", "16"),
        ("op_count_total", "13"),
        ("op_count_create", "5"),
        ("op_count_create_session", "2"),
        ("op_count_get_data", "2"),
        ("cnt_updatelatency", "5"),
        ("cnt_readlatency", "6"),
        ("cnt_fsynctime", "7"),
        ("cnt_dbinittime", "1"),
        ("cnt_snapshottime", "1"),
    ] {
        assert_eq!(values[&format!("zk_{key}")], value, "{key}");
    }
    // What the Java server counts for the same requests, and this word.
    assert_eq!(values["zk_bytes_received_count"], "499");
    a.call(op::SET_DATA, &support::set_data("/p", b"x"));
    let session = (b.session, b.password.clone());
    drop(b);
    until("the lost connection is counted", || {
        monitor()["zk_connection_drop_count"] == "1"
    });
    let renewed = Client::with_session(running.address, 20_000, session.0, &session.1);
    assert!(renewed.is_some());
    let values = monitor();
    for (key, value) in [
        ("connection_revalidate_count", "1"),
        ("op_count_create_session", "2"),
        ("cnt_node_changed_watch_count", "1"),
        ("sum_node_changed_watch_count", "2"),
        ("max_node_changed_watch_count", "2"),
        ("watch_count", "2"),
    ] {
        assert_eq!(values[&format!("zk_{key}")], value, "{key}");
    }
    running.word("srst");
    let values = monitor();
    for (key, value) in [
        ("op_count_total", "0"),
        ("cnt_updatelatency", "0"),
        ("sum_node_changed_watch_count", "0"),
        ("max_client_response_size", "-1"),
        ("packets_received", "1"),
        ("packets_sent", "1"),
        ("znode_count", "10"),
        ("global_sessions", "2"),
    ] {
        assert_eq!(values[&format!("zk_{key}")], value, "{key}");
    }
}

#[test]
fn packets_are_counted_as_they_come_and_go() {
    let running = start(|_| {});
    let mut client = Client::new(running.address, 30_000);
    client.create("/a", b"", 0);
    client.call(op::GET_DATA, &watch("/a"));
    // Its reply, and the event of the watch.
    client.call(op::SET_DATA, &support::set_data("/a", b"x"));
    let answer = running.word("srvr");
    assert!(answer.contains("\nReceived: 5\nSent: 5\n"), "{answer}");
    assert!(running.word("cons").contains("recved=4,sent=5,"));
}

#[test]
fn a_word_that_is_not_listed_says_so() {
    let running = start(|config| config.four_letter_words = FourLetterWords::harmless());
    for name in ["cons", "crst", "dump", "gtmk", "srst", "stmk", "wchc", "wchp"] {
        let expected = format!("{name} is not executed because it is not in the whitelist.\n");
        assert_eq!(running.word(name), expected);
    }
    for name in ["conf", "dirs", "envi", "isro", "mntr", "ruok", "srvr", "stat", "wchs"] {
        assert!(!running.word(name).contains("whitelist"), "{name}");
    }
    assert_eq!(
        word(running.address, b"\xff\xf4\xff\xfd"),
        "telnet close is not executed because it is not in the whitelist.\n"
    );
}

#[test]
fn what_is_no_word_gets_no_answer() {
    let running = start(|_| {});
    for bytes in [&b"RUOK"[..], b"abcd", b"ruo\n", b"\xff\xf4\xff\xfd"] {
        assert_eq!(word(running.address, bytes), "", "{bytes:?}");
    }
}

#[test]
fn a_word_is_answered_whatever_follows_it() {
    let running = start(|_| {});
    for bytes in [&b"ruok\n"[..], b"ruok\r\n", b"ruokruok", b"ruok and more"] {
        assert_eq!(word(running.address, bytes), "imok", "{bytes:?}");
    }
}

#[test]
fn a_client_that_has_closed_its_side_gets_its_answer() {
    let running = start(|_| {});
    for name in ["ruok", "srvr", "mntr", "cons", "dump", "wchp"] {
        assert!(!half_closed_word(running.address, name.as_bytes()).is_empty(), "{name}");
    }
    assert_eq!(half_closed_word(running.address, b"ruo"), "");
    assert_eq!(half_closed_word(running.address, b"stmk\0\0"), "", "without its mask");
}

#[test]
fn a_word_may_come_in_pieces() {
    let running = start(|_| {});
    let mut socket = support::connect(running.address);
    for byte in b"srvr" {
        socket.write_all(&[*byte]).unwrap();
    }
    assert!(support::read_all(&mut socket).starts_with("Zookeeper version: 3.9."));
}

#[test]
fn the_trace_mask_is_kept() {
    let running = start(|_| {});
    assert_eq!(running.word("gtmk"), "306");
    assert_eq!(word(running.address, b"stmk\0\0\0\0\0\0\x01\x36"), "310");
    assert_eq!(running.word("gtmk"), "310");
    assert_eq!(word(running.address, b"stmk\xff\xff\xff\xff\xff\xff\xff\xfb"), "-5");
}

#[test]
fn listings_are_whole_however_many_pages_they_take() {
    const MANY: usize = 5000;
    let running = start(|_| {});
    let mut owner = Client::new(running.address, 30_000);
    for number in 0..1000 {
        owner.send(op::CREATE, &support::create(&format!("/e{number:04}"), b"", 1));
    }
    for _ in 0..1000 {
        assert_eq!(owner.reply().unwrap().err, 0);
    }
    for number in 0..MANY {
        owner.send(op::EXISTS, &watch(&format!("/watched/{number:05}")));
    }
    for _ in 0..MANY {
        assert_eq!(owner.reply().unwrap().err, -101);
    }
    let others: Vec<Client> = (0..600).map(|_| Client::new(running.address, 30_000)).collect();
    let by_session = running.word("wchc");
    let paths: Vec<&str> = by_session
        .lines()
        .filter(|line| line.starts_with("\t/watched/"))
        .collect();
    assert_eq!(paths.len(), MANY);
    assert!(paths.is_sorted());
    assert_eq!(
        running
            .word("wchp")
            .lines()
            .filter(|line| line.starts_with("/watched/"))
            .count(),
        MANY
    );
    assert_eq!(
        running.word("wchs"),
        format!("1 connections watching {MANY} paths\nTotal watches:{MANY}\n")
    );
    let dump = running.word("dump");
    assert_eq!(dump.lines().filter(|line| line.starts_with("\t/e")).count(), 1000);
    for client in others.iter().chain([&owner]) {
        let session = format!("0x{:x}", client.session);
        assert_eq!(dump.matches(&format!("\t{session}\n")).count(), 1, "as a session");
        assert_eq!(
            dump.matches(&format!("sessionId: {session}\n")).count(),
            1,
            "as a connection"
        );
    }
    let cons = running.word("cons");
    assert_eq!(cons.matches(",sid=0x").count(), 601);
}

#[test]
fn a_long_answer_that_nobody_reads_yet_disturbs_nobody() {
    let running = start(|_| {});
    let mut client = Client::new(running.address, 30_000);
    let long = "x".repeat(1000);
    for number in 0..8000 {
        client.send(op::EXISTS, &watch(&format!("/{number:04}{long}")));
        assert_eq!(client.reply().unwrap().err, -101);
    }
    // 8 MB: more than the buffers of a socket.
    let mut lazy = support::connect(running.address);
    lazy.write_all(b"wchc").unwrap();
    for name in ["ruok", "srvr", "mntr", "stat", "cons"] {
        assert!(!running.word(name).is_empty(), "{name}");
    }
    client.create("/a", b"", 0);
    let answer = support::read_all(&mut lazy);
    assert_eq!(answer.lines().filter(|line| line.starts_with('\t')).count(), 8000);
    assert!(answer.ends_with("\n\n"));
}

#[test]
fn a_flood_of_words_is_answered_and_clients_go_on() {
    let running = start(|_| {});
    let mut client = Client::new(running.address, 30_000);
    let mut sockets: Vec<(&[u8], TcpStream)> = Vec::new();
    for number in 0..400 {
        let words: [&[u8]; 8] = [b"mntr", b"cons", b"stat", b"dump", b"wchp", b"ruok", b"conf", b"crst"];
        let mut socket = support::connect(running.address);
        let word = words[number % words.len()];
        socket.write_all(word).unwrap();
        sockets.push((word, socket));
    }
    client.create("/a", b"", 0);
    for (word, socket) in &mut sockets {
        assert!(!support::read_all(socket).is_empty(), "{word:?}");
    }
}

#[test]
fn directories_are_shown_as_they_are() {
    let running = start(|_| {});
    let conf = running.word("conf");
    let data_dir = running.dir.path().join("version-2");
    assert!(conf.contains(&format!("\ndataDir={}\n", data_dir.display())));
    assert!(conf.contains(&format!("clientPort={}\n", running.address.port())));
    let bytes: u64 = std::fs::read_dir(&data_dir)
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    let expected = format!("datadir_size: {bytes}\nlogdir_size: {bytes}\n");
    assert_eq!(running.word("dirs"), expected);
    drop(running.server);
}
