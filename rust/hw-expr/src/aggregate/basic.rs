//! Aggregates recomputed from their whole group.

use super::ordered_set::OrderedSet;
use crate::error::EvalError;
use hw_types::arena::Arena;
use hw_types::container;
use hw_types::datum::{Array, Datum, Jsonb, List, Map};
use hw_types::jsonb;
use hw_types::order::{self, ColumnOrder};
use hw_types::row;

/// An aggregate recomputed from its whole group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basic {
    /// Values as an array; NULL included.
    ArrayAgg,
    /// Arrays as an array of one dimension more.
    ArrayAggArray,
    /// Values as a list; NULL included.
    ListAgg,
    /// Keys and values as a map; the last value of a key wins.
    MapAgg,
    /// Texts, each but the first after its separator.
    StringAggText,
    /// As [`Basic::StringAggText`], over bytes.
    StringAggBytes,
    /// Documents as an array.
    JsonbAgg,
    /// Keys and documents as an object.
    JsonbObjectAgg,
    /// Of values in an order that the call gives.
    Ordered(OrderedSet),
}

const NAMES: [(&str, Basic); 15] = [
    ("array_agg", Basic::ArrayAgg),
    ("array_agg_array", Basic::ArrayAggArray),
    ("list_agg", Basic::ListAgg),
    ("map_agg", Basic::MapAgg),
    ("string_agg_text_text", Basic::StringAggText),
    ("string_agg_bytea_bytea", Basic::StringAggBytes),
    ("jsonb_agg", Basic::JsonbAgg),
    ("jsonb_object_agg", Basic::JsonbObjectAgg),
    ("percentile_cont", Basic::Ordered(OrderedSet::PercentileCont)),
    ("percentile_disc", Basic::Ordered(OrderedSet::PercentileDisc)),
    ("mode", Basic::Ordered(OrderedSet::Mode)),
    ("hypothetical_rank", Basic::Ordered(OrderedSet::Rank)),
    ("hypothetical_dense_rank", Basic::Ordered(OrderedSet::DenseRank)),
    ("hypothetical_percent_rank", Basic::Ordered(OrderedSet::PercentRank)),
    ("hypothetical_cume_dist", Basic::Ordered(OrderedSet::CumeDist)),
];

pub(super) fn names() -> impl Iterator<Item = String> {
    NAMES.iter().map(|(name, _)| (*name).to_owned())
}

