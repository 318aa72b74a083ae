//! Row sources: rows that are there, peeks, subscriptions; read batch by batch, row by row.

use crate::front::Front;
use crate::protocol::{ErrorFields, Outcome, Request, RowSource, SubscribeSpec};
use crate::subscribe::Shape;
use hw_link::finishing::finish;
use hw_link::peeks::{PeekHandle, too_large};
use hw_link::subscribes::{Batch, Subscription};
use hw_types::flat::Updates;
use std::sync::Arc;

/// Tells Python once how an execution ended: by [`Execution::end`], or by being dropped.
pub struct Execution {
    front: Arc<Front>,
    conn: u32,
    id: u64,
    told: bool,
}

impl Execution {
    /// The execution of Execute request `id`.
    pub fn new(front: &Arc<Front>, conn: u32, id: u64) -> Self {
        Execution { front: Arc::clone(front), conn, id, told: false }
    }
    fn end(&mut self, outcome: Outcome, rows: u64, sqlstate: &str) {
        if !std::mem::replace(&mut self.told, true) {
            let sqlstate = sqlstate.to_owned();
            let complete = Request::Complete { execution: self.id, outcome, rows, sqlstate };
            self.front.tell(self.conn, &complete);
        }
    }
}

enum Source {
    Peek(PeekHandle),
    Subscribe(Subscribe),
    Spent,
}

/// Rows to be sent, in order.
pub struct RowStream {
    source: Source,
    execution: Option<Execution>,
    current: Updates,
    at: usize,
    sent_of_current: i64,
    /// Rows taken so far.
    pub rows: u64,
}

impl Drop for RowStream {
    fn drop(&mut self) {
        self.end(Outcome::Abandoned, "");
    }
}

impl RowStream {
    fn new(source: Source, current: Updates, execution: Option<Execution>) -> Self {
        RowStream { source, execution, current, at: 0, sent_of_current: 0, rows: 0 }
    }
    /// Rows that are there.
    pub fn of(rows: Updates) -> Self {
        RowStream::new(Source::Spent, rows, None)
    }
    /// A peek that Python does not know of.
    pub fn of_peek(handle: PeekHandle) -> Self {
        RowStream::new(Source::Peek(handle), Updates::new(), None)
    }
    /// Opens a source other than a fetch. `execution` is told of the end of peeks and subscriptions.
    pub fn open(
        front: &Arc<Front>,
        source: RowSource,
        execution: Execution,
        bytes_max: u64,
    ) -> Result<Self, ErrorFields> {
        match source {
            RowSource::Inline { rows, finishing } => {
                let malformed = |_| ErrorFields::new("XX000", "malformed rows from the adapter");
                let rows = Updates::decode(&rows).map_err(malformed)?;
                let rows = match finishing {
                    Some(finishing) => finish(&[rows], &finishing)?,
                    None => rows,
                };
                let bytes = rows.iter().fold(0, |sum: u64, (row, _, count)| {
                    sum.saturating_add(u64::try_from(count).unwrap_or(0).saturating_mul(row.len() as u64))
                });
                if bytes_max > 0 && bytes > bytes_max {
                    return Err(too_large(bytes_max).into());
                }
                Ok(RowStream::of(rows))
            }
            RowSource::Peek(mut spec) => {
                if spec.max_result_bytes == 0 {
                    spec.max_result_bytes = bytes_max;
                }
                let handle = front.links.peeks().peek(*spec)?;
                Ok(RowStream::new(Source::Peek(handle), Updates::new(), Some(execution)))
            }
            RowSource::Subscribe(spec) => {
                let subscribe = Subscribe::open(front, spec);
                Ok(RowStream::new(Source::Subscribe(subscribe), Updates::new(), Some(execution)))
            }
            RowSource::Fetch { .. } => Err(ErrorFields::new("XX000", "a fetch is no source of a portal")),
        }
    }
    /// The peek that is being waited for, if it is one.
    pub fn peek(&self) -> Option<&PeekHandle> {
        match &self.source {
            Source::Peek(handle) => Some(handle),
            _ => None,
        }
    }
    /// Whether rows come as time goes on.
    pub fn is_subscribe(&self) -> bool {
        matches!(self.source, Source::Subscribe(_))
    }
    /// The next row if it is there.
    #[inline]
    pub fn take(&mut self) -> Option<&[u8]> {
        while self.at < self.current.len() && self.sent_of_current >= self.current.diffs[self.at] {
            self.at += 1;
            self.sent_of_current = 0;
        }
        if self.at >= self.current.len() {
            return None;
        }
        self.sent_of_current += 1;
        self.rows += 1;
        Some(self.current.row(self.at))
    }
    /// Waits until there are rows to take; false where there will be none any more.
    ///
    /// Cancellation: nothing is lost.
    pub async fn fill(&mut self) -> Result<bool, ErrorFields> {
        loop {
            if self.at < self.current.len() && self.sent_of_current < self.current.diffs[self.at]
                || self.at + 1 < self.current.len()
            {
                return Ok(true);
            }
            let (rows, spent) = match &mut self.source {
                Source::Spent => return Ok(false),
                Source::Peek(handle) => (handle.rows().await?, true),
                Source::Subscribe(subscribe) => subscribe.next().await?,
            };
            self.current = rows;
            self.at = 0;
            self.sent_of_current = 0;
            if spent {
                self.source = Source::Spent;
            }
        }
    }
    /// Says how it ended; what is told first counts.
    pub fn end(&mut self, outcome: Outcome, sqlstate: &str) {
        let rows = self.rows;
        if let Some(execution) = &mut self.execution {
            execution.end(outcome, rows, sqlstate);
        }
    }
}

