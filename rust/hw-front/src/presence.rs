//! Whether a client is still there, as far as the kernel knows: for moments in which nothing is read
//! from it or written to it.
//!
//! * A client that has said that it goes, behind bytes that are not read yet: `POLLRDHUP`.
//! * A host that is gone while output is under way: retransmissions, or probes of a closed window, that
//!   nobody acknowledges. One that is merely slow acknowledges both, and counts as there.
//! * A host that is gone while nothing is under way: keep-alive probes, see [`keep_alive`].

use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// How often a connection that waits looks.
pub const PULSE: Duration = Duration::from_secs(5);
/// Unanswered retransmissions that mean that the host is gone: they double from 0.2 s, so that it is
/// some 25 s since its last word.
const UNANSWERED_MAX: u8 = 7;
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;

/// A socket, or what stands for one in a test.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send {
    /// Whether the client has closed its end, though there may be bytes left to read.
    fn has_hung_up(&self) -> bool;
    /// Whether the client's host has not answered for long.
    fn is_unreachable(&self) -> bool;
    /// A second descriptor of the socket, for who is not its task; None where there is none to be had,
    /// or where bytes do not go to the client as they are.
    fn duplicate(&self) -> Option<OwnedFd>;
}

impl Socket for TcpStream {
    fn has_hung_up(&self) -> bool {
        has_hung_up(self.as_raw_fd())
    }
    fn is_unreachable(&self) -> bool {
        is_unreachable(self.as_raw_fd())
    }
    fn duplicate(&self) -> Option<OwnedFd> {
        self.as_fd().try_clone_to_owned().ok()
    }
}

/// Has the kernel notice within a minute that an idle client's host is gone.
pub fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let times = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    SockRef::from(stream).set_tcp_keepalive(&times)
}

fn has_hung_up(fd: RawFd) -> bool {
    let gone = libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR;
    let mut asked = libc::pollfd { fd, events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: the pointer is to one pollfd that lives through the call, which does not wait.
    let ready = unsafe { libc::poll(&raw mut asked, 1, 0) };
    ready > 0 && asked.revents & gone != 0
}

fn is_unreachable(fd: RawFd) -> bool {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut size = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).unwrap_or(0);
    // SAFETY: the kernel writes at most `size` bytes, which are those of `info`.
    let got = unsafe {
        libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &raw mut size)
    };
    got == 0 && info.tcpi_retransmits.max(info.tcpi_probes) >= UNANSWERED_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_client_that_goes_is_noticed_behind_bytes_that_nobody_has_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let mut client = TcpStream::connect(address).await.expect("it listens");
        let (server, _) = listener.accept().await.expect("somebody has connected");
        keep_alive(&server).expect("TCP has it");
        client.write_all(b"not read").await.expect("there is room");
        server.readable().await.expect("the bytes arrive");
        assert!(!server.has_hung_up() && !server.is_unreachable());
        drop(client);
        while !server.has_hung_up() {
            tokio::task::yield_now().await;
        }
    }
}
