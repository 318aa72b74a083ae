//! One client: its socket, its session, and everything it can wait for at once.
//!
//! A connection is one task. Whatever it waits for (a reply, rows, room in the socket), it goes on
//! watching the socket, so that a client that vanishes is noticed in mid-query, and it hears cancel
//! requests, time-outs and words from Python.

use crate::answers::Sender;
use crate::frames::{self, Violation};
use crate::front::{Front, Peer};
use crate::presence::PULSE;
pub use crate::presence::Socket;
use crate::protocol::{Answer, CancelReason, Command, ErrorFields, Reply, Request};
use crate::session::{Session, decode_reply};
use crate::wire;
use bytes::{Bytes, BytesMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// Output is sent when it exceeds this, in mid-result too.
pub const OUTPUT_BYTES: usize = 64 << 10;
/// What is read ahead while a statement runs, at most.
const READ_AHEAD_BYTES: usize = 64 << 10;
/// How long a client may take to hear why its connection ends.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long a client may leave what is left of a statement that is cancelled or timed out.
const STALLED_CANCELED_MAX: Duration = Duration::from_secs(10);
/// How long a client may take nothing of a result: what it reads is held for it all the while.
const STALLED_MAX: Duration = Duration::from_secs(600);
const READ_CHUNK_BYTES: usize = 8 << 10;
/// Buffers that have grown beyond this are given back when they are empty.
const IDLE_BUFFER_BYTES_MAX: usize = 256 << 10;

/// Why a connection ends.
#[derive(Debug)]
pub enum End {
    /// The client is gone, or said that it goes.
    Gone,
    /// With a last word to the client.
    Fatal(ErrorFields),
}

impl From<Violation> for End {
    fn from(violation: Violation) -> Self {
        End::Fatal(violation.fields())
    }
}

/// Why a statement does not end well.
#[derive(Debug)]
pub enum Fault {
    /// The statement fails.
    Error(ErrorFields),
    /// The connection ends.
    End(End),
}

impl From<End> for Fault {
    fn from(end: End) -> Self {
        Fault::End(end)
    }
}

impl From<ErrorFields> for Fault {
    fn from(error: ErrorFields) -> Self {
        Fault::Error(error)
    }
}

impl From<Violation> for Fault {
    fn from(violation: Violation) -> Self {
        Fault::End(violation.into())
    }
}

/// What came first.
pub enum Waited<T> {
    /// What was waited for.
    Done(T),
    /// The statement is to be cancelled.
    Cancel(CancelReason),
}

/// See the module.
pub struct Connection<S> {
    pub(crate) socket: S,
    pub(crate) input: BytesMut,
    /// Messages that are not sent yet.
    pub out: Vec<u8>,
    /// What all connections share.
    pub front: Arc<Front>,
    /// What others may do to us.
    pub peer: Arc<Peer>,
    commands: mpsc::Receiver<Command>,
    /// Statements, portals, status.
    pub session: Session,
    /// When the running statement times out.
    deadline: Option<Instant>,
    /// `out` holds something that the client waits for.
    urgent: bool,
    /// Messages are ignored up to Sync.
    pub(crate) skipping: bool,
    /// The Sync that comes next has been answered already.
    pub(crate) answered: bool,
    /// For others who answer the client; None where that is not possible.
    sender: OnceLock<Option<Arc<Sender>>>,
    /// The protocol's minor version.
    pub(crate) minor: u32,
}

/// Serves a client from its first byte to its last.
pub async fn serve<S: Socket>(
    socket: S,
    front: Arc<Front>,
    peer: Arc<Peer>,
    commands: mpsc::Receiver<Command>,
    internal: bool,
    address: SocketAddr,
) {
    let mut registration = Registration { front: Arc::clone(&front), conn: peer.conn, has_session: false };
    let session = Session::new(&front, &peer);
    let mut connection = Connection {
        socket,
        input: BytesMut::new(),
        out: Vec::new(),
        front,
        peer,
        commands,
        session,
        deadline: None,
        urgent: false,
        skipping: false,
        answered: false,
        sender: OnceLock::new(),
        minor: 0,
    };
    let end = match connection.start(internal, address, &mut registration.has_session).await {
        Ok(true) => connection.run().await.err(),
        Ok(false) => None,
        Err(end) => Some(end),
    };
    if let Some(End::Fatal(error)) = end {
        wire::error(&mut connection.out, &error);
        // The last word may find nobody; a client that does not read is not waited for.
        let farewell = connection.socket.write_all(&connection.out);
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }
    let _ = tokio::time::timeout(FAREWELL, connection.socket.shutdown()).await;
    connection.peer.ending.store(true, Ordering::Release);
    // Rows that are left over are abandoned before the session ends.
    drop(connection);
    drop(registration);
}

/// A connection's entry among all. However it ends, by a panic too, Python learns of it.
struct Registration {
    front: Arc<Front>,
    conn: u32,
    has_session: bool,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.front.unregister(self.conn);
        if self.has_session {
            self.front.tell(self.conn, &Request::Terminate {});
        }
    }
}

