//! What Python sees of `hw-link`: both ends of the links between headwaterd and replicas.
//!
//! Events come out of `drain` as tuples whose first item names their kind; `fd` is readable while
//! there are any. `headwater.cluster.transport` makes them into classes.

use hw_link::Bytes;
use hw_link::address::Address;
use hw_link::client::{self, ReplicaSpec};
use hw_link::response::ReadError;
use hw_link::server::{self, CommandSink, Responder, Server};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use std::sync::{Arc, Mutex, PoisonError};

/// headwaterd's end: keeps replicas connected.
#[pyclass(frozen)]
pub struct Links(pub Arc<client::Links>);

fn copied(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

#[pymethods]
impl Links {
    #[new]
    fn new() -> PyResult<Self> {
        Ok(Links(client::Links::new()?))
    }
    fn fd(&self) -> i32 {
        self.0.events().fd()
    }
    /// Takes up to `max` events.
    fn drain<'py>(&self, py: Python<'py>, max: usize) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        self.0.events().drain(max).into_iter().map(|event| client_event(py, event)).collect()
    }
    /// Begins to connect to a replica: one address a process.
    fn connect(
        &self,
        replica: String,
        cluster: String,
        addresses: Vec<String>,
        epoch: u64,
        hello: &[u8],
    ) -> PyResult<()> {
        let addresses = addresses.iter().map(|text| Address::parse(text)).collect::<Result<Vec<_>, _>>()?;
        self.0.connect(ReplicaSpec { replica, cluster, addresses, epoch, hello: copied(hello) });
        Ok(())
    }
    fn disconnect(&self, replica: &str) {
        self.0.disconnect(replica);
    }
    #[pyo3(signature = (replica, incarnation, channel, payload, process=None))]
    fn send(
        &self,
        replica: &str,
        incarnation: u64,
        channel: u8,
        payload: &[u8],
        process: Option<usize>,
    ) -> bool {
        self.0.send(replica, incarnation, channel, copied(payload), process)
    }
    fn ready(&self, replica: &str, incarnation: u64) -> bool {
        self.0.ready(replica, incarnation)
    }
    fn expect_subscribe(&self, id: &str) {
        self.0.subscriptions().expect(id);
    }
    fn forget_subscribe(&self, id: &str) {
        self.0.subscriptions().forget(id);
    }
    /// Ends a subscription with an error.
    fn fail_subscribe(&self, id: &str, sqlstate: &str, message: &str) {
        if let Some(subscription) = self.0.subscriptions().get(id) {
            subscription.fail(ReadError::new(sqlstate, message));
        }
    }
    /// Ends all peeks of a cluster with an error.
    fn fail_peeks(&self, cluster: &str, sqlstate: &str, message: &str) {
        self.0.peeks().fail(cluster, &ReadError::new(sqlstate, message));
    }
    /// Ends one peek with an error; nothing where it is over.
    fn fail_peek(&self, uuid: &[u8], sqlstate: &str, message: &str) {
        self.0.peeks().fail_one(uuid, ReadError::new(sqlstate, message));
    }
}

fn client_event(py: Python<'_>, event: client::Event) -> PyResult<Bound<'_, PyTuple>> {
    match event {
        client::Event::Connected { replica, incarnation, greetings } => {
            let greetings: Vec<_> = greetings.iter().map(|greeting| PyBytes::new(py, greeting)).collect();
            ("connected", replica, incarnation, greetings).into_pyobject(py)
        }
        client::Event::Disconnected { replica, incarnation, reason } => {
            ("disconnected", replica, incarnation, reason).into_pyobject(py)
        }
        client::Event::Unreachable { replica, reason } => ("unreachable", replica, reason).into_pyobject(py),
        client::Event::Message { replica, incarnation, process, channel, payload } => {
            let payload = PyBytes::new(py, &payload);
            ("message", replica, incarnation, process, channel, payload).into_pyobject(py)
        }
    }
}

/// Who obeys commands in Rust, on its way from one native object to another.
#[pyclass(frozen)]
pub struct CommandSinkHandle(pub Arc<dyn CommandSink>);

/// Where answers go, on its way from one native object to another; usable from any thread.
#[pyclass(frozen)]
pub struct ResponderHandle(pub Responder);

#[pymethods]
impl ResponderHandle {
    fn respond(&self, channel: u8, payload: &[u8]) -> bool {
        self.0.respond(channel, copied(payload))
    }
    fn queued_bytes(&self) -> usize {
        self.0.queued_bytes()
    }
}

/// The replica's end: obeys one controller at a time.
#[pyclass(frozen)]
struct LinkServer {
    server: Mutex<Option<Server>>,
    responder: Responder,
    address: String,
}

#[pymethods]
impl LinkServer {
    /// Listens. `workers`, if given, has a method `attach_link(ResponderHandle) -> CommandSinkHandle`.
    #[new]
    #[pyo3(signature = (address, workers=None, greeting=None))]
    fn new(address: &str, workers: Option<&Bound<'_, PyAny>>, greeting: Option<&[u8]>) -> PyResult<Self> {
        let mut failed = None;
        let attach = |responder: Responder| -> Option<Arc<dyn CommandSink>> {
            let workers = workers?;
            let attach = || {
                let handle = ResponderHandle(responder).into_pyobject(workers.py())?;
                let sink = workers.call_method1("attach_link", (handle,))?;
                Ok::<_, PyErr>(Arc::clone(&sink.cast::<CommandSinkHandle>()?.get().0))
            };
            attach().map_err(|error| failed = Some(error)).ok()
        };
        let server = Server::listen(address, copied(greeting.unwrap_or_default()), attach)?;
        if let Some(error) = failed {
            return Err(error);
        }
        let (responder, address) = (server.responder(), server.address().to_owned());
        Ok(LinkServer { server: Mutex::new(Some(server)), responder, address })
    }
    #[getter]
    fn address(&self) -> &str {
        &self.address
    }
    fn fd(&self) -> i32 {
        self.with(|server| server.events().fd()).unwrap_or(-1)
    }
    /// Takes up to `max` events.
    fn drain<'py>(&self, py: Python<'py>, max: usize) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let events = self.with(|server| server.events().drain(max)).unwrap_or_default();
        events.into_iter().map(|event| server_event(py, event)).collect()
    }
    fn respond(&self, channel: u8, payload: &[u8]) -> bool {
        self.responder.respond(channel, copied(payload))
    }
    /// Closes the link and stops listening.
    fn close(&self) {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl LinkServer {
    fn with<T>(&self, use_it: impl FnOnce(&Server) -> T) -> Option<T> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(use_it)
    }
}

fn server_event(py: Python<'_>, event: server::Event) -> PyResult<Bound<'_, PyTuple>> {
    match event {
        server::Event::Connected { epoch, hello } => {
            ("connected", epoch, PyBytes::new(py, &hello)).into_pyobject(py)
        }
        server::Event::Disconnected { epoch, reason } => ("disconnected", epoch, reason).into_pyobject(py),
        server::Event::Message { channel, payload } => {
            ("message", channel, PyBytes::new(py, &payload)).into_pyobject(py)
        }
    }
}

/// Adds this module's classes and functions to the extension.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Links>()?;
    module.add_class::<LinkServer>()?;
    module.add_class::<CommandSinkHandle>()?;
    module.add_class::<ResponderHandle>()
}
