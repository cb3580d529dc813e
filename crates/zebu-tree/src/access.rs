//! Who may do what: matching of identities, and what ACLs a client may set.
//!
//! Source: `org.apache.zookeeper.server.ZooKeeperServer.checkACL`, `PrepRequestProcessor.fixupACL`, the classes of
//! `org.apache.zookeeper.server.auth`.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use zebu_proto::{Acl, AclList, Id, Perms, RequestedAcl};

use crate::Settings;

/// The scheme that grants everything to those who have it.
pub const SUPER: &str = "super";
/// The scheme of addresses.
pub const IP: &str = "ip";
/// The scheme of names with passwords.
pub const DIGEST: &str = "digest";

/// Whether a connection with these identities gets any of the wanted permissions from this ACL.
#[must_use]
pub fn permits(acl: &AclList, wanted: Perms, ids: &[Id], settings: &Settings) -> bool {
    let Some(entries) = acl.entries() else { return true };
    if settings.skip_acl || entries.is_empty() || ids.iter().any(|id| id.scheme == SUPER) {
        return true;
    }
    entries
        .iter()
        .any(|entry| entry.perms.grants(wanted) && matches_any(&entry.id, ids, settings))
}

fn matches_any(entry: &Id, ids: &[Id], settings: &Settings) -> bool {
    match entry.scheme.as_str() {
        "world" => entry.id == "anyone",
        IP => ids
            .iter()
            .any(|id| id.scheme == IP && address_matches(&entry.id, &id.id)),
        DIGEST => settings.digest_scheme && ids.contains(entry),
        // No provider is configured for any other scheme.
        _ => false,
    }
}

/// The ACL that is stored for the one a client asked for: without duplicates, with `auth` expanded. `None` if it is
/// not acceptable.
#[must_use]
pub fn fixup(requested: &RequestedAcl, ids: &[Id], settings: &Settings) -> Option<AclList> {
    let RequestedAcl::List(list) = requested else {
        return None;
    };
    let Some(entries) = list.entries() else {
        return Some(AclList::OPEN);
    };
    if entries.is_empty() {
        return None;
    }
    let mut seen: Vec<&Acl> = Vec::with_capacity(entries.len());
    let mut fixed = Vec::with_capacity(entries.len());
    for entry in entries {
        if seen.contains(&entry) {
            continue;
        }
        seen.push(entry);
        match entry.id.scheme.as_str() {
            "world" if entry.id.id == "anyone" => fixed.push(entry.clone()),
            "auth" => {
                let before = fixed.len();
                let authenticated = ids.iter().filter(|id| id.scheme == DIGEST && settings.digest_scheme);
                fixed.extend(authenticated.map(|id| Acl {
                    perms: entry.perms,
                    id: id.clone(),
                }));
                if fixed.len() == before {
                    return None;
                }
            }
            DIGEST if settings.digest_scheme && is_digest_id(&entry.id.id) => fixed.push(entry.clone()),
            IP if parse_network(&entry.id.id).is_some() => fixed.push(entry.clone()),
            _ => return None,
        }
    }
    Some(AclList::new(fixed))
}

/// The ACL as it is shown to somebody who may read but not administer: without the hashes of passwords.
#[must_use]
pub fn masked(acl: &AclList) -> AclList {
    let Some(entries) = acl.entries() else {
        return AclList::OPEN;
    };
    let mask = |entry: &Acl| match entry.id.id.split_once(':') {
        Some((user, _)) if entry.id.scheme == DIGEST => {
            let mut id = String::from(user);
            id.push_str(":x");
            Acl {
                perms: entry.perms,
                id: Id {
                    scheme: entry.id.scheme.clone(),
                    id,
                },
            }
        }
        _ => entry.clone(),
    };
    AclList::new(entries.iter().map(mask).collect())
}

/// Java splits at each colon, drops empty parts at the end, and wants two parts.
fn is_digest_id(id: &str) -> bool {
    id.trim_end_matches(':').split(':').count() == 2
}

/// Whether `address` lies in the network that an ACL names.
fn address_matches(network: &str, address: &str) -> bool {
    let Some((network, bits)) = parse_network(network) else {
        return false;
    };
    let Some(address) = parse_address(address) else {
        return false;
    };
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            network.to_bits() & mask == address.to_bits() & mask
        }
        _ => false,
    }
}

/// `address` or `address/bits`, with the bits within the address's length.
fn parse_network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address = parse_address(address)?;
    let bits_max = if address.is_ipv4() { 32 } else { 128 };
    match bits {
        None => Some((address, bits_max)),
        Some(bits) => bits
            .parse()
            .ok()
            .filter(|bits| *bits <= bits_max)
            .map(|bits| (address, bits)),
    }
}

