//! The thread that owns the file: requests in, one transaction a turn, results out.
//!
//! What Python asks for and the rows of a round that is due share a transaction, and so a sync. Rounds
//! are told to Python in the order of their versions, before anything that comes after them; while one
//! follows the other, several at a time: they are durable and answered already, and whoever follows
//! the shard is woken once.

use crate::checkpoint::Checkpointer;
use crate::clock::{monotonic_ns, now_ms};
use crate::grant::Grant;
use crate::inbox::Inbox;
use crate::rounds::{Outcome, Round, Rounds, Row};
use crate::store::{Cas, Mismatched, Store, StoreError, Versions};
use hw_link::events::EventQueue;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A turn with as many requests takes no more: what one full disk takes back.
const BATCH_MAX: usize = 512;
/// Versions are removed when nothing has been asked for so long.
const DOOMED_AFTER: Duration = Duration::from_millis(10);
/// Rounds are told this long after the last ones at the earliest.
const TELL_EVERY: Duration = Duration::from_millis(2);

/// What is asked of the thread; `id` names the result.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Request {
    /// Apply all or none: [`Done::Committed`].
    Commit { id: u64, ops: Vec<Cas> },
    /// [`Done::Versions`].
    Scan { id: u64, shard: String, from: u64 },
    /// [`Done::Nothing`].
    Truncate { id: u64, shard: String, before: u64 },
    /// [`Done::Shards`].
    List { id: u64 },
    /// [`Done::Number`].
    Pragma { id: u64, name: String, value: Option<i64> },
    /// Commit rows from now on. Not done where the shard's newest version is another.
    Give(Grant),
    /// Take rows already: a grant follows soon.
    Announce,
    /// Commit rows no more: [`Done::Nothing`], after the last round was told. Where the next grant is to
    /// follow `soon`, rows wait for it.
    TakeBack { id: u64, soon: bool },
    /// Complete the times up to this one; nothing without a grant.
    Nudge(u64),
    /// A row, under a grant.
    Insert(Row),
    /// End, once all that came before is done.
    Close,
}

/// What a request came to.
#[derive(Debug)]
pub enum Done {
    /// The shards that were not as expected.
    Committed(Mismatched),
    /// Numbers and data.
    Versions(Versions),
    /// Names.
    Shards(Vec<String>),
    /// A pragma's value.
    Number(i64),
    /// It was done.
    Nothing,
    /// It was not, or that is not known.
    Failed(StoreError),
}

/// What Python is told.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Event {
    /// A request's result.
    Done { id: u64, done: Done },
    /// A round was committed, and answered.
    Round {
        /// The version.
        cas: Cas,
        /// Its time.
        time: u64,
        /// When it began: there was no newer owner then or later. Nanoseconds, monotonic.
        began_ns: u64,
        /// The tables written to.
        tables: Vec<String>,
    },
    /// The grant is over without having been taken back.
    Ended,
}

/// Who stands between the store and those who wait for their rows.
pub trait Answers: Send + Sync {
    /// A round is durable: lets reads that begin from now on see the writes at `time`, and tells all
    /// who wait for `rows` that they were inserted.
    fn inserted(&self, time: u64, rows: Vec<Row>);
}

struct Shared {
    events: EventQueue<Event>,
    granted: AtomicBool,
    answers: OnceLock<Arc<dyn Answers>>,
    inbox: Inbox,
}

