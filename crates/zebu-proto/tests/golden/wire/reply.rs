//! The records of replies.

use zebu_proto::client::MultiHeader;
use zebu_proto::jute::{Reader, Write};
use zebu_proto::{AclList, ErrorCode, OpCode, Stat};

use super::super::fixture::hex;

/// What stands behind the header of a successful reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    Nothing,
    /// CreateResponse, SyncResponse; the path may be null.
    Path(Option<&'a str>),
    /// Create2Response.
    Created(&'a str, Stat),
    /// ExistsResponse, SetDataResponse, SetACLResponse.
    Stat(Stat),
    /// GetDataResponse.
    Data(Option<&'a [u8]>, Stat),
    /// GetACLResponse.
    Acl(AclList, Stat),
    /// GetChildrenResponse, GetEphemeralsResponse.
    Names(&'a [&'a str]),
    /// GetChildren2Response.
    NamesAndStat(&'a [&'a str], Stat),
    /// GetAllChildrenNumberResponse, ErrorResponse.
    Int(i32),
    /// SetSASLResponse.
    Token(Option<&'a [u8]>),
    /// WhoAmIResponse: scheme and user.
    Clients(&'a [(&'a str, &'a str)]),
    /// MultiResponse.
    Results(Vec<(OpCode, Self)>),
    /// Within a multi: an element without result, or one that failed.
    Failed(i32),
}

impl Body<'_> {
    /// Reads the bytes as this kind of record, compares, writes it again, compares.
    #[track_caller]
    pub(crate) fn check(&self, bytes: &[u8]) {
        let mut reader = Reader::new(bytes);
        self.check_record(&mut reader);
        assert!(reader.is_at_end(), "bytes behind {self:?}");
        let mut again = Vec::new();
        self.encode(&mut again);
        assert_eq!(hex(&again), hex(bytes));
    }

    #[track_caller]
    fn check_record(&self, reader: &mut Reader<'_>) {
        match self {
            Self::Nothing => {}
            Self::Path(path) => assert_eq!(reader.string("path").unwrap().as_deref(), *path),
            Self::Created(path, stat) => {
                assert_eq!(reader.required_string("path").unwrap(), *path);
                assert_eq!(Stat::decode(reader).unwrap(), *stat);
            }
            Self::Stat(stat) => assert_eq!(Stat::decode(reader).unwrap(), *stat),
            Self::Data(data, stat) => {
                assert_eq!(reader.buffer("data").unwrap(), *data);
                assert_eq!(Stat::decode(reader).unwrap(), *stat);
            }
            Self::Acl(acl, stat) => {
                assert_eq!(AclList::decode(reader).unwrap().as_ref(), Some(acl));
                assert_eq!(Stat::decode(reader).unwrap(), *stat);
            }
            Self::Names(names) => check_names(reader, names),
            Self::NamesAndStat(names, stat) => {
                check_names(reader, names);
                assert_eq!(Stat::decode(reader).unwrap(), *stat);
            }
            Self::Int(number) => assert_eq!(reader.int("number").unwrap(), *number),
            Self::Token(token) => assert_eq!(reader.buffer("token").unwrap(), *token),
            Self::Clients(clients) => {
                assert_eq!(reader.count("clientInfo").unwrap(), Some(clients.len()));
                for (scheme, user) in *clients {
                    assert_eq!(reader.required_string("authScheme").unwrap(), *scheme);
                    assert_eq!(reader.required_string("user").unwrap(), *user);
                }
            }
            Self::Results(results) => {
                for (op, body) in results {
                    assert_eq!(MultiHeader::decode(reader).unwrap(), body.multi_header(*op));
                    body.check_record(reader);
                }
                assert_eq!(MultiHeader::decode(reader).unwrap(), MultiHeader::END);
            }
            Self::Failed(code) => assert_eq!(reader.int("err").unwrap(), *code),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nothing => {}
            Self::Path(path) => out.optional_string(*path),
            Self::Created(path, stat) => {
                out.string(path);
                stat.encode(out);
            }
            Self::Stat(stat) => stat.encode(out),
            Self::Data(data, stat) => {
                out.buffer(*data);
                stat.encode(out);
            }
            Self::Acl(acl, stat) => {
                acl.encode(out);
                stat.encode(out);
            }
            Self::Names(names) => encode_names(out, names),
            Self::NamesAndStat(names, stat) => {
                encode_names(out, names);
                stat.encode(out);
            }
            Self::Int(number) | Self::Failed(number) => out.int(*number),
            Self::Token(token) => out.buffer(*token),
            Self::Clients(clients) => {
                out.length(clients.len());
                for (scheme, user) in *clients {
                    out.string(scheme);
                    out.string(user);
                }
            }
            Self::Results(results) => {
                for (op, body) in results {
                    body.multi_header(*op).encode(out);
                    body.encode(out);
                }
                MultiHeader::END.encode(out);
            }
        }
    }

    fn multi_header(&self, op: OpCode) -> MultiHeader {
        let err = if let Self::Failed(code) = self { *code } else { 0 };
        MultiHeader {
            kind: op.code(),
            done: false,
            err,
        }
    }
}

/// A failed element of a multi.
pub(crate) fn failed(code: ErrorCode) -> (OpCode, Body<'static>) {
    (OpCode::Error, Body::Failed(code.code()))
}

#[track_caller]
fn check_names(reader: &mut Reader<'_>, names: &[&str]) {
    assert_eq!(reader.count("children").unwrap(), Some(names.len()));
    for name in names {
        assert_eq!(reader.required_string("child").unwrap(), *name);
    }
}

fn encode_names(out: &mut Vec<u8>, names: &[&str]) {
    out.length(names.len());
    names.iter().for_each(|name| out.string(name));
}