impl<S: Socket> Connection<S> {
    /// Takes messages until the connection ends.
    async fn run(&mut self) -> Result<(), End> {
        loop {
            match self.next_frame().await? {
                (b'X', _) => return Ok(()),
                (kind, body) => self.message(kind, body).await?,
            }
            if self.out.len() > OUTPUT_BYTES {
                self.flush().await?;
            }
        }
    }
    /// Waits for the next message, having sent all output first where there is none yet.
    pub async fn next_frame(&mut self) -> Result<(u8, Bytes), End> {
        loop {
            let limit = self.front.config.message_bytes_max;
            if let Some(frame) = frames::split(&mut self.input, limit)? {
                return Ok(frame);
            }
            self.flush().await?;
            self.fill_idle().await?;
        }
    }
    /// Reads more, in between statements.
    async fn fill_idle(&mut self) -> Result<(), End> {
        if self.input.is_empty() && self.input.capacity() > IDLE_BUFFER_BYTES_MAX {
            self.input = BytesMut::new();
        }
        let idle = self.session.settings.idle_in_transaction_timeout_ms;
        let deadline =
            (self.session.status != b'I' && idle > 0).then(|| Instant::now() + Duration::from_millis(idle));
        loop {
            self.input.reserve(READ_CHUNK_BYTES);
            tokio::select! {
                biased;
                read = self.socket.read_buf(&mut self.input) => {
                    return if matches!(read, Ok(1..)) { Ok(()) } else { Err(End::Gone) };
                }
                command = self.commands.recv() => {
                    self.obey(command)?;
                    self.flush().await?;
                }
                () = until(deadline) => {
                    let text = "terminating connection due to idle-in-transaction timeout";
                    return Err(End::Fatal(ErrorFields::fatal("25P03", text)));
                }
            }
        }
    }
    /// Reads what has come already, without waiting.
    pub(crate) async fn read_ready(&mut self) -> Result<(), End> {
        self.input.reserve(READ_CHUNK_BYTES);
        match try_now(std::pin::pin!(self.socket.read_buf(&mut self.input))).await {
            None | Some(Ok(1..)) => Ok(()),
            Some(_) => Err(End::Gone),
        }
    }
    /// Waits for `future`, watching everything else meanwhile. Dropping it in mid-way must be sound.
    pub async fn wait<T>(
        &mut self,
        mut future: Pin<&mut (impl Future<Output = T> + Send)>,
    ) -> Result<Waited<T>, End> {
        if self.urgent {
            // What the client waits for must not wait with us, unless we do not wait at all.
            if let Some(value) = try_now(future.as_mut()).await {
                return Ok(Waited::Done(value));
            }
            if let Some(reason) = self.write_out().await? {
                return Ok(Waited::Cancel(reason));
            }
        }
        let mut pulse = Instant::now() + PULSE;
        loop {
            let room = self.input.len() < READ_AHEAD_BYTES;
            let alarm = self.deadline.map_or(pulse, |deadline| deadline.min(pulse));
            if room {
                self.input.reserve(READ_CHUNK_BYTES);
            }
            tokio::select! {
                biased;
                value = future.as_mut() => return Ok(Waited::Done(value)),
                () = self.peer.cancel.notified() => {
                    if self.peer.cancel_requested.swap(false, Ordering::AcqRel) {
                        return Ok(Waited::Cancel(CancelReason::UserRequest));
                    }
                }
                command = self.commands.recv() => self.obey(command)?,
                read = self.socket.read_buf(&mut self.input), if room => {
                    if !matches!(read, Ok(1..)) {
                        return Err(End::Gone);
                    }
                }
                () = sleep_until(alarm) => {
                    if self.deadline == Some(alarm) {
                        self.deadline = None;
                        return Ok(Waited::Cancel(CancelReason::StatementTimeout));
                    }
                    if (!room && self.socket.has_hung_up()) || self.socket.is_unreachable() {
                        return Err(End::Gone);
                    }
                    pulse = Instant::now() + PULSE;
                }
            }
        }
    }
    /// Does what Python said unasked. The output is at the end of a message whenever we wait.
    fn obey(&mut self, command: Option<Command>) -> Result<(), End> {
        match command {
            Some(Command::SendNotice { notice, .. }) => self.session.notice(&notice, &mut self.out),
            Some(Command::SendParameter { name, value, .. }) => {
                wire::parameter_status(&mut self.out, &name, &value);
            }
            Some(Command::TerminateConnection { error, .. }) => {
                let error = error.with_severity("FATAL");
                return Err(End::Fatal(error));
            }
            Some(Command::CancelConnection { .. }) | None => {}
        }
        Ok(())
    }
    /// Sends all output. A client that does not read is waited for, until it vanishes, Python ends it,
    /// or its time is up: [`STALLED_MAX`].
    pub async fn flush(&mut self) -> Result<(), End> {
        self.write_out().await.map(drop)
    }
    /// As [`Connection::flush`] in mid-result: says whether the rest is to be cancelled.
    pub async fn flush_rows(&mut self) -> Result<Option<CancelReason>, End> {
        let canceled = self.write_out().await?;
        // Rows that are always ready would otherwise keep other connections waiting.
        tokio::task::yield_now().await;
        if canceled.is_none() && self.peer.cancel_requested.swap(false, Ordering::AcqRel) {
            return Ok(Some(CancelReason::UserRequest));
        }
        Ok(canceled)
    }
    /// Writes all output, whatever happens meanwhile: messages are never cut in half.
    async fn write_out(&mut self) -> Result<Option<CancelReason>, End> {
        self.urgent = false;
        if self.out.is_empty() {
            return Ok(None);
        }
        let mut out = std::mem::take(&mut self.out);
        let mut written = 0;
        let mut canceled = None;
        let mut taken_at = Instant::now();
        let mut pulse = taken_at + PULSE;
        while written < out.len() {
            let alarm = self.deadline.map_or(pulse, |deadline| deadline.min(pulse));
            tokio::select! {
                biased;
                write = self.socket.write(&out[written..]) => match write {
                    Ok(count @ 1..) => {
                        written += count;
                        taken_at = Instant::now();
                    }
                    _ => return Err(End::Gone),
                },
                () = self.peer.cancel.notified() => {
                    if self.peer.cancel_requested.swap(false, Ordering::AcqRel) {
                        canceled = Some(CancelReason::UserRequest);
                    }
                }
                command = self.commands.recv() => match command {
                    // The client may never read again; what is half sent cannot be completed.
                    Some(Command::TerminateConnection { .. }) => return Err(End::Gone),
                    other => self.obey(other)?,
                },
                () = sleep_until(alarm) => {
                    if self.deadline == Some(alarm) {
                        self.deadline = None;
                        canceled = Some(CancelReason::StatementTimeout);
                    }
                    let patience = if canceled.is_some() { STALLED_CANCELED_MAX } else { STALLED_MAX };
                    if taken_at.elapsed() >= patience || self.socket.is_unreachable() {
                        return Err(End::Gone);
                    }
                    pulse = Instant::now() + PULSE;
                }
            }
        }
        out.clear();
        out.shrink_to(IDLE_BUFFER_BYTES_MAX);
        out.append(&mut self.out);
        self.out = out;
        Ok(canceled)
    }
    /// Asks Python and waits for the reply, whose trailer is applied already.
    ///
    /// A cancel request is passed on, and the reply waited for nevertheless: every request has one.
    pub async fn ask(&mut self, request: &Request) -> Result<(u64, Answer), End> {
        let conn = self.peer.conn;
        let (id, mut receiver) = self.front.ask(conn, request);
        let mut asked_to_cancel = None;
        let bytes = loop {
            match self.wait(Pin::new(&mut receiver)).await {
                Ok(Waited::Done(bytes)) => break bytes,
                Ok(Waited::Cancel(reason)) => {
                    if asked_to_cancel.is_none() {
                        asked_to_cancel = Some(reason);
                        self.front.tell(conn, &Request::Cancel { request: id, reason });
                    }
                }
                Err(end) => {
                    self.front.forget(id);
                    return Err(end);
                }
            }
        };
        let gone = |_| {
            End::Fatal(ErrorFields::fatal("57P01", "terminating connection due to administrator command"))
        };
        let bytes = bytes.map_err(gone)?;
        let Reply { mut answer, trailer } = decode_reply(&bytes).map_err(End::Fatal)?;
        if let (Answer::Failed { error }, Some(reason)) = (&mut answer, asked_to_cancel)
            && error.sqlstate == "57014"
        {
            *error = reason.fields();
        }
        self.session.apply(trailer, &mut self.out);
        Ok((id, answer))
    }
    /// A statement begins: cancel requests and the time-out count from now on.
    pub fn begin_statement(&mut self) {
        self.peer.cancel_requested.store(false, Ordering::Release);
        let timeout = self.session.settings.statement_timeout_ms;
        self.deadline = (timeout > 0).then(|| Instant::now() + Duration::from_millis(timeout));
    }
    /// A statement is over.
    pub fn end_statement(&mut self) {
        self.deadline = None;
    }
    /// Appends ReadyForQuery.
    pub fn ready(&mut self) {
        wire::ready(&mut self.out, self.session.status);
        self.urgent = true;
    }
    /// Sends what the client waits for; says whether the statement is to be cancelled.
    pub(crate) async fn flush_urgent(&mut self) -> Result<Option<CancelReason>, End> {
        if self.urgent { self.write_out().await } else { Ok(None) }
    }
    /// Notes that the Sync that comes next is answered: what is left of that is in `out`.
    pub(crate) fn answered(&mut self) {
        self.answered = true;
        self.urgent = true;
    }
    /// What sends to the client beside this task, one of them at a time.
    pub(crate) fn sender(&self) -> Option<Arc<Sender>> {
        let made = || self.socket.duplicate().map(|socket| Arc::new(Sender::new(socket)));
        self.sender.get_or_init(made).clone()
    }
    /// Has output sent before anything is waited for.
    pub fn hurry(&mut self) {
        self.urgent = true;
    }
    /// Tells the client of an error that was found here, and Python that a statement failed.
    pub fn fail_here(&mut self, error: &ErrorFields) {
        if let Some(event) = self.session.fail(&error.sqlstate) {
            self.front.tell(self.peer.conn, &event);
        }
        wire::error(&mut self.out, error);
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The future's value if it is ready at once.
async fn try_now<T>(mut future: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
