//! DATUMS: values of every type that are worth a look, one row a round until there are no more.
//!
//! Table: `rowid int8`, then one column a type; row n has the n-th value of each, beginning again
//! where there are fewer.

use super::{Generator, GeneratorError, Outputs};
use crate::decode::FromText;
use hw_types::row::{push_int, push_null};
use hw_types::scalar::ScalarType;

/// See the module.
pub struct Datums {
    rows: Vec<Vec<u8>>,
}

impl Datums {
    /// Of columns that have these values, in their text form; None is NULL.
    pub fn new(
        columns: &[(ScalarType, Vec<Option<String>>)],
        from_text: FromText,
    ) -> Result<Self, GeneratorError> {
        let count = columns.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
        let row = |n: usize| {
            let mut row = Vec::new();
            push_int(&mut row, n as i64 + 1);
            for (ty, values) in columns.iter().filter(|(_, values)| !values.is_empty()) {
                match &values[n % values.len()] {
                    Some(text) => from_text(ty, text, &mut row).map_err(GeneratorError::Datum)?,
                    None => push_null(&mut row),
                }
            }
            Ok(row)
        };
        Ok(Datums { rows: (0..count).map(row).collect::<Result<_, _>>()? })
    }
}

impl Generator for Datums {
    fn step(&mut self, offset: u64, _: u64, _: i64, out: &mut Outputs) -> bool {
        if let Some(row) = usize::try_from(offset).ok().and_then(|at| self.rows.get(at)) {
            out.push("", 1, |out| out.extend_from_slice(row));
        }
        false
    }
}
