//! Each command against a server.

use super::*;

fn check(shell: &mut TestShell, cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        assert_eq!(shell.ok(line), *expected, "{line}");
    }
}

fn check_failures(shell: &mut TestShell, cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        assert_eq!(shell.fails(line), *expected, "{line}");
    }
}

/// The lines of a stat with their values left out where they differ from run to run.
fn stat_names(output: &str) -> Vec<&str> {
    output
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name)
        .collect()
}

const STAT_NAMES: [&str; 11] = [
    "cZxid",
    "ctime",
    "mZxid",
    "mtime",
    "pZxid",
    "cversion",
    "dataVersion",
    "aclVersion",
    "ephemeralOwner",
    "dataLength",
    "numChildren",
];

#[test]
fn create_makes_nodes_of_every_kind_and_says_their_paths() {
    let server = TestServer::start();
    let mut shell = server.shell();
    check(
        &mut shell,
        &[
            ("create /a", "Created /a\n"),
            ("create /a/b 'two words'", "Created /a/b\n"),
            ("create -s /a/seq- x", "Created /a/seq-0000000001\n"),
            ("create -s /a/", "Created /a/0000000002\n"),
            ("create -e /a/eph x", "Created /a/eph\n"),
            ("create -e -s /a/es- x", "Created /a/es-0000000004\n"),
            ("create -es /a/es- x", "Created /a/es-0000000005\n"),
            ("create -c /a/container", "Created /a/container\n"),
            ("create -t 60000 /a/ttl x", "Created /a/ttl\n"),
            ("create -s -t60000 /a/ttls- x", "Created /a/ttls-0000000008\n"),
            ("create /a/acl d world:anyone:r,ip:127.0.0.1:cdrwa", "Created /a/acl\n"),
            ("create '/a/with blank' ''", "Created /a/with blank\n"),
            ("get /a", "null\n"),
            ("get /a/b", "two words\n"),
            ("get '/a/with blank'", "\n"),
            ("getEphemerals", "[/a/eph, /a/es-0000000004, /a/es-0000000005]\n"),
            ("getEphemerals /a/es", "[/a/es-0000000004, /a/es-0000000005]\n"),
        ],
    );
    check_failures(
        &mut shell,
        &[
            ("create /a", "Node already exists: /a\nset /a changes its data"),
            ("create /x/y", "Node does not exist: /x/y\ncreate /x comes first"),
            (
                "create /a/eph/c",
                "Ephemerals cannot have children: /a/eph/c\nephemeral nodes have no children; create the parent without -e",
            ),
            (
                "create /x x foo:bar:r",
                "Acl is not valid : /x\nthe scheme or the id is not known to the server; auth::PERMS needs an addauth before it",
            ),
        ],
    );
}

#[test]
fn ls_lists_children_sorted_and_all_below_in_the_order_of_zk_cli() {
    let server = TestServer::start();
    let mut shell = server.shell();
    for path in ["/a", "/a/c", "/a/b", "/a/c/x", "/a/b/y", "/a/b/y/z", "/a/d"] {
        shell.ok(&format!("create {path}"));
    }
    check(
        &mut shell,
        &[
            ("ls /", "[a, zookeeper]\n"),
            ("ls /a", "[b, c, d]\n"),
            ("ls /a/d", "[]\n"),
            ("ls -R /a", "/a\n/a/b\n/a/c\n/a/d\n/a/b/y\n/a/b/y/z\n/a/c/x\n"),
            ("getAllChildrenNumber /a", "6\n"),
        ],
    );
    let output = shell.ok("ls -s /a");
    assert!(output.starts_with("[b, c, d]\ncZxid = 0x"), "{output}");
    assert_eq!(stat_names(&output), STAT_NAMES);
    check_failures(
        &mut shell,
        &[
            ("ls /nope", "Node does not exist: /nope\nls / lists what is there"),
            (
                "ls -R /a/nope",
                "Node does not exist: /a/nope\nls /a lists what is there",
            ),
            (
                "getAllChildrenNumber /nope",
                "Node does not exist: /nope\nls / lists what is there",
            ),
        ],
    );
}

