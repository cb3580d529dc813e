//! What is refused, and the words for it.

use super::super::*;
use super::{load_lines, load_with, refusal, whole_refusal};

#[test]
fn a_value_that_is_not_allowed_is_named_with_its_line_and_what_is() {
    for (line, allowed) in [
        ("clientPort=client", "a port, 0 to 65535"),
        ("clientPort=65536", "a port, 0 to 65535"),
        ("clientPort=0x885", "a port, 0 to 65535"),
        ("secureClientPort=-1", "a port, 0 to 65535"),
        ("clientPortAddress=", "a host name or an address"),
        (
            "clientPortListenBacklog=-2",
            "a whole number of connections from 0 to 2147483647, or -1 for none",
        ),
        ("dataDir=", "a directory"),
        ("dataLogDir=", "a directory"),
        ("tickTime=0", "a whole number of milliseconds from 1 to 107374182"),
        ("tickTime=2s", "a whole number of milliseconds from 1 to 107374182"),
        (
            "minSessionTimeout=-5",
            "a whole number of milliseconds from 0 to 2147483647, or -1 for none",
        ),
        (
            "maxClientCnxns=2147483648",
            "a whole number of connections from 1 to 2147483647; 0 or less: no limit",
        ),
        ("localSessionsEnabled=yes", "true or false"),
        ("digest.enabled=", "true or false"),
        ("sslQuorum=maybe", "true or false"),
        (
            "globalOutstandingLimit=1e3",
            "a whole number of requests from 0 to 2147483647",
        ),
        ("jute.maxbuffer=0", "a whole number of bytes from 1 to 2147483647"),
        (
            "jute.maxbuffer=0x80000000",
            "a whole number of bytes from 1 to 2147483647",
        ),
        ("snapCount=", "a whole number from 2 to 2147483647"),
        ("largeRequestMaxBytes=1g", "a whole number from 1 to 2147483647"),
        (
            "preAllocSize=9007199254740992",
            "a whole number of KiB from 1 to 9007199254740991; 0 or less: no limit",
        ),
        (
            "fsync.warningthresholdms=-1",
            "a whole number of milliseconds from 0 to 9223372036854775807",
        ),
        ("connection_throttle_drop_increase=1.5", "a number from 0 to 1"),
        ("connection_throttle_drop_increase=NaN", "a number from 0 to 1"),
        ("snapshot.compression.method=gzip", "gz, snappy, or nothing"),
        (
            "autopurge.purgeInterval=1w",
            "a whole number of hours, or one with ms, s, m, h or d after it; 0 or less: no purge",
        ),
        (
            "DigestAuthenticationProvider.digestAlg=SHA3-256",
            "MD5, SHA1, SHA-224, SHA-256, SHA-384 or SHA-512",
        ),
        ("electionAlg=0", "a whole number from 3 to 3"),
        ("peerType=leader", "participant or observer"),
        (
            "observerMasterPort=65536",
            "a whole number from 1 to 65535; 0 or less: no limit",
        ),
        ("dynamicConfigFile=", "a file"),
        ("server.one=a:1:2", "a number after server."),
        ("server.1=a:1:1", "two different ports"),
        ("server.1=a:1:2|b:1:2", "one address, unless multiAddress.enabled=true"),
        ("group.1=a", "server ids between colons"),
        ("weight.1=-1", "a whole number from 0 on"),
        (
            "enforce.auth.enabled=true",
            "false, or true with a list of schemes in enforce.auth.schemes",
        ),
        (
            "quorum.auth.serverRequireSasl=true",
            "false, or true with quorum.auth.enableSasl=true",
        ),
        (
            "quorum.auth.learnerRequireSasl=true",
            "false, or true with quorum.auth.enableSasl=true",
        ),
    ] {
        assert_eq!(refusal(line), format!("zoo.cfg:3: {line}: allowed: {allowed}"));
    }
}

#[test]
fn values_that_contradict_one_another_are_refused() {
    for (lines, expected) in [
        (
            "minSessionTimeout=9000\nmaxSessionTimeout=8000",
            "zoo.cfg:3: minSessionTimeout=9000: allowed: up to 8000 (maxSessionTimeout)",
        ),
        (
            "tickTime=1000\nminSessionTimeout=20001",
            "zoo.cfg:4: minSessionTimeout=20001: allowed: up to 20000 (maxSessionTimeout, from tickTime)",
        ),
        (
            "maxSessionTimeout=5999",
            "zoo.cfg:3: maxSessionTimeout=5999: allowed: 6000 (minSessionTimeout, from tickTime) or more",
        ),
        (
            "enforce.auth.enabled=true\nenforce.auth.schemes=digest,kerberos",
            "zoo.cfg:4: enforce.auth.schemes=digest,kerberos: allowed: digest (if it is enabled), ip",
        ),
        (
            "DigestAuthenticationProvider.enabled=false\nenforce.auth.enabled=true\nenforce.auth.schemes=digest",
            "zoo.cfg:5: enforce.auth.schemes=digest: allowed: digest (if it is enabled), ip",
        ),
        (
            "quorum.auth.enableSasl=true\nquorum.auth.serverRequireSasl=true",
            "zoo.cfg:4: quorum.auth.serverRequireSasl=true: allowed: \
             false, or true with quorum.auth.learnerRequireSasl=true",
        ),
        (
            "server.1=a:1:2:observer",
            "zoo.cfg: the list of servers is not possible: observers need an ensemble to observe",
        ),
        (
            "standaloneEnabled=false",
            "zoo.cfg: the list of servers is not possible: standaloneEnabled=false needs one voting server at least",
        ),
        (
            "path=\\u00zz",
            "zoo.cfg:3: \\u needs four hexadecimal digits; write \\\\ for a backslash",
        ),
    ] {
        assert_eq!(refusal(lines), expected, "{lines}");
    }
}

