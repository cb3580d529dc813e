//! The records of the client protocol that the generator uses, and the check of replies.
//!
//! All integers are big endian. A frame is `int32 length` and that many bytes. A string or buffer is `int32 length` and
//! its bytes. Written from the protocol's record definitions (`zookeeper.jute`: ConnectRequest, RequestHeader,
//! ReplyHeader, MultiHeader, CreateRequest, GetDataRequest, SetDataRequest, Stat).

/// Request type of `create` (RequestHeader.type).
pub const OP_CREATE: i32 = 1;
/// Request type of `getData`.
pub const OP_GET_DATA: i32 = 4;
/// Request type of `setData`.
pub const OP_SET_DATA: i32 = 5;
/// Request type of `multi`.
pub const OP_MULTI: i32 = 14;
/// Request type of `closeSession`.
pub const OP_CLOSE_SESSION: i32 = -11;

/// Error code NodeExists (ReplyHeader.err).
pub const ERR_NODE_EXISTS: i32 = -110;

/// Bytes of the length field in front of every frame.
pub const LENGTH_BYTES: usize = 4;
/// Bytes of a ReplyHeader: int xid, long zxid, int err.
pub const REPLY_HEADER_BYTES: usize = 16;
/// Bytes of a Stat: six longs (czxid, mzxid, ctime, mtime, ephemeralOwner, pzxid) and five ints.
pub const STAT_BYTES: usize = 68;
/// Bytes of a MultiHeader: int type, boolean done, int err.
const MULTI_HEADER_BYTES: usize = 9;
/// Payload of a ConnectResponse with its 16-byte password and the read-only byte.
pub const CONNECT_RESPONSE_BYTES: usize = 37;
/// Largest frame that is believed: servers take 1 MiB by default, and a read returns what was written.
pub const FRAME_BYTES_MAX: usize = 2 << 20;

/// Where the xid lies in a request frame: right behind the length.
const XID_AT: usize = LENGTH_BYTES;

/// A reply that is not the one that was due.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// Replies of one connection must come in the order of its requests.
    #[error("xid {got} where {expected} was due")]
    Xid {
        /// The xid of the oldest outstanding request.
        expected: i32,
        /// The xid that came.
        got: i32,
    },
    /// The server refused the operation.
    #[error("error code {code} for xid {xid}")]
    Refused {
        /// The request.
        xid: i32,
        /// ReplyHeader.err, or the code in the first result of a multi.
        code: i32,
    },
    /// Header zxids of one connection never go down.
    #[error("zxid {got:#x} after {before:#x}")]
    ZxidWentBack {
        /// The zxid of the reply before.
        before: i64,
        /// The zxid of this one.
        got: i64,
    },
    /// The frame is too short, too long or not of the size that the operation gives.
    #[error("frame of {got} bytes where {expected} were due (xid {xid})")]
    Size {
        /// The request, 0 if the frame is not even long enough to name one.
        xid: i32,
        /// Payload bytes that were due.
        expected: usize,
        /// Payload bytes that came.
        got: usize,
    },
    /// The data of a read has another length than what was written.
    #[error("data of {got} bytes where {expected} were due (xid {xid})")]
    DataLength {
        /// The request.
        xid: i32,
        /// Bytes that were written to the znode.
        expected: usize,
        /// Bytes that the reply announces.
        got: i32,
    },
    /// The server answered the handshake with "no such session".
    #[error("the server granted no session")]
    NoSession,
}

/// A request frame under construction.
#[derive(Debug, Clone)]
pub struct Frame {
    bytes: Vec<u8>,
}

impl Frame {
    /// A frame without a header, as the handshake uses.
    fn bare() -> Self {
        Self {
            bytes: vec![0; LENGTH_BYTES],
        }
    }

    /// A frame with RequestHeader{xid, type}.
    pub fn request(xid: i32, op: i32) -> Self {
        Self::bare().int(xid).int(op)
    }

