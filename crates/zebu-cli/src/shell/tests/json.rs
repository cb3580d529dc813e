//! Results as JSON.

use serde_json::json;

use super::*;

#[test]
fn every_kind_of_result_is_one_document() {
    let server = TestServer::start();
    let mut shell = server.shell();
    for (line, expected) in [
        ("create /a 'hello world'", json!({ "path": "/a" })),
        ("create -s /a/n-", json!({ "path": "/a/n-0000000000" })),
        ("ls -R /a", json!({ "paths": ["/a", "/a/n-0000000000"] })),
        ("getAllChildrenNumber /a", json!({ "count": 1 })),
        ("getEphemerals", json!({ "paths": [] })),
        ("sync /", json!({ "ok": true })),
        (
            "setquota -N 1 /a",
            json!({ "ok": true, "warnings": ["there are more nodes than the quota allows: 2"] }),
        ),
        (
            "listquota /a",
            json!({
                "path": "/a",
                "limits": { "count": -1, "bytes": -1, "byteHardLimit": -1, "countHardLimit": 1 },
                "usage": { "count": 2, "bytes": 11 },
            }),
        ),
        ("delete /a/n-0000000000", json!({ "ok": true })),
        (
            "whoami",
            json!({ "identities": [{ "scheme": "ip", "user": "127.0.0.1" }] }),
        ),
        ("printwatches", json!({ "text": "printwatches is on" })),
        ("config -c", json!({ "clients": " " })),
    ] {
        assert_eq!(shell.json(line), expected, "{line}");
    }
}

#[test]
fn data_is_text_where_it_is_utf_8_and_base64_where_it_is_not() {
    let server = TestServer::start();
    let mut shell = server.shell();
    shell.ok("create /a");
    assert_eq!(shell.json("get /a")["data"], json!(null));
    shell.ok("set /a 'grün'");
    assert_eq!(shell.json("get /a")["data"], json!("grün"));
    assert_eq!(shell.json("get -b /a")["dataBase64"], json!("Z3LDvG4="));
    shell.ok("set -b /a /w==");
    let value = shell.json("get /a");
    assert_eq!(value["dataBase64"], json!("/w=="));
    assert_eq!(value.get("data"), None);
}

#[test]
fn stats_have_the_names_of_the_wire_and_ids_in_hex() {
    let server = TestServer::start();
    let mut shell = server.shell();
    shell.ok("create -e /a abc");
    let session = shell.context.client().unwrap().session_id().to_string();
    let value = shell.json("stat /a");
    assert_eq!(value["path"], json!("/a"));
    let stat = &value["stat"];
    assert_eq!(stat["ephemeralOwner"], json!(session));
    assert_eq!(stat["dataLength"], json!(3));
    assert!(stat["czxid"].as_str().unwrap().starts_with("0x"), "{stat}");
    assert!(stat["ctime"].as_i64().unwrap() > 1_500_000_000_000, "{stat}");
    let value = shell.json("getAcl /a");
    assert_eq!(
        value["acl"],
        json!([{ "scheme": "world", "id": "anyone", "perms": "cdrwa" }])
    );
    let value = shell.json("ls /");
    assert_eq!(value["children"], json!(["a", "zookeeper"]));
    assert_eq!(value["stat"]["numChildren"], json!(2));
    let value = shell.json("set /a x");
    assert_eq!(value["stat"]["version"], json!(1));
}

#[test]
fn errors_are_documents_too() {
    let server = TestServer::start();
    let mut shell = server.shell();
    let (out, result) = shell.run("get /nope", Format::Json);
    assert_eq!(out, "");
    let mut err = Vec::new();
    super::super::sink::write_error(&result.unwrap_err(), Format::Json, &mut err).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&err).unwrap();
    assert_eq!(
        value,
        json!({ "error": {
            "code": "NoNode",
            "path": "/nope",
            "message": "Node does not exist: /nope",
            "hint": "ls / lists what is there",
        } })
    );
}
