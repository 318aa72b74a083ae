//! What both query protocols do with the answer to an Execute: rows, COPY, cursors.

use crate::connection::{Connection, Fault, Socket, Waited};
use crate::encode::RowEncoder;
use crate::extended::no_portal;
use crate::protocol::{Answer, CancelReason, Columns, ErrorFields, Outcome, RowSource};
use crate::session::{PORTALS_MAX, Portal, PortalState};
use crate::simple::unexpected;
use crate::stream::{Execution, RowStream};
use crate::wire;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// How long a peek may find no replica before the client is told why it waits.
pub const WAITING_NOTICE_AFTER: Duration = Duration::from_secs(1);

/// How the rows of an execution are wanted.
pub struct Reading {
    /// The Execute request's number.
    pub execution: u64,
    /// Whether to send RowDescription first.
    pub describe: bool,
    /// Whether Sync follows.
    pub sync: bool,
    /// Rows at most, 0 for all.
    pub max_rows: u64,
}

/// How sending rows ended.
enum Sent {
    All,
    Limit,
}

impl<S: Socket> Connection<S> {
    /// Notes what an Execute has done to the implicit transaction.
    pub(crate) fn executed(&mut self, answer: &Answer, sync: bool) {
        self.session.dirty = !sync && !matches!(answer, Answer::Failed { .. });
    }
    /// Carries out an answer; `portal` keeps what is left of it.
    pub(crate) async fn answer(
        &mut self,
        answer: Answer,
        portal: &mut Portal,
        reading: &Reading,
    ) -> Result<(), Fault> {
        match answer {
            Answer::Command { tag } => wire::complete(&mut self.out, &tag),
            Answer::Empty => wire::empty(&mut self.out, wire::EMPTY_QUERY),
            Answer::Failed { error } => return Err(error.into()),
            Answer::Rows { source: RowSource::Fetch { cursor, count, timeout_ms }, columns, tag, .. } => {
                if columns.is_some() {
                    portal.columns = columns;
                }
                return self.fetch(&cursor, count, timeout_ms, &tag, portal, reading).await;
            }
            Answer::Rows { source, columns, tag, counted } => {
                if columns.is_some() {
                    portal.columns = columns;
                }
                let stream = self.open(source, reading.execution)?;
                if reading.describe {
                    self.describe_rows(portal);
                }
                portal.state = PortalState::Open { stream, tag, counted };
                return self.send_portal(portal, reading.max_rows).await;
            }
            Answer::CopyOut { columns, source, format } => {
                let stream = self.open(source, reading.execution)?;
                return self.copy_out(stream, &columns, &format).await;
            }
            Answer::CopyIn { table, columns, format } => {
                return self.copy_in(&table, &columns, &format, reading.sync).await;
            }
            Answer::DeclareCursor { name, columns, source } => {
                self.declare(name, columns, source, reading.execution)?;
            }
            Answer::CloseCursor { name } => self.close_cursor(name)?,
            Answer::Again
            | Answer::Started
            | Answer::Parsed { .. }
            | Answer::Prepared { .. }
            | Answer::Synced => {
                return Err(Fault::End(unexpected()));
            }
        }
        Ok(())
    }
    fn open(&mut self, source: RowSource, execution: u64) -> Result<Box<RowStream>, ErrorFields> {
        let execution = Execution::new(&self.front, self.peer.conn, execution);
        let bytes_max = self.session.settings.max_result_bytes;
        if matches!(source, RowSource::Subscribe(_)) {
            // It has no end that could come too late.
            self.end_statement();
        }
        RowStream::open(&self.front, source, execution, bytes_max).map(Box::new)
    }
    fn describe_rows(&mut self, portal: &Portal) {
        if let Some(columns) = &portal.columns {
            wire::row_description(&mut self.out, columns, |i| portal.format(i));
        }
    }
    fn declare(
        &mut self,
        name: String,
        columns: Columns,
        source: RowSource,
        execution: u64,
    ) -> Result<(), ErrorFields> {
        if self.session.portals.contains_key(&name) {
            return Err(ErrorFields::new("42P03", format!("cursor \"{name}\" already exists")));
        }
        if self.session.portals.len() >= PORTALS_MAX {
            return Err(ErrorFields::new("54000", "too many cursors"));
        }
        let stream = self.open(source, execution)?;
        let state = PortalState::Open { stream, tag: "FETCH".to_owned(), counted: true };
        let portal = Portal { state, columns: Some(columns), formats: Vec::new(), declared: true };
        self.session.portals.insert(name, portal);
        wire::complete(&mut self.out, "DECLARE CURSOR");
        Ok(())
    }
    fn close_cursor(&mut self, name: Option<String>) -> Result<(), ErrorFields> {
        match name {
            Some(name) => {
                let missing = || ErrorFields::new("34000", format!("cursor \"{name}\" does not exist"));
                self.session.portals.remove(&name).ok_or_else(missing)?;
                wire::complete(&mut self.out, "CLOSE CURSOR");
            }
            None => {
                self.session.portals.clear();
                wire::complete(&mut self.out, "CLOSE CURSOR ALL");
            }
        }
        Ok(())
    }
    /// Sends up to `max_rows` rows (0 for all) of an open portal, and how it stands afterwards.
    pub(crate) async fn send_portal(&mut self, portal: &mut Portal, max_rows: u64) -> Result<(), Fault> {
        let columns = portal.columns.clone().unwrap_or_default();
        let mut encoder = RowEncoder::new(&columns, self.session.settings.style(), |i| portal.format(i));
        let PortalState::Open { stream, tag, counted } = &mut portal.state else { return Ok(()) };
        let limit = if max_rows == 0 { u64::MAX } else { max_rows };
        let before = stream.rows;
        match self.send_rows(stream, limit, &mut encoder).await? {
            Sent::Limit => wire::empty(&mut self.out, wire::PORTAL_SUSPENDED),
            Sent::All => {
                let rows = stream.rows - before;
                let text = if *counted { format!("{tag} {rows}") } else { tag.clone() };
                wire::complete(&mut self.out, &text);
                portal.state = PortalState::Spent { tag: std::mem::take(tag) };
            }
        }
        Ok(())
    }
    async fn send_rows(
        &mut self,
        stream: &mut RowStream,
        limit: u64,
        encoder: &mut RowEncoder,
    ) -> Result<Sent, Fault> {
        let mut left = limit;
        loop {
            if left == 0 {
                return Ok(Sent::Limit);
            }
            if !self.fill(stream).await? {
                return Ok(Sent::All);
            }
            while left > 0 {
                let Some(row) = stream.take() else { break };
                left -= 1;
                if let Err(error) = encoder.encode(row, &mut self.out) {
                    stream.end(Outcome::Failed, &error.sqlstate);
                    return Err(error.into());
                }
                self.flush_full(stream).await?;
            }
            if stream.is_subscribe() {
                self.hurry();
            }
        }
    }
    /// Sends the output if there is much of it, in mid-result.
    pub(crate) async fn flush_full(&mut self, stream: &mut RowStream) -> Result<(), Fault> {
        if self.out.len() > crate::connection::OUTPUT_BYTES
            && let Some(reason) = self.flush_rows().await?
        {
            return Err(canceled(stream, reason));
        }
        Ok(())
    }
    /// Waits until there are rows, telling the client after a while what it waits for. False: no more.
    pub(crate) async fn fill(&mut self, stream: &mut RowStream) -> Result<bool, Fault> {
        let told_at = Instant::now() + WAITING_NOTICE_AFTER;
        let mut told = stream.peek().is_none_or(|peek| peek.spec().waiting_notice.is_empty());
        loop {
            let waited = {
                let step = pin!(async {
                    if told {
                        return Some(stream.fill().await);
                    }
                    tokio::select! {
                        biased;
                        filled = stream.fill() => Some(filled),
                        () = sleep_until(told_at) => None,
                    }
                });
                self.wait(step).await?
            };
            match waited {
                Waited::Done(Some(Ok(more))) => {
                    if !more {
                        stream.end(Outcome::Done, "");
                    }
                    return Ok(more);
                }
                Waited::Done(Some(Err(error))) => {
                    stream.end(Outcome::Failed, &error.sqlstate);
                    return Err(error.into());
                }
                Waited::Done(None) => {
                    told = true;
                    let text =
                        stream.peek().map(|peek| peek.spec().waiting_notice.clone()).unwrap_or_default();
                    self.session.notice(&ErrorFields::notice("00000", text), &mut self.out);
                    self.hurry();
                }
                Waited::Cancel(reason) => return Err(canceled(stream, reason)),
            }
        }
    }
    /// FETCH: rows of another portal, which may not have been executed yet.
    async fn fetch(
        &mut self,
        cursor: &str,
        count: Option<u64>,
        timeout_ms: Option<u64>,
        tag: &str,
        portal: &mut Portal,
        reading: &Reading,
    ) -> Result<(), Fault> {
        let missing = || ErrorFields::new("34000", format!("cursor \"{cursor}\" does not exist"));
        let mut source = self.session.portals.remove(cursor).ok_or_else(missing)?;
        portal.columns.clone_from(&source.columns);
        if reading.describe {
            self.describe_rows(portal);
        }
        let columns = portal.columns.clone().unwrap_or_default();
        let mut encoder = RowEncoder::new(&columns, self.session.settings.style(), |i| portal.format(i));
        self.start_bound(cursor, &mut source).await?;
        let mut rows = 0;
        if let PortalState::Open { stream, .. } = &mut source.state {
            let before = stream.rows;
            let limit = count.unwrap_or(u64::MAX);
            if stream.is_subscribe() {
                self.fetch_subscribe(stream, limit, timeout_ms, &mut encoder).await?;
            } else {
                self.send_rows(stream, limit, &mut encoder).await?;
            }
            rows = stream.rows - before;
        }
        self.session.portals.insert(cursor.to_owned(), source);
        wire::complete(&mut self.out, &format!("{tag} {rows}"));
        Ok(())
    }
    /// Executes a portal that Bind made and FETCH reads.
    async fn start_bound(&mut self, name: &str, portal: &mut Portal) -> Result<(), Fault> {
        let PortalState::Bound { statement, params } = &mut portal.state else { return Ok(()) };
        let (handle, params) = (statement.handle, std::mem::take(params));
        let request = crate::protocol::Request::Execute {
            handle,
            params,
            max_rows: 0,
            sync: false,
            portal: name.to_owned(),
        };
        let (id, answer) = self.ask(&request).await?;
        self.executed(&answer, false);
        match answer {
            Answer::Rows { source: RowSource::Fetch { .. }, .. } => {
                Err(ErrorFields::new("0A000", "a cursor cannot fetch from a cursor").into())
            }
            Answer::Rows { source, tag, counted, .. } => {
                let stream = self.open(source, id)?;
                portal.state = PortalState::Open { stream, tag, counted };
                Ok(())
            }
            Answer::Failed { error } => Err(error.into()),
            _ => Err(no_portal(name).into()),
        }
    }
    /// Rows of a subscription: without a time-out what is there, but at least one; with it, up to
    /// `limit` within that time.
    async fn fetch_subscribe(
        &mut self,
        stream: &mut RowStream,
        limit: u64,
        timeout_ms: Option<u64>,
        encoder: &mut RowEncoder,
    ) -> Result<(), Fault> {
        let deadline = timeout_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
        let mut left = limit;
        while left > 0 {
            // What is there already is taken without waiting, and whatever the time-out says.
            let now = deadline.unwrap_or_else(Instant::now);
            let patient = deadline.is_none() && left == limit;
            let waited = {
                let step = pin!(async {
                    if patient { Ok(stream.fill().await) } else { timeout_at(now, stream.fill()).await }
                });
                self.wait(step).await?
            };
            match waited {
                Waited::Done(Ok(Ok(true))) => {}
                Waited::Done(Ok(Ok(false))) => {
                    stream.end(Outcome::Done, "");
                    return Ok(());
                }
                Waited::Done(Ok(Err(error))) => {
                    stream.end(Outcome::Failed, &error.sqlstate);
                    return Err(error.into());
                }
                Waited::Done(Err(_)) => return Ok(()),
                Waited::Cancel(reason) => return Err(canceled(stream, reason)),
            }
            while left > 0 {
                let Some(row) = stream.take() else { break };
                left -= 1;
                encoder.encode(row, &mut self.out)?;
                self.flush_full(stream).await?;
            }
        }
        Ok(())
    }
}

/// Ends a stream that is cancelled.
pub(crate) fn canceled(stream: &mut RowStream, reason: CancelReason) -> Fault {
    stream.end(Outcome::Canceled, "57014");
    reason.fields().into()
}
