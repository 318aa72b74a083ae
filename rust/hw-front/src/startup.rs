//! From the first byte to ReadyForQuery.

use crate::connection::{Connection, End, Socket};
use crate::frames::{self, Reader, Violation};
use crate::front::SECRET_BYTES;
use crate::protocol::{Answer, ErrorFields, Request};
use crate::simple::unexpected;
use crate::wire;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// How long a client may take to say who it is.
pub const STARTUP_TIMEOUT: Duration = Duration::from_secs(60);

const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const MAJOR: u32 = 3;
/// The newest minor version that we speak; 3.2 brought long cancel keys.
const MINOR_MAX: u32 = 2;
/// Refusals of encryption before a client is sent away.
const REFUSALS_MAX: usize = 2;

impl<S: Socket> Connection<S> {
    /// Lets the client in. False where it only came to cancel something.
    ///
    /// `has_session` is set while Python has one for it, or may have.
    pub(crate) async fn start(
        &mut self,
        internal: bool,
        address: SocketAddr,
        has_session: &mut bool,
    ) -> Result<bool, End> {
        let packet = match timeout(STARTUP_TIMEOUT, self.startup_packet()).await {
            Ok(packet) => packet?,
            Err(_) => return Err(End::Gone),
        };
        let Some(packet) = packet else { return Ok(false) };
        let parameters = parameters(packet, &mut self.out, &mut self.minor)?;
        let request = startup_request(parameters, internal, address, self.peer.conn)?;
        wire::authentication_ok(&mut self.out);
        *has_session = true;
        match self.ask(&request).await?.1 {
            Answer::Started => {}
            Answer::Failed { error } => {
                *has_session = false;
                let error = error.with_severity("FATAL");
                return Err(End::Fatal(error));
            }
            _ => return Err(unexpected()),
        }
        let secret_bytes = if self.minor >= 2 { SECRET_BYTES } else { 4 };
        wire::backend_key(&mut self.out, self.peer.conn, &self.peer.secret[..secret_bytes]);
        self.ready();
        Ok(true)
    }
    /// Reads the startup packet, refusing encryption. None where it was a cancel request.
    async fn startup_packet(&mut self) -> Result<Option<Bytes>, End> {
        for _ in 0..=REFUSALS_MAX {
            let packet = loop {
                if let Some(packet) = frames::split_startup(&mut self.input)? {
                    break packet;
                }
                self.input.reserve(512);
                match self.socket.read_buf(&mut self.input).await {
                    Ok(1..) => {}
                    _ => return Err(End::Gone),
                }
            };
            let code = packet.first_chunk::<4>().map_or(0, |code| u32::from_be_bytes(*code));
            match code {
                SSL_REQUEST | GSS_REQUEST => {
                    if !self.input.is_empty() {
                        // What came before the answer would be taken for encrypted: refuse.
                        return Err(Violation("received unencrypted data after encryption request").into());
                    }
                    self.socket.write_all(b"N").await.map_err(|_| End::Gone)?;
                }
                CANCEL_REQUEST => {
                    let mut reader = Reader::new(packet.slice(4..));
                    let process_id = reader.u32()?;
                    self.front.cancel(process_id, &reader.rest());
                    return Ok(None);
                }
                _ => return Ok(Some(packet)),
            }
        }
        Err(Violation("too many encryption requests").into())
    }
}

/// Reads the packet's version and parameters, answering a newer minor version.
fn parameters(packet: Bytes, out: &mut Vec<u8>, minor: &mut u32) -> Result<BTreeMap<String, String>, End> {
    let mut reader = Reader::new(packet);
    let version = reader.u32()?;
    if version >> 16 != MAJOR {
        let text = format!(
            "unsupported frontend protocol {}.{}: server supports 3.0 to 3.{MINOR_MAX}",
            version >> 16,
            version & 0xffff
        );
        return Err(End::Fatal(ErrorFields::fatal("0A000", text)));
    }
    *minor = (version & 0xffff).min(MINOR_MAX);
    let mut parameters = BTreeMap::new();
    let mut unknown = Vec::new();
    loop {
        let name = text(&mut reader)?;
        if name.is_empty() {
            break;
        }
        let value = text(&mut reader)?;
        if name.starts_with("_pq_.") {
            unknown.push(name);
        } else {
            parameters.insert(name, value);
        }
    }
    reader.end()?;
    if version & 0xffff > MINOR_MAX || !unknown.is_empty() {
        wire::negotiate(out, MAJOR << 16 | *minor, &unknown);
    }
    Ok(parameters)
}

