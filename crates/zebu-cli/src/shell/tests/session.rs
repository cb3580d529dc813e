//! Opening, closing, going on: what concerns the session and the history.

use super::*;

#[test]
fn after_close_commands_say_how_to_connect_again() {
    let server = TestServer::start();
    let mut shell = server.shell();
    shell.ok("create -e /mine");
    shell.ok("close");
    assert_eq!(shell.fails("ls /"), "Not connected\nconnect HOST:PORT opens a session");
    assert_eq!(shell.fails("close"), "Not connected\nconnect HOST:PORT opens a session");
    assert!(shell.ok("help").contains("connect"));
    shell.ok("connect");
    // The session was closed, not merely left.
    assert_eq!(shell.ok("ls /"), "[zookeeper]\n");
}

#[test]
fn connect_goes_to_other_servers_and_another_chroot() {
    let first = TestServer::start();
    let second = TestServer::start();
    let mut shell = first.shell();
    shell.ok("create /first");
    shell.ok(&format!("connect {}", second.server.client_address()));
    assert_eq!(shell.ok("ls /"), "[zookeeper]\n");
    shell.ok("create /app");
    shell.ok(&format!("connect {}/app", second.server.client_address()));
    assert_eq!(shell.ok("ls /"), "[]\n");
    assert!(
        shell.context.prompt().ends_with("/app(CONNECTED) 6] "),
        "{}",
        shell.context.prompt()
    );
}

/// An address that refuses connections for as long as this lives: the end of a connection, where nobody listens.
struct DeadEnd {
    _listener: std::net::TcpListener,
    stream: std::net::TcpStream,
}

impl DeadEnd {
    fn new() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Self {
            _listener: listener,
            stream,
        }
    }

    fn address(&self) -> String {
        self.stream.local_addr().unwrap().to_string()
    }
}

#[test]
fn without_a_server_the_error_says_where_and_what_to_do() {
    let dead = DeadEnd::new();
    let port = dead.address();
    let mut shell = TestShell::open(&port);
    let error = shell.fails("ls /");
    assert!(
        error.starts_with(&format!("not connected: {port}: Connection refused")),
        "{error}"
    );
    assert!(error.contains("zebu serve starts one"), "{error}");
    assert!(
        shell.context.prompt().contains("(CONNECTING)"),
        "{}",
        shell.context.prompt()
    );
    assert!(shell.ok("help ls").starts_with("ls [-s] [-w] [-R] path\n"));
}

#[test]
fn several_servers_are_tried_until_one_answers() {
    let server = TestServer::start();
    let dead = DeadEnd::new();
    for _ in 0..4 {
        let mut shell = TestShell::open(&format!("{},{}", dead.address(), server.server.client_address()));
        assert_eq!(shell.ok("ls /"), "[zookeeper]\n");
    }
}

#[test]
fn quit_ends_the_session() {
    let server = TestServer::start();
    let mut shell = server.shell();
    shell.ok("create -e /mine");
    let mut out = Vec::new();
    let mut sink = Sink::new(Format::Text, TimeZone::UTC, &mut out);
    let flow = shell.context.run_line("quit", &mut sink).unwrap();
    assert_eq!(flow, super::super::run::Flow::Quit);
    assert_eq!(server.shell().ok("ls /"), "[zookeeper]\n");
}

#[test]
fn the_history_has_numbers_and_lines_can_be_done_again() {
    let server = TestServer::start();
    let mut shell = server.shell();
    shell.ok("create -s /n-");
    shell.ok("");
    shell.ok("ls /");
    assert_eq!(shell.ok("redo 0"), "Created /n-0000000001\n");
    assert_eq!(
        shell.ok("history"),
        "0 - create -s /n-\n1 - ls /\n2 - redo 0\n3 - history\n"
    );
    assert_eq!(shell.fails("redo 2"), "2 is not in the history\nhistory lists what is");
    assert_eq!(
        shell.fails("redo 99"),
        "99 is not in the history\nhistory lists what is"
    );
    for _ in 0..20 {
        shell.ok("version");
    }
    let output = shell.ok("history");
    assert_eq!(output.lines().count(), 11, "{output}");
    assert!(output.ends_with("\n26 - history\n"), "{output}");
}

