//! ACLs and identities: networks, digests, and whatever else clients write into an ACL.

use zebu_node::auth::{AuthConfig, DigestAlgorithm, authenticate, digest, user_name};
use zebu_proto::{Acl, AclList, Id, Perms, RequestedAcl};
use zebu_tree::{Settings, access};

/// Each line is `scheme:id`, once as an entry of an ACL and once as an identity of a client.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let ids: Vec<Id> = text.lines().map(id).collect();
    let settings = Settings::default();
    for id in &ids {
        check_authentication(id);
        check_entry(id, &ids, &settings);
    }
    let entries = ids.iter().map(|id| Acl {
        perms: Perms::ALL,
        id: id.clone(),
    });
    check_list(AclList::new(entries.collect()), &ids, &settings);
}

fn id(line: &str) -> Id {
    let (scheme, id) = line.split_once(':').unwrap_or((line, ""));
    Id::new(scheme, id)
}

fn check_authentication(id: &Id) {
    let config = AuthConfig {
        super_digest: Some(digest(DigestAlgorithm::Sha1, "super:secret")),
        ..AuthConfig::default()
    };
    let proved = authenticate(&config, &id.scheme, Some(id.id.as_bytes()), "127.0.0.1");
    for id in proved.unwrap_or_default() {
        assert!(id.id.starts_with(user_name(&id)));
    }
}

fn check_entry(id: &Id, ids: &[Id], settings: &Settings) {
    let entry = Acl {
        perms: Perms::READ,
        id: id.clone(),
    };
    check_list(AclList::new(vec![entry]), ids, settings);
}

fn check_list(list: AclList, ids: &[Id], settings: &Settings) {
    let masked = access::masked(&list);
    assert_eq!(access::masked(&masked), masked);
    let is_permitted = access::permits(&list, Perms::READ, ids, settings);
    assert!(
        is_permitted || !access::permits(&list, Perms::READ, &[], settings),
        "more identities, fewer rights"
    );
    let Some(fixed) = access::fixup(&RequestedAcl::List(list), ids, settings) else {
        return;
    };
    assert!(!fixed.is_empty());
    let again = access::fixup(&RequestedAcl::List(fixed.clone()), ids, settings);
    // `auth` stands for identities of clients, and these are not held to the form that clients must keep to.
    if !ids.iter().any(|id| id.scheme == "auth") {
        assert_eq!(again, Some(fixed));
    }
}
