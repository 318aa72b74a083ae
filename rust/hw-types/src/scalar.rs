//! SQL's scalar types, field by field as in `headwater.types.scalar`.

use serde::{Deserialize, Serialize};

/// The closed set of type constructors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum BaseType {
    Bool,
    Int2,
    Int4,
    Int8,
    Uint2,
    Uint4,
    Uint8,
    Float4,
    Float8,
    Numeric,
    Text,
    Varchar,
    Bpchar,
    Char,
    Name,
    Bytea,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Uuid,
    Jsonb,
    Array,
    List,
    Map,
    Record,
    Range,
    Oid,
    Regclass,
    Regproc,
    Regtype,
    Int2vector,
    MzTimestamp,
    MzAclitem,
    Aclitem,
    Unknown,
}

/// A SQL type; see the Python struct for what each field means.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ScalarType {
    /// The constructor.
    pub base: BaseType,
    /// Scale, length or digits of fractional seconds, by `base`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modifier: Option<i64>,
    /// The element of an array, list or range, the value of a map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub element: Option<Box<ScalarType>>,
    /// The fields of a record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<RecordField>,
    /// The id of the catalog's type where it was made by CREATE TYPE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<String>,
}

/// One field of a record type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RecordField {
    /// The field's name.
    pub name: String,
    /// The field's type.
    #[serde(rename = "type")]
    pub ty: ColumnType,
}

/// A scalar type and whether NULL may occur.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ColumnType {
    /// The type.
    #[serde(rename = "type")]
    pub ty: ScalarType,
    /// Whether NULL may occur.
    #[serde(default = "yes")]
    pub nullable: bool,
}

fn yes() -> bool {
    true
}

impl ScalarType {
    /// A type with no modifier, element or fields.
    pub const fn simple(base: BaseType) -> Self {
        ScalarType { base, modifier: None, element: None, fields: Vec::new(), custom: None }
    }
}

impl From<BaseType> for ScalarType {
    fn from(base: BaseType) -> Self {
        ScalarType::simple(base)
    }
}