impl Basic {
    /// The aggregate of a kernel name.
    pub fn resolve(func: &str) -> Option<Basic> {
        NAMES.iter().find(|(name, _)| *name == func).map(|(_, basic)| *basic)
    }
    /// How many arguments it takes; above one they come as a record.
    fn arity(self) -> usize {
        match self {
            Basic::MapAgg | Basic::StringAggText | Basic::StringAggBytes | Basic::JsonbObjectAgg => 2,
            _ => 1,
        }
    }
    /// Appends the result over a group's encoded arguments and how often each stands there.
    ///
    /// With `order_by` each argument is a record of the arguments proper and then the sort keys, and
    /// the order is over its fields; without, the order is that of the bytes.
    pub fn finish<'v>(
        self,
        values: impl IntoIterator<Item = (&'v [u8], u64)>,
        order_by: &[ColumnOrder],
        out: &mut Vec<u8>,
    ) -> Result<(), EvalError> {
        let mut values: Vec<(&[u8], u64)> = values.into_iter().collect();
        if order_by.is_empty() {
            values.sort_unstable();
        } else {
            values.sort_unstable_by(|a, b| compare_records(a.0, b.0, order_by));
        }
        if let Basic::Ordered(set) = self {
            return set.finish(&values, order_by, out);
        }
        self.gather(values, !order_by.is_empty() || self.arity() > 1, out)
    }
    /// Appends the result over encoded arguments in the order in which they come: arguments alone, or a
    /// record where it takes several.
    pub fn finish_in_order<'v>(
        self,
        values: impl IntoIterator<Item = &'v [u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), EvalError> {
        self.gather(values.into_iter().map(|value| (value, 1)).collect(), self.arity() > 1, out)
    }
    fn gather(self, values: Vec<(&[u8], u64)>, in_record: bool, out: &mut Vec<u8>) -> Result<(), EvalError> {
        let arena = Arena::new();
        let mut rows: Vec<Vec<Datum<'_>>> = Vec::with_capacity(values.len());
        for (bytes, count) in values {
            let (datum, _) = row::read_datum(bytes, &arena)?;
            let fields: Vec<Datum<'_>> = match datum {
                Datum::Record(record) if in_record => record.items(&arena).take(self.arity()).collect(),
                datum => vec![datum],
            };
            if fields.len() != self.arity() {
                return Err(EvalError::internal("an aggregate lacks arguments"));
            }
            rows.extend(std::iter::repeat_n(fields, usize::try_from(count).unwrap_or(usize::MAX)));
        }
        if rows.is_empty() {
            row::push_null(out);
            return Ok(());
        }
        self.combine(&rows, &arena, out)
    }
    fn combine<'a>(
        self,
        rows: &[Vec<Datum<'a>>],
        arena: &'a Arena,
        out: &mut Vec<u8>,
    ) -> Result<(), EvalError> {
        let mut body = Vec::new();
        let first = || rows.iter().map(|fields| fields[0]);
        match self {
            Basic::ArrayAgg => {
                first().for_each(|datum| row::push_datum(&mut body, datum));
                container::push_array_end(&mut body, &[rows.len()]);
                row::push_datum(out, Datum::Array(Array(&body)));
            }
            Basic::ArrayAggArray => nest(first(), rows.len(), arena, out)?,
            Basic::ListAgg => {
                first().for_each(|datum| row::push_datum(&mut body, datum));
                container::push_end(&mut body);
                row::push_datum(out, Datum::List(List(&body)));
            }
            Basic::MapAgg => {
                let mut entries = std::collections::BTreeMap::new();
                for fields in rows {
                    if let Datum::Text(key) = fields[0] {
                        entries.insert(key, fields[1]);
                    }
                }
                for (key, value) in entries {
                    row::push_text(&mut body, key);
                    row::push_datum(&mut body, value);
                }
                container::push_end(&mut body);
                row::push_datum(out, Datum::Map(Map(&body)));
            }
            Basic::StringAggText | Basic::StringAggBytes => join(rows, out),
            Basic::Ordered(_) => {
                return Err(EvalError::internal("an ordered-set aggregate without an order"));
            }
            Basic::JsonbAgg => {
                jsonb::push_array(&mut body, rows.len() as u32);
                first().for_each(|datum| body.extend_from_slice(document(datum)));
                row::push_datum(out, Datum::Jsonb(Jsonb(&body)));
            }
            Basic::JsonbObjectAgg => {
                let mut members = Vec::with_capacity(rows.len());
                for fields in rows {
                    members.push((member_name(fields[0], arena)?, document(fields[1]).to_vec()));
                }
                jsonb::push_members(&mut body, members);
                row::push_datum(out, Datum::Jsonb(Jsonb(&body)));
            }
        }
        Ok(())
    }
}

/// A field of an encoded record; empty where it has no such field.
pub(super) fn record_field(record: &[u8], index: usize) -> &[u8] {
    container::raw_items(record.get(1..).unwrap_or(&[])).nth(index).unwrap_or(&[])
}

fn compare_records(a: &[u8], b: &[u8], order_by: &[ColumnOrder]) -> std::cmp::Ordering {
    for by in order_by {
        let (x, y) = (record_field(a, by.column), record_field(b, by.column));
        let ordering = order::compare_datums(x, y, by.desc, by.nulls_last);
        if ordering.is_ne() {
            return ordering;
        }
    }
    a.cmp(b)
}

fn document<'a>(datum: Datum<'a>) -> &'a [u8] {
    match datum {
        Datum::Jsonb(Jsonb(bytes)) => bytes,
        _ => jsonb::JSON_NULL,
    }
}

fn member_name<'a>(datum: Datum<'a>, arena: &'a Arena) -> Result<String, EvalError> {
    match datum {
        Datum::Text(text) => Ok(text.to_owned()),
        Datum::Jsonb(value) => match value.value(arena) {
            jsonb::Value::String(text) => Ok(text.to_owned()),
            jsonb::Value::Number(number) => Ok(number.to_string()),
            jsonb::Value::Bool(value) => Ok(value.to_string()),
            jsonb::Value::Null => Err(EvalError::raise("22004", "field name must not be null")),
            _ => Err(EvalError::parameter("key value must be scalar, not array, composite, or json")),
        },
        _ => Err(EvalError::raise("22004", "field name must not be null")),
    }
}

