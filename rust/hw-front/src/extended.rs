//! The extended query protocol: Parse, Bind, Describe, Execute, Close, Flush, Sync.

use crate::codec;
use crate::connection::{Connection, End, Fault, Socket};
use crate::execute::Reading;
use crate::fast::FastInserted;
use crate::frames::{self, Reader};
use crate::protocol::{Answer, ErrorFields, Parameter, Request};
use crate::session::{PORTALS_MAX, Portal, PortalState, STATEMENTS_MAX, Statement, format_of};
use crate::simple::unexpected;
use crate::wire::{self, Format};
use bytes::Bytes;
use serde_bytes::ByteBuf;
use std::sync::Arc;

impl<S: Socket> Connection<S> {
    /// Acts on one message other than Terminate.
    pub(crate) async fn message(&mut self, kind: u8, body: Bytes) -> Result<(), End> {
        match kind {
            b'Q' => {
                self.skipping = false;
                return self.simple_query(body).await;
            }
            b'S' => {
                self.skipping = false;
                return self.sync().await;
            }
            b'H' => return self.flush().await,
            // What a client still sends after its COPY has failed.
            b'd' | b'c' | b'f' => return Ok(()),
            _ if self.skipping => return Ok(()),
            _ => {}
        }
        let outcome = match kind {
            b'P' => self.parse(body).await,
            b'B' => self.bind(body),
            b'D' => self.describe(body),
            b'E' => self.execute(body).await,
            b'C' => self.close(body),
            b'F' => Err(ErrorFields::new("0A000", "function calls are not supported").into()),
            other => {
                let text = format!("invalid frontend message type {other}");
                Err(Fault::End(End::Fatal(ErrorFields::fatal("08P01", text))))
            }
        };
        self.end_statement();
        match outcome {
            Ok(()) => Ok(()),
            Err(Fault::Error(error)) => {
                self.fail_here(&error);
                self.skipping = true;
                Ok(())
            }
            Err(Fault::End(end)) => Err(end),
        }
    }
    /// Ends the implicit transaction, and says that we are ready.
    pub(crate) async fn sync(&mut self) -> Result<(), End> {
        if std::mem::take(&mut self.answered) {
            self.session.synced();
            return Ok(());
        }
        if self.session.dirty && self.session.status == b'I' {
            self.begin_statement();
            let answer = self.ask(&Request::Sync { failed: self.session.failed }).await?.1;
            self.end_statement();
            match answer {
                Answer::Synced => {}
                Answer::Failed { error } => wire::error(&mut self.out, &error),
                _ => return Err(unexpected()),
            }
        }
        self.session.synced();
        self.ready();
        Ok(())
    }
    async fn parse(&mut self, body: Bytes) -> Result<(), Fault> {
        let mut reader = Reader::new(body);
        let name = reader.text()?;
        let sql = reader.text()?;
        let count = reader.count()?;
        let param_oids = (0..count).map(|_| reader.u32()).collect::<Result<Vec<u32>, _>>()?;
        reader.end()?;
        let (name, sql) = (name?, sql?);
        if name.is_empty() {
            self.session.statements.remove("");
        } else if self.session.statements.contains_key(&name) {
            let text = format!("prepared statement \"{name}\" already exists");
            return Err(ErrorFields::new("42P05", text).into());
        }
        if self.session.statements.len() >= STATEMENTS_MAX {
            return Err(ErrorFields::new("54000", "too many prepared statements").into());
        }
        self.begin_statement();
        match self.ask(&Request::Prepare { name: name.clone(), sql, param_oids }).await?.1 {
            Answer::Prepared { statement, empty } => {
                self.session.keep(name, statement, empty);
                wire::empty(&mut self.out, wire::PARSE_COMPLETE);
                Ok(())
            }
            Answer::Failed { error } => {
                self.session.dirty = false;
                Err(error.into())
            }
            _ => Err(Fault::End(unexpected())),
        }
    }
    fn bind(&mut self, body: Bytes) -> Result<(), Fault> {
        let mut reader = Reader::new(body);
        let (portal, name) = (reader.text()?, reader.text()?);
        let formats = format_codes(&mut reader)?;
        let count = reader.count()?;
        let values = (0..count).map(|_| reader.value()).collect::<Result<Vec<_>, _>>()?;
        let result_formats = format_codes(&mut reader)?;
        reader.end()?;
        let (portal, name) = (portal?, name?);
        let (formats, result_formats) = (formats?, result_formats?);
        let statement = Arc::clone(self.statement(&name)?);
        if !portal.is_empty() && self.session.portals.contains_key(&portal) {
            return Err(ErrorFields::new("42P03", format!("cursor \"{portal}\" already exists")).into());
        }
        if self.session.portals.len() >= PORTALS_MAX {
            return Err(ErrorFields::new("54000", "too many portals").into());
        }
        let params = parameters(&statement.parameters, &name, &formats, &values)?;
        let columns = statement.columns.clone();
        let arity = columns.as_ref().map_or(0, |columns| columns.len());
        if result_formats.len() > 1 && result_formats.len() != arity {
            let text = format!(
                "bind message has {} result formats but query has {arity} columns",
                result_formats.len()
            );
            return Err(ErrorFields::new("08P01", text).into());
        }
        let state = PortalState::Bound { statement, params };
        let bound = Portal { state, columns, formats: result_formats, declared: false };
        self.session.portals.insert(portal, bound);
        wire::empty(&mut self.out, wire::BIND_COMPLETE);
        Ok(())
    }
    fn describe(&mut self, body: Bytes) -> Result<(), Fault> {
        let (kind, name) = target(body)?;
        match kind {
            b'S' => {
                let statement = Arc::clone(self.statement(&name)?);
                wire::parameter_description(&mut self.out, &statement.parameters);
                match &statement.columns {
                    Some(columns) => wire::row_description(&mut self.out, columns, |_| Format::Text),
                    None => wire::empty(&mut self.out, wire::NO_DATA),
                }
            }
            _ => {
                let portal = self.session.portals.get(&name).ok_or_else(|| no_portal(&name))?;
                match &portal.columns {
                    Some(columns) => wire::row_description(&mut self.out, columns, |i| portal.format(i)),
                    None => wire::empty(&mut self.out, wire::NO_DATA),
                }
            }
        }
        Ok(())
    }
    async fn execute(&mut self, body: Bytes) -> Result<(), Fault> {
        let mut reader = Reader::new(body);
        let name = reader.text()?;
        let max_rows = reader.i32()?;
        reader.end()?;
        let name = name?;
        // Zero and less mean no limit.
        let max_rows = u32::try_from(max_rows).unwrap_or(0);
        if self.input.is_empty() {
            // Sync is often on its way; with it one question does for two.
            self.read_ready().await?;
        }
        let sync = frames::peek_kind(&self.input) == Some(b'S');
        self.begin_statement();
        let mut portal = self.session.portals.remove(&name).ok_or_else(|| no_portal(&name))?;
        let outcome = self.run_portal(&name, &mut portal, max_rows, sync).await;
        if outcome.is_ok() && !self.session.portals.contains_key(&name) {
            self.session.portals.insert(name, portal);
        }
        outcome
    }
    async fn run_portal(
        &mut self,
        name: &str,
        portal: &mut Portal,
        max_rows: u32,
        sync: bool,
    ) -> Result<(), Fault> {
        match &mut portal.state {
            PortalState::Bound { statement, .. } if statement.empty => {
                wire::empty(&mut self.out, wire::EMPTY_QUERY);
                Ok(())
            }
            PortalState::Bound { statement, params } => {
                let (statement, params) = (Arc::clone(statement), std::mem::take(params));
                if sync && let Some(mut stream) = self.fast(&statement, &params) {
                    match self.fill(&mut stream).await {
                        Ok(_) => {
                            portal.state =
                                PortalState::Open { stream, tag: "SELECT".to_owned(), counted: true };
                            return self.send_portal(portal, u64::from(max_rows)).await;
                        }
                        // Python finds out what is wrong, or that nothing is.
                        Err(Fault::Error(error)) if error.sqlstate != "57014" => {}
                        Err(fault) => return Err(fault),
                    }
                }
                let reading =
                    |execution| Reading { execution, describe: false, sync, max_rows: u64::from(max_rows) };
                if sync {
                    match self.fast_insert(&statement, &params).await? {
                        FastInserted::Not => {}
                        FastInserted::Answered => {
                            portal.state = PortalState::Ran;
                            return Ok(());
                        }
                        FastInserted::Asked(id, answer) => {
                            portal.state = PortalState::Ran;
                            self.executed(&answer, sync);
                            return self.answer(*answer, portal, &reading(id)).await;
                        }
                    }
                }
                let handle = statement.handle;
                let request = Request::Execute { handle, params, max_rows, sync, portal: name.to_owned() };
                portal.state = PortalState::Ran;
                let (id, answer) = self.ask(&request).await?;
                self.executed(&answer, sync);
                self.answer(answer, portal, &reading(id)).await
            }
            PortalState::Open { .. } => self.send_portal(portal, u64::from(max_rows)).await,
            PortalState::Spent { tag } => {
                wire::complete(&mut self.out, &format!("{tag} 0"));
                Ok(())
            }
            PortalState::Ran => {
                Err(ErrorFields::new("55000", format!("portal \"{name}\" cannot be run")).into())
            }
        }
    }
    fn close(&mut self, body: Bytes) -> Result<(), Fault> {
        let (kind, name) = target(body)?;
        if kind == b'S' {
            self.session.statements.remove(&name);
        } else if self.session.portals.remove(&name).is_some_and(|portal| portal.declared) {
            self.front.tell(self.peer.conn, &Request::ClosePortal { name });
        }
        wire::empty(&mut self.out, wire::CLOSE_COMPLETE);
        Ok(())
    }
    fn statement(&self, name: &str) -> Result<&Arc<Statement>, ErrorFields> {
        self.session.statements.get(name).ok_or_else(|| {
            let text = match name {
                "" => "unnamed prepared statement does not exist".to_owned(),
                name => format!("prepared statement \"{name}\" does not exist"),
            };
            ErrorFields::new("26000", text)
        })
    }
}

