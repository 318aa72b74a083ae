//! The simple query protocol: a text of statements, run one after the other.

use crate::connection::{Connection, End, Fault, Socket};
use crate::execute::Reading;
use crate::frames::Reader;
use crate::protocol::{Answer, Request};
use crate::session::{Portal, PortalState};
use crate::wire;
use bytes::Bytes;

impl<S: Socket> Connection<S> {
    /// Runs a Query message to its ReadyForQuery.
    pub(crate) async fn simple_query(&mut self, body: Bytes) -> Result<(), End> {
        let mut reader = Reader::new(body);
        let sql = reader.text()?;
        reader.end()?;
        self.begin_statement();
        let outcome = match sql {
            Ok(sql) => self.run_many(sql).await,
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok(()) => {}
            Err(Fault::Error(error)) => self.fail_here(&error),
            Err(Fault::End(end)) => return Err(end),
        }
        self.end_statement();
        self.sync().await
    }
    async fn run_many(&mut self, sql: String) -> Result<(), Fault> {
        // A simple query ends the unnamed statement and portal, as PostgreSQL does.
        self.session.portals.remove("");
        self.session.statements.remove("");
        let statements = match self.ask(&Request::ParseMany { sql }).await? {
            (_, Answer::Parsed { statements }) => statements,
            (_, Answer::Failed { error }) => {
                self.session.dirty = false;
                return Err(error.into());
            }
            _ => return Err(Fault::End(unexpected())),
        };
        let Some(last) = statements.len().checked_sub(1) else {
            wire::empty(&mut self.out, wire::EMPTY_QUERY);
            return Ok(());
        };
        for (i, handle) in statements.into_iter().enumerate() {
            self.run_one(handle, i == last).await?;
        }
        Ok(())
    }
    async fn run_one(&mut self, handle: u64, sync: bool) -> Result<(), Fault> {
        let portal = String::new();
        let request = Request::Execute { handle, params: Vec::new(), max_rows: 0, sync, portal };
        let (id, answer) = self.ask(&request).await?;
        self.executed(&answer, sync);
        let mut portal =
            Portal { state: PortalState::Ran, columns: None, formats: Vec::new(), declared: false };
        let reading = Reading { execution: id, describe: true, sync, max_rows: 0 };
        self.answer(answer, &mut portal, &reading).await
    }
}

/// The end of a connection whose adapter answers something else than it was asked.
pub fn unexpected() -> End {
    let text = "the adapter answered something else than asked";
    End::Fatal(crate::protocol::ErrorFields::fatal("XX000", text))
}
