//! Answers to reads, as replicas send them on channel 1.
//!
//! A payload is `u32 n (little-endian) | n bytes of header | body`. The header is a MessagePack map
//! tagged by `kind`; the body is in the flat update codec (`hw_types::flat`):
//!
//! * `peek`: `uuid` (16 bytes), `last` (whether this process has said all), `error` (nil, or a map of
//!   `sqlstate` and `message`; nothing follows it), `canceled`. Body: rows with diffs, times ignored.
//! * `subscribe`: `id` (the sink export's global id), `lower`, `upper` (frontiers, nil is the empty
//!   one), `errors` (bytes at the body's end that are a second flat batch, of the error half).
//!   Body: the updates at times in `[lower, upper)`.
//!
//! Each *process* of a replica answers for its workers; a replica has answered when all have.

use bytes::{Buf, Bytes};
use hw_types::flat::{FlatError, Updates};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What makes a read fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadError {
    /// Five characters.
    pub sqlstate: String,
    /// Lower case, no full stop.
    pub message: String,
}

impl ReadError {
    /// An error of this code and text.
    pub fn new(sqlstate: &str, message: impl Into<String>) -> Self {
        ReadError { sqlstate: sqlstate.to_owned(), message: message.into() }
    }
}

/// The header of a response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Header {
    /// A part of the answer to a peek.
    Peek {
        /// Which.
        #[serde(with = "serde_bytes")]
        uuid: Vec<u8>,
        /// Whether this process has said all.
        last: bool,
        /// Why there are no rows.
        #[serde(default)]
        error: Option<ReadError>,
        /// Whether it was given up.
        #[serde(default)]
        canceled: bool,
    },
    /// The updates of a time range.
    Subscribe {
        /// The sink export.
        id: String,
        /// Where the range begins.
        lower: Option<u64>,
        /// Where it ends; from here on more may come.
        upper: Option<u64>,
        /// Bytes of the error half at the end of the body.
        #[serde(default)]
        errors: usize,
    },
}

/// Why a payload is not a response.
#[derive(Debug, Error)]
pub enum ResponseError {
    /// Shorter than it says.
    #[error("response is truncated")]
    Truncated,
    /// The header is of another version.
    #[error("response header: {0}")]
    Header(#[from] rmp_serde::decode::Error),
    /// The rows are not rows.
    #[error("response body: {0}")]
    Body(#[from] FlatError),
}

/// Puts a response together.
pub fn encode(header: &Header, body: &[u8]) -> Bytes {
    let header = rmp_serde::to_vec_named(header).expect("plain data always encodes");
    let length = u32::try_from(header.len()).expect("headers are small");
    let mut out = Vec::with_capacity(4 + header.len() + body.len());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(body);
    out.into()
}

/// Takes a response apart.
pub fn decode(mut payload: Bytes) -> Result<(Header, Bytes), ResponseError> {
    if payload.len() < 4 {
        return Err(ResponseError::Truncated);
    }
    let length = payload.get_u32_le() as usize;
    if payload.len() < length {
        return Err(ResponseError::Truncated);
    }
    let header = rmp_serde::from_slice(&payload.split_to(length))?;
    Ok((header, payload))
}

/// Reads a flat batch; no bytes at all are an empty one.
pub fn updates(body: &[u8]) -> Result<Updates, FlatError> {
    if body.is_empty() { Ok(Updates::new()) } else { Updates::decode(body) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_survive_the_codec() {
        let headers = [
            Header::Peek { uuid: vec![7; 16], last: true, error: None, canceled: false },
            Header::Peek {
                uuid: vec![7; 16],
                last: true,
                error: Some(ReadError::new("22012", "division by zero")),
                canceled: false,
            },
            Header::Subscribe { id: "t1".into(), lower: Some(3), upper: None, errors: 0 },
        ];
        for header in headers {
            let (got, body) = decode(encode(&header, b"rows")).expect("well formed");
            assert_eq!((got, &body[..]), (header, &b"rows"[..]));
        }
    }

    #[test]
    fn malformed_responses_are_errors() {
        for payload in [&b""[..], b"\x09\0\0\0", b"\x01\0\0\0\xc1"] {
            assert!(decode(Bytes::copy_from_slice(payload)).is_err());
        }
    }
}
