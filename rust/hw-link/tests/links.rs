//! Both ends of a link over real sockets.

use hw_link::address::Address;
use hw_link::client::{Event, Links, ReplicaSpec};
use hw_link::events::EventQueue;
use hw_link::finishing::RowSetFinishing;
use hw_link::frame::{COMPUTE, HELLO, READS, SHELL};
use hw_link::peeks::PeekSpec;
use hw_link::pipe;
use hw_link::response::{Header, encode};
use hw_link::server::{self, ACCEPTED, CommandSink, Responder, Server};
use hw_link::{Bytes, runtime::runtime};
use hw_types::datum::Datum;
use hw_types::flat::Updates;
use hw_types::row;
use std::sync::{Arc, Mutex, OnceLock};

/// Waits on the descriptor for the next event; a test that waits longer than this has failed.
fn next<T: Send>(events: &EventQueue<T>) -> T {
    let mut poll = libc::pollfd { fd: events.fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd that lives through the call.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 10_000) };
    assert_eq!(ready, 1, "no event in time");
    events.drain(1).remove(0)
}

/// A replica that answers every compute command with itself, and peeks with one row.
#[derive(Default)]
struct Echo {
    responder: OnceLock<Responder>,
    seen: Mutex<Vec<Bytes>>,
}

impl CommandSink for Echo {
    fn command(&self, channel: u8, payload: Bytes) {
        self.seen.lock().expect("not poisoned").push(payload.clone());
        let responder = self.responder.get().expect("set before anyone connects");
        if payload.starts_with(b"peek") {
            let mut rows = Updates::new();
            rows.push(&row::pack([Datum::Int(i64::from(payload[4]))]), 0, 1);
            let header =
                Header::Peek { uuid: vec![payload[4]; 16], last: true, error: None, canceled: false };
            responder.respond(READS, encode(&header, &rows.encode().expect("small")));
        } else {
            responder.respond(channel, payload);
        }
    }
}

fn replica(address: &str) -> (Arc<Echo>, Server) {
    let echo = Arc::new(Echo::default());
    let attach = |responder| {
        assert!(echo.responder.set(responder).is_ok());
        Some(Arc::clone(&echo) as _)
    };
    let server = Server::listen(address, Bytes::from("greeting"), attach).expect("listens");
    (echo, server)
}

fn spec(name: &str, epoch: u64, addresses: &[&str]) -> ReplicaSpec {
    ReplicaSpec {
        replica: name.into(),
        cluster: "c".into(),
        addresses: addresses.iter().map(|a| Address::parse(a).expect("valid")).collect(),
        epoch,
        hello: Bytes::from("hello"),
    }
}

fn connected(links: &Links) -> u64 {
    match next(links.events()) {
        Event::Connected { incarnation, greetings, .. } => {
            assert!(greetings.iter().all(|greeting| greeting == "greeting"));
            incarnation
        }
        other => panic!("expected a connection, got {other:?}"),
    }
}

fn peek(id: u8) -> PeekSpec {
    PeekSpec {
        uuid: vec![id; 16].into(),
        cluster: "c".into(),
        peek: [b"peek", &[id][..]].concat().into(),
        finishing: RowSetFinishing { order_by: vec![], limit: None, offset: 0, project: vec![0] },
        before: vec![],
        after: vec![],
        waiting_notice: String::new(),
        replica: String::new(),
        max_result_bytes: 0,
    }
}

#[test]
fn messages_and_peeks_go_to_and_fro() {
    let (_, tcp) = replica("127.0.0.1:0");
    let links = Links::new().expect("descriptors");
    let mut early = links.peeks().peek(peek(1)).expect("started");
    links.connect(spec("r1", 1, &[tcp.address()]));
    let incarnation = connected(&links);
    assert!(links.send("r1", incarnation, COMPUTE, Bytes::from("echo"), None));
    assert!(!links.send("r1", incarnation + 1, COMPUTE, Bytes::from("late"), None));
    match next(links.events()) {
        Event::Message { channel: COMPUTE, payload, process: 0, .. } => assert_eq!(payload, "echo"),
        other => panic!("expected the echo, got {other:?}"),
    }
    assert!(!early.is_asked());
    assert!(links.ready("r1", incarnation));
    let rows = runtime().block_on(early.rows()).expect("answered once ready");
    assert_eq!(rows.len(), 1);
    match next(tcp.events()) {
        server::Event::Connected { epoch: 1, hello } => assert_eq!(hello, "hello"),
        other => panic!("expected a controller, got {other:?}"),
    }
    assert!(links.send("r1", incarnation, SHELL, Bytes::from("to the shell"), None));
    match next(tcp.events()) {
        server::Event::Message { channel: SHELL, payload } => assert_eq!(payload, "to the shell"),
        other => panic!("expected the message, got {other:?}"),
    }
}

#[test]
fn a_replica_of_two_processes_answers_when_both_have() {
    let directory = std::env::temp_dir().join(format!("hw-link-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a folder");
    let paths = ["a", "b"].map(|name| format!("unix:{}", directory.join(name).display()));
    let servers = paths.each_ref().map(|path| replica(path));
    let links = Links::new().expect("descriptors");
    links.connect(spec("r1", 1, &[&paths[0], &paths[1]]));
    let incarnation = connected(&links);
    assert!(links.ready("r1", incarnation));
    let mut both = links.peeks().peek(peek(2)).expect("started");
    let rows = runtime().block_on(both.rows()).expect("answered");
    assert_eq!((rows.len(), rows.diffs[0] + rows.diffs.get(1).unwrap_or(&0)), (2, 2));
    let seen = servers.each_ref().map(|(echo, _)| echo.seen.lock().expect("not poisoned").len());
    assert_eq!(seen, [1, 1]);
    drop(servers);
    match next(links.events()) {
        Event::Disconnected { incarnation: gone, .. } => assert_eq!(gone, incarnation),
        other => panic!("expected the end, got {other:?}"),
    }
    std::fs::remove_dir_all(directory).expect("removed");
}

#[test]
fn the_newest_controller_wins() {
    let (_, server) = replica("127.0.0.1:0");
    let old = Links::new().expect("descriptors");
    old.connect(spec("r1", 3, &[server.address()]));
    connected(&old);
    let new = Links::new().expect("descriptors");
    new.connect(spec("r1", 4, &[server.address()]));
    connected(&new);
    match next(old.events()) {
        Event::Disconnected { .. } => {}
        other => panic!("expected to be closed, got {other:?}"),
    }
    match next(old.events()) {
        Event::Unreachable { reason, .. } => assert_eq!(reason, "epoch 3 is fenced by a newer controller"),
        other => panic!("expected to be refused, got {other:?}"),
    }
}

#[test]
fn a_silent_host_is_noticed() {
    let listener =
        runtime().block_on(Address::parse("127.0.0.1:0").expect("valid").listen()).expect("listens");
    let address = listener.address().expect("bound");
    let links = Links::new().expect("descriptors");
    links.connect(spec("r1", 1, &[&address]));
    let _silent = runtime().block_on(async {
        let (mut incoming, mut outgoing) = pipe::open(listener.accept().await.expect("connected"));
        incoming.hello().await.expect("a hello");
        let answer = [&[ACCEPTED][..], b"greeting"].concat();
        outgoing.send(HELLO, &answer).await.expect("sent");
        (incoming, outgoing)
    });
    connected(&links);
    match next(links.events()) {
        Event::Disconnected { reason, .. } => assert_eq!(reason, "no sign of life for 4 s"),
        other => panic!("expected the end, got {other:?}"),
    }
}