/// The error of a portal that is not there.
pub(crate) fn no_portal(name: &str) -> ErrorFields {
    ErrorFields::new("34000", format!("portal \"{name}\" does not exist"))
}

/// Reads what Describe and Close name.
fn target(body: Bytes) -> Result<(u8, String), Fault> {
    let mut reader = Reader::new(body);
    let kind = reader.u8()?;
    let name = reader.text()?;
    reader.end()?;
    if !matches!(kind, b'S' | b'P') {
        return Err(frames::Violation("invalid message subtype").into());
    }
    Ok((kind, name?))
}

/// Reads a count and that many format codes; the inner error is the statement's.
fn format_codes(reader: &mut Reader) -> Result<Result<Vec<Format>, ErrorFields>, frames::Violation> {
    let count = reader.count()?;
    let codes = (0..count).map(|_| reader.i16()).collect::<Result<Vec<i16>, _>>()?;
    Ok(codes.into_iter().map(Format::from_code).collect())
}

/// Decodes Bind's values into datums of the statement's parameter types.
fn parameters(
    wanted: &[Parameter],
    statement: &str,
    formats: &[Format],
    values: &[Option<Bytes>],
) -> Result<Vec<Option<ByteBuf>>, ErrorFields> {
    if formats.len() > 1 && formats.len() != values.len() {
        let text =
            format!("bind message has {} parameter formats but {} parameters", formats.len(), values.len());
        return Err(ErrorFields::new("08P01", text));
    }
    if values.len() != wanted.len() {
        let text = format!(
            "bind message supplies {} parameters, but prepared statement \"{statement}\" requires {}",
            values.len(),
            wanted.len()
        );
        return Err(ErrorFields::new("08P01", text));
    }
    let decode = |(i, (value, parameter)): (usize, (&Option<Bytes>, &Parameter))| {
        let Some(value) = value else { return Ok(None) };
        let mut datum = Vec::with_capacity(value.len() + 4);
        codec::read(&mut datum, &parameter.ty, value, format_of(formats, i)).map_err(|error| {
            let context = format!("unnamed portal parameter ${}", i + 1);
            error.within(context)
        })?;
        Ok(Some(ByteBuf::from(datum)))
    };
    values.iter().zip(wanted).enumerate().map(decode).collect()
}
