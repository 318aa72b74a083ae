//! Answers to rows that the store commits. The store's thread sends them itself, as soon as a row is
//! durable: the connection's task is not woken for that, but by what its client says next. While the
//! store's thread answers the others of a round, the first clients' next rows are read already.
//!
//! The task is woken where there is something left for it to do: the socket had no room, the row was
//! not inserted, or the client has said something meanwhile.

use crate::fast::FastState;
use hw_consensus::owner::Answers;
use hw_consensus::rounds::{Outcome, Row, Ticket, Waiting};
use socket2::SockRef;
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

impl Answers for FastState {
    fn inserted(&self, time: u64, rows: Vec<Row>) {
        self.set_read_ts(time);
        rows.into_iter().for_each(|row| row.end(Outcome::Inserted));
    }
}

/// A client's socket, for who is not its task.
pub struct Sender(OwnedFd);

impl Sender {
    /// Sends through `socket`, which does not block.
    pub fn new(socket: OwnedFd) -> Sender {
        Sender(socket)
    }
    /// Sends what there is room for; returns how many bytes that were. An error is the task's to find.
    fn send(&self, bytes: &[u8]) -> usize {
        SockRef::from(&self.0).send_with_flags(bytes, libc::MSG_NOSIGNAL).unwrap_or(0)
    }
}

struct State {
    /// What the client is to get once the row is inserted.
    message: Vec<u8>,
    sent: usize,
    outcome: Option<Outcome>,
    /// The task has been woken since it began to wait, or has something to do anyway.
    is_up: bool,
    task: Option<Waker>,
}

/// A row's answer on its way.
pub(crate) struct RowAnswer {
    ticket: Ticket,
    sender: Option<Arc<Sender>>,
    state: Mutex<State>,
}

impl RowAnswer {
    /// An answer that is sent through `sender`, by the task where there is none. `is_up`: the task is
    /// to be woken in any case, for it has something to do.
    pub(crate) fn new(message: Vec<u8>, sender: Option<Arc<Sender>>, is_up: bool) -> RowAnswer {
        let state = State { message, sent: 0, outcome: None, is_up, task: None };
        RowAnswer { ticket: Ticket::default(), sender, state: Mutex::new(state) }
    }
    /// Waits for the row's end. Where it was inserted, [`RowAnswer::rest`] is for the task to send.
    pub(crate) async fn outcome(&self) -> Outcome {
        poll_fn(|context| self.poll(context)).await
    }
    fn poll(&self, context: &Context<'_>) -> Poll<Outcome> {
        let mut state = self.lock();
        if let Some(outcome) = state.outcome.take() {
            return Poll::Ready(outcome);
        }
        match &state.task {
            // Something else has woken it: it may have read what it would be woken by later.
            Some(task) if task.will_wake(context.waker()) => state.is_up = true,
            Some(_) => {
                state.is_up = true;
                state.task = Some(context.waker().clone());
            }
            None => state.task = Some(context.waker().clone()),
        }
        Poll::Pending
    }
    /// What of the message has not been sent, after the end.
    pub(crate) fn rest(&self) -> Vec<u8> {
        let mut state = self.lock();
        let sent = state.sent;
        state.message.split_off(sent)
    }
    /// Takes the row back; false where its round has begun.
    pub(crate) fn withdraw(&self) -> bool {
        self.ticket.withdraw()
    }
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting for RowAnswer {
    fn ticket(&self) -> &Ticket {
        &self.ticket
    }
    fn end(&self, outcome: Outcome) {
        let mut state = self.lock();
        if outcome == Outcome::Inserted
            && let Some(sender) = &self.sender
        {
            state.sent = sender.send(&state.message);
        }
        let is_done = outcome == Outcome::Inserted && state.sent == state.message.len();
        state.outcome = Some(outcome);
        let task = if is_done && !state.is_up { None } else { state.task.take() };
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    /// Counts wakes.
    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A client, and the socket through which it is answered.
    fn sockets() -> (UnixStream, Arc<Sender>) {
        let (client, server) = UnixStream::pair().expect("a pair");
        server.set_nonblocking(true).expect("it can");
        (client, Arc::new(Sender::new(server.into())))
    }

    fn woken(task: &Arc<Task>) -> usize {
        task.0.load(Ordering::Relaxed)
    }

    #[test]
    fn a_client_is_answered_without_its_task() {
        let (mut client, sender) = sockets();
        let answer = RowAnswer::new(b"inserted".to_vec(), Some(sender), false);
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        assert_eq!(answer.poll(&Context::from_waker(&waker)), Poll::Pending);
        answer.end(Outcome::Inserted);
        let mut got = [0; 8];
        client.read_exact(&mut got).expect("the answer");
        assert_eq!((&got, woken(&task)), (b"inserted", 0));
        assert_eq!(answer.poll(&Context::from_waker(&waker)), Poll::Ready(Outcome::Inserted));
        assert_eq!(answer.rest(), b"");
    }

    #[test]
    fn a_task_that_may_have_read_on_is_woken() {
        let (_client, sender) = sockets();
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        let answer = RowAnswer::new(b"inserted".to_vec(), Some(Arc::clone(&sender)), false);
        assert_eq!(answer.poll(&Context::from_waker(&waker)), Poll::Pending);
        assert_eq!(answer.poll(&Context::from_waker(&waker)), Poll::Pending);
        answer.end(Outcome::Inserted);
        assert_eq!(woken(&task), 1);
        let answer = RowAnswer::new(b"inserted".to_vec(), Some(sender), true);
        assert_eq!(answer.poll(&Context::from_waker(&waker)), Poll::Pending);
        answer.end(Outcome::Inserted);
        assert_eq!(woken(&task), 2);
    }

    #[test]
    fn a_task_is_woken_for_what_is_left() {
        let task = Arc::new(Task::default());
        let waker = Waker::from(Arc::clone(&task));
        let (mut client, sender) = sockets();
        let long = vec![7; 8 << 20];
        let answer = RowAnswer::new(long.clone(), Some(sender), false);
        assert_eq!(answer.poll(&Context::from_waker(&waker)), Poll::Pending);
        answer.end(Outcome::Inserted);
        let rest = answer.rest();
        assert!(woken(&task) == 1 && !rest.is_empty() && rest.len() < long.len());
        let mut got = vec![0; long.len() - rest.len()];
        client.read_exact(&mut got).expect("the first part");
        let answer = RowAnswer::new(b"inserted".to_vec(), None, false);
        assert_eq!(answer.poll(&Context::from_waker(&waker)), Poll::Pending);
        answer.end(Outcome::Again);
        assert_eq!(woken(&task), 2);
        assert_eq!(answer.poll(&Context::from_waker(&waker)), Poll::Ready(Outcome::Again));
        assert_eq!(answer.rest(), b"inserted");
    }
}