    /// Appends an int.
    pub fn int(mut self, value: i32) -> Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Appends a long.
    pub fn long(mut self, value: i64) -> Self {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Appends a boolean.
    pub fn boolean(mut self, value: bool) -> Self {
        self.bytes.push(u8::from(value));
        self
    }

    /// Appends a buffer or a string, which are encoded alike.
    ///
    /// # Panics
    /// If it is longer than an int can say; the generator's own values are far below.
    pub fn buffer(mut self, value: &[u8]) -> Self {
        let length = i32::try_from(value.len()).expect("a value made by the generator fits an int");
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(value);
        self
    }

    /// Appends the body of a CreateRequest: a persistent znode that anyone may do anything with.
    pub fn create_body(self, path: &str, data: &[u8]) -> Self {
        self.buffer(path.as_bytes())
            .buffer(data)
            .int(1) // one ACL entry
            .int(31) // all five permissions
            .buffer(b"world")
            .buffer(b"anyone")
            .int(0) // flags: persistent
    }

    /// Appends MultiHeader{op, done = false, err = -1}, which stands before each element of a multi.
    pub fn multi_element(self, op: i32) -> Self {
        self.int(op).boolean(false).int(-1)
    }

    /// Appends the MultiHeader that ends a multi.
    pub fn multi_end(self) -> Self {
        self.int(-1).boolean(true).int(-1)
    }

    /// Bytes so far, the length field included; also the offset of what is appended next.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// A frame always holds its length field.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The finished frame, its length filled in.
    ///
    /// # Panics
    /// If the frame is longer than an int can say.
    pub fn finish(mut self) -> Vec<u8> {
        let length = i32::try_from(self.bytes.len() - LENGTH_BYTES).expect("a frame fits an int");
        self.bytes[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        self.bytes
    }
}

/// The ConnectRequest of a new session that asks for `timeout_ms`.
pub fn connect_request(timeout_ms: i32) -> Vec<u8> {
    Frame::bare()
        .int(0)
        .long(0)
        .int(timeout_ms)
        .long(0)
        .buffer(&[0; 16])
        .boolean(false)
        .finish()
}

/// The session id in the payload of a ConnectResponse.
///
/// # Errors
/// [`ReplyError::Size`] if it has another form, [`ReplyError::NoSession`] if the server refused.
pub fn session_id(payload: &[u8]) -> Result<i64, ReplyError> {
    if payload.len() != CONNECT_RESPONSE_BYTES {
        return Err(ReplyError::Size {
            xid: 0,
            expected: CONNECT_RESPONSE_BYTES,
            got: payload.len(),
        });
    }
    match long_at(payload, 8) {
        0 => Err(ReplyError::NoSession),
        id => Ok(id),
    }
}

/// A request frame whose xid and decimal number are filled in for each use.
///
/// The number stands at a fixed place with a fixed width, so that a use is a copy and a few stores.
#[derive(Debug, Clone)]
pub struct Template {
    bytes: Vec<u8>,
    number_at: usize,
    number_digits: usize,
}

impl Template {
    /// A `getData` of `<prefix><number>` without a watch.
    pub fn get(prefix: &str, number_digits: usize) -> Self {
        let frame = Frame::request(0, OP_GET_DATA);
        let number_at = frame.len() + LENGTH_BYTES + prefix.len();
        let bytes = frame
            .buffer(numbered(prefix, 0, number_digits).as_bytes())
            .boolean(false)
            .finish();
        Self {
            bytes,
            number_at,
            number_digits,
        }
    }

    /// A `setData` of `<prefix><number>`, whatever its version.
    pub fn set(prefix: &str, number_digits: usize, data: &[u8]) -> Self {
        let frame = Frame::request(0, OP_SET_DATA);
        let number_at = frame.len() + LENGTH_BYTES + prefix.len();
        let bytes = frame
            .buffer(numbered(prefix, 0, number_digits).as_bytes())
            .buffer(data)
            .int(-1)
            .finish();
        Self {
            bytes,
            number_at,
            number_digits,
        }
    }

    /// A `create` of `<prefix><number>`.
    pub fn create(prefix: &str, number_digits: usize, data: &[u8]) -> Self {
        let frame = Frame::request(0, OP_CREATE);
        let number_at = frame.len() + LENGTH_BYTES + prefix.len();
        let bytes = frame.create_body(&numbered(prefix, 0, number_digits), data).finish();
        Self {
            bytes,
            number_at,
            number_digits,
        }
    }

    /// Appends the request with this xid and number to `out`. Digits that do not fit are cut off at the left.
    pub fn push(&self, out: &mut Vec<u8>, xid: i32, number: u64) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let frame = &mut out[start..];
        frame[XID_AT..XID_AT + 4].copy_from_slice(&xid.to_be_bytes());
        let mut rest = number;
        for digit in frame[self.number_at..self.number_at + self.number_digits]
            .iter_mut()
            .rev()
        {
            *digit = b"0123456789"[usize::try_from(rest % 10).unwrap_or(0)];
            rest /= 10;
        }
    }
}

/// The path that a [`Template`] with this prefix and width makes for `number`.
pub fn numbered(prefix: &str, number: u64, digits: usize) -> String {
    format!("{prefix}{number:0digits$}")
}

/// What a reply must look like besides its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// GetDataResponse: a buffer of so many bytes, and a Stat.
    Data(usize),
    /// SetDataResponse: a Stat.
    Stat,
    /// CreateResponse: a path of so many bytes.
    Path(usize),
    /// MultiResponse of creates that all succeeded.
    Creates,
    /// Nothing.
    Empty,
}

