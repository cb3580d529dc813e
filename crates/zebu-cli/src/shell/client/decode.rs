//! Answers as values.

use zebu_proto::client::MultiHeader;
use zebu_proto::jute::{DecodeError, DecodeErrorKind, Reader};
use zebu_proto::{Acl, AclList, Stat};

/// Reads a vector of strings; null reads as empty.
pub(crate) fn strings(reader: &mut Reader<'_>, field: &'static str) -> Result<Vec<String>, DecodeError> {
    let count = reader.count(field)?.unwrap_or(0);
    let mut strings = Vec::with_capacity(reader.capacity(count, 4));
    for _ in 0..count {
        strings.push(reader.required_string(field)?.into_owned());
    }
    Ok(strings)
}

/// The data of a node, `None` for null, and its stat.
pub(crate) fn data(body: &[u8]) -> Result<(Option<Vec<u8>>, Stat), DecodeError> {
    let mut reader = Reader::new(body);
    let data = reader.buffer("data")?.map(<[u8]>::to_vec);
    Ok((data, Stat::decode(&mut reader)?))
}

/// An ACL and the stat of its node.
pub(crate) fn acl(body: &[u8]) -> Result<(Vec<Acl>, Stat), DecodeError> {
    let mut reader = Reader::new(body);
    let acl = AclList::decode(&mut reader)?.map_or_else(Vec::new, |list| list.to_vec());
    Ok((acl, Stat::decode(&mut reader)?))
}

/// Names of children and the stat of their parent.
pub(crate) fn children(body: &[u8]) -> Result<(Vec<String>, Stat), DecodeError> {
    let mut reader = Reader::new(body);
    let children = strings(&mut reader, "children")?;
    Ok((children, Stat::decode(&mut reader)?))
}

/// The identities of a connection: scheme and user.
pub(crate) fn identities(body: &[u8]) -> Result<Vec<(String, String)>, DecodeError> {
    let mut reader = Reader::new(body);
    let count = reader.count("clientInfo")?.unwrap_or(0);
    let mut identities = Vec::with_capacity(reader.capacity(count, 8));
    for _ in 0..count {
        let scheme = reader.required_string("authScheme")?.into_owned();
        let user = reader.required_string("user")?.into_owned();
        identities.push((scheme, user));
    }
    Ok(identities)
}

/// The results of a multi that only deletes: the index and the code of the element that failed, if one did. The others
/// then carry 0 (before it) or RuntimeInconsistency (behind it).
pub(crate) fn deletes(body: &[u8]) -> Result<Option<(usize, i32)>, DecodeError> {
    let mut reader = Reader::new(body);
    let mut failed = None;
    for index in 0.. {
        let header = MultiHeader::decode(&mut reader)?;
        if header.done {
            break;
        }
        match header.kind {
            -1 => {
                let code = reader.int("err")?;
                if code != 0 && failed.is_none() {
                    failed = Some((index, code));
                }
            }
            2 => {}
            other => return Err(reader.error("type", DecodeErrorKind::Unknown(other))),
        }
    }
    Ok(failed)
}

#[cfg(test)]
mod tests {
    use zebu_proto::jute::Write;

    use super::*;

    fn results(elements: &[(i32, i32)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for &(kind, err) in elements {
            MultiHeader { kind, done: false, err }.encode(&mut bytes);
            if kind == -1 {
                bytes.int(err);
            }
        }
        MultiHeader::END.encode(&mut bytes);
        bytes
    }

    #[test]
    fn the_first_failure_of_a_multi_is_found() {
        assert_eq!(deletes(&results(&[])).unwrap(), None);
        assert_eq!(deletes(&results(&[(2, 0), (2, 0)])).unwrap(), None);
        assert_eq!(
            deletes(&results(&[(-1, 0), (-1, -111), (-1, -2)])).unwrap(),
            Some((1, -111))
        );
        assert!(deletes(&results(&[(7, 0)])).is_err());
    }

    #[test]
    fn answers_cut_anywhere_are_errors_and_never_panics() {
        let mut bytes = Vec::new();
        bytes.int(2);
        bytes.string("a");
        bytes.string("b");
        Stat::default().encode(&mut bytes);
        for end in 0..bytes.len() {
            assert!(children(&bytes[..end]).is_err(), "{end}");
        }
        assert_eq!(children(&bytes).unwrap().0, ["a", "b"]);
        // A count that memory could not hold.
        assert!(children(&i32::MAX.to_be_bytes()).is_err());
        assert!(identities(&i32::MAX.to_be_bytes()).is_err());
        assert!(acl(&i32::MAX.to_be_bytes()).is_err());
        assert!(data(&i32::MAX.to_be_bytes()).is_err());
        assert!(deletes(&results(&[(2, 0)])[..10]).is_err());
    }
}
