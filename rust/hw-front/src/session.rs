//! What a connection remembers between messages: statements, portals, transaction status.

use crate::front::{Front, Peer};
use crate::protocol::{
    Columns, ErrorFields, FastInsert, FastPlan, Parameter, Reply, Request, SessionSettings, StatementDesc,
    Trailer,
};
use crate::stream::RowStream;
use crate::wire::{self, Format};
use rustc_hash::FxHashMap;
use serde_bytes::ByteBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Prepared statements of a connection at most.
pub const STATEMENTS_MAX: usize = 10_000;
/// Portals of a connection at most.
pub const PORTALS_MAX: usize = 10_000;

/// A prepared statement. Python learns when neither its name nor a portal needs it any more.
pub struct Statement {
    /// Its name, "" for the unnamed.
    name: String,
    /// Python's number.
    pub handle: u64,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// Its columns, None where it returns no rows.
    pub columns: Option<Columns>,
    /// How to do without asking.
    pub fast: Option<FastPlan>,
    /// How to ask for less.
    pub fast_insert: Option<FastInsert>,
    /// The text had no statement in it.
    pub empty: bool,
    /// The session's settings when it was prepared; others void `fast`.
    pub settings_version: u64,
    front: Arc<Front>,
    peer: Arc<Peer>,
}

impl Drop for Statement {
    fn drop(&mut self) {
        if !self.peer.ending.load(Ordering::Acquire) {
            let name = std::mem::take(&mut self.name);
            let close = Request::CloseStatement { handle: self.handle, name };
            self.front.tell(self.peer.conn, &close);
        }
    }
}

/// How far a portal is.
pub enum PortalState {
    /// Not executed yet.
    Bound {
        /// What to execute.
        statement: Arc<Statement>,
        /// One encoded datum a parameter, None is NULL.
        params: Vec<Option<ByteBuf>>,
    },
    /// Rows are left.
    Open {
        /// Where they are.
        stream: Box<RowStream>,
        /// For CommandComplete.
        tag: String,
        /// Whether a number follows it.
        counted: bool,
    },
    /// A query that has returned all its rows.
    Spent {
        /// For CommandComplete.
        tag: String,
    },
    /// A statement that returns no rows and has run.
    Ran,
}

/// A portal or cursor.
pub struct Portal {
    /// How far it is.
    pub state: PortalState,
    /// Its columns, None where it returns no rows.
    pub columns: Option<Columns>,
    /// As Bind gave them: none, one for all, or one each.
    pub formats: Vec<Format>,
    /// Whether DECLARE made it.
    pub declared: bool,
}

impl Portal {
    /// The format of column `i`.
    pub fn format(&self, i: usize) -> Format {
        format_of(&self.formats, i)
    }
}

/// The format of column `i`, where Bind gave `formats`.
pub fn format_of(formats: &[Format], i: usize) -> Format {
    match formats {
        [] => Format::Text,
        [one] => *one,
        many => many.get(i).copied().unwrap_or(Format::Text),
    }
}

/// See the module.
pub struct Session {
    /// `I`, `T` or `E`.
    pub status: u8,
    /// The variables that we obey.
    pub settings: SessionSettings,
    /// Counts changes of settings.
    pub settings_version: u64,
    /// By name, "" for the unnamed.
    pub statements: FxHashMap<String, Arc<Statement>>,
    /// By name, "" for the unnamed.
    pub portals: FxHashMap<String, Portal>,
    /// Whether Python may hold an implicit transaction open.
    pub dirty: bool,
    /// Whether a statement failed since the last Sync.
    pub failed: bool,
    front: Arc<Front>,
    peer: Arc<Peer>,
}

