//! Results as text, in the forms of zkCli.
//!
//! One thing is elsewhere: zkCli writes `Created PATH` to standard error, where no script can tell it from a failure; here it
//! is a result like any other.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use zebu_proto::{Acl, Stat};

use super::acl::letters;
use super::command::DataForm;
use super::outcome::Outcome;

/// Writes one result.
///
/// # Errors
/// Those of `out`.
pub(crate) fn write(outcome: &Outcome, zone: &TimeZone, out: &mut dyn Write) -> io::Result<()> {
    let stat_if = |show: bool, stat: &Stat, out: &mut dyn Write| {
        if show { write_stat(stat, zone, out) } else { Ok(()) }
    };
    match outcome {
        Outcome::Done => Ok(()),
        Outcome::Children {
            path: _,
            children,
            stat,
            show_stat,
        } => {
            writeln!(out, "[{}]", children.join(", "))?;
            stat_if(*show_stat, stat, out)
        }
        Outcome::Path(path) => writeln!(out, "{path}"),
        Outcome::Data {
            path: _,
            data,
            form,
            stat,
            show_stat,
        } => {
            write_data(data.as_deref(), *form, out)?;
            stat_if(*show_stat, stat, out)
        }
        Outcome::Stat {
            path: _,
            stat,
            show_stat,
        } => stat_if(*show_stat, stat, out),
        Outcome::Created(path) => writeln!(out, "Created {path}"),
        Outcome::Acl {
            path: _,
            acl,
            stat,
            show_stat,
        } => {
            for Acl { perms, id } in acl {
                writeln!(out, "'{},'{}\n: {}", id.scheme, id.id, letters(*perms))?;
            }
            stat_if(*show_stat, stat, out)
        }
        Outcome::Count(count) => writeln!(out, "{count}"),
        Outcome::Synced => writeln!(out, "Sync is OK"),
        Outcome::Paths(paths) => writeln!(out, "[{}]", paths.join(", ")),
        Outcome::Identities(identities) => {
            writeln!(out, "Auth scheme: User")?;
            for (scheme, user) in identities {
                writeln!(out, "{scheme}: {user}")?;
            }
            Ok(())
        }
        Outcome::Quota { path, limits, usage } => {
            writeln!(out, "Output quota for {path} {}", limits.to_text())?;
            writeln!(out, "Output stat for {path} {}", usage.to_text())
        }
        Outcome::Warning(text) => writeln!(out, "[Warning]: {text}"),
        Outcome::Text(text) | Outcome::Named { name: _, text } => writeln!(out, "{text}"),
        // The prompt shows it.
        Outcome::Connected { .. } => Ok(()),
        Outcome::History(lines) => {
            for (number, line) in lines {
                writeln!(out, "{number} - {line}")?;
            }
            Ok(())
        }
    }
}

fn write_data(data: Option<&[u8]>, form: DataForm, out: &mut dyn Write) -> io::Result<()> {
    match (data, form) {
        (None, _) => writeln!(out, "null"),
        (Some(data), DataForm::Plain) => {
            out.write_all(data)?;
            writeln!(out)
        }
        (Some(data), DataForm::Base64) => writeln!(out, "{}", BASE64.encode(data)),
        (Some(data), DataForm::Hex) => write_hex(data, out),
    }
}

/// The table that zkCli shows: 16 bytes to a line, as hex and as text.
fn write_hex(data: &[u8], out: &mut dyn Write) -> io::Result<()> {
    const RULE: &str = "+--------+-------------------------------------------------+----------------+";
    if data.is_empty() {
        return writeln!(out);
    }
    writeln!(out, "         +-------------------------------------------------+")?;
    writeln!(out, "         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |")?;
    writeln!(out, "{RULE}")?;
    for (row, bytes) in data.chunks(16).enumerate() {
        let hex: String = bytes.iter().map(|byte| format!(" {byte:02x}")).collect();
        let text: String = bytes
            .iter()
            .map(|byte| {
                if (0x20..0x7f).contains(byte) {
                    char::from(*byte)
                } else {
                    '.'
                }
            })
            .collect();
        writeln!(out, "|{:08x}|{hex:<48} |{text:<16}|", row * 16)?;
    }
    writeln!(out, "{RULE}")
}

