//! A round as a version of the transaction shard: `headwater.persist.log.Ops` with one `TxnCommit`.

use hw_types::flat::{FlatError, Updates};
use serde::Serialize;
use serde_bytes::Bytes;
use std::collections::BTreeMap;

/// `headwater.persist.log.FORMAT_VERSION`.
pub const FORMAT_VERSION: u8 = 2;
/// The bytes of a commit's token.
pub const TOKEN_BYTES: usize = 16;

#[derive(Serialize)]
struct Ops<'a> {
    kind: &'static str,
    token: &'a Bytes,
    ops: [TxnCommit<'a>; 1],
}

#[derive(Serialize)]
struct TxnCommit<'a> {
    kind: &'static str,
    time: u64,
    epoch: u64,
    writes: BTreeMap<&'a str, [InlinePart<'a>; 1]>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    open: bool,
}

#[derive(Serialize)]
struct InlinePart<'a> {
    kind: &'static str,
    data: &'a Bytes,
    updates: usize,
}

/// What one round writes.
pub struct Commit<'a> {
    /// Names the commit.
    pub token: &'a [u8; TOKEN_BYTES],
    /// Its time.
    pub time: u64,
    /// The owner of the tables.
    pub epoch: u64,
    /// Whether more may follow at the same time.
    pub open: bool,
    /// Updates by table, none of them empty.
    pub writes: &'a BTreeMap<String, Updates>,
}

/// The version's bytes.
pub fn encode(commit: &Commit<'_>) -> Result<Vec<u8>, FlatError> {
    let mut parts = Vec::with_capacity(commit.writes.len());
    for (table, updates) in commit.writes {
        parts.push((table.as_str(), updates.encode()?, updates.len()));
    }
    let part = |data, updates| [InlinePart { kind: "inline", data: Bytes::new(data), updates }];
    let writes = parts.iter().map(|(table, data, updates)| (*table, part(data, *updates))).collect();
    let (time, epoch, open) = (commit.time, commit.epoch, commit.open);
    let op = TxnCommit { kind: "txn_commit", time, epoch, writes, open };
    let ops = Ops { kind: "ops", token: Bytes::new(commit.token), ops: [op] };
    let mut out = vec![FORMAT_VERSION];
    let mut serializer = rmp_serde::Serializer::new(&mut out).with_struct_map();
    ops.serialize(&mut serializer).expect("plain data always encodes");
    Ok(out)
}
