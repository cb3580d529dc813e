//! Results as JSON: one document to a command.
//!
//! Zxids and session ids are strings in hex, as all of ZooKeeper's tools show them: many readers of JSON know no integers
//! of 64 bits. Times are milliseconds since 1970. Data is a string under `data` if it is UTF-8, else base64 under
//! `dataBase64`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use zebu_proto::{Acl, Stat};

use super::acl::letters;
use super::command::DataForm;
use super::error::ShellError;
use super::outcome::Outcome;

/// A result as a value. [`Outcome::Path`] and [`Outcome::Warning`] are parts of a document and not one.
pub(crate) fn value(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Done | Outcome::Synced => json!({ "ok": true }),
        Outcome::Children {
            path, children, stat, ..
        } => json!({ "path": path, "children": children, "stat": stat_value(stat) }),
        Outcome::Path(path) => json!(path),
        Outcome::Data {
            path, data, form, stat, ..
        } => data_value(path, data.as_deref(), *form, stat),
        Outcome::Stat { path, stat, .. } => json!({ "path": path, "stat": stat_value(stat) }),
        Outcome::Created(path) => json!({ "path": path }),
        Outcome::Acl { path, acl, stat, .. } => {
            let acl: Vec<Value> = acl
                .iter()
                .map(|Acl { perms, id }| json!({ "scheme": id.scheme, "id": id.id, "perms": letters(*perms) }))
                .collect();
            json!({ "path": path, "acl": acl, "stat": stat_value(stat) })
        }
        Outcome::Count(count) => json!({ "count": count }),
        Outcome::Paths(paths) => json!({ "paths": paths }),
        Outcome::Identities(identities) => {
            let identities: Vec<Value> = identities
                .iter()
                .map(|(scheme, user)| json!({ "scheme": scheme, "user": user }))
                .collect();
            json!({ "identities": identities })
        }
        Outcome::Quota { path, limits, usage } => {
            json!({ "path": path, "limits": limits.entries(), "usage": usage.entries() })
        }
        Outcome::Warning(text) | Outcome::Text(text) => json!({ "text": text }),
        Outcome::Named { name, text } => json!({ (*name): text }),
        Outcome::Connected { servers, session } => json!({ "servers": servers, "session": session.to_string() }),
        Outcome::History(lines) => {
            let lines: Vec<Value> = lines
                .iter()
                .map(|(number, line)| json!({ "number": number, "command": line }))
                .collect();
            json!({ "history": lines })
        }
    }
}

/// An error as a document.
pub(crate) fn error_value(error: &ShellError) -> Value {
    json!({ "error": {
        "code": error.code().map(|code| format!("{code:?}")),
        "path": error.path(),
        "message": error.to_string(),
        "hint": error.hint(),
    } })
}

fn data_value(path: &str, data: Option<&[u8]>, form: DataForm, stat: &Stat) -> Value {
    let stat = stat_value(stat);
    match (data, data.map(std::str::from_utf8)) {
        (None, _) => json!({ "path": path, "data": null, "stat": stat }),
        (_, Some(Ok(text))) if form == DataForm::Plain => json!({ "path": path, "data": text, "stat": stat }),
        (Some(data), _) => json!({ "path": path, "dataBase64": BASE64.encode(data), "stat": stat }),
    }
}

/// A stat under the names of the wire.
fn stat_value(stat: &Stat) -> Value {
    json!({
        "czxid": stat.czxid.to_string(),
        "mzxid": stat.mzxid.to_string(),
        "ctime": stat.ctime,
        "mtime": stat.mtime,
        "version": stat.version,
        "cversion": stat.cversion,
        "aversion": stat.aversion,
        "ephemeralOwner": format!("0x{:x}", stat.ephemeral_owner),
        "dataLength": stat.data_length,
        "numChildren": stat.num_children,
        "pzxid": stat.pzxid.to_string(),
    })
}
