//! The first frame of a connection in either direction, without its length.

use zebu_proto::client::{ConnectRequest, ConnectResponse};

/// What decodes reads back as written.
pub fn run(bytes: &[u8]) {
    if let Ok(request) = ConnectRequest::decode(bytes) {
        let mut again = Vec::new();
        request.encode(&mut again);
        assert_eq!(ConnectRequest::decode(&again).as_ref(), Ok(&request));
    }
    if let Ok(response) = ConnectResponse::decode(bytes) {
        let mut again = Vec::new();
        response.encode(&mut again);
        assert_eq!(ConnectResponse::decode(&again), Ok(response));
    }
}