impl Shape {
    /// Payload bytes of a whole reply of this shape, if they are fixed.
    fn payload_bytes(self) -> Option<usize> {
        match self {
            Self::Data(data) => Some(REPLY_HEADER_BYTES + LENGTH_BYTES + data + STAT_BYTES),
            Self::Stat => Some(REPLY_HEADER_BYTES + STAT_BYTES),
            Self::Path(path) => Some(REPLY_HEADER_BYTES + LENGTH_BYTES + path),
            Self::Empty => Some(REPLY_HEADER_BYTES),
            Self::Creates => None,
        }
    }
}

/// The payload length announced by the first four bytes, or `None` if there are not four yet.
///
/// # Errors
/// [`ReplyError::Size`] if no reply can be of that size.
pub fn payload_length(bytes: &[u8]) -> Result<Option<usize>, ReplyError> {
    if bytes.len() < LENGTH_BYTES {
        return Ok(None);
    }
    let announced = int_at(bytes, 0);
    match usize::try_from(announced) {
        Ok(length) if (REPLY_HEADER_BYTES..=FRAME_BYTES_MAX).contains(&length) => Ok(Some(length)),
        Ok(length) => Err(ReplyError::Size {
            xid: 0,
            expected: REPLY_HEADER_BYTES,
            got: length,
        }),
        Err(_) => Err(ReplyError::Size {
            xid: 0,
            expected: REPLY_HEADER_BYTES,
            got: 0,
        }),
    }
}

/// Xid and error code of a reply.
///
/// # Panics
/// If `payload` is shorter than a header, which [`payload_length`] rules out.
pub fn reply_header(payload: &[u8]) -> (i32, i32) {
    (int_at(payload, 0), int_at(payload, 12))
}

/// Checks one whole reply and returns its zxid.
///
/// # Errors
/// The first thing that is not as it must be.
///
/// # Panics
/// If `payload` is shorter than a header, which [`payload_length`] rules out.
pub fn check_reply(payload: &[u8], xid: i32, zxid_before: i64, shape: Shape) -> Result<i64, ReplyError> {
    let (got, code) = reply_header(payload);
    if got != xid {
        return Err(ReplyError::Xid { expected: xid, got });
    }
    if code != 0 {
        return Err(ReplyError::Refused { xid, code });
    }
    let zxid = long_at(payload, 4);
    if zxid < zxid_before {
        return Err(ReplyError::ZxidWentBack {
            before: zxid_before,
            got: zxid,
        });
    }
    if let Some(expected) = shape.payload_bytes()
        && payload.len() != expected
    {
        return Err(ReplyError::Size {
            xid,
            expected,
            got: payload.len(),
        });
    }
    match shape {
        Shape::Data(expected) => {
            let got = int_at(payload, REPLY_HEADER_BYTES);
            if usize::try_from(got) != Ok(expected) {
                return Err(ReplyError::DataLength { xid, expected, got });
            }
        }
        Shape::Creates => check_creates(payload, xid)?,
        Shape::Stat | Shape::Path(_) | Shape::Empty => {}
    }
    Ok(zxid)
}

/// A multi fails as a whole: then its header still says 0 and every result is of type -1. So the first one tells.
fn check_creates(payload: &[u8], xid: i32) -> Result<(), ReplyError> {
    let expected = REPLY_HEADER_BYTES + MULTI_HEADER_BYTES;
    if payload.len() < expected {
        return Err(ReplyError::Size {
            xid,
            expected,
            got: payload.len(),
        });
    }
    let code = int_at(payload, REPLY_HEADER_BYTES + 5);
    if int_at(payload, REPLY_HEADER_BYTES) != OP_CREATE || code != 0 {
        return Err(ReplyError::Refused { xid, code });
    }
    Ok(())
}

fn int_at(bytes: &[u8], at: usize) -> i32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[at..at + 4]);
    i32::from_be_bytes(field)
}

