//! The bytes on the socket: `u32 length (little-endian, of the payload) | u8 channel | payload`.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

/// Compute commands one way, compute responses for Python the other way.
pub const COMPUTE: u8 = 0;
/// Answers to peeks and subscriptions.
pub const READS: u8 = 1;
/// Messages between the two Python shells.
pub const SHELL: u8 = 2;
/// The first frame of each side; see [`crate::pipe`].
pub const HELLO: u8 = 254;
/// An empty frame that says "still here".
pub const HEARTBEAT: u8 = 255;

/// A payload's bytes at most; what is larger is sent in pieces by those who make it.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 20;
/// A frame's bytes beside the payload.
pub const HEADER_BYTES: usize = 5;

/// Why bytes are not frames.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// The peer announces more than we take.
    #[error("frame of {0} bytes on channel {1} exceeds the limit of {PAYLOAD_BYTES_MAX}")]
    TooLarge(usize, u8),
}

/// Appends a frame's header.
pub fn put_header(out: &mut BytesMut, channel: u8, payload_bytes: usize) {
    debug_assert!(payload_bytes <= PAYLOAD_BYTES_MAX);
    out.put_u32_le(payload_bytes as u32);
    out.put_u8(channel);
}

/// Takes the first frame off `input`, None while it is not all there.
pub fn split(input: &mut BytesMut) -> Result<Option<(u8, Bytes)>, FrameError> {
    let Some(header) = input.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
    let channel = header[4];
    if length > PAYLOAD_BYTES_MAX {
        return Err(FrameError::TooLarge(length, channel));
    }
    if input.len() < HEADER_BYTES + length {
        input.reserve(HEADER_BYTES + length - input.len());
        return Ok(None);
    }
    input.advance(HEADER_BYTES);
    Ok(Some((channel, input.split_to(length).freeze())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_split_wherever_the_bytes_break() {
        let mut wire = BytesMut::new();
        for (channel, payload) in [(COMPUTE, &b"abc"[..]), (HEARTBEAT, b""), (SHELL, b"z")] {
            put_header(&mut wire, channel, payload.len());
            wire.extend_from_slice(payload);
        }
        for cut in 0..wire.len() {
            let mut got = Vec::new();
            let mut input = BytesMut::new();
            for part in [&wire[..cut], &wire[cut..]] {
                input.extend_from_slice(part);
                while let Some(frame) = split(&mut input).expect("well formed") {
                    got.push(frame);
                }
            }
            let want = [(COMPUTE, "abc"), (HEARTBEAT, ""), (SHELL, "z")];
            assert_eq!(got, want.map(|(channel, payload)| (channel, Bytes::from(payload))));
        }
    }

    #[test]
    fn a_frame_beyond_the_limit_is_refused_before_it_is_read() {
        let mut input = BytesMut::from(&[0xff, 0xff, 0xff, 0xff, 7][..]);
        assert_eq!(split(&mut input), Err(FrameError::TooLarge(u32::MAX as usize, 7)));
    }
}
