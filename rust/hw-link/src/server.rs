//! The replica's end: obeys one controller at a time, the one with the newest epoch.
//!
//! Commands go straight to a [`CommandSink`] in Rust (the timely workers' handle); what the two shells
//! say to each other waits for Python in a queue. Answers may come from any thread.

use crate::address::{Address, Listener};
use crate::events::EventQueue;
use crate::frame;
use crate::pipe::{self, Outbox, PipeError};
use crate::runtime::runtime;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The version of frames and hello.
pub const LINK_VERSION: u32 = 1;
/// The first byte of the answer to a hello that is accepted; the greeting follows.
pub const ACCEPTED: u8 = 0;
/// The first byte of the answer to a hello that is refused; a text follows.
pub const REFUSED: u8 = 1;
/// Bytes of shell messages that wait for Python at most; then the link is not read.
pub const EVENT_BYTES_MAX: usize = 64 << 20;
const EVENT_OVERHEAD_BYTES: usize = 64;
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that have not said hello yet, at most.
const STRANGERS_MAX: usize = 64;
/// The pause after a failed accept (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The first frame of a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The controller's epoch.
    pub epoch: u64,
    /// What its shell says.
    pub message: Bytes,
}

impl Hello {
    /// Its bytes: version, epoch, message.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(12 + self.message.len());
        out.put_u32_le(LINK_VERSION);
        out.put_u64_le(self.epoch);
        out.extend_from_slice(&self.message);
        out.freeze()
    }
    /// Reads a hello of our version.
    pub fn decode(mut payload: Bytes) -> Result<Hello, String> {
        if payload.len() < 12 {
            return Err("the hello is truncated".into());
        }
        let version = payload.get_u32_le();
        if version != LINK_VERSION {
            return Err(format!("link version {version} meets version {LINK_VERSION}"));
        }
        Ok(Hello { epoch: payload.get_u64_le(), message: payload })
    }
}

/// Who obeys the commands of channels 0 and 1. Calls come in order, and must return soon.
pub trait CommandSink: Send + Sync {
    /// Takes a command.
    fn command(&self, channel: u8, payload: Bytes);
    /// A controller has taken over: its history follows.
    fn connected(&self) {}
    /// The controller is gone; go on as before.
    fn disconnected(&self) {}
}

/// What Python learns.
#[derive(Debug)]
pub enum Event {
    /// A controller has taken over.
    Connected {
        /// Its epoch.
        epoch: u64,
        /// What its shell says.
        hello: Bytes,
    },
    /// The controller is gone.
    Disconnected {
        /// Its epoch.
        epoch: u64,
        /// Why.
        reason: String,
    },
    /// A message that is not for the command sink.
    Message {
        /// On which channel.
        channel: u8,
        /// What.
        payload: Bytes,
    },
}

struct Controller {
    epoch: u64,
    generation: u64,
    outbox: Arc<Outbox>,
}

#[derive(Default)]
struct State {
    epoch: u64,
    generation: u64,
    controller: Option<Controller>,
}

struct Shared {
    state: Mutex<State>,
    /// The generation of the controller that is obeyed; held during calls of the sink, which may
    /// respond and so must not find `state` locked. Locked before `state`.
    obeyed: Mutex<u64>,
    events: EventQueue<Event>,
    /// Set before anyone can connect.
    sink: OnceLock<Arc<dyn CommandSink>>,
    greeting: Bytes,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn lock_obeyed(&self) -> MutexGuard<'_, u64> {
        self.obeyed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listening replica process. Dropping it closes everything.
pub struct Server {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    address: String,
}

/// Sends to whichever controller is connected. Cheap to clone, usable from any thread.
#[derive(Clone)]
pub struct Responder(Weak<Shared>);

impl Responder {
    /// Sends; false where no controller is connected, and then nobody waits for it.
    pub fn respond(&self, channel: u8, payload: Bytes) -> bool {
        self.outbox().is_some_and(|outbox| outbox.push(channel, payload))
    }
    /// Bytes that wait to be sent: what makes much should pause while they are many.
    pub fn queued_bytes(&self) -> usize {
        self.outbox().map_or(0, |outbox| outbox.queued_bytes())
    }
    fn outbox(&self) -> Option<Arc<Outbox>> {
        let shared = self.0.upgrade()?;
        let state = shared.lock();
        state.controller.as_ref().map(|controller| Arc::clone(&controller.outbox))
    }
}

impl Server {
    /// Listens at `address`; `greeting` is the answer to each controller's hello.
    ///
    /// `attach` is given the handle to answer with, before anyone can connect, and returns who obeys
    /// commands; without anyone all channels go to Python.
    pub fn listen(
        address: &str,
        greeting: Bytes,
        attach: impl FnOnce(Responder) -> Option<Arc<dyn CommandSink>>,
    ) -> io::Result<Server> {
        let address = Address::parse(address)?;
        let listener = runtime().block_on(address.listen())?;
        let address = listener.address()?;
        let events = EventQueue::new(EVENT_BYTES_MAX)?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            obeyed: Mutex::default(),
            events,
            sink: OnceLock::new(),
            greeting,
        });
        if let Some(sink) = attach(Responder(Arc::downgrade(&shared))) {
            shared.sink.get_or_init(|| sink);
        }
        let task = runtime().spawn(accept(Arc::clone(&shared), listener));
        Ok(Server { shared, task, address })
    }
    /// The address to connect to.
    pub fn address(&self) -> &str {
        &self.address
    }
    /// What Python drains.
    pub fn events(&self) -> &EventQueue<Event> {
        &self.shared.events
    }
    /// A handle to answer with.
    pub fn responder(&self) -> Responder {
        Responder(Arc::downgrade(&self.shared))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(controller) = self.shared.lock().controller.take() {
            controller.outbox.close("the replica shuts down");
        }
    }
}

