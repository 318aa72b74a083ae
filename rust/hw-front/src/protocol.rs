//! The conversation with Python: `headwater.pgwire.protocol`, field by field.
//!
//! Requests are enums; replies and their row sources are read into one flat struct each and sorted
//! out afterwards, because serde would buffer a tagged union's fields, rows included, before it knows
//! which it is.

use hw_expr::error::{DETAIL, HINT};
use hw_expr::format::Style;
use hw_link::finishing::RowSetFinishing;
use hw_link::peeks::PeekSpec;
use hw_link::response::ReadError;
use hw_types::order::ColumnOrder;
use hw_types::scalar::ScalarType;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// An error or notice as data.
///
/// In a box, so that results that may be errors stay small.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ErrorFields(Box<Fields>);

/// What there is to say of an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fields {
    /// Five characters.
    pub sqlstate: String,
    /// Lower case, no full stop.
    pub message: String,
    /// What else is known.
    #[serde(default)]
    pub detail: String,
    /// What to do.
    #[serde(default)]
    pub hint: String,
    /// A character of the statement, from 1; 0 where unknown.
    #[serde(default)]
    pub position: u32,
    /// The schema of what it is about.
    #[serde(default)]
    pub schema_name: String,
    /// The table that it is about.
    #[serde(default)]
    pub table_name: String,
    /// The column that it is about.
    #[serde(default)]
    pub column_name: String,
    /// The constraint that is violated.
    #[serde(default)]
    pub constraint_name: String,
    /// ERROR, FATAL, WARNING, NOTICE …
    #[serde(default = "error_severity")]
    pub severity: String,
    /// Where in COPY's data; known to the front only.
    #[serde(skip)]
    pub context: String,
}

fn error_severity() -> String {
    "ERROR".to_owned()
}

impl Deref for ErrorFields {
    type Target = Fields;
    fn deref(&self) -> &Fields {
        &self.0
    }
}

impl DerefMut for ErrorFields {
    fn deref_mut(&mut self) -> &mut Fields {
        &mut self.0
    }
}

/// What follows `mark` in a message, taken off it; empty where it has none.
fn split_off(message: &mut String, mark: &str) -> String {
    let Some(at) = message.find(mark) else { return String::new() };
    let rest = message[at + mark.len()..].to_owned();
    message.truncate(at);
    rest
}

impl ErrorFields {
    /// An error that ends the statement; evaluation writes detail and hint behind the message.
    pub fn new(sqlstate: &str, message: impl Into<String>) -> Self {
        let mut message = message.into();
        let hint = split_off(&mut message, HINT);
        let detail = split_off(&mut message, DETAIL);
        ErrorFields(Box::new(Fields {
            sqlstate: sqlstate.to_owned(),
            message,
            detail,
            hint,
            position: 0,
            schema_name: String::new(),
            table_name: String::new(),
            column_name: String::new(),
            constraint_name: String::new(),
            severity: error_severity(),
            context: String::new(),
        }))
    }
    /// An error that ends the connection.
    pub fn fatal(sqlstate: &str, message: impl Into<String>) -> Self {
        ErrorFields::new(sqlstate, message).with_severity("FATAL")
    }
    /// A notice.
    pub fn notice(sqlstate: &str, message: impl Into<String>) -> Self {
        ErrorFields::new(sqlstate, message).with_severity("NOTICE")
    }
    /// The same of another severity.
    pub fn with_severity(mut self, severity: &str) -> Self {
        self.severity = severity.to_owned();
        self
    }
    /// The same, and where it happened.
    pub fn within(mut self, context: String) -> Self {
        self.context = context;
        self
    }
}

impl From<ReadError> for ErrorFields {
    fn from(error: ReadError) -> Self {
        ErrorFields::new(&error.sqlstate, error.message)
    }
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: ScalarType,
    /// Its type's object id.
    pub oid: u32,
    /// `typlen`.
    #[serde(default = "unknown_size")]
    pub type_size: i16,
    /// `atttypmod`.
    #[serde(default = "no_modifier")]
    pub type_modifier: i32,
    /// The table it comes from.
    #[serde(default)]
    pub table_oid: u32,
    /// Its number in the table.
    #[serde(default)]
    pub column_number: i16,
}