fn write_stat(stat: &Stat, zone: &TimeZone, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "cZxid = {}", stat.czxid)?;
    writeln!(out, "ctime = {}", date(stat.ctime, zone))?;
    writeln!(out, "mZxid = {}", stat.mzxid)?;
    writeln!(out, "mtime = {}", date(stat.mtime, zone))?;
    writeln!(out, "pZxid = {}", stat.pzxid)?;
    writeln!(out, "cversion = {}", stat.cversion)?;
    writeln!(out, "dataVersion = {}", stat.version)?;
    writeln!(out, "aclVersion = {}", stat.aversion)?;
    writeln!(out, "ephemeralOwner = 0x{:x}", stat.ephemeral_owner)?;
    writeln!(out, "dataLength = {}", stat.data_length)?;
    writeln!(out, "numChildren = {}", stat.num_children)
}

/// A time as Java shows it. A server can send numbers that are no time; they are shown as they are.
fn date(ms: i64, zone: &TimeZone) -> String {
    Timestamp::from_millisecond(ms).map_or_else(
        |_| format!("{ms} ms"),
        |time| {
            let time = time.to_zoned_datetime(zone.clone());
            time.strftime("%a %b %d %H:%M:%S %Z %Y").to_string()
        },
    )
}

#[cfg(test)]
mod tests {
    use zebu_proto::{Perms, Zxid};

    use super::*;

    fn text(outcome: &Outcome) -> String {
        let mut out = Vec::new();
        write(outcome, &TimeZone::UTC, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Seen on zkCli of ZooKeeper 3.8.
    #[test]
    fn a_stat_has_the_lines_of_zk_cli() {
        let stat = Stat {
            czxid: Zxid(2),
            mzxid: Zxid(0xd),
            ctime: 1_795_448_867_000,
            mtime: 1_795_448_874_999,
            version: 2,
            cversion: 7,
            aversion: 0,
            ephemeral_owner: 0x0100_0000_1234_0001,
            data_length: 2,
            num_children: 7,
            pzxid: Zxid(0xb),
        };
        let path = "/a".into();
        assert_eq!(
            text(&Outcome::Stat {
                path,
                stat,
                show_stat: true
            }),
            "cZxid = 0x2\n\
             ctime = Mon Nov 23 15:47:47 UTC 2026\n\
             mZxid = 0xd\n\
             mtime = Mon Nov 23 15:47:54 UTC 2026\n\
             pZxid = 0xb\n\
             cversion = 7\n\
             dataVersion = 2\n\
             aclVersion = 0\n\
             ephemeralOwner = 0x100000012340001\n\
             dataLength = 2\n\
             numChildren = 7\n"
        );
    }

    #[test]
    fn a_time_that_is_none_is_shown_as_a_number() {
        assert_eq!(date(i64::MAX, &TimeZone::UTC), "9223372036854775807 ms");
        assert_eq!(date(0, &TimeZone::UTC), "Thu Jan 01 00:00:00 UTC 1970");
    }

    #[test]
    fn an_acl_has_the_lines_of_zk_cli() {
        let acl = vec![
            Acl::new(Perms::ALL, "digest", "bob:x"),
            Acl::new(Perms::READ, "world", "anyone"),
        ];
        let outcome = Outcome::Acl {
            path: "/a".into(),
            acl,
            stat: Stat::default(),
            show_stat: false,
        };
        assert_eq!(text(&outcome), "'digest,'bob:x\n: cdrwa\n'world,'anyone\n: r\n");
    }

    #[test]
    fn a_hex_dump_has_the_table_of_zk_cli() {
        let outcome = Outcome::Data {
            path: "/a".into(),
            data: Some(b"hello world, how\x00 are\xff".to_vec()),
            form: DataForm::Hex,
            stat: Stat::default(),
            show_stat: false,
        };
        let expected = [
            "         +-------------------------------------------------+",
            "         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |",
            "+--------+-------------------------------------------------+----------------+",
            "|00000000| 68 65 6c 6c 6f 20 77 6f 72 6c 64 2c 20 68 6f 77 |hello world, how|",
            "|00000010| 00 20 61 72 65 ff                               |. are.          |",
            "+--------+-------------------------------------------------+----------------+",
            "",
        ];
        assert_eq!(text(&outcome), expected.join("\n"));
    }
}
