//! Which of several places counts, and what is said about names that nobody knows.

use super::super::*;
use super::{load_lines, load_with};

const TEXT: &str = "clientPort=2181\ndataDir=/d\n";

/// Properties from the variables, and from the command line.
fn properties(variable: &str, arguments: &[&str]) -> SystemProperties {
    let mut properties =
        SystemProperties::from_environment(|name| (name == "SERVER_JVMFLAGS").then(|| variable.to_owned()));
    arguments.iter().for_each(|argument| properties.add_argument(argument));
    properties
}

#[test]
fn a_line_of_the_file_counts_more_than_an_argument_and_that_more_than_a_variable() {
    let snap_count = |text: &str, variable: &str, arguments: &[&str]| {
        let loaded = load_with(&format!("{TEXT}{text}"), &properties(variable, arguments));
        (loaded.config.storage.snap_count, loaded.notices)
    };
    let variable = "-Dzookeeper.snapCount=11";
    let argument = ["zookeeper.snapCount=12"];
    assert_eq!(snap_count("", variable, &[]), (11, vec![]));
    assert_eq!(
        snap_count("", variable, &argument),
        (
            12,
            vec!["SERVER_JVMFLAGS: \"zookeeper.snapCount\" does not count: -D is stronger".to_owned()]
        )
    );
    assert_eq!(
        snap_count("snapCount=13", "", &argument),
        (
            13,
            vec!["-D: \"zookeeper.snapCount\" does not count: zoo.cfg:3 is stronger".to_owned()]
        )
    );
    assert_eq!(snap_count("snapCount=12", "", &argument), (12, vec![]));
    assert_eq!(
        snap_count("", "-Dzookeeper.snapCount=1 -Dzookeeper.snapCount=9", &[]),
        (9, vec![])
    );
    assert_eq!(
        snap_count("", "", &["zookeeper.snapCount=1", "zookeeper.snapCount=9"]),
        (9, vec![])
    );
}

#[test]
fn of_two_lines_the_later_counts() {
    let loaded = load_lines("tickTime=1000\nmaxCnxns=5\ntickTime=500");
    assert_eq!(loaded.config.tick_time_ms, 500);
    assert_eq!(
        loaded.notices,
        ["zoo.cfg:3: \"tickTime\" comes again in line 5, and that line counts"]
    );
}

#[test]
fn the_property_for_observers_counts_more_than_the_line() {
    let sync_enabled = |text: &str, arguments: &[&str]| {
        load_with(&format!("{TEXT}{text}"), &properties("", arguments))
            .config
            .ensemble
            .sync_enabled
    };
    assert!(!sync_enabled(
        "syncEnabled=true",
        &["zookeeper.observer.syncEnabled=false"]
    ));
    assert!(!sync_enabled("observer.syncEnabled=false\nsyncEnabled=true", &[]));
    assert!(!sync_enabled("syncEnabled=false", &["syncEnabled=true"]));
}

#[test]
fn properties_without_the_prefix_work_as_lines_too() {
    let limit = |text: &str, arguments: &[&str]| {
        let loaded = load_with(&format!("{TEXT}{text}"), &properties("", arguments));
        assert_eq!(loaded.notices, Vec::<String>::new());
        loaded.config.limits.jute_max_buffer_bytes
    };
    assert_eq!(limit("jute.maxbuffer=2000", &[]), 2000);
    assert_eq!(limit("", &["jute.maxbuffer=0x7d0"]), 2000);
    assert_eq!(limit("", &["zookeeper.jute.maxbuffer=2000"]), 2000);

    let variable = "-Dreadonlymode.enabled=true -Dfsync.warningthresholdms=7";
    let config = load_with(TEXT, &properties(variable, &[])).config;
    assert!(config.read_only_mode);
    assert_eq!(config.storage.fsync_warning_threshold_ms, 7);
}

#[test]
fn keys_of_the_file_are_arguments_of_zebu_but_no_properties_of_java() {
    let loaded = load_with(
        TEXT,
        &properties("", &["tickTime=700", "zookeeper.maxClientCnxns=3", "snapCount=8"]),
    );
    assert_eq!(loaded.config.tick_time_ms, 700);
    assert_eq!(loaded.config.limits.max_client_cnxns, limit32(3));
    assert_eq!(loaded.config.storage.snap_count, 8);
    assert_eq!(loaded.notices, Vec::<String>::new());

    let loaded = load_with(TEXT, &properties("-Dzookeeper.tickTime=700 -DsnapCount=8", &[]));
    assert_eq!(loaded.config.tick_time_ms, 3000);
    assert_eq!(loaded.config.storage.snap_count, 100_000);
    assert_eq!(
        loaded.notices,
        [
            "SERVER_JVMFLAGS: \"zookeeper.tickTime\" was ignored: \"tickTime\" is read from zoo.cfg only, as on Java",
            "SERVER_JVMFLAGS: \"snapCount\" is not known and was ignored; is it \"zookeeper.snapCount\"?",
        ]
    );
}

#[test]
fn arguments_alone_make_a_configuration() {
    let properties = properties(
        "",
        &["clientPort=0", "clientPortAddress=127.0.0.1", "dataDir=/elsewhere"],
    );
    let (config, notices) = Config::load(None, &properties).expect("they are allowed");
    assert_eq!(
        config.client,
        Some(Listen {
            host: Some([127, 0, 0, 1].into()),
            port: 0
        })
    );
    assert_eq!(config.data_log_dir, Path::new("/elsewhere"));
    assert_eq!(notices, []);
}