#[test]
fn a_wide_and_deep_tree_is_listed_and_deleted_whole() {
    let server = TestServer::start();
    let mut shell = server.shell();
    shell.ok("create /t");
    for i in 0..300 {
        shell.ok(&format!("create /t/{i:03}"));
        shell.ok(&format!("create /t/{i:03}/x"));
    }
    let mut deep = "/t/000/x".to_owned();
    for _ in 0..100 {
        deep.push_str("/d");
        shell.ok(&format!("create {deep}"));
    }
    assert_eq!(shell.ok("ls -R /t").lines().count(), 701);
    assert_eq!(shell.ok("deleteall /t -b 64"), "");
    assert_eq!(shell.ok("ls /"), "[zookeeper]\n");
}

#[test]
fn get_and_set_data_in_every_form() {
    let server = TestServer::start();
    let mut shell = server.shell();
    shell.ok("create /a 'hello world'");
    check(
        &mut shell,
        &[
            ("get /a", "hello world\n"),
            ("get -b /a", "aGVsbG8gd29ybGQ=\n"),
            ("set /a {\"x\":1}", ""),
            ("get /a", "{\"x\":1}\n"),
            ("set -b /a aGkA", ""),
            ("get -b /a", "aGkA\n"),
            ("set /a -- -5x", ""),
            ("get /a", "-5x\n"),
            ("set /a '-x'", ""),
            ("get /a", "-x\n"),
            ("set /a ''", ""),
            ("get /a", "\n"),
            ("get -x /a", "\n"),
            ("set -v 5 /a six", ""),
        ],
    );
    assert!(shell.ok("get -x /a").contains("|00000000| 73 69 78 "));
    let output = shell.ok("get -s /a");
    assert!(output.starts_with("six\ncZxid = 0x"), "{output}");
    assert!(output.contains("dataVersion = 6\n"), "{output}");
    let output = shell.ok("set -s /a seven");
    assert!(output.contains("dataVersion = 7\n"), "{output}");
    assert_eq!(stat_names(&output), STAT_NAMES);
    check_failures(
        &mut shell,
        &[
            (
                "set -v 3 /a x",
                "version No is not valid : /a\nstat /a shows the version it has; without -v any version will do",
            ),
            ("set /nope x", "Node does not exist: /nope\nls / lists what is there"),
            ("get /nope", "Node does not exist: /nope\nls / lists what is there"),
        ],
    );
}

#[test]
fn stat_shows_the_lines_that_scripts_look_for() {
    let server = TestServer::start();
    let mut shell = server.shell();
    shell.ok("create -e /a abc");
    let output = shell.ok("stat /a");
    assert_eq!(stat_names(&output), STAT_NAMES);
    assert!(output.contains(" UTC 20"), "{output}");
    assert!(output.contains("dataLength = 3\n"), "{output}");
    assert!(output.contains("numChildren = 0\n"), "{output}");
    let session = shell.context.client().unwrap().session_id();
    assert!(output.contains(&format!("ephemeralOwner = {session}\n")), "{output}");
    assert_eq!(
        shell.fails("stat /nope"),
        "Node does not exist: /nope\nls / lists what is there"
    );
}

#[test]
fn delete_takes_one_node_and_deleteall_all_below() {
    let server = TestServer::start();
    let mut shell = server.shell();
    for path in ["/a", "/a/b", "/a/b/c", "/a/d"] {
        shell.ok(&format!("create {path}"));
    }
    check_failures(
        &mut shell,
        &[
            (
                "delete /a",
                "Node not empty: /a\ndeleteall /a deletes it and all below it",
            ),
            (
                "delete -v 3 /a/d",
                "version No is not valid : /a/d\nstat /a/d shows the version it has; without -v any version will do",
            ),
            ("delete /nope", "Node does not exist: /nope\nls / lists what is there"),
            (
                "deleteall /nope",
                "Node does not exist: /nope\nls / lists what is there",
            ),
            ("deleteall /", "/ cannot be deleted\nname one of the nodes below it"),
            ("delete /zookeeper", "Arguments are not valid : /zookeeper"),
        ],
    );
    check(
        &mut shell,
        &[
            ("delete -v 0 /a/d", ""),
            ("deleteall /a/b", ""),
            ("ls -R /a", "/a\n"),
            ("delete /a", ""),
            ("ls /", "[zookeeper]\n"),
        ],
    );
}

