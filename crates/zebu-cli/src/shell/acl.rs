//! ACLs as text: `world:anyone:r,digest:bob:HASH:cdrwa`.

use thiserror::Error;
use zebu_proto::{Acl, Perms};

/// A text that is no ACL.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(crate) enum AclError {
    /// An entry without its two colons.
    #[error("{0:?} is not of the form scheme:id:perms")]
    Form(String),
    /// A letter that stands for no permission.
    #[error("{letter:?} in {entry:?} is not a permission")]
    Perm {
        /// The letter.
        letter: char,
        /// The entry that it stands in.
        entry: String,
    },
}

/// Permissions by letter, in the order in which they are shown.
const LETTERS: [(char, Perms); 5] = [
    ('c', Perms::CREATE),
    ('d', Perms::DELETE),
    ('r', Perms::READ),
    ('w', Perms::WRITE),
    ('a', Perms::ADMIN),
];

/// Reads entries separated by commas. The id goes from the first colon to the last, and may hold others.
///
/// # Errors
/// Where zkCli leaves out what it does not understand: an ACL with less in it than was meant is no small matter.
pub(crate) fn parse(text: &str) -> Result<Vec<Acl>, AclError> {
    text.split(',').map(parse_entry).collect()
}

fn parse_entry(entry: &str) -> Result<Acl, AclError> {
    let form = || AclError::Form(entry.into());
    let (scheme, rest) = entry.split_once(':').ok_or_else(form)?;
    let (id, letters) = rest.rsplit_once(':').ok_or_else(form)?;
    let mut perms = Perms::default();
    for letter in letters.chars() {
        let known = LETTERS.iter().find(|(known, _)| *known == letter);
        let (_, perm) = known.ok_or_else(|| AclError::Perm {
            letter,
            entry: entry.into(),
        })?;
        perms = perms.union(*perm);
    }
    Ok(Acl::new(perms, scheme, id))
}

/// Permissions as letters.
pub(crate) fn letters(perms: Perms) -> String {
    LETTERS
        .iter()
        .filter(|(_, perm)| perms.grants(*perm))
        .map(|(letter, _)| *letter)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_their_meaning() {
        assert_eq!(
            parse("world:anyone:r,digest:bob:ab=:cdrwa,ip:::1:rw,auth::a").unwrap(),
            [
                Acl::new(Perms::READ, "world", "anyone"),
                Acl::new(Perms::ALL, "digest", "bob:ab="),
                Acl::new(Perms(3), "ip", "::1"),
                Acl::new(Perms::ADMIN, "auth", ""),
            ]
        );
        assert_eq!(letters(Perms::ALL), "cdrwa");
        assert_eq!(letters(Perms(0)), "");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (text, error) in [
            ("", AclError::Form(String::new())),
            ("world:anyone", AclError::Form("world:anyone".into())),
            ("world:anyone:r,", AclError::Form(String::new())),
            (
                "world:anyone:xr",
                AclError::Perm {
                    letter: 'x',
                    entry: "world:anyone:xr".into(),
                },
            ),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }
}