impl Session {
    /// A session that has just begun.
    pub fn new(front: &Arc<Front>, peer: &Arc<Peer>) -> Self {
        Session {
            status: b'I',
            settings: SessionSettings::default(),
            settings_version: 0,
            statements: FxHashMap::default(),
            portals: FxHashMap::default(),
            dirty: false,
            failed: false,
            front: Arc::clone(front),
            peer: Arc::clone(peer),
        }
    }
    /// Takes in what a reply carries beside its answer, and returns what Python must be told of
    /// portals and statements that are gone by it.
    pub fn apply(&mut self, trailer: Trailer, out: &mut Vec<u8>) {
        trailer.notices.iter().for_each(|notice| self.notice(notice, out));
        for (name, value) in &trailer.parameters {
            wire::parameter_status(out, name, value);
        }
        if let Some(settings) = trailer.settings {
            self.settings = settings;
            self.settings_version += 1;
        }
        match trailer.deallocated {
            None => self.statements.clear(),
            Some(names) => names.iter().for_each(|name| {
                self.statements.remove(name);
            }),
        }
        for named in trailer.prepared {
            self.keep(named.name, named.statement, false);
        }
        if self.status != b'I' && trailer.status == b'I' {
            self.portals.clear();
        }
        self.status = trailer.status;
    }
    /// Keeps a statement under its name.
    pub fn keep(&mut self, name: String, desc: StatementDesc, empty: bool) {
        let statement = Statement {
            name: name.clone(),
            handle: desc.handle,
            parameters: desc.parameters,
            columns: desc.columns.map(Arc::from),
            fast: desc.fast,
            fast_insert: desc.fast_insert,
            empty,
            settings_version: self.settings_version,
            front: Arc::clone(&self.front),
            peer: Arc::clone(&self.peer),
        };
        self.statements.insert(name, Arc::new(statement));
    }
    /// Sends a notice if the client wants its severity.
    pub fn notice(&self, notice: &ErrorFields, out: &mut Vec<u8>) {
        if rank(&notice.severity) >= rank(&self.settings.client_min_messages) {
            wire::notice(out, notice);
        }
    }
    /// Notes that a statement failed here, and returns what Python must be told.
    pub fn fail(&mut self, sqlstate: &str) -> Option<Request> {
        self.failed = true;
        if self.status != b'T' {
            return None;
        }
        self.status = b'E';
        Some(Request::Failure { sqlstate: sqlstate.to_owned() })
    }
    /// Ends the transaction's portals where it was an implicit one.
    pub fn synced(&mut self) {
        self.failed = false;
        self.dirty = false;
        if self.status == b'I' {
            self.portals.clear();
        }
    }
}

/// The order of severities, as PostgreSQL's `client_min_messages` has it.
fn rank(severity: &str) -> u8 {
    match severity.to_ascii_lowercase().as_str() {
        "debug5" => 0,
        "debug4" => 1,
        "debug3" => 2,
        "debug2" => 3,
        "debug1" | "debug" => 4,
        "log" => 5,
        "notice" => 6,
        "warning" => 7,
        "error" => 8,
        // PostgreSQL sends INFO whatever is set.
        "info" => 9,
        _ => 10,
    }
}

/// Reads a reply, or says that it cannot be read.
pub fn decode_reply(bytes: &[u8]) -> Result<Reply, ErrorFields> {
    Reply::decode(bytes).ok_or_else(|| ErrorFields::fatal("XX000", "malformed reply from the adapter"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_filtered_by_severity() {
        let links = hw_link::client::Links::new().expect("descriptors");
        let front = Front::new(links, crate::front::Config::default()).expect("descriptors");
        let (peer, _commands) = front.register().expect("random").expect("room");
        let mut session = Session::new(&front, &peer);
        let sent = |session: &Session, severity: &str| {
            let mut out = Vec::new();
            session.notice(&ErrorFields::new("00000", "m").with_severity(severity), &mut out);
            !out.is_empty()
        };
        assert!(sent(&session, "NOTICE") && sent(&session, "WARNING") && sent(&session, "INFO"));
        assert!(!sent(&session, "LOG") && !sent(&session, "DEBUG"));
        session.settings.client_min_messages = "error".into();
        assert!(!sent(&session, "WARNING") && sent(&session, "INFO"));
        session.settings.client_min_messages = "debug1".into();
        assert!(sent(&session, "DEBUG") && sent(&session, "LOG"));
    }
}