fn unknown_size() -> i16 {
    -1
}

fn no_modifier() -> i32 {
    -1
}

/// Columns of a result, shared by a statement and its portals.
pub type Columns = Arc<[ResultColumn]>;

/// A parameter of a prepared statement.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Parameter {
    /// Its type.
    #[serde(rename = "type")]
    pub ty: ScalarType,
    /// Its type's object id.
    pub oid: u32,
}

/// A column of a fast plan's key, or of a fast insert's row.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum KeyPart {
    /// The parameter of this number.
    Parameter(usize),
    /// This datum.
    Literal(ByteBuf),
}

/// How a prepared point read is answered without asking.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct FastPlan {
    /// The catalog that it was planned against.
    pub catalog_version: u64,
    /// Whose replicas hold the index.
    pub cluster: String,
    /// The index.
    pub index: String,
    /// Its key's columns.
    pub key: Vec<KeyPart>,
    /// The map-filter-project over full rows, only passed on.
    pub mfp: hw_expr::mfp::Mfp,
    /// Applied to what is left.
    pub finishing: RowSetFinishing,
    /// Whether to read the freshest time that answers at once.
    #[serde(default)]
    pub serializable: bool,
}

/// How a prepared INSERT of one row of parameters and literals is handed on as the row alone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FastInsert {
    /// The catalog that it was planned against.
    pub catalog_version: u64,
    /// The table.
    pub table: String,
    /// The row's columns.
    pub row: Vec<KeyPart>,
    /// The table's shard, where the store may commit the row without Python.
    #[serde(default)]
    pub shard: Option<String>,
    /// The columns that take no NULL.
    #[serde(default)]
    pub not_null: Vec<usize>,
}

/// What Bind and Describe need of a statement.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct StatementDesc {
    /// Python's number.
    pub handle: u64,
    /// Its parameters.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    /// Its columns, None where it returns no rows.
    #[serde(default)]
    pub columns: Option<Vec<ResultColumn>>,
    /// How to do without asking.
    #[serde(default)]
    pub fast: Option<FastPlan>,
    /// How to ask for less.
    #[serde(default)]
    pub fast_insert: Option<FastInsert>,
}

/// A statement made by SQL's PREPARE.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct NamedStatement {
    /// Its name.
    pub name: String,
    /// What it is.
    pub statement: StatementDesc,
}

/// The kinds of COPY data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyKind {
    /// PostgreSQL's text format.
    #[default]
    Text,
    /// Comma-separated values.
    Csv,
    /// PostgreSQL's binary format.
    Binary,
}

/// COPY's options as they were given; empty for defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct CopyFormat {
    /// Text, csv, binary.
    pub format: CopyKind,
    /// One character.
    pub delimiter: String,
    /// What stands for NULL.
    pub null: Option<String>,
    /// One character.
    pub quote: String,
    /// One character.
    pub escape: String,
    /// Whether the first line names columns.
    pub header: bool,
    /// Whether the names of the first line must be those of the columns.
    pub header_match: bool,
    /// Columns whose values are always quoted.
    pub force_quote: Vec<usize>,
    /// Columns in which nothing stands for NULL.
    pub force_not_null: Vec<usize>,
    /// Columns in which a quoted null string stands for NULL too.
    pub force_null: Vec<usize>,
    /// Bytes of a row that is read at most, 0 for [`ROW_BYTES_MAX`].
    pub row_bytes_max: usize,
}

impl CopyFormat {
    /// Bytes of a row that is read at most.
    pub fn row_bytes_max(&self) -> usize {
        if self.row_bytes_max == 0 { ROW_BYTES_MAX } else { self.row_bytes_max }
    }
}

/// Bytes of a row of COPY data at most, where nothing else is said.
pub const ROW_BYTES_MAX: usize = 128 << 20;