#[test]
fn a_deleteall_that_is_refused_midway_says_how_far_it_came() {
    let server = TestServer::start();
    let mut shell = server.shell();
    shell.ok("create /a");
    shell.ok("create /a/b '' world:anyone:r");
    shell.ok("setAcl /a world:anyone:cdrwa");
    shell.ok("create /a/c");
    // Nothing may be deleted below b.
    let mut other = server.shell();
    other.ok("addauth digest bob:pw");
    other.ok("create /a/d");
    other.ok("create /a/d/e");
    other.ok("setAcl /a/d auth::cdrwa,world:anyone:r");
    let error = shell.fails("deleteall -b 1 /a");
    assert_eq!(
        error,
        "Insufficient permission : /a/d/e\ngetAcl /a/d/e shows who may; addauth presents credentials"
    );
    other.ok("create /a/a");
    other.ok("setAcl /a/d world:anyone:cdrwa");
    other.ok("setAcl /a auth::cdrwa,world:anyone:r");
    assert_eq!(
        shell.fails("deleteall -b 1 /a"),
        "deleted 1 of 6 nodes, then: Insufficient permission : /a/d\nthe same command goes on with the rest"
    );
    other.ok("setAcl /a/d auth::cdrwa");
    assert_eq!(
        shell.fails("deleteall /a"),
        "Insufficient permission : /a/d\ngetAcl /a/d shows who may; addauth presents credentials"
    );
    let (output, result) = shell.run("ls -R /a", Format::Text);
    assert_eq!(output, "/a\n/a/a\n/a/b\n/a/c\n/a/d\n");
    assert_eq!(result.unwrap_err().to_string(), "Insufficient permission : /a/d");
    other.ok("deleteall /a");
}

#[test]
fn acls_are_shown_set_and_kept_to() {
    let server = TestServer::start();
    let mut shell = server.shell();
    shell.ok("create /a");
    check(
        &mut shell,
        &[
            ("getAcl /a", "'world,'anyone\n: cdrwa\n"),
            ("setAcl /a world:anyone:r,ip:127.0.0.1:cdrwa", ""),
            ("getAcl /a", "'world,'anyone\n: r\n'ip,'127.0.0.1\n: cdrwa\n"),
            ("addauth digest bob:pw", ""),
            ("create /mine secret auth::cdrwa", "Created /mine\n"),
            ("getAcl /mine", "'digest,'bob:ikIaKsbtGweaHnb/jKn7OHqbunM=\n: cdrwa\n"),
        ],
    );
    let output = shell.ok("getAcl -s /a");
    assert!(output.contains("aclVersion = 1\n"), "{output}");
    let output = shell.ok("setAcl -s -v 1 /a world:anyone:cdrwa");
    assert!(output.contains("aclVersion = 2\n"), "{output}");
    check_failures(
        &mut shell,
        &[
            (
                "setAcl -v 1 /a world:anyone:r",
                "version No is not valid : /a\nstat /a shows the version it has; without -v any version will do",
            ),
            ("getAcl /nope", "Node does not exist: /nope\nls / lists what is there"),
        ],
    );
    let mut other = server.shell();
    check_failures(
        &mut other,
        &[
            (
                "get /mine",
                "Insufficient permission : /mine\ngetAcl /mine shows who may; addauth presents credentials",
            ),
            (
                "setAcl /mine world:anyone:r",
                "Insufficient permission : /mine\ngetAcl /mine shows who may; addauth presents credentials",
            ),
        ],
    );
    let whoami = shell.ok("whoami");
    assert!(whoami.starts_with("Auth scheme: User\n"), "{whoami}");
    assert!(whoami.contains("digest: bob\n"), "{whoami}");
    assert!(whoami.contains("ip: 127.0.0.1\n"), "{whoami}");
}