#[test]
fn a_command_that_fails_leaves_the_shell_as_it_was() {
    let server = TestServer::start();
    let mut shell = server.shell();
    assert_eq!(shell.fails("set /a 'x"), "the quote ' is not closed");
    assert_eq!(
        shell.fails("lss /"),
        "Command not found: lss\ndid you mean ls? help lists the commands"
    );
    assert_eq!(shell.ok("ls /"), "[zookeeper]\n");
}

#[test]
fn a_session_outlives_its_server_within_the_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(Config::for_test(dir.path())).unwrap();
    let address = server.client_address();
    let mut shell = TestShell::open(&address.to_string());
    shell.ok("create -e /mine");
    shell.ok("addauth digest bob:pw");
    shell.ok("create /secret x auth::cdrwa");
    shell.ok("addWatch /secret");
    let session = shell.context.client().unwrap().session_id();
    server.stop();
    let mut config = Config::for_test(dir.path());
    if let Some(listen) = &mut config.client {
        listen.port = address.port();
    }
    let server = Server::start(config).unwrap();
    // The first attempts may come too early.
    while !shell.context.is_connected() {
        let _ = shell.context.client().unwrap().wait_connected();
    }
    assert_eq!(shell.ok("getEphemerals"), "[/mine]\n");
    assert_eq!(shell.context.client().unwrap().session_id(), session);
    assert_eq!(shell.ok("get /secret"), "x\n");
    shell.ok("set /secret y");
    assert_eq!(shell.event(), "type:NodeDataChanged path:/secret");
    shell.ok("close");
    server.stop();
}

/// Lines as they are written, and an end of the pipe that can be closed.
struct LineWriter(std::sync::mpsc::SyncSender<String>, Vec<u8>);

impl std::io::Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.1.extend(bytes);
        while let Some(end) = self.1.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.1.drain(..=end).collect();
            self.0
                .send(String::from_utf8_lossy(&line).trim_end().to_owned())
                .map_err(|_| std::io::ErrorKind::BrokenPipe)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_single_add_watch_follows_the_tree_until_nobody_reads() {
    let server = TestServer::start();
    let mut shell = server.shell();
    shell.ok("create /a");
    let (sender, lines) = std::sync::mpsc::sync_channel(0);
    let servers = Servers::parse(&server.server.client_address().to_string()).unwrap();
    let follower = std::thread::spawn(move || {
        let words = super::super::words::split("addWatch /a").unwrap();
        let mut out = LineWriter(sender, Vec::new());
        super::super::follow::run(&words, SETTINGS, servers, Format::Json, &mut out)
    });
    assert_eq!(lines.recv_timeout(PATIENCE).unwrap(), r#"{"ok":true}"#);
    shell.ok("create /a/b");
    assert_eq!(
        lines.recv_timeout(PATIENCE).unwrap(),
        r#"{"event":{"path":"/a/b","state":"SyncConnected","type":"NodeCreated"}}"#
    );
    drop(lines);
    shell.ok("delete /a/b");
    assert!(follower.join().unwrap().unwrap_err().is_broken_pipe());
}

#[test]
fn lines_from_a_pipe_are_all_carried_out_and_the_exit_code_tells_of_failures() {
    use std::process::ExitCode;
    let server = TestServer::start();
    let run = |mut lines: &[u8]| {
        let servers = Servers::parse(&server.server.client_address().to_string()).unwrap();
        super::super::batch::run(SETTINGS, servers, Format::Text, &mut lines)
    };
    let code = run(b"create /a\n\n  \ncreate -e /gone\nquit\ncreate /never\n").unwrap();
    assert_eq!(code, ExitCode::SUCCESS);
    let code = run(b"create /a\ncreate /b").unwrap();
    assert_eq!(code, ExitCode::FAILURE);
    let error = run(b"create /c\ncreate /\xff\n").unwrap_err();
    assert!(matches!(error, ShellError::Input(_)), "{error}");
    assert_eq!(server.shell().ok("ls /"), "[a, b, c, zookeeper]\n");
}
