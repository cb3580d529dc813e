//! The client protocol: what travels on the client port, without the length in front of each frame.
//!
//! | frame | payload |
//! |---|---|
//! | first, client to server | [`ConnectRequest`] |
//! | first, server to client | [`ConnectResponse`] |
//! | later, client to server | [`RequestHeader`], then the [`Request`]'s record |
//! | later, server to client | [`ReplyHeader`], then a record, absent on error |

mod connect;
mod event;
mod multi;
mod reply;
mod request;

pub use connect::{ConnectRequest, ConnectResponse};
pub use event::{EventType, WatchedEvent};
pub use multi::{MultiHeader, MultiOp, MultiRequest};
pub use reply::ReplyHeader;
pub use request::{AddWatchMode, CreateRequest, Request, RequestHeader, SetWatches, WatcherType};

/// Largest frame that a server reads unless configured otherwise, bytes (`jute.maxbuffer`).
pub const FRAME_BYTES_MAX: usize = 0xf_ffff;