async fn accept(shared: Arc<Shared>, listener: Listener) {
    let strangers = Arc::new(tokio::sync::Semaphore::new(STRANGERS_MAX));
    loop {
        let Ok(stream) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&strangers).acquire_owned().await else { return };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let (mut incoming, mut outgoing) = pipe::open(stream);
            let greeted = timeout(HELLO_TIMEOUT, greet(&shared, &mut incoming, &mut outgoing)).await;
            drop(permit);
            if let Ok(Ok(hello)) = greeted {
                obey(&shared, hello, incoming, outgoing).await;
            }
        });
    }
}

/// Reads the hello and answers it.
async fn greet(
    shared: &Shared,
    incoming: &mut pipe::Incoming,
    outgoing: &mut pipe::Outgoing,
) -> Result<Hello, PipeError> {
    let hello = match Hello::decode(incoming.hello().await?) {
        Ok(hello) if hello.epoch >= shared.lock().epoch => hello,
        Ok(hello) => {
            let reason = format!("epoch {} is fenced by a newer controller", hello.epoch);
            return refuse(outgoing, reason).await;
        }
        Err(reason) => return refuse(outgoing, reason).await,
    };
    let mut answer = vec![ACCEPTED];
    answer.extend_from_slice(&shared.greeting);
    outgoing.send(frame::HELLO, &answer).await?;
    Ok(hello)
}

async fn refuse(outgoing: &mut pipe::Outgoing, reason: String) -> Result<Hello, PipeError> {
    let mut answer = vec![REFUSED];
    answer.extend_from_slice(reason.as_bytes());
    outgoing.send(frame::HELLO, &answer).await?;
    Err(PipeError::Hello(reason))
}

/// Serves one controller until its link ends or a newer one takes over.
async fn obey(shared: &Arc<Shared>, hello: Hello, incoming: pipe::Incoming, outgoing: pipe::Outgoing) {
    let outbox = Arc::new(Outbox::default());
    let epoch = hello.epoch;
    let generation = {
        let mut obeyed = shared.lock_obeyed();
        let mut state = shared.lock();
        if epoch < state.epoch {
            return;
        }
        state.epoch = epoch;
        state.generation += 1;
        let generation = state.generation;
        let controller = Controller { epoch, generation, outbox: Arc::clone(&outbox) };
        if let Some(old) = state.controller.replace(controller) {
            old.outbox.close("a newer controller has taken over");
            let reason = "a newer controller has taken over".to_owned();
            shared.events.push(Event::Disconnected { epoch: old.epoch, reason }, 0);
        }
        // Under the lock, so that events of two controllers never mix.
        shared.events.push(Event::Connected { epoch, hello: hello.message }, 0);
        drop(state);
        *obeyed = generation;
        if let Some(sink) = shared.sink.get() {
            sink.connected();
        }
        generation
    };
    let mut receiver = Receiver { shared: Arc::clone(shared), generation };
    let error = pipe::run(incoming, outgoing, outbox, &mut receiver).await;
    let _obeyed = shared.lock_obeyed();
    let mut state = shared.lock();
    if state.controller.as_ref().is_some_and(|controller| controller.generation == generation) {
        state.controller = None;
        shared.events.push(Event::Disconnected { epoch, reason: error.to_string() }, 0);
        drop(state);
        if let Some(sink) = shared.sink.get() {
            sink.disconnected();
        }
    }
}

struct Receiver {
    shared: Arc<Shared>,
    generation: u64,
}

impl pipe::Receiver for Receiver {
    async fn frame(&mut self, channel: u8, payload: Bytes) {
        {
            // A controller that was replaced may have frames in flight: they are not obeyed.
            let obeyed = self.shared.lock_obeyed();
            if *obeyed != self.generation {
                return;
            }
            if let (Some(sink), frame::COMPUTE | frame::READS) = (self.shared.sink.get(), channel) {
                return sink.command(channel, payload);
            }
        }
        let bytes = payload.len() + EVENT_OVERHEAD_BYTES;
        self.shared.events.push_bounded(Event::Message { channel, payload }, bytes).await;
    }
}
