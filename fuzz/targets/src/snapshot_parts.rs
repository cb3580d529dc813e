//! Node records and ACLs as they stand in a snapshot.

use zebu_proto::jute::Reader;
use zebu_proto::snapshot::{NodeRecord, encode_node};
use zebu_proto::{AclList, Value};

/// What decodes reads back as written.
pub fn run(bytes: &[u8]) {
    check_nodes(bytes);
    check_acl(bytes);
}

fn check_nodes(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    while let Ok(Some(node)) = NodeRecord::decode(&mut reader) {
        let mut again = Vec::new();
        let data = Value::from_option(node.data);
        encode_node(&mut again, &node.path, &data, node.acl_key, &node.stat);
        assert_eq!(NodeRecord::decode(&mut Reader::new(&again)), Ok(Some(node)));
    }
}

fn check_acl(bytes: &[u8]) {
    if let Ok(Some(acl)) = AclList::decode(&mut Reader::new(bytes)) {
        let mut again = Vec::new();
        acl.encode(&mut again);
        assert_eq!(
            AclList::decode(&mut Reader::new(&again)).as_ref(),
            Ok(&Some(acl.clone()))
        );
        assert_eq!(AclList::new(acl.to_vec()), acl);
    }
}
