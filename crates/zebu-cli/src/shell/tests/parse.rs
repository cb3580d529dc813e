//! Words as commands, and what is refused.

use zebu_proto::client::{AddWatchMode, WatcherType};
use zebu_proto::{AclList, CreateMode};

use super::super::command::{Command, Create, DataForm, Limit, Members, Reconfig, UsageError};
use super::super::path::NodePath;
use super::super::words;

fn parse(line: &str) -> Result<Option<Command>, UsageError> {
    Command::parse(&words::split(line).unwrap())
}

fn path(text: &str) -> NodePath {
    NodePath::parse_sequential(text).unwrap()
}

#[test]
fn lines_and_the_commands_that_they_are() {
    let a = || path("/a");
    let (get, ls, set) = (
        |form, watch, stat| Command::Get {
            path: a(),
            form,
            watch,
            stat,
        },
        |watch, stat, recursive| Command::Ls {
            path: a(),
            watch,
            stat,
            recursive,
        },
        |data: &str, version, stat| Command::Set {
            path: a(),
            data: data.into(),
            version,
            stat,
        },
    );
    for (line, expected) in [
        ("get /a", get(DataForm::Plain, false, false)),
        ("get -s -w /a", get(DataForm::Plain, true, true)),
        ("get -sw /a", get(DataForm::Plain, true, true)),
        ("get /a -s", get(DataForm::Plain, false, true)),
        ("get -b /a", get(DataForm::Base64, false, false)),
        ("get -b -x /a", get(DataForm::Hex, false, false)),
        ("GET /a", get(DataForm::Plain, false, false)),
        ("ls -R -s -w /a", ls(true, true, true)),
        ("ls /a", ls(false, false, false)),
        ("set /a x", set("x", -1, false)),
        ("set -v 3 /a x", set("x", 3, false)),
        ("set -v3 /a x", set("x", 3, false)),
        ("set -sv 3 /a x", set("x", 3, true)),
        ("set /a x -v 3 -s", set("x", 3, true)),
        ("set -v -1 /a x", set("x", -1, false)),
        ("set -v 1 -v 2 /a x", set("x", 2, false)),
        ("set /a -7", set("-7", -1, false)),
        ("set /a -", set("-", -1, false)),
        ("set /a '-s'", set("-s", -1, false)),
        ("set -- /a -s", set("-s", -1, false)),
        ("set -b /a aGk=", set("hi", -1, false)),
        ("delete -v 2 /a", Command::Delete { path: a(), version: 2 }),
        ("deleteall /a", Command::DeleteAll { path: a(), batch: 1000 }),
        ("deleteall /a -b 7", Command::DeleteAll { path: a(), batch: 7 }),
        ("stat -w /a", Command::Stat { path: a(), watch: true }),
        ("getAcl -s /a", Command::GetAcl { path: a(), stat: true }),
        (
            "setAcl -R -v 4 /a world:anyone:cdrwa",
            Command::SetAcl {
                path: a(),
                acl: AclList::OPEN.to_vec(),
                version: 4,
                stat: false,
                recursive: true,
            },
        ),
        (
            "addauth digest bob:pw",
            Command::AddAuth {
                scheme: "digest".into(),
                auth: "bob:pw".into(),
            },
        ),
        (
            "addauth x",
            Command::AddAuth {
                scheme: "x".into(),
                auth: String::new(),
            },
        ),
        (
            "addWatch /a",
            Command::AddWatch {
                path: a(),
                mode: AddWatchMode::PersistentRecursive,
            },
        ),
        (
            "addWatch -m persistent /a",
            Command::AddWatch {
                path: a(),
                mode: AddWatchMode::Persistent,
            },
        ),
        (
            "removewatches /a",
            Command::RemoveWatches {
                path: a(),
                kind: WatcherType::Any,
                local: false,
            },
        ),
        (
            "removewatches /a -c -l",
            Command::RemoveWatches {
                path: a(),
                kind: WatcherType::Children,
                local: true,
            },
        ),
        (
            "removewatches -d /a",
            Command::RemoveWatches {
                path: a(),
                kind: WatcherType::Data,
                local: false,
            },
        ),
        (
            "removewatches -r /a",
            Command::RemoveWatches {
                path: a(),
                kind: WatcherType::PersistentRecursive,
                local: false,
            },
        ),
        ("sync /a", Command::Sync { path: a() }),
        ("getAllChildrenNumber /a", Command::GetAllChildrenNumber { path: a() }),
        ("getEphemerals", Command::GetEphemerals { path: None }),
        ("getEphemerals /a", Command::GetEphemerals { path: Some(a()) }),
        (
            "config -c -w -s",
            Command::Config {
                clients_only: true,
                watch: true,
                stat: true,
            },
        ),
        (
            "setquota -n 5 /a",
            Command::SetQuota {
                path: a(),
                limits: vec![(Limit::SoftNodes, 5)],
            },
        ),
        (
            "setquota -B 0 /a",
            Command::SetQuota {
                path: a(),
                limits: vec![(Limit::HardBytes, 0)],
            },
        ),
        (
            "delquota /a",
            Command::DelQuota {
                path: a(),
                limits: vec![],
            },
        ),
        (
            "delquota -N /a",
            Command::DelQuota {
                path: a(),
                limits: vec![Limit::HardNodes],
            },
        ),
        ("listquota /a", Command::ListQuota { path: a() }),
        ("printwatches", Command::PrintWatches { on: None }),
        ("printwatches off", Command::PrintWatches { on: Some(false) }),
        ("redo 3", Command::Redo { number: 3 }),
        ("help ls", Command::Help { about: Some("ls") }),
        ("ls -?", Command::Help { about: Some("ls") }),
        ("ls --help", Command::Help { about: Some("ls") }),
        ("connect", Command::Connect { servers: None }),
        ("quit", Command::Quit),
        ("exit", Command::Quit),
        ("whoami", Command::WhoAmI),
        (
            "reconfig -add server.4=h:1:2;3 -remove 1,2 -v 1f",
            Command::Reconfig(Reconfig {
                members: Members::Change {
                    joining: Some("server.4=h:1:2;3".into()),
                    leaving: Some("1,2".into()),
                },
                config_id: 0x1f,
                stat: false,
            }),
        ),
        (
            "reconfig -s -file f",
            Command::Reconfig(Reconfig {
                members: Members::File("f".into()),
                config_id: -1,
                stat: true,
            }),
        ),
    ] {
        assert_eq!(parse(line), Ok(Some(expected)), "{line}");
    }
    assert_eq!(parse(""), Ok(None));
}

