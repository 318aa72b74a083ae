//! Addresses of links: `unix:/path` or `host:port`.

use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// How long an attempt to connect may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Where a link listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket file.
    Unix(PathBuf),
    /// A host and port.
    Tcp(String),
}

/// A connected socket of either kind.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Address {
    /// Reads `unix:/path` or `host:port`.
    pub fn parse(text: &str) -> io::Result<Address> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Address::Unix(PathBuf::from(path)));
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Address::Tcp(text.to_owned()))
            }
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("address \"{text}\" is neither unix:/path nor host:port"),
            )),
        }
    }
    /// Connects within [`CONNECT_TIMEOUT`].
    pub async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let attempt = async {
            match self {
                Address::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?) as Box<dyn Stream>),
                Address::Tcp(address) => {
                    let stream = TcpStream::connect(address.as_str()).await?;
                    stream.set_nodelay(true)?;
                    Ok(Box::new(stream) as Box<dyn Stream>)
                }
            }
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no connection in time")),
        }
    }
    /// Listens, replacing a socket file that is left over.
    pub async fn listen(&self) -> io::Result<Listener> {
        match self {
            Address::Unix(path) => {
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                Ok(Listener::Unix(UnixListener::bind(path)?, path.clone()))
            }
            Address::Tcp(address) => Ok(Listener::Tcp(TcpListener::bind(address.as_str()).await?)),
        }
    }
}

/// A listening socket of either kind.
pub enum Listener {
    /// A socket file and its path.
    Unix(UnixListener, PathBuf),
    /// A TCP socket.
    Tcp(TcpListener),
}

impl Listener {
    /// The address to connect to; a port of 0 has become a real one.
    pub fn address(&self) -> io::Result<String> {
        match self {
            Listener::Unix(_, path) => Ok(format!("unix:{}", path.display())),
            Listener::Tcp(listener) => Ok(listener.local_addr()?.to_string()),
        }
    }
    /// Waits for the next connection.
    pub async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Listener::Unix(listener, _) => Ok(Box::new(listener.accept().await?.0)),
            Listener::Tcp(listener) => {
                let stream = listener.accept().await?.0;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_paths_or_hosts_with_ports() {
        assert_eq!(Address::parse("unix:/a/b").expect("valid"), Address::Unix("/a/b".into()));
        assert_eq!(Address::parse("[::1]:80").expect("valid"), Address::Tcp("[::1]:80".into()));
        assert!(Address::parse("localhost").is_err());
        assert!(Address::parse("localhost:http").is_err());
        assert!(Address::parse(":1").is_err());
    }
}