fn text(reader: &mut Reader) -> Result<String, End> {
    let text = reader.text()?;
    text.map_err(|error| End::Fatal(error.with_severity("FATAL")))
}

fn startup_request(
    mut parameters: BTreeMap<String, String>,
    internal: bool,
    address: SocketAddr,
    process_id: u32,
) -> Result<Request, End> {
    let user = parameters.remove("user").filter(|user| !user.is_empty()).ok_or_else(|| {
        let text = "no PostgreSQL user name specified in startup packet";
        End::Fatal(ErrorFields::fatal("28000", text))
    })?;
    let database =
        parameters.remove("database").filter(|database| !database.is_empty()).unwrap_or_else(|| user.clone());
    if parameters
        .remove("replication")
        .is_some_and(|value| !matches!(value.as_str(), "false" | "off" | "no" | "0"))
    {
        let error = ErrorFields::fatal("0A000", "replication connections are not supported");
        return Err(End::Fatal(error));
    }
    if let Some(options) = parameters.remove("options") {
        command_line(&options, &mut parameters)?;
    }
    let application_name = parameters.remove("application_name").unwrap_or_default();
    let peer = address.to_string();
    Ok(Request::Startup { user, database, application_name, options: parameters, internal, peer, process_id })
}

/// Reads `-c k=v`, `-ck=v` and `--k=v`; a backslash quotes the next character.
fn command_line(options: &str, into: &mut BTreeMap<String, String>) -> Result<(), End> {
    let mut words = words(options).into_iter();
    while let Some(word) = words.next() {
        let setting = match (word.strip_prefix("--"), word.strip_prefix("-c")) {
            (Some(setting), _) => Some(setting.to_owned()),
            (None, Some("")) => words.next(),
            (None, Some(setting)) => Some(setting.to_owned()),
            (None, None) => None,
        };
        let setting = setting.as_deref().and_then(|setting| setting.split_once('='));
        let Some((name, value)) = setting else {
            let text = format!("invalid command-line argument for server process: {word}");
            return Err(End::Fatal(ErrorFields::fatal("42601", text)));
        };
        into.insert(name.trim().replace('-', "_"), value.to_owned());
    }
    Ok(())
}

fn words(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.get_or_insert_default().extend(characters.next()),
            blank if blank.is_ascii_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_a_command_line() {
        let mut got = BTreeMap::new();
        command_line(r"-c cluster=a\ b --search-path=x,y -cz=1  -c e=", &mut got).expect("valid");
        let want = [("cluster", "a b"), ("search_path", "x,y"), ("z", "1"), ("e", "")];
        assert_eq!(got, want.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert!(command_line("-x", &mut got).is_err());
        assert!(command_line("-c", &mut got).is_err());
    }

    #[test]
    fn versions_are_negotiated() {
        let packet = |version: u32, rest: &[u8]| Bytes::from([&version.to_be_bytes()[..], rest].concat());
        let mut out = Vec::new();
        let mut minor = 9;
        let got = parameters(packet(0x30000, b"user\0u\0\0"), &mut out, &mut minor).expect("valid");
        assert_eq!((got["user"].as_str(), minor, out.len()), ("u", 0, 0));
        parameters(packet(0x30005, b"user\0u\0_pq_.x\0y\0\0"), &mut out, &mut minor).expect("valid");
        assert_eq!(&out[..], b"v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.x\0");
        assert_eq!(minor, 2);
        assert!(parameters(packet(0x20000, b"\0"), &mut out, &mut minor).is_err());
        assert!(parameters(packet(0x30000, b"user\0u\0"), &mut out, &mut minor).is_err());
        assert!(parameters(packet(0x30000, b"user\0u\0\0x"), &mut out, &mut minor).is_err());
    }
}
