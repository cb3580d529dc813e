//! Files as they are found in the world, and the files beside `zoo.cfg`: `myid` and the dynamic file.

use std::fs;
use std::path::Path;

use zebu_proto::Sid;
use zebu_proto::quorum::Role;

use super::super::*;
use super::{load, strip, whole_refusal};

/// The sample that comes with Debian's package, as with ZooKeeper's own releases, but with a directory that exists on
/// no machine: a `myid` in it would be read.
const DEBIAN: &str = "\
# The number of milliseconds of each tick
tickTime=2000
# The number of ticks that the initial\u{20}
# synchronization phase can take
initLimit=10
# The number of ticks that can pass between\u{20}
# sending a request and getting an acknowledgement
syncLimit=5
# the directory where the snapshot is stored.
# do not use /nowhere for storage, /nowhere here is just\u{20}
# example sakes.
dataDir=/nowhere/zookeeper
# the port at which the clients will connect
clientPort=2181
# the maximum number of client connections.
# increase this if you need to handle more clients
#maxClientCnxns=60
#
# Be sure to read the maintenance section of the\u{20}
# administrator guide before turning on autopurge.
#
# https://zookeeper.apache.org/doc/current/zookeeperAdmin.html#sc_maintenance
#
# The number of snapshots to retain in dataDir
#autopurge.snapRetainCount=3
# Purge task interval in hours
# Set to \"0\" to disable auto purge feature
#autopurge.purgeInterval=1

## Metrics Providers
#
# https://prometheus.io Metrics Exporter
#metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider
#metricsProvider.httpHost=0.0.0.0
#metricsProvider.httpPort=7000
#metricsProvider.exportJvmInfo=true
";

#[test]
fn the_sample_file_says_nothing_new() {
    let loaded = load(DEBIAN);
    assert_eq!(loaded.notices, Vec::<String>::new());
    let mut expected = Config::java_defaults().with_tick_time(2000);
    expected.file.clone_from(&loaded.config.file);
    expected.client = Some(Listen { host: None, port: 2181 });
    expected.data_dir = "/nowhere/zookeeper".into();
    expected.data_log_dir = "/nowhere/zookeeper".into();
    expected.ensemble.init_limit_ticks = limit32(10);
    expected.ensemble.sync_limit_ticks = limit32(5);
    assert_eq!(loaded.config, expected);
}

#[test]
fn the_file_that_comes_with_kafka_starts_without_a_word() {
    let loaded = load("dataDir=/nowhere/zookeeper\nclientPort=2181\nmaxClientCnxns=0\nadmin.enableServer=false\n");
    assert_eq!(loaded.notices, Vec::<String>::new());
    assert_eq!(loaded.config.limits.max_client_cnxns, None);
}

#[test]
fn kafka_with_sasl_starts_and_says_what_is_missing() {
    let loaded = load(
        "dataDir=/d\nclientPort=2181\n\
         authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n\
         requireClientAuthScheme=sasl\njaasLoginRenew=3600000\n",
    );
    assert_eq!(
        loaded.notices,
        [
            "zoo.cfg:3: \"authProvider.1\" is not supported yet and was ignored: \
         only world, auth, digest, ip and super are there; no ACL can name another scheme",
            "zoo.cfg:4: \"requireClientAuthScheme\" has no meaning here: no ZooKeeper server has ever read it",
            "zoo.cfg:5: \"jaasLoginRenew\" has no meaning here: no ZooKeeper server has ever read it",
        ]
    );
}

/// As the documentation of ClickHouse recommends it, for a server alone.
const CLICKHOUSE: &str = "\
# http://hadoop.apache.org/zookeeper/docs/current/zookeeperAdmin.html

tickTime=2000
initLimit=300
syncLimit=10
maxClientCnxns=2000

# It is the maximum value that client may request and the server will accept.
maxSessionTimeout=60000000
dataDir=/nowhere/main/data
dataLogDir=/nowhere/main/logs

autopurge.snapRetainCount=10
autopurge.purgeInterval=1

# To avoid seeks ZooKeeper allocates space in the transaction log file in blocks of preAllocSize kilobytes.
preAllocSize=131072
# Clients can submit requests faster than ZooKeeper can process them.
snapCount=3000000

leaderServes=yes
clientPort=2181
";