#[test]
fn set_acl_recursively_reaches_every_node() {
    let server = TestServer::start();
    let mut shell = server.shell();
    for path in ["/a", "/a/b", "/a/b/c", "/a/d"] {
        shell.ok(&format!("create {path}"));
    }
    shell.ok("setAcl -R /a world:anyone:cdra");
    for path in ["/a", "/a/b", "/a/b/c", "/a/d"] {
        assert_eq!(
            shell.ok(&format!("getAcl {path}")),
            "'world,'anyone\n: cdra\n",
            "{path}"
        );
    }
    assert_eq!(
        shell.fails("setAcl -R /nope world:anyone:r"),
        "Node does not exist: /nope\nls / lists what is there"
    );
}

#[test]
fn refused_credentials_are_an_error_and_the_session_goes_on() {
    let server = TestServer::start();
    let mut shell = server.shell();
    shell.ok("create -e /mine");
    assert_eq!(
        shell.fails("addauth nosuch x"),
        "Authentication failed\nis the scheme one of the server's? digest takes user:password"
    );
    // The server closes the connection; the next command finds another.
    assert_eq!(shell.ok("getEphemerals"), "[/mine]\n");
}

#[test]
fn quotas_are_set_listed_and_removed() {
    let server = TestServer::start();
    let mut shell = server.shell();
    for path in ["/a", "/a/b", "/a/b/c", "/x"] {
        shell.ok(&format!("create {path} 12345"));
    }
    check(
        &mut shell,
        &[
            ("setquota -n 9 /a/b", ""),
            (
                "listquota /a/b",
                "Output quota for /a/b count=9,bytes=-1=;byteHardLimit=-1;countHardLimit=-1\n\
                 Output stat for /a/b count=2,bytes=10\n",
            ),
            (
                "setquota -B 8 -N 1 /a/b",
                "[Warning]: there are more nodes than the quota allows: 2\n\
                 [Warning]: there are more bytes than the quota allows: 10\n",
            ),
            ("delquota -n -B /a/b", ""),
            (
                "listquota /a/b",
                "Output quota for /a/b count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=1\n\
                 Output stat for /a/b count=2,bytes=10\n",
            ),
        ],
    );
    check_failures(
        &mut shell,
        &[
            (
                "setquota -n 9 /a",
                "/a lies above /a/b, which has a quota\ndelquota /a/b removes it",
            ),
            (
                "setquota -n 9 /a/b/c",
                "/a/b/c lies below /a/b, which has a quota\ndelquota /a/b removes it",
            ),
            ("setquota -n 9 /nope", "/nope does not exist\ncreate /nope comes first"),
            (
                "setquota -n 9 /zookeeper/quota",
                "cannot set a quota on /zookeeper/quota\nset it on nodes below the root and outside of /zookeeper",
            ),
            (
                "listquota /x",
                "quota for /x does not exist.\nsetquota -N 1000 /x sets one",
            ),
            (
                "delquota /x",
                "quota for /x does not exist.\nsetquota -N 1000 /x sets one",
            ),
        ],
    );
    shell.ok("setquota -b 100 /x");
    assert_eq!(shell.ok("delquota /a/b"), "");
    assert_eq!(
        shell.ok("ls -R /zookeeper/quota"),
        "/zookeeper/quota\n/zookeeper/quota/x\n/zookeeper/quota/x/zookeeper_limits\n/zookeeper/quota/x/zookeeper_stats\n"
    );
}

#[test]
fn sync_config_and_version_answer() {
    let server = TestServer::start();
    let mut shell = server.shell();
    check(
        &mut shell,
        &[("sync /", "Sync is OK\n"), ("config", "\n"), ("config -c", " \n")],
    );
    assert_eq!(stat_names(&shell.ok("config -s")), STAT_NAMES);
    assert!(shell.ok("version").starts_with("ZooKeeper CLI version: zebu "));
    let error = shell.fails("reconfig -remove 2");
    assert!(error.contains("/zookeeper/config"), "{error}");
}

