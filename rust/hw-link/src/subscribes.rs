//! Subscriptions under way: batches of several replicas and processes made into one stream.
//!
//! Every replica sends the same updates, at its own pace. What counts is the frontier that has been
//! handed on: whichever replica's frontier is first beyond it provides the updates between the two, and
//! everything below is dropped from then on. So no switch of replicas loses or repeats an update,
//! provided that a replica which comes back starts from an as_of below the frontier.

use crate::response::ReadError;
use hw_types::flat::Updates;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Bytes that wait for a slow reader at most; then the subscription fails.
pub const BUFFER_BYTES_MAX: usize = 256 << 20;
const UPDATE_OVERHEAD_BYTES: usize = 20;

/// The updates between two frontiers, consolidated and in order of time, then of row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The updates, at times before `upper`.
    pub updates: Updates,
    /// Nothing before it will follow; None: nothing at all.
    pub upper: Option<u64>,
}

fn less(a: Option<u64>, b: Option<u64>) -> bool {
    a.is_some() && (b.is_none() || a < b)
}

/// What one process of a replica has said that is not handed on yet.
#[derive(Default)]
struct Part {
    updates: Vec<Updates>,
    errors: Vec<Updates>,
    upper: Option<u64>,
    heard: bool,
}

/// What one replica has said.
struct Progress {
    parts: Vec<Part>,
}

#[derive(Default)]
struct State {
    frontier: Option<u64>,
    replicas: FxHashMap<String, Progress>,
    ready: VecDeque<Batch>,
    ready_bytes: usize,
    failed: Option<ReadError>,
}

/// One subscription.
pub struct Subscription {
    state: Mutex<State>,
    wake: Notify,
}

impl Default for Subscription {
    fn default() -> Self {
        let state = State { frontier: Some(0), ..State::default() };
        Subscription { state: Mutex::new(state), wake: Notify::new() }
    }
}

impl Subscription {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Waits for the next batch.
    ///
    /// Cancellation: nothing is lost.
    pub async fn next(&self) -> Result<Batch, ReadError> {
        loop {
            let wake = self.wake.notified();
            if let Some(batch) = self.try_next()? {
                return Ok(batch);
            }
            wake.await;
        }
    }
    /// Returns the next batch if it is there.
    pub fn try_next(&self) -> Result<Option<Batch>, ReadError> {
        let mut state = self.lock();
        match state.ready.pop_front() {
            Some(batch) => {
                state.ready_bytes -= size(&batch.updates);
                Ok(Some(batch))
            }
            None => state.failed.clone().map_or(Ok(None), Err),
        }
    }
    /// Ends the stream with an error, after what is ready.
    pub fn fail(&self, error: ReadError) {
        self.lock().failed.get_or_insert(error);
        self.wake.notify_one();
    }
    /// Forgets what a replica said that was not handed on.
    pub fn replica_lost(&self, replica: &str) {
        self.lock().replicas.remove(replica);
    }
    /// Takes in a batch of one of the `processes` processes of a replica.
    pub fn respond(
        &self,
        replica: &str,
        process: usize,
        processes: usize,
        (updates, errors): (Updates, Updates),
        upper: Option<u64>,
    ) {
        let mut state = self.lock();
        if state.failed.is_some() {
            return;
        }
        let progress = state
            .replicas
            .entry(replica.to_owned())
            .or_insert_with(|| Progress { parts: (0..processes).map(|_| Part::default()).collect() });
        let Some(part) = progress.parts.get_mut(process) else { return };
        part.heard = true;
        part.upper = upper;
        part.updates.extend((!updates.is_empty()).then_some(updates));
        part.errors.extend((!errors.is_empty()).then_some(errors));
        self.advance(&mut state, replica);
        drop(state);
        self.wake.notify_one();
    }
    /// Hands on what `replica` knows beyond the frontier, if it is first.
    fn advance(&self, state: &mut State, replica: &str) {
        let Some(progress) = state.replicas.get_mut(replica) else { return };
        if progress.parts.iter().any(|part| !part.heard) {
            return;
        }
        let from = state.frontier;
        let upper = progress.parts.iter().filter_map(|part| part.upper).min();
        let updates = progress.take(from, upper, |part| &mut part.updates);
        let errors = progress.take(from, upper, |part| &mut part.errors);
        if !less(from, upper) {
            return;
        }
        if let Some((row, _, _)) = errors.iter().find(|(_, _, diff)| *diff > 0) {
            state.failed = Some(data_error(row));
            return;
        }
        state.ready_bytes += size(&updates);
        if state.ready_bytes > BUFFER_BYTES_MAX {
            state.failed = Some(ReadError::new(
                "53400",
                format!(
                    "subscription buffer exceeded {} MiB: the client reads too slowly",
                    BUFFER_BYTES_MAX >> 20
                ),
            ));
            return;
        }
        state.ready.push_back(Batch { updates, upper });
        state.frontier = upper;
    }
}

impl Progress {
    /// Takes the updates before `upper` out of all parts, and keeps those at or beyond `from`.
    fn take(
        &mut self,
        from: Option<u64>,
        upper: Option<u64>,
        of: impl Fn(&mut Part) -> &mut Vec<Updates>,
    ) -> Updates {
        let mut out = Updates::new();
        for part in &mut self.parts {
            let mut later = Updates::new();
            for (row, time, diff) in of(part).iter().flat_map(Updates::iter) {
                if upper.is_some_and(|upper| time >= upper) {
                    later.push(row, time, diff);
                } else if from.is_some_and(|from| time >= from) {
                    out.push(row, time, diff);
                }
            }
            *of(part) = if later.is_empty() { Vec::new() } else { vec![later] };
        }
        in_order(&out)
    }
}