/// How a subscription's updates become rows; columns are the dataflow's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(tag = "form", rename_all = "snake_case")]
pub enum Envelope {
    /// Each update with its diff.
    #[default]
    Diffs,
    /// The new row of each key.
    Upsert {
        /// The key's columns.
        key: Vec<usize>,
    },
    /// The old and the new row of each key.
    Debezium {
        /// The key's columns.
        key: Vec<usize>,
    },
    /// As Diffs, sorted within a time; column 0 is the diff.
    Ordered {
        /// Sort keys.
        order_by: Vec<ColumnOrder>,
    },
}

/// The session variables that the front obeys.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SessionSettings {
    /// 0 is off.
    pub statement_timeout_ms: u64,
    /// 0 is off.
    pub idle_in_transaction_timeout_ms: u64,
    /// The least severity of notices.
    pub client_min_messages: String,
    /// A result's bytes at most.
    pub max_result_bytes: u64,
    /// The zone that timestamps are shown in.
    pub time_zone: String,
    /// How intervals are written.
    pub interval_style: String,
    /// How bytes are written.
    pub bytea_output: String,
    /// How many digits of floats are written.
    pub extra_float_digits: i32,
}

impl SessionSettings {
    /// How the session wants values written.
    pub fn style(&self) -> Style {
        Style::of(&self.time_zone, &self.interval_style, &self.bytea_output, self.extra_float_digits)
    }
}

impl Default for SessionSettings {
    fn default() -> Self {
        SessionSettings {
            statement_timeout_ms: 0,
            idle_in_transaction_timeout_ms: 0,
            client_min_messages: "notice".to_owned(),
            max_result_bytes: 1 << 30,
            time_zone: "UTC".to_owned(),
            interval_style: "postgres".to_owned(),
            bytea_output: "hex".to_owned(),
            extra_float_digits: 1,
        }
    }
}

/// How a row source ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All rows were sent.
    Done,
    /// With an error.
    Failed,
    /// By the client or a time-out.
    Canceled,
    /// The portal was closed, or the client vanished.
    Abandoned,
}

/// Why a statement is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum CancelReason {
    /// A CancelRequest, or `pg_cancel_backend`.
    #[serde(rename = "user request")]
    UserRequest,
    /// The statement ran for too long.
    #[serde(rename = "statement timeout")]
    StatementTimeout,
}

impl CancelReason {
    /// The error that the client sees.
    pub fn fields(self) -> ErrorFields {
        let why = match self {
            CancelReason::UserRequest => "user request",
            CancelReason::StatementTimeout => "statement timeout",
        };
        ErrorFields::new("57014", format!("canceling statement due to {why}"))
    }
}

/// What the front says to Python. `id` 0 expects no reply.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Request {
    Startup {
        user: String,
        database: String,
        application_name: String,
        options: BTreeMap<String, String>,
        internal: bool,
        peer: String,
        process_id: u32,
    },
    ParseMany {
        sql: String,
    },
    Prepare {
        name: String,
        sql: String,
        param_oids: Vec<u32>,
    },
    Execute {
        handle: u64,
        params: Vec<Option<ByteBuf>>,
        max_rows: u32,
        sync: bool,
        portal: String,
    },
    Insert {
        table: String,
        row: ByteBuf,
        catalog_version: u64,
    },
    Sync {
        failed: bool,
    },
    CopyData {
        rows: ByteBuf,
    },
    CopyDone {
        sync: bool,
    },
    CopyFail {
        error: ErrorFields,
    },
    Complete {
        execution: u64,
        outcome: Outcome,
        rows: u64,
        sqlstate: String,
    },
    Failure {
        sqlstate: String,
    },
    CloseStatement {
        handle: u64,
        name: String,
    },
    ClosePortal {
        name: String,
    },
    Cancel {
        request: u64,
        reason: CancelReason,
    },
    Terminate {},
    PeekResult {
        execution: u64,
        rows: ByteBuf,
        error: Option<ErrorFields>,
    },
}

