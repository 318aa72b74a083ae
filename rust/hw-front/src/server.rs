//! Listeners: one for everybody, one for the system's own users.

use crate::connection::serve;
use crate::front::Front;
use crate::presence::keep_alive;
use crate::protocol::ErrorFields;
use crate::wire;
use hw_link::runtime::runtime;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// The pause after a failed accept (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening socket; dropping it closes the socket, not its connections.
pub struct Listening {
    task: JoinHandle<()>,
    address: SocketAddr,
}

impl Listening {
    /// Listens at `host:port`; connections are `internal` or not.
    pub fn new(front: &Arc<Front>, address: &str, internal: bool) -> io::Result<Listening> {
        let listener = runtime().block_on(TcpListener::bind(address))?;
        let address = listener.local_addr()?;
        let task = runtime().spawn(accept(Arc::clone(front), listener, internal));
        Ok(Listening { task, address })
    }
    /// Where it listens; a port of 0 has become a real one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(front: Arc<Front>, listener: TcpListener, internal: bool) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Nagle's algorithm would hold back every answer that is not the first in flight.
        let _ = stream.set_nodelay(true);
        // Without it an idle client whose host is gone would be kept for longer, and no more.
        let _ = keep_alive(&stream);
        let front = Arc::clone(&front);
        tokio::spawn(async move {
            match front.register() {
                Ok(Some((handle, commands))) => serve(stream, front, handle, commands, internal, peer).await,
                _ => refuse(stream).await,
            }
        });
    }
}

async fn refuse(mut stream: TcpStream) {
    let mut out = Vec::new();
    wire::error(&mut out, &ErrorFields::fatal("53300", "sorry, too many clients already"));
    // The client may be gone; nothing is lost.
    let _ = stream.write_all(&out).await;
}