#[test]
fn the_file_that_clickhouse_recommends_is_taken_whole() {
    let loaded = load(CLICKHOUSE);
    assert_eq!(loaded.notices, Vec::<String>::new());
    let config = loaded.config;
    assert_eq!(config.sessions.max_timeout_ms, 60_000_000);
    assert_eq!(config.data_log_dir, Path::new("/nowhere/main/logs"));
    assert_eq!(
        config.purge,
        Purge {
            snap_retain_count: 10,
            interval_ms: limit64(3_600_000)
        }
    );
    assert_eq!(config.storage.pre_alloc_bytes, limit64(128 << 20));
    assert_eq!(config.storage.snap_count, 3_000_000);
}

#[test]
fn the_file_that_solr_recommends_is_taken() {
    let loaded = load(
        "tickTime=2000\ndataDir=/nowhere/zookeeper\nclientPort=2181\n4lw.commands.whitelist=mntr,conf,ruok\n\
         metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n\
         metricsProvider.httpPort=7000\nmetricsProvider.exportJvmInfo=true\n",
    );
    let words: Vec<_> = loaded.config.four_letter_words.iter().collect();
    assert_eq!(words, ["conf", "mntr", "ruok", "srvr"]);
    assert_eq!(
        loaded.notices,
        [
            "zoo.cfg:5: \"metricsProvider.className\" is not supported yet and was ignored: there is no exporter of metrics",
            "zoo.cfg:6: \"metricsProvider.httpPort\" is not supported yet and was ignored: there is no exporter of metrics",
            "zoo.cfg:7: \"metricsProvider.exportJvmInfo\" has no meaning here: there is no JVM to tell of",
        ]
    );
}

#[test]
fn matters_of_java_are_named_as_such() {
    let loaded = load(
        "dataDir=/d\nclientPort=2181\nserverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n\
         nio.numWorkerThreads=many\njvm.pause.monitor=true\nrequest_stale_connection_check=false\n\
         enableEagerACLCheck=true\n",
    );
    assert_eq!(
        loaded.notices,
        [
            "zoo.cfg:3: \"serverCnxnFactory\" has no meaning here: zebu has one way to serve connections, and no Java classes",
            "zoo.cfg:4: \"nio.numWorkerThreads\" has no meaning here: zebu arranges its threads itself",
            "zoo.cfg:5: \"jvm.pause.monitor\" has no meaning here: there is no JVM that could pause",
            "zoo.cfg:6: \"request_stale_connection_check\" has no meaning here: \
             a request that waits for its turn goes with its connection in any case",
            "zoo.cfg:7: \"enableEagerACLCheck\" has no meaning here: \
             a server alone checks every request once, as on Java",
        ]
    );
}

/// A data directory with `myid`, and what `zoo.cfg` with `text` after its `dataDir` comes to.
fn load_as(my_id: &str, text: &str) -> Result<Config, String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::write(dir.path().join("myid"), my_id).expect("a new file");
    load_in(dir.path(), text, |path| {
        Config::load(Some(path), &SystemProperties::default())
    })
    .map(|(config, _)| config)
}

/// Runs `load` on a `zoo.cfg` in `dir`, which is also its data directory and stands for `DIR` in `text`.
fn load_in<T>(dir: &Path, text: &str, load: impl FnOnce(&Path) -> Result<T, ConfigError>) -> Result<T, String> {
    let path = dir.join("zoo.cfg");
    let here = dir.display().to_string();
    fs::write(&path, format!("dataDir={here}\n{}", text.replace("DIR", &here))).expect("a new file");
    load(&path).map_err(|error| strip(&error.to_string(), &format!("{here}/")))
}

/// As the official container image writes it: no `clientPort`, but a line of its own server.
const DOCKER: &str = "\
dataLogDir=/datalog
tickTime=2000
initLimit=5
syncLimit=2
autopurge.snapRetainCount=3
autopurge.purgeInterval=0
maxClientCnxns=60
standaloneEnabled=true
admin.enableServer=true
server.1=localhost:2888:3888;2181
";

#[test]
fn the_file_of_the_container_image_takes_its_port_from_its_own_line() {
    let config = load_as("1\n", DOCKER).expect("it is a server alone");
    assert_eq!(config.client, Some(Listen { host: None, port: 2181 }));
    assert_eq!(config.server_id, Some(Sid(1)));
    assert!(!config.is_distributed());
    let other = load_as("2\n", DOCKER);
    assert_eq!(
        other,
        Err("zoo.cfg: clientPort is missing: without a port nobody can connect".to_owned())
    );
}