/// A request with its sender and number.
#[derive(Serialize)]
pub struct Addressed<'a> {
    /// Names the reply, 0 for none.
    pub id: u64,
    /// The connection.
    pub conn: u32,
    /// What is asked.
    #[serde(flatten)]
    pub request: &'a Request,
}

/// Where rows are.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum RowSource {
    Inline { rows: ByteBuf, finishing: Option<RowSetFinishing> },
    Peek(Box<PeekSpec>),
    Subscribe(SubscribeSpec),
    Fetch { cursor: String, count: Option<u64>, timeout_ms: Option<u64> },
}

/// A stream of updates; see the Python struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeSpec {
    /// The dataflow's sink export.
    pub id: String,
    /// The dataflow's columns.
    pub arity: usize,
    /// Whether frontiers are rows too.
    pub progress: bool,
    /// The first time.
    pub as_of: u64,
    /// Where it ends.
    pub up_to: Option<u64>,
    /// How updates are written.
    pub envelope: Envelope,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum SourceKind {
    Inline,
    Peek,
    Subscribe,
    Fetch,
}

#[derive(Deserialize)]
struct RawSource {
    kind: SourceKind,
    rows: Option<ByteBuf>,
    finishing: Option<RowSetFinishing>,
    uuid: Option<ByteBuf>,
    cluster: Option<String>,
    peek: Option<ByteBuf>,
    #[serde(default)]
    before: Vec<ByteBuf>,
    #[serde(default)]
    after: Vec<ByteBuf>,
    #[serde(default)]
    waiting_notice: String,
    #[serde(default)]
    replica: String,
    #[serde(default)]
    max_result_bytes: u64,
    id: Option<String>,
    arity: Option<usize>,
    #[serde(default)]
    progress: bool,
    #[serde(default)]
    as_of: u64,
    up_to: Option<u64>,
    #[serde(default)]
    envelope: Envelope,
    cursor: Option<String>,
    #[serde(default = "one")]
    count: Option<u64>,
    timeout_ms: Option<u64>,
}

fn one() -> Option<u64> {
    Some(1)
}

impl RawSource {
    fn sort_out(self) -> Option<RowSource> {
        Some(match self.kind {
            SourceKind::Inline => RowSource::Inline { rows: self.rows?, finishing: self.finishing },
            SourceKind::Peek => RowSource::Peek(Box::new(PeekSpec {
                uuid: self.uuid?,
                cluster: self.cluster?,
                peek: self.peek?,
                finishing: self.finishing?,
                before: self.before,
                after: self.after,
                waiting_notice: self.waiting_notice,
                replica: self.replica,
                max_result_bytes: self.max_result_bytes,
            })),
            SourceKind::Subscribe => RowSource::Subscribe(SubscribeSpec {
                id: self.id?,
                arity: self.arity?,
                progress: self.progress,
                as_of: self.as_of,
                up_to: self.up_to,
                envelope: self.envelope,
            }),
            SourceKind::Fetch => {
                RowSource::Fetch { cursor: self.cursor?, count: self.count, timeout_ms: self.timeout_ms }
            }
        })
    }
}

/// What Python answers, the trailer apart.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Answer {
    Started,
    Parsed { statements: Vec<u64> },
    Prepared { statement: StatementDesc, empty: bool },
    Synced,
    Command { tag: String },
    Rows { source: RowSource, columns: Option<Columns>, tag: String, counted: bool },
    CopyOut { columns: Columns, source: RowSource, format: CopyFormat },
    CopyIn { table: String, columns: Columns, format: CopyFormat },
    DeclareCursor { name: String, columns: Columns, source: RowSource },
    CloseCursor { name: Option<String> },
    Empty,
    Again,
    Failed { error: ErrorFields },
}