#[test]
fn what_has_no_default_is_missed() {
    assert_eq!(
        whole_refusal("clientPort=2181"),
        "zoo.cfg: dataDir is missing: a server needs to know where its data is"
    );
    assert_eq!(
        whole_refusal("dataDir=/d"),
        "zoo.cfg: clientPort is missing: without a port nobody can connect"
    );
    assert_eq!(
        whole_refusal("dataDir=/d\nclientPortAddress=127.0.0.1"),
        "zoo.cfg:2: clientPortAddress=127.0.0.1: allowed: an address beside clientPort"
    );
    assert_eq!(
        whole_refusal("dataDir=/d\nsecureClientPortAddress=127.0.0.1\nclientPort=1"),
        "zoo.cfg:2: secureClientPortAddress=127.0.0.1: allowed: an address beside secureClientPort"
    );
}

#[test]
fn a_name_without_an_address_is_refused() {
    // A label of more than 63 characters cannot be a name, so no server is asked for it.
    let name = "x".repeat(64);
    let refused = refusal(&format!("clientPortAddress={name}"));
    let expected = format!("zoo.cfg:3: clientPortAddress={name}: the name has no address: ");
    assert!(refused.starts_with(&expected), "{refused}");
}

#[test]
fn what_is_missing_in_zebu_is_refused_where_going_on_would_not_be_safe() {
    for (lines, expected) in [
        (
            "secureClientPort=2281",
            "zoo.cfg:3: secureClientPort is not supported yet: there is no TLS; remove the line to serve without it",
        ),
        (
            "sessionRequireClientSASLAuth=true",
            "zoo.cfg:3: sessionRequireClientSASLAuth is not supported yet: \
             there is no SASL, so no client could start a session",
        ),
        (
            "enforce.auth.enabled=true\nenforce.auth.schemes=digest,sasl",
            "zoo.cfg:4: the scheme sasl in enforce.auth.schemes is not supported yet: no client could pass it",
        ),
        (
            "ensembleAuthName=main",
            "zoo.cfg:3: ensembleAuthName is not supported yet: without it clients of another ensemble are let in; \
             remove it to start without that protection",
        ),
    ] {
        assert_eq!(refusal(lines), expected, "{lines}");
    }
    assert_eq!(load_lines("ensembleAuthName=").notices, Vec::<String>::new());
    assert_eq!(
        load_lines("sessionRequireClientSASLAuth=false").notices,
        Vec::<String>::new()
    );
}

#[test]
fn what_is_missing_in_zebu_is_named_where_going_on_is_safe() {
    let loaded = load_lines(
        "admin.serverPort=8080\naudit.enable=true\naudit.enable=false\nssl.keyStore.password=hunter2\n\
         ssl.quorum.protocol=TLSv1.3\nfips-mode=true\nsslQuorum=true",
    );
    assert_eq!(
        loaded.notices,
        [
            "zoo.cfg:3: \"admin.serverPort\" is not supported yet and was ignored: there is no admin server",
            "zoo.cfg:4: \"audit.enable\" comes again in line 5, and that line counts",
            "zoo.cfg:6: \"ssl.keyStore.password\" is not supported yet and was ignored: there is no TLS",
        ]
    );
}

#[test]
fn a_property_that_is_not_allowed_names_its_place() {
    let mut properties = SystemProperties::from_environment(|name| {
        (name == "SERVER_JVMFLAGS").then(|| "-Dzookeeper.maxCnxns=many".to_owned())
    });
    let text = "dataDir=/d\nclientPort=1";
    let refuse = |properties: &SystemProperties| super::try_load(text, properties).err().expect("it is not allowed");
    assert_eq!(
        refuse(&properties),
        "SERVER_JVMFLAGS: zookeeper.maxCnxns=many: allowed: \
         a whole number of connections from 1 to 2147483647; 0 or less: no limit"
    );
    properties.add_argument("zookeeper.maxCnxns");
    assert!(refuse(&properties).starts_with("-D: zookeeper.maxCnxns=: allowed: "));
    properties.add_argument("zookeeper.maxCnxns=7");
    assert_eq!(load_with(text, &properties).config.limits.max_cnxns, limit32(7));
}

/// Found by fuzzing: quoted words and escapes can hold line ends.
#[test]
fn foreign_text_makes_no_lines_of_its_own() {
    assert_eq!(
        refusal(r"clientPort=1\ntickTime"),
        r"zoo.cfg:3: clientPort=1\ntickTime: allowed: a port, 0 to 65535"
    );
    let variable = "-Xa '-Xb\n-Xc'";
    let properties = SystemProperties::from_environment(|name| (name == "JVMFLAGS").then(|| variable.to_owned()));
    let loaded = load_with("clientPort=2181\ndataDir=/d\n", &properties);
    assert_eq!(
        loaded.notices,
        [r"JVMFLAGS: there is no JVM here, without meaning: -Xa -Xb\n-Xc"]
    );
}