#[test]
fn a_dead_spelling_is_taken_for_the_working_one_and_yields_to_it() {
    let loaded = load_lines("requestThrottleLimit=5");
    assert_eq!(loaded.config.request_throttle.max_requests, limit32(5));
    assert_eq!(
        loaded.notices,
        [
            "zoo.cfg:3: \"requestThrottleLimit\" was taken for \"request_throttle_max_requests\"; \
         the Java server does not read that spelling"
        ]
    );
    let both = load_lines("request_throttle_max_requests=6\nrequestThrottleLimit=5");
    assert_eq!(both.config.request_throttle.max_requests, limit32(6));
    assert_eq!(
        both.notices.last().map(String::as_str),
        Some("zoo.cfg:4: \"requestThrottleLimit\" does not count: zoo.cfg:3 is stronger")
    );
    let property = load_with(TEXT, &properties("-Dzookeeper.connectionMaxTokens=5", &[]));
    assert_eq!(property.config.connection_throttle.tokens, limit32(5));
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_known_one() {
    let loaded = load_lines(
        "# a comment\ntickTme=1\nclientport=1\nautopurge.retainCount=5\nzookeeper.snapCount=5\nsever.1=a:1:2\n\
         wholly.strange=1\n=7",
    );
    assert_eq!(
        loaded.notices,
        [
            "zoo.cfg:4: \"tickTme\" is not known and was ignored; is it \"tickTime\"?",
            "zoo.cfg:5: \"clientport\" is not known and was ignored; is it \"clientPort\"?",
            "zoo.cfg:6: \"autopurge.retainCount\" is not known and was ignored; is it \"autopurge.snapRetainCount\"?",
            "zoo.cfg:7: \"zookeeper.snapCount\" is not known and was ignored; is it \"snapCount\"?",
            "zoo.cfg:8: \"sever.1\" is not known and was ignored; is it \"server.N\"?",
            "zoo.cfg:9: \"wholly.strange\" is not known and was ignored",
            "zoo.cfg:10: a value without a key was ignored",
        ]
    );
    assert_eq!(loaded.config.storage.snap_count, 100_000);
}

#[test]
fn what_java_programs_are_started_with_is_named_and_ignored() {
    let variable = "-Xmx1g -XX:+UseG1GC -Dfile.encoding=UTF-8 -Dzookeeper.log.dir=/var/log -Dzookeeper.snapCuont=1 \
        -Dcom.sun.management.jmxremote";
    let loaded = load_with(TEXT, &properties(variable, &["strange=1", "=1"]));
    assert_eq!(
        loaded.notices,
        [
            "SERVER_JVMFLAGS: there is no JVM here, without meaning: -Xmx1g -XX:+UseG1GC",
            "SERVER_JVMFLAGS: \"file.encoding\" has no meaning here: it is a property of the JVM or of a Java library",
            "SERVER_JVMFLAGS: \"zookeeper.snapCuont\" is not known and was ignored; is it \"zookeeper.snapCount\"?",
            "SERVER_JVMFLAGS: \"com.sun.management.jmxremote\" has no meaning here: \
         it is a property of the JVM or of a Java library",
            "-D: \"strange\" is not known and was ignored",
            "-D: a value without a key was ignored",
            "SERVER_JVMFLAGS: \"zookeeper.log.dir\" has no meaning here: it is a setting of Java's logging",
        ]
    );
}

#[test]
fn notices_have_a_level() {
    let levels = |line: &str| -> Vec<Level> {
        let text = format!("{TEXT}{line}");
        let (loaded, _) = super::in_file(&text, |path| Config::load(Some(path), &SystemProperties::default()));
        let (_, notices) = loaded.unwrap_or_else(|error| panic!("{error}"));
        notices.iter().map(Notice::level).collect()
    };
    assert_eq!(levels("nio.numWorkerThreads=1"), [Level::Info]);
    assert_eq!(levels("dataLogDir=here"), [Level::Info]);
    assert_eq!(levels("strange=1"), [Level::Warning]);
    assert_eq!(levels("audit.enable=true"), [Level::Warning]);
}

#[test]
fn a_relative_directory_needs_its_dot() {
    assert_eq!(load_lines("dataLogDir=./log").notices, Vec::<String>::new());
    assert_eq!(
        load_lines("dataLogDir=log").notices,
        [
            "zoo.cfg:3: \"dataLogDir\" depends on the directory the server is started in; write ./ before it if that is meant"
        ]
    );
}

#[test]
fn a_file_in_latin_1_is_read_and_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("zoo.cfg");
    std::fs::write(&path, b"# gr\xfc\xdfe\nclientPort=1\ndataDir=/d\xe9\n").expect("a new file");
    let (config, notices) = Config::load(Some(&path), &SystemProperties::default()).expect("it is read");
    assert_eq!(config.data_dir, Path::new("/dé"));
    assert_eq!(
        notices.iter().map(|notice| notice.kind.clone()).collect::<Vec<_>>(),
        [NoticeKind::Latin1]
    );
}