fn long_at(bytes: &[u8], at: usize) -> i64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    i64::from_be_bytes(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_request_is_45_bytes_behind_its_length() {
        let frame = connect_request(10_000);
        assert_eq!(frame.len(), 49);
        assert_eq!(frame[..4], [0, 0, 0, 45]);
        assert_eq!(frame[16..20], 10_000_i32.to_be_bytes());
        assert_eq!(frame[28..32], [0, 0, 0, 16]);
        assert_eq!(frame[48], 0);
    }

    #[test]
    fn a_template_fills_in_xid_and_number() {
        let mut out = vec![0xff];
        Template::get("/b/", 4).push(&mut out, 0x0102_0304, 42);
        let mut expected = vec![0xff, 0, 0, 0, 20, 1, 2, 3, 4, 0, 0, 0, 4, 0, 0, 0, 7];
        expected.extend_from_slice(b"/b/0042\0");
        assert_eq!(out, expected);
    }

    #[test]
    fn a_set_has_data_and_any_version_behind_its_path() {
        let mut out = Vec::new();
        Template::set("/b/", 2, b"xyz").push(&mut out, 1, 7);
        let mut expected = vec![0, 0, 0, 28, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 5];
        expected.extend_from_slice(b"/b/07\0\0\0\x03xyz\xff\xff\xff\xff");
        assert_eq!(out, expected);
    }

    #[test]
    fn a_multi_of_one_create_ends_with_its_terminator() {
        let frame = Frame::request(9, OP_MULTI)
            .multi_element(OP_CREATE)
            .create_body("/a", b"d")
            .multi_end()
            .finish();
        assert_eq!(frame[4..12], [0, 0, 0, 9, 0, 0, 0, 14]);
        assert_eq!(frame[12..21], [0, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(
            frame[frame.len() - 9..],
            [0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff]
        );
    }

    /// A reply with this header and body.
    fn reply(xid: i32, zxid: i64, err: i32, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&xid.to_be_bytes());
        bytes.extend_from_slice(&zxid.to_be_bytes());
        bytes.extend_from_slice(&err.to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn a_good_reply_gives_its_zxid() {
        assert_eq!(check_reply(&reply(3, 8, 0, &[0; STAT_BYTES]), 3, 8, Shape::Stat), Ok(8));
        let mut data = vec![0, 0, 0, 2, b'h', b'i'];
        data.extend_from_slice(&[0; STAT_BYTES]);
        assert_eq!(check_reply(&reply(3, 9, 0, &data), 3, 8, Shape::Data(2)), Ok(9));
    }

    #[test]
    fn every_kind_of_wrong_reply_is_noticed() {
        let stat = [0; STAT_BYTES];
        let check = |bytes: &[u8], shape| check_reply(bytes, 3, 8, shape).unwrap_err();
        assert_eq!(
            check(&reply(4, 8, 0, &stat), Shape::Stat),
            ReplyError::Xid { expected: 3, got: 4 }
        );
        assert_eq!(
            check(&reply(3, 8, -101, &[]), Shape::Stat),
            ReplyError::Refused { xid: 3, code: -101 }
        );
        assert_eq!(
            check(&reply(3, 7, 0, &stat), Shape::Stat),
            ReplyError::ZxidWentBack { before: 8, got: 7 }
        );
        assert_eq!(
            check(&reply(3, 8, 0, &stat[1..]), Shape::Stat),
            ReplyError::Size {
                xid: 3,
                expected: 84,
                got: 83
            }
        );
        let mut null = vec![0xff; 4];
        null.extend_from_slice(&[0; STAT_BYTES + 2]);
        assert_eq!(
            check(&reply(3, 8, 0, &null), Shape::Data(2)),
            ReplyError::DataLength {
                xid: 3,
                expected: 2,
                got: -1
            }
        );
        let mut failed = vec![0xff, 0xff, 0xff, 0xff, 0];
        failed.extend_from_slice(&(-110_i32).to_be_bytes());
        assert_eq!(
            check(&reply(3, 8, 0, &failed), Shape::Creates),
            ReplyError::Refused { xid: 3, code: -110 }
        );
        assert_eq!(
            check(&reply(3, 8, 0, &[]), Shape::Creates),
            ReplyError::Size {
                xid: 3,
                expected: 25,
                got: 16
            }
        );
    }

    #[test]
    fn absurd_lengths_are_refused_before_anything_is_read() {
        assert_eq!(payload_length(&[0, 0, 0]), Ok(None));
        assert_eq!(payload_length(&[0, 0, 0, 16]), Ok(Some(16)));
        assert!(payload_length(&[0, 0, 0, 15]).is_err());
        assert!(payload_length(&[0x7f, 0, 0, 0]).is_err());
        assert!(payload_length(&[0xff, 0xff, 0xff, 0xff]).is_err());
    }

    #[test]
    fn a_refused_handshake_is_an_error() {
        let mut payload = vec![0; CONNECT_RESPONSE_BYTES];
        assert_eq!(session_id(&payload), Err(ReplyError::NoSession));
        payload[15] = 5;
        assert_eq!(session_id(&payload), Ok(5));
        assert!(session_id(&payload[1..]).is_err());
    }
}
