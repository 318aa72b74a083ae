//! What is asked of the thread, in order. It sleeps until there is something to do: a row alone is not
//! while it waits for several, so that it is woken once a round and not once a row.

use crate::owner::Request;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[derive(Default)]
struct State {
    asked: VecDeque<Request>,
    /// How many of them are rows.
    rows: usize,
    /// As many rows wake who sleeps.
    wanted: usize,
    asleep: bool,
    closed: bool,
}

impl State {
    fn is_ready(&self) -> bool {
        self.asked.len() > self.rows || (self.rows > 0 && self.rows >= self.wanted)
    }
}

/// See the module. Its bound is that of the requests of Python, one a statement, and of connections,
/// each of which waits for its row.
#[derive(Default)]
pub struct Inbox {
    state: Mutex<State>,
    arrived: Condvar,
}

impl Inbox {
    /// Adds a request; false, and it is dropped, after [`Inbox::close`].
    pub fn put(&self, request: Request) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        state.rows += usize::from(matches!(request, Request::Insert(_)));
        state.asked.push_back(request);
        let wake = state.asleep && state.is_ready();
        drop(state);
        if wake {
            self.arrived.notify_one();
        }
        true
    }
    /// Returns all that was asked: at once if that is `wanted` rows or anything else, otherwise when it
    /// is, or at `until`, with the rows there are (none, perhaps).
    pub fn take(&self, wanted: usize, until: Option<Instant>) -> VecDeque<Request> {
        let mut state = self.lock();
        state.wanted = wanted;
        while !state.is_ready() {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            state.asleep = true;
            state = match left {
                Some(left) if left.is_zero() => break,
                Some(left) => {
                    self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        state.asleep = false;
        state.rows = 0;
        std::mem::take(&mut state.asked)
    }
    /// Takes no more requests, and drops those that are there: who waits for them finds out.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.rows = 0;
        state.asked.clear();
    }
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::Outcome;
    use crate::rounds::tests::row_of;
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    fn row() -> Request {
        Request::Insert(crate::rounds::tests::row())
    }

    fn soon() -> Option<Instant> {
        Some(Instant::now() + Duration::from_millis(1))
    }

    #[test]
    fn fewer_rows_than_wanted_are_taken_at_the_end_of_the_moment() {
        let inbox = Inbox::default();
        inbox.put(row());
        let until = soon();
        assert_eq!(inbox.take(2, until).len(), 1);
        assert!(Some(Instant::now()) >= until);
        assert_eq!(inbox.take(2, soon()).len(), 0);
    }

    #[test]
    fn as_many_as_wanted_or_anything_else_are_taken_at_once() {
        let inbox = Inbox::default();
        inbox.put(row());
        inbox.put(row());
        assert_eq!(inbox.take(2, None).len(), 2);
        inbox.put(row());
        inbox.put(Request::Nudge(1));
        let taken = inbox.take(9, None);
        assert!(matches!(taken[0], Request::Insert(_)) && matches!(taken[1], Request::Nudge(1)));
    }

    #[test]
    fn who_sleeps_is_woken_by_the_last_row_that_he_wants() {
        let inbox = Arc::new(Inbox::default());
        let theirs = Arc::clone(&inbox);
        let sleeper = thread::spawn(move || theirs.take(3, None).len());
        for _ in 0..3 {
            inbox.put(row());
        }
        assert_eq!(sleeper.join().expect("the sleeper"), 3);
    }

    #[test]
    fn nothing_is_taken_after_the_end() {
        let inbox = Inbox::default();
        let (waiting, outcome) = row_of(1);
        inbox.put(Request::Insert(waiting));
        inbox.close();
        assert_eq!(outcome.recv(), Ok(Outcome::Dropped));
        let (late, outcome) = row_of(1);
        assert!(!inbox.put(Request::Insert(late)));
        assert_eq!(outcome.recv(), Ok(Outcome::Dropped));
    }
}