#[test]
fn the_options_of_create_make_its_mode() {
    for (line, mode, ttl_ms) in [
        ("create /a", CreateMode::Persistent, -1),
        ("create -e /a", CreateMode::Ephemeral, -1),
        ("create -s /a", CreateMode::PersistentSequential, -1),
        ("create -s -e /a", CreateMode::EphemeralSequential, -1),
        ("create -c /a", CreateMode::Container, -1),
        ("create -t 5 /a", CreateMode::PersistentWithTtl, 5),
        (
            "create -s -t 1099511627775 /a",
            CreateMode::PersistentSequentialWithTtl,
            1_099_511_627_775,
        ),
    ] {
        let expected = Command::Create(Create {
            path: path("/a"),
            data: None,
            acl: AclList::OPEN.to_vec(),
            mode,
            ttl_ms,
        });
        assert_eq!(parse(line), Ok(Some(expected)), "{line}");
    }
}

#[test]
fn what_is_refused_says_why() {
    for (line, message) in [
        ("frobnicate", "Command not found: frobnicate"),
        ("ls", "ls needs path"),
        ("set /a", "set needs data"),
        ("ls -q /", "ls has no option -q"),
        ("ls -sq /", "ls has no option -sq"),
        ("set /a two words", "set does not know what to do with \"words\""),
        ("ls / true", "ls does not know what to do with \"true\""),
        ("set /a x -v", "set -v needs a value: version"),
        (
            "set -v x /a y",
            "version is a number from -2147483648 to 2147483647, not \"x\"",
        ),
        (
            "set -v 2147483648 /a y",
            "version is a number from -2147483648 to 2147483647, not \"2147483648\"",
        ),
        (
            "deleteall -b 0 /a",
            "batch size is a number from 1 to 100000, not \"0\"",
        ),
        (
            "create -c -e /a",
            "a container (-c) is neither ephemeral, sequential nor has it a ttl",
        ),
        (
            "create -c -t 1 /a",
            "a container (-c) is neither ephemeral, sequential nor has it a ttl",
        ),
        (
            "create -e -t 1 /a",
            "an ephemeral node (-e) has no ttl (-t): it goes with its session",
        ),
        ("create -t 0 /a", "ttl is a number from 1 to 1099511627775, not \"0\""),
        (
            "create -t 1099511627776 /a",
            "ttl is a number from 1 to 1099511627775, not \"1099511627776\"",
        ),
        ("create a", "\"a\" is not a path: a path starts with /"),
        ("create /a/", "\"/a/\" is not a path: a path does not end with /"),
        (
            "create /a//b",
            "\"/a//b\" is not a path: a part of it is empty, . or .., or holds a character that names cannot have",
        ),
        (
            "create /a x world:anyone",
            "\"world:anyone\" is not of the form scheme:id:perms",
        ),
        (
            "setAcl /a world:anyone:q",
            "'q' in \"world:anyone:q\" is not a permission",
        ),
        (
            "addWatch -m both /a",
            "\"BOTH\" is none of PERSISTENT, PERSISTENT_RECURSIVE",
        ),
        ("setquota /a", "setquota needs one of -n, -b, -N and -B"),
        (
            "setquota -n 0 /a",
            "val is a number from 1 to 9223372036854775807, not \"0\"",
        ),
        (
            "setquota -b -1 /a",
            "val is a number from 0 to 9223372036854775807, not \"-1\"",
        ),
        ("reconfig", "one of -file, -members, -add and -remove is needed"),
        (
            "reconfig -file f -add x",
            "all members come from -file or from -members, without -add and -remove",
        ),
        (
            "reconfig -add x -v zz",
            "\"zz\" is none of the numbers in hex that config shows as version=",
        ),
        ("printwatches maybe", "\"maybe\" is none of on, off"),
        ("redo x", "number is a number from 0 to 2147483647, not \"x\""),
        ("help nosuch", "Command not found: nosuch"),
        (
            "connect a:b:c",
            "\"a:b:c\" is not a host; an IPv6 address stands in brackets, as in [::1]:2181",
        ),
        ("quit now", "quit does not know what to do with \"now\""),
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(error.to_string(), message, "{line}");
    }
    let error = parse("set -b /a !!").unwrap_err();
    assert!(error.to_string().starts_with("the data is not in base64: "), "{error}");
}

#[test]
fn hints_say_what_to_write() {
    for (line, hint) in [
        ("lss /", Some("did you mean ls? help lists the commands")),
        ("getChildren /", Some("help lists the commands")),
        (
            "set /a two words",
            Some("usage: set [-s] [-v version] [-b] path data; words with blanks in them need quotes: 'a b'"),
        ),
        ("create a", Some("write /a")),
        ("create ''", None),
        ("ls", Some("usage: ls [-s] [-w] [-R] path")),
    ] {
        let words = words::split(line).unwrap();
        let error = Command::parse(&words).unwrap_err();
        assert_eq!(error.hint(Some(&words[0].text)).as_deref(), hint, "{line}");
    }
}