#[test]
fn a_port_given_twice_has_to_be_the_same() {
    let own = "server.1=localhost:2888:3888;127.0.0.1:2181\n";
    let at = |line: &str| load_as("1", &format!("{own}{line}"));
    let loopback = Some(Listen {
        host: Some([127, 0, 0, 1].into()),
        port: 2181,
    });
    for line in [
        "",
        "clientPort=2181",
        "clientPort=2181\nclientPortAddress=127.0.0.1",
        "clientPort=2181\nclientPortAddress=0.0.0.0",
    ] {
        assert_eq!(at(line).map(|config| config.client), Ok(loopback), "{line}");
    }
    assert_eq!(
        at("clientPort=2182"),
        Err("zoo.cfg:2: server.1=localhost:2888:3888;127.0.0.1:2181: \
             allowed: *:2182 after the ;, as the client port says, or nothing"
            .to_owned())
    );
    assert!(at("clientPort=2181\nclientPortAddress=127.0.0.2").is_err());
}

#[test]
fn what_the_own_line_asks_for_must_be_possible() {
    let name = "x".repeat(64);
    let refused = load_as("1", &format!("server.1=localhost:2888:3888;{name}:2181")).expect_err("no such host");
    let expected = format!("zoo.cfg:2: server.1={name}: the name has no address: ");
    assert!(refused.starts_with(&expected), "{refused}");

    let secure = "clientPort=2181\nserver.1=localhost:2888:3888;;2281";
    assert_eq!(
        load_as("1", secure),
        Err("zoo.cfg:3: a secure client port is not supported yet: \
             there is no TLS; remove the part after the second ; to serve without it"
            .to_owned())
    );
    assert!(
        load_as("2", secure).is_ok(),
        "the line of another server opens nothing here"
    );
}

#[test]
fn my_id_is_one_number() {
    let id = |text: &str| load_as(text, "clientPort=2181").map(|config| config.server_id);
    assert_eq!(id("7\n"), Ok(Some(Sid(7))));
    assert_eq!(id(" 7 \r\nother"), Ok(Some(Sid(7))));
    assert_eq!(
        id("x"),
        Err("myid: \"x\" is not a server id; allowed: one whole number, 1 to 255".to_owned())
    );
    for bad in ["", "\n7", "-1", "0x7", "99999999999999999999", "\u{fffd}"] {
        assert!(id(bad).is_err(), "{bad}");
    }
    assert!(id(&"9".repeat(100_000)).is_err());
}

const THREE: &str = "initLimit=5\nsyncLimit=2\nclientPort=2181\n\
    server.1=zk1:2888:3888\nserver.2=zk2:2888:3888\nserver.3=zk3:2888:3888:observer\n";

/// What is read of an ensemble's file, apart from whether it can be served.
fn read_as(my_id: &str, text: &str, dynamic: &str) -> Result<(Config, Vec<String>), String> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::write(dir.path().join("myid"), my_id).expect("a new file");
    fs::write(dir.path().join("zoo.cfg.dynamic.1a"), dynamic).expect("a new file");
    let here = format!("{}/", dir.path().display());
    load_in(dir.path(), text, |path| {
        let (draft, _) = draft::read(Some(path), &SystemProperties::default())?;
        let notices = draft
            .notices
            .iter()
            .map(|notice| strip(&notice.to_string(), &here))
            .collect();
        Ok((draft.config, notices))
    })
}

#[test]
fn an_ensemble_needs_its_limits_and_its_number() {
    let (config, notices) = read_as("3", THREE, "").expect("it is whole");
    assert!(config.is_distributed());
    assert_eq!(config.ensemble.role, Role::Observer);
    assert_eq!(
        notices,
        ["default: 2 voting servers: no server may fail; three are the least that is safe"]
    );

    let without = |line: &str| read_as("1", &THREE.replace(line, ""), "").map(|_| ());
    assert_eq!(
        without("initLimit=5\n"),
        Err("zoo.cfg: initLimit is missing: an ensemble needs it".to_owned())
    );
    assert_eq!(
        without("syncLimit=2\n"),
        Err("zoo.cfg: syncLimit is missing: an ensemble needs it".to_owned())
    );
    let (config, _) = read_as("1", &THREE.replace("clientPort=2181\n", ""), "").expect("others may do without clients");
    assert_eq!(config.client, None);
    let mut config = load("clientPort=1\ndataDir=/nowhere").config;
    config.ensemble.standalone_enabled = false;
    assert!(config.is_distributed());
    let nobody = whole_refusal(&format!("dataDir=/nowhere\n{THREE}"));
    assert_eq!(
        nobody,
        "/nowhere: myid is missing: a server of an ensemble has its number in this file"
    );
}

