//! What the tab key offers.

use super::super::complete::complete;
use super::*;

fn check(shell: &TestShell, line: &str, start: usize, expected: &[&str]) {
    let (at, candidates) = complete(&shell.context, line);
    let replacements: Vec<_> = candidates
        .iter()
        .map(|candidate| candidate.replacement.as_str())
        .collect();
    assert_eq!((at, &replacements[..]), (start, expected), "{line:?}");
}

#[test]
fn commands_options_and_paths_are_completed() {
    let server = TestServer::start();
    let mut shell = server.shell();
    for path in ["/app", "/app/a", "/app/ab", "/app/b", "'/app/with blank'"] {
        shell.ok(&format!("create {path}"));
    }
    check(&shell, "ad", 0, &["addWatch ", "addauth "]);
    check(&shell, "getA", 0, &["getAcl ", "getAllChildrenNumber "]);
    check(&shell, "xyz", 0, &[]);
    check(&shell, "ls ", 3, &["/"]);
    check(&shell, "ls -R ", 6, &["/"]);
    check(&shell, "ls -", 3, &["-s ", "-w ", "-R "]);
    check(&shell, "ls /", 3, &["/app", "/zookeeper"]);
    check(&shell, "ls /a", 3, &["/app"]);
    check(&shell, "ls /app/a", 3, &["/app/a", "/app/ab"]);
    check(&shell, "ls /app/w", 3, &["'/app/with blank'"]);
    check(&shell, "ls '/app/with b", 3, &["'/app/with blank'"]);
    check(&shell, "ls /nope/a", 3, &[]);
    check(&shell, "ls /app//", 3, &[]);
    check(&shell, "set /app ", 9, &[]);
    check(
        &shell,
        "help get",
        5,
        &["get ", "getAcl ", "getAllChildrenNumber ", "getEphemerals "],
    );
    check(&shell, "printwatches o", 13, &["on ", "off "]);
    check(&shell, "nosuch ", 7, &[]);
    let below = server.shell_below("/app");
    below.context.client().unwrap().wait_connected().unwrap();
    check(&below, "get /a", 4, &["/a", "/ab"]);
}

#[test]
fn without_a_connection_there_are_no_paths_and_no_waiting() {
    let server = TestServer::start();
    let mut shell = server.shell();
    shell.ok("close");
    check(&shell, "ls /", 3, &[]);
    check(&shell, "conn", 0, &["connect "]);
}
