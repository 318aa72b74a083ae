//! Rounds of inserts: what they write, who is told, and how a grant ends.

use hw_consensus::grant::Grant;
use hw_consensus::owner::{Consensus, Done, Event, Request};
use hw_consensus::rounds::{Outcome, Row, Ticket, Waiting};
use hw_consensus::store::{Cas, Store};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

const SHARD: &str = "txns";

/// A file of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("hw-consensus-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }
    fn file(&self) -> PathBuf {
        self.0.join("consensus.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn grant(seqno: u64) -> Grant {
    Grant {
        shard: SHARD.to_owned(),
        seqno,
        upper: 1,
        open: false,
        epoch: 1,
        catalog_version: 7,
        inline_bytes_max: 1 << 10,
        token: [9; 8],
    }
}

fn cas(expected: u64) -> Cas {
    Cas { shard: SHARD.to_owned(), expected, data: b"by another".to_vec() }
}

/// A store with one version of the shard.
fn opened(folder: &Folder) -> Consensus {
    let mut store = Store::open(&folder.file()).expect("a store");
    assert_eq!(store.commit(&[&[cas(0)]]), Ok(vec![vec![]]));
    drop(store);
    Consensus::open(&folder.file()).expect("a store")
}

struct Listener {
    ticket: Ticket,
    heard: Sender<Outcome>,
}

impl Waiting for Listener {
    fn ticket(&self) -> &Ticket {
        &self.ticket
    }
    fn end(&self, outcome: Outcome) {
        let _ = self.heard.send(outcome);
    }
}

fn insert(store: &Consensus, row: &[u8], catalog_version: u64) -> (Arc<Listener>, Receiver<Outcome>) {
    let (heard, outcome) = channel();
    let listener = Arc::new(Listener { ticket: Ticket::default(), heard });
    let waiting = Arc::clone(&listener) as Arc<dyn Waiting>;
    store.ask(Request::Insert(Row::new("t1".to_owned(), row.to_vec(), catalog_version, waiting)));
    (listener, outcome)
}

/// Waits for the result of request `id`; returns what was told before it.
fn until_done(store: &Consensus, id: u64) -> (Vec<Event>, Done) {
    let mut before = Vec::new();
    loop {
        for event in store.events().drain(1) {
            match event {
                Event::Done { id: of, done } if of == id => return (before, done),
                other => before.push(other),
            }
        }
        std::thread::yield_now();
    }
}

#[test]
fn rows_are_committed_told_and_answered_until_the_shard_is_taken_back() {
    let folder = Folder::new();
    let store = opened(&folder);
    let (_, early) = insert(&store, b"early", 7);
    assert_eq!(early.recv(), Ok(Outcome::Again));
    store.ask(Request::Give(grant(1)));
    let (_, done) = insert(&store, b"one", 7);
    assert_eq!(done.recv(), Ok(Outcome::Inserted));
    let (_, done) = insert(&store, b"two", 7);
    assert_eq!(done.recv(), Ok(Outcome::Inserted));
    let (_, stale) = insert(&store, b"old", 6);
    assert_eq!(stale.recv(), Ok(Outcome::Again));
    let (_, large) = insert(&store, &[1; 1 << 10], 7);
    assert_eq!(large.recv(), Ok(Outcome::Again));
    store.ask(Request::TakeBack { id: 1, soon: false });
    let (told, _) = until_done(&store, 1);
    let rounds: Vec<_> = told
        .iter()
        .filter_map(|event| match event {
            Event::Round { cas, time, tables, .. } => Some((cas.expected, *time, tables.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(rounds.iter().map(|(expected, ..)| *expected).collect::<Vec<_>>(), [1, 2]);
    assert!(rounds[0].1 < rounds[1].1, "each round has a later time while the clock is not led");
    assert_eq!(rounds[0].2, ["t1"]);
    let (_, late) = insert(&store, b"late", 7);
    assert_eq!(late.recv(), Ok(Outcome::Again));
    drop(store);
    let versions = Store::open(&folder.file()).and_then(|mut store| store.scan(SHARD, 2)).expect("a store");
    assert_eq!(versions.iter().map(|(seqno, _)| *seqno).collect::<Vec<_>>(), [2, 3]);
    assert!(versions[0].1.windows(3).any(|bytes| bytes == b"one"));
}

#[test]
fn a_grant_that_is_out_of_date_does_not_begin() {
    let folder = Folder::new();
    let store = opened(&folder);
    store.ask(Request::Give(grant(2)));
    let (_, done) = insert(&store, b"one", 7);
    assert_eq!(done.recv(), Ok(Outcome::Again));
    assert!(!store.is_granted());
    assert!(matches!(store.events().drain(1).as_slice(), [Event::Ended]));
}

#[test]
fn a_commit_of_python_to_the_shard_ends_the_grant() {
    let folder = Folder::new();
    let store = opened(&folder);
    store.ask(Request::Give(grant(1)));
    store.ask(Request::Commit { id: 1, ops: vec![cas(1)] });
    let (told, done) = until_done(&store, 1);
    assert!(matches!(told.as_slice(), [Event::Ended]));
    assert!(matches!(done, Done::Committed(mismatched) if mismatched.is_empty()));
    let (_, done) = insert(&store, b"one", 7);
    assert_eq!(done.recv(), Ok(Outcome::Again));
}

#[test]
fn a_newer_owner_of_the_file_ends_the_grant_and_nothing_is_written() {
    let folder = Folder::new();
    let store = opened(&folder);
    store.ask(Request::Give(grant(1)));
    let (_, done) = insert(&store, b"one", 7);
    assert_eq!(done.recv(), Ok(Outcome::Inserted));
    let mut newer = Store::open(&folder.file()).expect("a store");
    let head = newer.head(SHARD);
    assert_eq!(newer.commit(&[&[cas(head)]]), Ok(vec![vec![]]));
    let (_, done) = insert(&store, b"two", 7);
    assert_eq!(done.recv(), Ok(Outcome::Again));
    assert!(!store.is_granted());
    drop(store);
    assert_eq!(newer.scan(SHARD, head + 2), Ok(vec![]));
}

#[test]
fn a_row_is_withdrawn_before_its_round_or_not_at_all() {
    let folder = Folder::new();
    let store = opened(&folder);
    store.ask(Request::Give(grant(1)));
    let mut ended = Vec::new();
    for number in 0..200u32 {
        let (listener, done) = insert(&store, &number.to_be_bytes(), 7);
        if number % 3 == 0 {
            std::thread::yield_now();
        }
        let withdrawn = listener.ticket.withdraw();
        ended.push((withdrawn, done));
    }
    for (withdrawn, outcome) in ended {
        assert_eq!(outcome.recv(), Ok(if withdrawn { Outcome::Dropped } else { Outcome::Inserted }));
    }
}

#[test]
fn rows_that_come_while_the_shard_is_away_for_a_moment_wait_for_it() {
    let folder = Folder::new();
    let store = opened(&folder);
    store.ask(Request::Announce);
    let (_, early) = insert(&store, b"early", 7);
    store.ask(Request::Give(grant(1)));
    assert_eq!(early.recv(), Ok(Outcome::Inserted));
    store.ask(Request::TakeBack { id: 1, soon: true });
    let (_, late) = insert(&store, b"late", 7);
    until_done(&store, 1);
    assert!(store.is_granted());
    store.ask(Request::Commit { id: 2, ops: vec![cas(2)] });
    assert!(matches!(until_done(&store, 2).1, Done::Committed(mismatched) if mismatched.is_empty()));
    store.ask(Request::Give(grant(3)));
    assert_eq!(late.recv(), Ok(Outcome::Inserted));
    drop(store);
    let versions = Store::open(&folder.file()).and_then(|mut store| store.scan(SHARD, 2)).expect("a store");
    assert_eq!(versions.iter().map(|(seqno, _)| *seqno).collect::<Vec<_>>(), [2, 3, 4]);
}

#[test]
fn rows_do_not_wait_for_ever_for_a_shard_that_does_not_come() {
    let folder = Folder::new();
    let store = opened(&folder);
    store.ask(Request::Announce);
    let (_, row) = insert(&store, b"row", 7);
    assert_eq!(row.recv(), Ok(Outcome::Again));
    assert!(!store.is_granted());
}