/// A subscription's batches as rows for a client.
struct Subscribe {
    front: Arc<Front>,
    spec: SubscribeSpec,
    shape: Shape,
    subscription: Arc<Subscription>,
    begun: bool,
}

impl Drop for Subscribe {
    fn drop(&mut self) {
        self.front.links.subscriptions().forget(&self.spec.id);
    }
}

impl Subscribe {
    fn open(front: &Arc<Front>, spec: SubscribeSpec) -> Self {
        let subscription = front.links.subscriptions().expect(&spec.id);
        let envelope = spec.envelope.clone();
        let shape = Shape { arity: spec.arity, progress: spec.progress, envelope };
        Subscribe { front: Arc::clone(front), spec, shape, subscription, begun: false }
    }
    /// The next rows, and whether they are the last.
    async fn next(&mut self) -> Result<(Updates, bool), ErrorFields> {
        if self.spec.progress && !self.begun {
            self.begun = true;
            let mut rows = Updates::new();
            self.shape.push_progress(&mut rows, self.spec.as_of);
            return Ok((rows, self.is_over(Some(self.spec.as_of))));
        }
        let batch = self.subscription.next().await?;
        Ok((self.rows(&batch), self.is_over(batch.upper)))
    }
    fn is_over(&self, upper: Option<u64>) -> bool {
        match (upper, self.spec.up_to) {
            (None, _) => true,
            (Some(upper), Some(up_to)) => upper >= up_to,
            (Some(_), None) => false,
        }
    }
    fn rows(&self, batch: &Batch) -> Updates {
        let mut out = Updates::new();
        let wanted = |time: u64| self.spec.up_to.is_none_or(|up_to| time < up_to);
        self.shape.push_updates(&mut out, batch.updates.iter().filter(|(_, time, _)| wanted(*time)));
        if let (true, Some(upper)) = (self.spec.progress, batch.upper.filter(|upper| wanted(*upper))) {
            self.shape.push_progress(&mut out, upper);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rows_come_as_often_as_their_diff_says() {
        let mut rows = Updates::new();
        rows.push(b"a", 0, 2);
        rows.push(b"b", 0, 1);
        let mut stream = RowStream::of(rows);
        let mut got = Vec::new();
        while stream.fill().await.expect("no error") {
            got.push(stream.take().expect("filled").to_vec());
        }
        assert_eq!(got, [b"a", b"a", b"b"]);
        assert_eq!(stream.rows, 3);
    }
}
