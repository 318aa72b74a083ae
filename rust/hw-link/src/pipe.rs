//! One connection, from either end: a bounded queue out, heartbeats, frames in.
//!
//! A peer that sends nothing for [`PEER_TIMEOUT`] is taken for dead, whatever TCP thinks; each side
//! sends a heartbeat when it has been silent for [`HEARTBEAT_INTERVAL`].

use crate::address::Stream;
use crate::frame::{self, FrameError};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long a side is silent before it sends a heartbeat.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);
/// How long the other side may be silent before it is taken for dead.
pub const PEER_TIMEOUT: Duration = Duration::from_secs(4);
/// Bytes queued for a peer at most; a peer that reads too slowly is disconnected.
pub const OUTBOX_BYTES_MAX: usize = 512 << 20;
/// Payloads up to this size are copied together into one write.
const COALESCE_BYTES_MAX: usize = 64 << 10;
const READ_BUFFER_BYTES: usize = 64 << 10;

/// Why a connection ended.
#[derive(Debug, Error)]
pub enum PipeError {
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The peer does not speak our frames.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// The peer closed the connection.
    #[error("closed by the other side")]
    Closed,
    /// Nothing came for too long.
    #[error("no sign of life for {} s", PEER_TIMEOUT.as_secs())]
    Silent,
    /// The peer reads more slowly than we have to say.
    #[error("more than {} MiB are waiting to be sent", OUTBOX_BYTES_MAX >> 20)]
    Overflow,
    /// Our own side closed the connection.
    #[error("{0}")]
    Shutdown(&'static str),
    /// The first frames did not match.
    #[error("{0}")]
    Hello(String),
}

#[derive(Default)]
struct Queue {
    frames: VecDeque<(u8, Bytes)>,
    bytes: usize,
    overflow: bool,
    closed: Option<&'static str>,
}

/// What waits to be sent on one connection. Any thread may push.
#[derive(Default)]
pub struct Outbox {
    queue: Mutex<Queue>,
    wake: Notify,
}

impl Outbox {
    /// Appends a frame; false where the connection is closed or closes for being too far behind.
    pub fn push(&self, channel: u8, payload: Bytes) -> bool {
        let mut queue = self.lock();
        if queue.closed.is_some() || queue.overflow || payload.len() > frame::PAYLOAD_BYTES_MAX {
            return false;
        }
        queue.bytes += payload.len() + frame::HEADER_BYTES;
        if queue.bytes > OUTBOX_BYTES_MAX {
            queue.overflow = true;
            queue.frames.clear();
        } else {
            queue.frames.push_back((channel, payload));
        }
        let accepted = !queue.overflow;
        drop(queue);
        self.wake.notify_one();
        accepted
    }
    /// Ends the connection for `reason` once the writer sees it.
    pub fn close(&self, reason: &'static str) {
        self.lock().closed.get_or_insert(reason);
        self.wake.notify_one();
    }
    /// Bytes that wait.
    pub fn queued_bytes(&self) -> usize {
        self.lock().bytes
    }
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
    async fn take(&self) -> Result<VecDeque<(u8, Bytes)>, PipeError> {
        loop {
            {
                let mut queue = self.lock();
                if queue.overflow {
                    return Err(PipeError::Overflow);
                }
                if !queue.frames.is_empty() {
                    queue.bytes = 0;
                    return Ok(std::mem::take(&mut queue.frames));
                }
                if let Some(reason) = queue.closed {
                    return Err(PipeError::Shutdown(reason));
                }
            }
            self.wake.notified().await;
        }
    }
}

/// Takes what a connection receives, in order. Waiting in here holds the peer back.
pub trait Receiver: Send {
    /// Takes one frame.
    fn frame(&mut self, channel: u8, payload: Bytes) -> impl Future<Output = ()> + Send;
}

/// The reading half, with what has been read beyond the hello.
pub struct Incoming {
    stream: ReadHalf<Box<dyn Stream>>,
    buffer: BytesMut,
}

/// The writing half.
pub struct Outgoing(WriteHalf<Box<dyn Stream>>);

/// Divides a fresh connection.
pub fn open(stream: Box<dyn Stream>) -> (Incoming, Outgoing) {
    let (read, write) = tokio::io::split(stream);
    (Incoming { stream: read, buffer: BytesMut::with_capacity(READ_BUFFER_BYTES) }, Outgoing(write))
}

impl Incoming {
    /// Waits for the next frame.
    pub async fn next(&mut self) -> Result<(u8, Bytes), PipeError> {
        loop {
            if let Some(frame) = frame::split(&mut self.buffer)? {
                return Ok(frame);
            }
            self.buffer.reserve(READ_BUFFER_BYTES);
            match timeout(PEER_TIMEOUT, self.stream.read_buf(&mut self.buffer)).await {
                Ok(Ok(0)) => return Err(PipeError::Closed),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => return Err(PipeError::Silent),
            }
        }
    }
    /// Waits for the peer's first frame.
    pub async fn hello(&mut self) -> Result<Bytes, PipeError> {
        match self.next().await? {
            (frame::HELLO, payload) => Ok(payload),
            (channel, _) => Err(PipeError::Hello(format!("expected a hello, got channel {channel}"))),
        }
    }
    async fn pump(mut self, receiver: &mut impl Receiver) -> PipeError {
        loop {
            match self.next().await {
                Ok((frame::HEARTBEAT, _)) => {}
                Ok((channel, payload)) => receiver.frame(channel, payload).await,
                Err(error) => return error,
            }
        }
    }
}

impl Outgoing {
    /// Sends one frame at once.
    pub async fn send(&mut self, channel: u8, payload: &[u8]) -> Result<(), PipeError> {
        let mut buffer = BytesMut::with_capacity(frame::HEADER_BYTES + payload.len());
        frame::put_header(&mut buffer, channel, payload.len());
        buffer.extend_from_slice(payload);
        self.0.write_all(&buffer).await?;
        Ok(())
    }
    async fn pump(mut self, outbox: &Outbox) -> PipeError {
        let mut buffer = BytesMut::new();
        loop {
            let result = match timeout(HEARTBEAT_INTERVAL, outbox.take()).await {
                Ok(Ok(frames)) => self.send_all(frames, &mut buffer).await,
                Ok(Err(error)) => return error,
                Err(_) => self.send(frame::HEARTBEAT, &[]).await,
            };
            if let Err(error) = result {
                return error;
            }
        }
    }
    async fn send_all(
        &mut self,
        frames: VecDeque<(u8, Bytes)>,
        buffer: &mut BytesMut,
    ) -> Result<(), PipeError> {
        for (channel, payload) in frames {
            frame::put_header(buffer, channel, payload.len());
            if payload.len() <= COALESCE_BYTES_MAX {
                buffer.extend_from_slice(&payload);
            }
            if buffer.len() + payload.len() > COALESCE_BYTES_MAX {
                self.0.write_all(buffer).await?;
                buffer.clear();
            }
            if payload.len() > COALESCE_BYTES_MAX {
                self.0.write_all(&payload).await?;
            }
        }
        self.0.write_all(buffer).await?;
        buffer.clear();
        Ok(())
    }
}

/// Runs a connection until it ends, and says why.
///
/// Cancellation: dropping the future closes the connection; frames in the outbox are lost.
pub async fn run(
    incoming: Incoming,
    outgoing: Outgoing,
    outbox: Arc<Outbox>,
    receiver: &mut impl Receiver,
) -> PipeError {
    let error = tokio::select! {
        error = incoming.pump(receiver) => error,
        error = outgoing.pump(&outbox) => error,
    };
    outbox.close("the connection is gone");
    error
}