#[test]
fn ttl_nodes_need_a_small_server_number() {
    let text = format!(
        "{}extendedTypesEnabled=true\n",
        THREE.replace("server.1=", "server.255=")
    );
    let refused = read_as("255", &text, "").map(|_| ());
    assert_eq!(
        refused,
        Err(
            "zoo.cfg:8: extendedTypesEnabled=true: allowed: false, or a server id up to 254 in place of 255".to_owned()
        )
    );
    assert!(read_as("2", &text, "").is_ok());
}

#[test]
fn the_list_of_servers_counts_more_than_peer_type() {
    let (config, notices) = read_as("1", &format!("peerType=observer\n{THREE}"), "").expect("Java goes on, too");
    assert_eq!(config.ensemble.role, Role::Participant);
    assert_eq!(
        notices.last().map(String::as_str),
        Some("zoo.cfg:2: \"peerType\" says another thing than the list of servers; this server is a participant")
    );
    let alone = load("dataDir=/d\nclientPort=1\npeerType=observer");
    assert_eq!(alone.config.ensemble.role, Role::Participant);
    assert_eq!(alone.notices.len(), 1);
}

#[test]
fn four_voters_are_one_too_many() {
    let text = format!("{}server.4=zk4:1:2\nserver.5=zk5:1:2\n", THREE);
    let (_, notices) = read_as("1", &text, "").expect("it is whole");
    assert_eq!(
        notices,
        ["default: 4 voting servers: one less tolerates as many failures"]
    );
}

#[test]
fn a_dynamic_file_holds_the_list() {
    let servers = "server.1=zk1:2888:3888;2181\nserver.2=zk2:1:2\nserver.3=zk3:1:2\n";
    let text = "initLimit=5\nsyncLimit=2\ndynamicConfigFile=DIR/zoo.cfg.dynamic.1a\n";
    let (config, _) = read_as("1", text, servers).expect("it is whole");
    assert_eq!(config.ensemble.membership.members.len(), 3);
    assert_eq!(config.ensemble.membership.version.0, 0x1a);
    assert_eq!(config.client, Some(Listen { host: None, port: 2181 }));

    let refused = |text: &str, dynamic: &str| read_as("1", text, dynamic).expect_err("it is wrong");
    assert_eq!(
        refused(text, "server.1=zk1:1:2\nclientPort=1"),
        "zoo.cfg.dynamic.1a:2: clientPort=1: allowed: server.N, group.N and weight.N in this file"
    );
    assert_eq!(
        refused(text, "version=1"),
        "zoo.cfg.dynamic.1a:1: version=1: allowed: the version at the end of the file's name only"
    );
    assert!(refused(text, "server.1=zk1").starts_with("zoo.cfg.dynamic.1a:1: server.1=zk1: allowed: host:"));
    assert_eq!(
        refused(&format!("{text}server.1=zk1:1:2"), servers),
        "zoo.cfg:5: server.1=zk1:1:2: allowed: nothing, since dynamicConfigFile is to hold it"
    );
    assert!(refused(&text.replace(".1a", ".1b"), servers).starts_with("zoo.cfg.dynamic.1b: cannot be read: "));
}

#[test]
fn a_file_that_is_no_configuration_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let properties = SystemProperties::default();
    let refusal = |path: &Path| {
        let error = Config::load(Some(path), &properties).expect_err("it is no configuration");
        strip(&error.to_string(), &format!("{}/", dir.path().display()))
    };
    assert!(refusal(&dir.path().join("nothing")).starts_with("nothing: cannot be read: "));
    let long = dir.path().join("long");
    fs::write(&long, "#".repeat((1 << 20) + 1)).expect("a new file");
    assert_eq!(
        refusal(&long),
        "long: longer than 1048576 bytes, which no configuration is"
    );
    fs::write(&long, format!("dataDir=/d\nclientPort=1\n{}", "#".repeat(1 << 19))).expect("a new file");
    assert!(Config::load(Some(&long), &properties).is_ok());
}