/// What every reply may carry.
#[derive(Clone, Debug, PartialEq)]
pub struct Trailer {
    /// `I`, `T` or `E`.
    pub status: u8,
    /// To be told to the client.
    pub notices: Vec<ErrorFields>,
    /// ParameterStatus changes.
    pub parameters: BTreeMap<String, String>,
    /// The new settings if any has changed.
    pub settings: Option<SessionSettings>,
    /// Statements made by PREPARE.
    pub prepared: Vec<NamedStatement>,
    /// Names dropped by DEALLOCATE, None for all.
    pub deallocated: Option<Vec<String>>,
}

/// A whole reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// The rest.
    pub trailer: Trailer,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ReplyKind {
    Started,
    Parsed,
    Prepared,
    Synced,
    Command,
    Rows,
    CopyOut,
    CopyIn,
    DeclareCursor,
    CloseCursor,
    Empty,
    Again,
    Failed,
}

#[derive(Deserialize)]
struct RawReply {
    kind: ReplyKind,
    status: Option<String>,
    #[serde(default)]
    notices: Vec<ErrorFields>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    settings: Option<SessionSettings>,
    #[serde(default)]
    prepared: Vec<NamedStatement>,
    #[serde(default = "no_names")]
    deallocated: Option<Vec<String>>,
    statements: Option<Vec<u64>>,
    statement: Option<StatementDesc>,
    #[serde(default)]
    empty: bool,
    tag: Option<String>,
    source: Option<RawSource>,
    columns: Option<Vec<ResultColumn>>,
    counted: Option<bool>,
    format: Option<CopyFormat>,
    table: Option<String>,
    name: Option<String>,
    error: Option<ErrorFields>,
}

fn no_names() -> Option<Vec<String>> {
    Some(Vec::new())
}

impl RawReply {
    fn sort_out(self) -> Option<Reply> {
        let status = match self.status.as_deref() {
            None | Some("I") => b'I',
            Some("T") => b'T',
            Some("E") => b'E',
            Some(_) => return None,
        };
        let trailer = Trailer {
            status,
            notices: self.notices,
            parameters: self.parameters,
            settings: self.settings,
            prepared: self.prepared,
            deallocated: self.deallocated,
        };
        let columns: Option<Columns> = self.columns.map(Arc::from);
        let format = self.format.unwrap_or_default();
        let source = match self.source {
            Some(raw) => Some(raw.sort_out()?),
            None => None,
        };
        let answer = match self.kind {
            ReplyKind::Started => Answer::Started,
            ReplyKind::Parsed => Answer::Parsed { statements: self.statements? },
            ReplyKind::Prepared => Answer::Prepared { statement: self.statement?, empty: self.empty },
            ReplyKind::Synced => Answer::Synced,
            ReplyKind::Command => Answer::Command { tag: self.tag? },
            ReplyKind::Rows => Answer::Rows {
                source: source?,
                columns,
                tag: self.tag.unwrap_or_else(|| "SELECT".to_owned()),
                counted: self.counted.unwrap_or(true),
            },
            ReplyKind::CopyOut => Answer::CopyOut { columns: columns?, source: source?, format },
            ReplyKind::CopyIn => Answer::CopyIn { table: self.table?, columns: columns?, format },
            ReplyKind::DeclareCursor => {
                Answer::DeclareCursor { name: self.name?, columns: columns?, source: source? }
            }
            ReplyKind::CloseCursor => Answer::CloseCursor { name: self.name },
            ReplyKind::Empty => Answer::Empty,
            ReplyKind::Again => Answer::Again,
            ReplyKind::Failed => Answer::Failed { error: self.error? },
        };
        Some(Reply { answer, trailer })
    }
}

impl Reply {
    /// Reads a reply; None where it is of another version of the protocol.
    pub fn decode(bytes: &[u8]) -> Option<Reply> {
        rmp_serde::from_slice::<RawReply>(bytes).ok()?.sort_out()
    }
}

/// What Python says unasked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Command {
    SendNotice { conn: u32, notice: ErrorFields },
    SendParameter { conn: u32, name: String, value: String },
    CancelConnection { conn: u32 },
    TerminateConnection { conn: u32, error: ErrorFields },
}