#[test]
fn watches_tell_once_or_always_until_they_are_removed() {
    let server = TestServer::start();
    let mut shell = server.shell();
    shell.ok("create /a");
    shell.ok("create /a/b");
    shell.ok("get -w /a/b");
    shell.ok("ls -w /a");
    assert_eq!(
        shell.fails("stat -w /c"),
        "Node does not exist: /c\nls / lists what is there"
    );
    shell.ok("set /a/b 1");
    assert_eq!(shell.event(), "type:NodeDataChanged path:/a/b");
    shell.ok("set /a/b 2");
    shell.ok("create /a/d");
    assert_eq!(shell.event(), "type:NodeChildrenChanged path:/a");
    shell.ok("create /c");
    assert_eq!(shell.event(), "type:NodeCreated path:/c");
    shell.ok("addWatch /a");
    shell.ok("addWatch -m persistent /c");
    shell.ok("set /a/b 3");
    assert_eq!(shell.event(), "type:NodeDataChanged path:/a/b");
    shell.ok("set /c 1");
    assert_eq!(shell.event(), "type:NodeDataChanged path:/c");
    shell.ok("removewatches -p /c");
    assert_eq!(shell.event(), "type:PersistentWatchRemoved path:/c");
    shell.ok("set /c 2");
    assert_eq!(
        shell.fails("removewatches -c /a"),
        "No such watcher for /a\nwatches belong to the session that set them"
    );
    shell.ok("removewatches /a");
    assert_eq!(shell.event(), "type:PersistentWatchRemoved path:/a");
    shell.ok("ls -w /a");
    shell.ok("get -w /a");
    shell.ok("removewatches /a");
    assert_eq!(shell.event(), "type:ChildWatchRemoved path:/a");
    assert_eq!(shell.event(), "type:DataWatchRemoved path:/a");
    shell.ok("ls -R -w /a");
    shell.ok("create /a/b/below");
    assert_eq!(shell.event(), "type:NodeChildrenChanged path:/a/b");
}

#[test]
fn events_are_shown_unless_they_are_switched_off() {
    let server = TestServer::start();
    let mut shell = server.shell();
    shell.ok("create /a");
    assert_eq!(shell.ok("printwatches"), "printwatches is on\n");
    shell.ok("addWatch /a");
    shell.ok("printwatches off");
    assert_eq!(shell.ok("printwatches"), "printwatches is off\n");
    shell.ok("set /a 1");
    shell.ok("printwatches on");
    shell.ok("delete /a");
    assert_eq!(shell.event(), "type:NodeDeleted path:/a");
}

#[test]
fn below_a_chroot_all_paths_are_seen_from_there() {
    let server = TestServer::start();
    let mut root = server.shell();
    let mut shell = server.shell_below("/app");
    assert_eq!(
        shell.fails("ls /"),
        "Node does not exist: /\nthe chroot does not exist; connect without it and create it"
    );
    root.ok("create /app");
    check(
        &mut shell,
        &[
            ("ls /", "[]\n"),
            ("create /a x", "Created /a\n"),
            ("create -e /a/e", "Created /a/e\n"),
            ("create -s /", "Created /0000000001\n"),
            ("ls -R /", "/\n/0000000001\n/a\n/a/e\n"),
            ("getEphemerals", "[/a/e]\n"),
            ("getEphemerals /a", "[/a/e]\n"),
            ("setquota -N 5 /a", ""),
            (
                "listquota /a",
                "Output quota for /a count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=5\n\
                 Output stat for /a count=2,bytes=1\n",
            ),
            ("config", "\n"),
            ("addWatch /a", ""),
            ("deleteall /a", ""),
        ],
    );
    assert_eq!(shell.event(), "type:NodeDeleted path:/a/e");
    assert_eq!(shell.event(), "type:NodeDeleted path:/a");
    assert_eq!(
        shell.fails("create /a/b"),
        "Node does not exist: /a/b\ncreate /a comes first"
    );
    assert_eq!(
        shell.fails("ls -R /a"),
        "Node does not exist: /a\nls / lists what is there"
    );
    check(
        &mut root,
        &[
            ("ls -R /app", "/app\n/app/0000000001\n"),
            (
                "get /zookeeper/quota/app/a/zookeeper_limits",
                "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=5\n",
            ),
        ],
    );
}