fn join(rows: &[Vec<Datum<'_>>], out: &mut Vec<u8>) {
    let bytes = |datum: Datum<'_>| -> Option<Vec<u8>> {
        match datum {
            Datum::Text(text) => Some(text.as_bytes().to_vec()),
            Datum::Bytes(bytes) => Some(bytes.to_vec()),
            _ => None,
        }
    };
    let mut joined: Option<Vec<u8>> = None;
    let mut is_text = true;
    for fields in rows {
        is_text &= !matches!(fields[0], Datum::Bytes(_));
        let Some(value) = bytes(fields[0]) else { continue };
        match &mut joined {
            None => joined = Some(value),
            Some(text) => {
                text.extend(bytes(fields[1]).unwrap_or_default());
                text.extend(value);
            }
        }
    }
    match joined {
        None => row::push_null(out),
        Some(bytes) if is_text => row::push_text(out, &String::from_utf8_lossy(&bytes)),
        Some(bytes) => row::push_datum(out, Datum::Bytes(&bytes)),
    }
}

/// Arrays of equal dimensions as one array.
fn nest<'a>(
    arrays: impl Iterator<Item = Datum<'a>>,
    count: usize,
    arena: &'a Arena,
    out: &mut Vec<u8>,
) -> Result<(), EvalError> {
    let mut body = Vec::new();
    let mut inner: Option<Vec<usize>> = None;
    for datum in arrays {
        let Datum::Array(array) = datum else {
            return Err(EvalError::raise("22004", "cannot accumulate null arrays"));
        };
        let dimensions = array.dimensions();
        if dimensions.is_empty() {
            return Err(EvalError::raise("2202E", "cannot accumulate empty arrays"));
        }
        if inner.as_ref().is_some_and(|seen| *seen != dimensions) {
            return Err(EvalError::raise("2202E", "cannot accumulate arrays of different dimensionality"));
        }
        inner = Some(dimensions);
        array.items(arena).for_each(|item| row::push_datum(&mut body, item));
    }
    let mut dimensions = vec![count];
    dimensions.extend(inner.unwrap_or_default());
    if dimensions.len() > container::DIMENSIONS_MAX {
        return Err(EvalError::raise("54000", "number of array dimensions exceeds the maximum allowed (6)"));
    }
    container::push_array_end(&mut body, &dimensions);
    row::push_datum(out, Datum::Array(Array(&body)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_types::datum::Record;

    fn record(fields: &[Datum<'_>]) -> Vec<u8> {
        let mut body = row::pack(fields.iter().copied());
        container::push_end(&mut body);
        Datum::Record(Record(&body)).to_bytes()
    }
    fn run(basic: Basic, values: &[Vec<u8>], order_by: &[ColumnOrder]) -> Vec<u8> {
        let mut out = Vec::new();
        let values = values.iter().map(|value| (value.as_slice(), 1));
        basic.finish(values, order_by, &mut out).expect("well formed");
        row::check(&out, 1).expect("one datum");
        out
    }

    #[test]
    fn strings_join_in_the_order_asked_for() {
        let values = [
            record(&[Datum::Text("a"), Datum::Text(","), Datum::Int(1)]),
            record(&[Datum::Text("b"), Datum::Text(";"), Datum::Int(2)]),
            record(&[Datum::Null, Datum::Text("?"), Datum::Int(3)]),
        ];
        let order = [ColumnOrder { column: 2, desc: true, nulls_last: true }];
        assert_eq!(run(Basic::StringAggText, &values, &order), Datum::Text("b,a").to_bytes());
    }

    #[test]
    fn arrays_keep_null_and_multiplicity() {
        let one = Datum::Int(1).to_bytes();
        let null = Datum::Null.to_bytes();
        let mut out = Vec::new();
        let values = [(&one[..], 2), (&null[..], 1)];
        Basic::ArrayAgg.finish(values, &[], &mut out).expect("well formed");
        let arena = Arena::new();
        let Ok(Datum::Array(array)) = Datum::from_bytes(&out, &arena) else { panic!("no array") };
        let items: Vec<Datum<'_>> = array.items(&arena).collect();
        assert_eq!(items, [Datum::Int(1), Datum::Int(1), Datum::Null]);
        assert_eq!(array.dimensions(), [3]);
    }

    #[test]
    fn empty_groups_are_null() {
        assert_eq!(run(Basic::JsonbAgg, &[], &[]), Datum::Null.to_bytes());
    }
}