/// The store, from any thread.
pub struct Consensus {
    shared: Arc<Shared>,
    path: PathBuf,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Consensus {
    /// Opens or makes the store in the file `path`.
    pub fn open(path: &Path) -> Result<Consensus, StoreError> {
        let failed = |error: io::Error| StoreError::Failed(error.to_string());
        let store = Store::open(path)?;
        let checkpointer = Checkpointer::start(path.to_owned()).map_err(failed)?;
        let shared = Arc::new(Shared {
            events: EventQueue::new(usize::MAX).map_err(failed)?,
            granted: AtomicBool::new(false),
            answers: OnceLock::new(),
            inbox: Inbox::default(),
        });
        let owner = Owner {
            store,
            checkpointer,
            rounds: Rounds::default(),
            shared: Arc::clone(&shared),
            asked: VecDeque::new(),
            untold: Vec::new(),
            told: Instant::now(),
        };
        let run = move || owner.run();
        let thread = thread::Builder::new().name("consensus".to_owned()).spawn(run).map_err(failed)?;
        Ok(Consensus { shared, path: path.to_owned(), thread: Mutex::new(Some(thread)) })
    }
    /// Asks. False where the store is closed.
    pub fn ask(&self, request: Request) -> bool {
        self.shared.inbox.put(request)
    }
    /// What Python drains.
    pub fn events(&self) -> &EventQueue<Event> {
        &self.shared.events
    }
    /// Whether rows are taken at the moment.
    pub fn is_granted(&self) -> bool {
        self.shared.granted.load(Ordering::Acquire)
    }
    /// Names who answers; once, before the first grant. Without, the store does.
    pub fn answer_through(&self, answers: Arc<dyn Answers>) {
        let _ = self.shared.answers.set(answers);
    }
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Finishes what was asked and closes the file.
    pub fn close(&self) {
        self.ask(Request::Close);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for Consensus {
    fn drop(&mut self) {
        self.close();
    }
}

struct Owner {
    store: Store,
    checkpointer: Checkpointer,
    rounds: Rounds,
    shared: Arc<Shared>,
    /// What was taken from the inbox and is not done yet.
    asked: VecDeque<Request>,
    untold: Vec<Event>,
    told: Instant,
}

impl Owner {
    fn run(mut self) {
        while self.turn() {}
        self.shared.inbox.close();
        self.take_back();
        self.tell();
    }
    /// Takes what was asked and does it; false at the end.
    fn turn(&mut self) -> bool {
        let mut asked = Vec::new();
        let mut going = true;
        self.receive();
        while going && asked.len() < BATCH_MAX {
            let Some(request) = self.asked.pop_front() else { break };
            match request {
                Request::Insert(row) => self.rounds.take(row),
                Request::Nudge(time) => self.rounds.nudge(time),
                Request::Give(grant) => {
                    // What came before it is done before it.
                    self.work(&std::mem::take(&mut asked));
                    self.give(grant);
                }
                Request::Announce => self.announce(),
                Request::TakeBack { id, soon } => {
                    self.work(&std::mem::take(&mut asked));
                    if soon {
                        self.announce();
                    } else {
                        self.take_back();
                    }
                    self.done(id, Done::Nothing);
                }
                Request::Close => going = false,
                other => asked.push(other),
            }
        }
        self.rounds.drained(Instant::now());
        self.work(&asked);
        if self.rounds.is_overdue(Instant::now()) {
            self.take_back();
        }
        if !self.untold.is_empty() && self.told.elapsed() >= TELL_EVERY {
            self.tell();
        }
        going
    }
    /// Waits for requests, up to the moment at which something else is due.
    fn receive(&mut self) {
        if !self.asked.is_empty() {
            return;
        }
        let tell = (!self.untold.is_empty()).then(|| self.told + TELL_EVERY);
        let doomed = self.store.has_doomed().then(|| Instant::now() + DOOMED_AFTER);
        let due = [self.rounds.due(now_ms()), tell, doomed].into_iter().flatten().min();
        self.asked = self.shared.inbox.take(self.rounds.wanted(), due);
    }
    fn give(&mut self, grant: Grant) {
        if self.store.head(&grant.shard) == grant.seqno {
            self.rounds.give(grant);
            self.shared.granted.store(true, Ordering::Release);
        } else {
            self.take_back();
            self.untold.push(Event::Ended);
            self.tell();
        }
    }
    fn announce(&mut self) {
        self.rounds.announce(Instant::now());
        self.shared.granted.store(true, Ordering::Release);
    }
    fn take_back(&mut self) -> bool {
        self.shared.granted.store(false, Ordering::Release);
        self.rounds.take_back()
    }
    fn end_grant(&mut self) {
        if self.take_back() {
            self.untold.push(Event::Ended);
        }
    }
    /// Does what was asked, together with the round that is due.
    fn work(&mut self, asked: &[Request]) {
        let commits: Vec<(u64, &[Cas])> = asked
            .iter()
            .filter_map(|request| match request {
                Request::Commit { id, ops } => Some((*id, ops.as_slice())),
                _ => None,
            })
            .collect();
        let lent = self.rounds.grant().map(|grant| grant.shard.as_str());
        if commits.iter().any(|(_, ops)| ops.iter().any(|op| Some(op.shard.as_str()) == lent)) {
            // There is one writer of the shard at a time: Python is it, then.
            self.end_grant();
        }
        let began = Instant::now();
        let is_due = self.rounds.due(now_ms()).is_some_and(|due| due <= began);
        let round = if is_due { self.rounds.begin(now_ms()) } else { None };
        if !commits.is_empty() || round.is_some() || (asked.is_empty() && self.store.has_doomed()) {
            self.transact(&commits, round, began);
        }
        asked.iter().for_each(|request| self.look_up(request));
    }
    fn transact(&mut self, commits: &[(u64, &[Cas])], round: Option<Round>, began: Instant) {
        let began_ns = monotonic_ns();
        let rounds = round.as_ref().map(|round| std::slice::from_ref(&round.cas));
        let all: Vec<&[Cas]> = commits.iter().map(|(_, ops)| *ops).chain(rounds).collect();
        let result = self.store.commit(&all);
        self.store.transacted();
        if self.store.is_checkpoint_due() {
            self.checkpointer.ask();
        }
        match result {
            Ok(mut mismatched) => {
                let of_round = round.and_then(|round| Some((round, mismatched.pop()?)));
                if let Some((round, mismatched)) = of_round {
                    self.end_round(round, mismatched.is_empty(), began, began_ns);
                }
                for ((id, _), mismatched) in commits.iter().zip(mismatched) {
                    self.done(*id, Done::Committed(mismatched));
                }
            }
            Err(error) => {
                if let Some(round) = round {
                    self.fail_round(round, &error, began, began_ns);
                }
                commits.iter().for_each(|(id, _)| self.done(*id, Done::Failed(error.clone())));
            }
        }
    }
    fn end_round(&mut self, round: Round, committed: bool, began: Instant, began_ns: u64) {
        if !committed {
            // Another owner has been at it; Python finds out what that means.
            self.end_grant();
            return round.end(&Outcome::Again);
        }
        self.rounds.committed(&round, began.elapsed());
        let Round { rows, cas, time, tables, .. } = round;
        match self.shared.answers.get() {
            Some(answers) => answers.inserted(time, rows),
            None => rows.into_iter().for_each(|row| row.end(Outcome::Inserted)),
        }
        self.untold.push(Event::Round { cas, time, began_ns, tables });
    }
    /// What a failure means for a round: the store has looked again at what there is.
    fn fail_round(&mut self, round: Round, error: &StoreError, began: Instant, began_ns: u64) {
        let expected = round.cas.expected;
        match (error, self.store.head(&round.cas.shard)) {
            (StoreError::Full, _) => {
                self.end_grant();
                round.end(&Outcome::Failed(StoreError::Full));
            }
            (_, head) if head == expected => {
                self.end_grant();
                round.end(&Outcome::Again);
            }
            (_, head) if head == expected + 1 && self.is_newest(&round.cas) => {
                self.end_round(round, true, began, began_ns);
            }
            _ => {
                self.end_grant();
                round.end(&Outcome::Failed(error.clone()));
            }
        }
    }
    fn is_newest(&mut self, cas: &Cas) -> bool {
        let found = self.store.scan(&cas.shard, cas.expected + 1).unwrap_or_default();
        matches!(found.as_slice(), [(_, data)] if *data == cas.data)
    }
    /// Does what needs no transaction.
    fn look_up(&mut self, request: &Request) {
        let failed = Done::Failed;
        let (id, done) = match request {
            Request::Scan { id, shard, from } => {
                (*id, self.store.scan(shard, *from).map_or_else(failed, Done::Versions))
            }
            Request::Truncate { id, shard, before } => {
                self.store.truncate(shard, *before);
                (*id, Done::Nothing)
            }
            Request::List { id } => (*id, self.store.list().map_or_else(failed, Done::Shards)),
            Request::Pragma { id, name, value } => {
                (*id, self.store.pragma(name, *value).map_or_else(failed, Done::Number))
            }
            Request::Commit { .. }
            | Request::Give(_)
            | Request::Announce
            | Request::TakeBack { .. }
            | Request::Nudge(_)
            | Request::Insert(_)
            | Request::Close => return,
        };
        self.done(id, done);
    }
    fn done(&mut self, id: u64, done: Done) {
        self.untold.push(Event::Done { id, done });
        self.tell();
    }
    fn tell(&mut self) {
        for event in self.untold.drain(..) {
            self.shared.events.push(event, 0);
        }
        self.told = Instant::now();
    }
}