/// Consolidates, and sorts by time and then by row.
fn in_order(updates: &Updates) -> Updates {
    let updates = updates.consolidate();
    if updates.times.is_sorted() {
        return updates;
    }
    let mut order: Vec<usize> = (0..updates.len()).collect();
    order.sort_by_key(|i| updates.times[*i]);
    let mut out = Updates::new();
    order.into_iter().for_each(|i| out.push(updates.row(i), updates.times[i], updates.diffs[i]));
    out
}

fn size(updates: &Updates) -> usize {
    updates.row_bytes() + updates.len() * UPDATE_OVERHEAD_BYTES
}

/// Reads a row of the error half: one text `SQLSTATE:message`.
pub fn data_error(row: &[u8]) -> ReadError {
    let arena = hw_types::arena::Arena::default();
    match hw_types::row::read_datum(row, &arena) {
        Ok((hw_types::datum::Datum::Text(text), _)) => match text.split_once(':') {
            Some((sqlstate, message)) if sqlstate.len() == 5 => ReadError::new(sqlstate, message),
            _ => ReadError::new("XX000", text),
        },
        _ => ReadError::new("XX000", "malformed error row"),
    }
}

/// All subscriptions, by the sink export's id.
#[derive(Default)]
pub struct Subscriptions(Mutex<FxHashMap<String, Arc<Subscription>>>);

impl Subscriptions {
    fn lock(&self) -> MutexGuard<'_, FxHashMap<String, Arc<Subscription>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Begins to collect what comes for `id`; returns what is collected already if it has begun.
    pub fn expect(&self, id: &str) -> Arc<Subscription> {
        Arc::clone(self.lock().entry(id.to_owned()).or_default())
    }
    /// Stops collecting; later batches are dropped.
    pub fn forget(&self, id: &str) {
        self.lock().remove(id);
    }
    /// The subscription of that id, if anyone waits for it.
    pub fn get(&self, id: &str) -> Option<Arc<Subscription>> {
        self.lock().get(id).map(Arc::clone)
    }
    /// Forgets what a replica said that was not handed on.
    pub fn replica_lost(&self, replica: &str) {
        self.lock().values().for_each(|subscription| subscription.replica_lost(replica));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn updates(list: &[(&str, u64, i64)]) -> (Updates, Updates) {
        let mut out = Updates::new();
        list.iter().for_each(|(row, time, diff)| out.push(row.as_bytes(), *time, *diff));
        (out, Updates::new())
    }

    fn all(subscription: &Subscription) -> Vec<(String, u64, i64)> {
        let mut out = Vec::new();
        while let Some(batch) = subscription.try_next().expect("no error") {
            for (row, time, diff) in batch.updates.iter() {
                out.push((String::from_utf8_lossy(row).into_owned(), time, diff));
            }
        }
        out
    }

    #[test]
    fn switching_replicas_neither_loses_nor_repeats() {
        let s = Subscription::default();
        s.respond("r1", 0, 1, updates(&[("a", 5, 1), ("b", 6, 1)]), Some(7));
        s.respond("r2", 0, 1, updates(&[("a", 5, 1)]), Some(6));
        s.respond("r2", 0, 1, updates(&[("b", 6, 1), ("c", 7, 1)]), Some(9));
        s.respond("r1", 0, 1, updates(&[("c", 7, 1), ("d", 9, 1)]), Some(10));
        s.replica_lost("r1");
        // Comes back with a snapshot at 8, below the frontier that has been handed on.
        s.respond("r1", 0, 1, updates(&[("a", 8, 1), ("b", 8, 1), ("c", 8, 1), ("d", 9, 1)]), Some(10));
        s.respond("r1", 0, 1, updates(&[("a", 11, -1)]), None);
        let want = [("a", 5, 1), ("b", 6, 1), ("c", 7, 1), ("d", 9, 1), ("a", 11, -1)];
        assert_eq!(all(&s), want.map(|(row, time, diff)| (row.to_owned(), time, diff)));
    }

    #[test]
    fn processes_advance_together() {
        let s = Subscription::default();
        s.respond("r1", 0, 2, updates(&[("a", 1, 1), ("b", 8, 1)]), Some(9));
        assert!(all(&s).is_empty());
        s.respond("r1", 1, 2, updates(&[("c", 2, 1), ("a", 1, 1)]), Some(3));
        assert_eq!(all(&s), vec![("a".to_owned(), 1, 2), ("c".to_owned(), 2, 1)]);
        s.respond("r1", 1, 2, updates(&[]), Some(20));
        assert_eq!(all(&s), vec![("b".to_owned(), 8, 1)]);
    }

    #[test]
    fn an_error_ends_the_stream_after_what_came_before() {
        let s = Subscription::default();
        s.respond("r1", 0, 1, updates(&[("a", 1, 1)]), Some(2));
        let mut errors = Updates::new();
        errors.push_with(|out| hw_types::row::push_text(out, "22012:division by zero"), 2, 1);
        s.respond("r1", 0, 1, (Updates::new(), errors), Some(3));
        assert!(s.try_next().expect("the batch before").is_some());
        assert_eq!(s.try_next(), Err(ReadError::new("22012", "division by zero")));
    }
}