/// As Java reads them: parts of an IPv4 address may have a sign and leading zeros, and one that is written as an IPv6
/// address is none.
fn parse_address(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        let address = text.parse::<Ipv6Addr>().ok();
        return address
            .filter(|address| address.to_ipv4_mapped().is_none())
            .map(IpAddr::V6);
    }
    let mut parts = text.split('.').map(|part| part.parse::<u8>().ok());
    let mut octets = [0; 4];
    for octet in &mut octets {
        *octet = parts.next()??;
    }
    if parts.next().is_some() {
        None
    } else {
        Some(IpAddr::from(octets))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn check_ip(acl: &str, address: &str, expected: bool) {
        let list = AclList::new(vec![Acl::new(Perms::READ, IP, acl)]);
        assert_eq!(
            permits(&list, Perms::READ, &[Id::new(IP, address)], &Settings::default()),
            expected,
            "{acl} {address}"
        );
    }

    #[test]
    fn networks_match_by_their_leading_bits() {
        check_ip("10.1.2.3", "10.1.2.3", true);
        check_ip("10.1.2.3", "10.1.2.4", false);
        check_ip("10.0.0.0/8", "10.9.9.9", true);
        check_ip("10.0.0.0/8", "11.0.0.0", false);
        check_ip("0.0.0.0/0", "1.2.3.4", true);
        check_ip("::/0", "1.2.3.4", false);
        check_ip("fe80::/10", "fe80::1", true);
        check_ip("::1", "0:0:0:0:0:0:0:1", true);
        check_ip("::1/128", "::2", false);
    }

    fn fixed(scheme: &str, id: &str, ids: &[Id]) -> Option<Vec<Acl>> {
        let requested = RequestedAcl::List(AclList::new(vec![Acl::new(Perms::ALL, scheme, id)]));
        fixup(&requested, ids, &Settings::default()).map(|list| list.to_vec())
    }

    #[test]
    fn what_may_be_set() {
        for (scheme, id, valid) in [
            ("world", "anyone", true),
            ("world", "me", false),
            ("digest", "bob:hash", true),
            ("digest", ":hash", true),
            ("digest", "bob", false),
            ("digest", "bob:", false),
            ("digest", "a:b:c", false),
            ("digest", "a:b:", true),
            ("ip", "127.0.0.1", true),
            ("ip", "127.0.0.1/33", false),
            ("ip", "127.0.0.256", false),
            ("ip", "127.0.0", false),
            ("ip", "::1/128", true),
            ("ip", "::1/129", false),
            ("ip", "::ffff:127.0.0.1", false),
            ("super", "x", false),
            ("x509", "CN=a", false),
            ("", "", false),
        ] {
            assert_eq!(fixed(scheme, id, &[]).is_some(), valid, "{scheme}:{id}");
        }
    }

    #[test]
    fn auth_becomes_the_identities_that_a_client_proved() {
        assert_eq!(fixed("auth", "", &[Id::new(IP, "127.0.0.1")]), None);
        let bob = Id::new(DIGEST, "bob:h");
        let expanded = fixed(
            "auth",
            "ignored",
            &[Id::new(IP, "127.0.0.1"), bob.clone(), Id::new(SUPER, "")],
        )
        .unwrap();
        assert_eq!(
            expanded,
            [Acl {
                perms: Perms::ALL,
                id: bob
            }]
        );
    }

    #[test]
    fn duplicates_go_and_null_lists_are_refused() {
        let entry = Acl::new(Perms::READ, "ip", "1.2.3.4");
        let requested = RequestedAcl::List(AclList::new(vec![entry.clone(), entry.clone()]));
        assert_eq!(fixup(&requested, &[], &Settings::default()).unwrap().to_vec(), [entry]);
        assert_eq!(fixup(&RequestedAcl::Invalid, &[], &Settings::default()), None);
        assert_eq!(
            fixup(&RequestedAcl::List(AclList::new(vec![])), &[], &Settings::default()),
            None
        );
    }

    #[test]
    fn super_may_do_everything_and_an_empty_acl_refuses_nobody() {
        let closed = AclList::new(vec![Acl::new(Perms::READ, DIGEST, "bob:h")]);
        let settings = Settings::default();
        assert!(!permits(&closed, Perms::READ, &[], &settings));
        assert!(permits(&closed, Perms::WRITE, &[Id::new(SUPER, "")], &settings));
        assert!(permits(&closed, Perms::READ, &[Id::new(DIGEST, "bob:h")], &settings));
        assert!(!permits(&closed, Perms::WRITE, &[Id::new(DIGEST, "bob:h")], &settings));
        assert!(permits(&AclList::new(vec![]), Perms::WRITE, &[], &settings));
    }

    #[test]
    fn hashes_are_masked() {
        let acl = AclList::new(vec![
            Acl::new(Perms::READ, DIGEST, "bob:h:h"),
            Acl::new(Perms::READ, IP, "::1"),
        ]);
        let shown = masked(&acl).to_vec();
        assert_eq!(shown[0].id.id, "bob:x");
        assert_eq!(shown[1].id.id, "::1");
    }
}
