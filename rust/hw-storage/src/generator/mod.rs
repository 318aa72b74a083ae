//! Load generators: invented data, the same for the same options and offset.
//!
//! An offset counts rounds. Round 0 is the snapshot; every later one is a tick. A round is made in
//! steps of bounded size, so that a large snapshot never stands in memory as a whole.

mod auction;
mod counter;
mod datums;
mod key_value;
mod marketing;
mod tpch;

use crate::decode::FromText;
use hw_types::flat::Updates;
use hw_types::scalar::ScalarType;
use serde::Deserialize;
use std::collections::BTreeMap;
use thiserror::Error;

/// A step makes about this many rows.
pub const STEP_ROWS: u64 = 50_000;

/// The options of `ir.ingestion.LoadGeneratorSource`, field by field.
#[derive(Clone, Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Options {
    pub generator: String,
    pub tick_ms: u64,
    pub as_of: u64,
    pub scale_factor: f64,
    pub max_cardinality: Option<u64>,
    pub keys: u64,
    pub partitions: u64,
    pub snapshot_rounds: u64,
    pub value_bytes: u64,
    pub seed: u64,
    pub batch_size: u64,
    #[serde(default)]
    pub datums: Vec<(ScalarType, Vec<Option<String>>)>,
}

/// Why a generator can't be made.
#[derive(Debug, Error)]
pub enum GeneratorError {
    /// No such generator.
    #[error("unknown load generator {0}")]
    Unknown(String),
    /// An option is out of range.
    #[error("load generator option {0} is out of range")]
    Option(&'static str),
    /// A value of DATUMS is not one of its type.
    #[error("{0}")]
    Datum(String),
}

/// What a step yields: updates by output table. Times are 0: the reader's commit stamps them.
#[derive(Debug, Default)]
pub struct Outputs(pub BTreeMap<&'static str, Updates>);

impl Outputs {
    /// Appends an update to table `output`; `row` writes its datums.
    pub fn push(&mut self, output: &'static str, diff: i64, row: impl FnOnce(&mut Vec<u8>)) {
        self.0.entry(output).or_default().push_with(row, 0, diff);
    }
}

/// A generator of rounds.
pub trait Generator: Send {
    /// Makes step `step` of round `offset`; returns whether the round has another one.
    ///
    /// `now_micros` is the time of day, for columns that show it.
    fn step(&mut self, offset: u64, step: u64, now_micros: i64, out: &mut Outputs) -> bool;
}

/// The generator that `options` ask for.
pub fn generator(options: &Options, from_text: FromText) -> Result<Box<dyn Generator>, GeneratorError> {
    Ok(match options.generator.as_str() {
        "auction" => Box::new(auction::Auction::new(options.seed)),
        "counter" => Box::new(counter::Counter::new(options.max_cardinality)),
        "datums" => Box::new(datums::Datums::new(&options.datums, from_text)?),
        "marketing" => Box::new(marketing::Marketing::new(options.seed)),
        "clock" => Box::new(counter::Clock::new(options.tick_ms.saturating_mul(1_000), options.as_of)),
        "tpch" => Box::new(tpch::Tpch::new(options.scale_factor)?),
        "key_value" => Box::new(key_value::KeyValue::new(options)?),
        other => return Err(GeneratorError::Unknown(other.to_string())),
    })
}

/// Makes a whole round at once; for tests and small rounds.
pub fn round(generator: &mut dyn Generator, offset: u64, now_micros: i64) -> Outputs {
    let mut out = Outputs::default();
    let mut step = 0;
    while generator.step(offset, step, now_micros, &mut out) {
        step += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_types::row::{push_int, push_null};
    use hw_types::scalar::BaseType;

    const ALL: [&str; 7] = ["auction", "counter", "clock", "tpch", "key_value", "marketing", "datums"];

    fn from_text(_: &ScalarType, text: &str, out: &mut Vec<u8>) -> Result<(), String> {
        let value = text.parse::<i64>().map_err(|error| error.to_string())?;
        push_int(out, value);
        Ok(())
    }

    fn make(name: &str) -> Box<dyn Generator> {
        generator(&options(name), from_text).expect("known")
    }

    fn options(name: &str) -> Options {
        Options {
            generator: name.into(),
            tick_ms: 1_000,
            as_of: 0,
            scale_factor: 0.001,
            max_cardinality: Some(3),
            keys: 10,
            partitions: 2,
            snapshot_rounds: 2,
            value_bytes: 8,
            seed: 1,
            batch_size: 3,
            datums: vec![
                (BaseType::Int4.into(), vec![Some("1".into()), None]),
                (BaseType::Int8.into(), vec![Some("7".into()), Some("8".into()), Some("9".into())]),
            ],
        }
    }

    #[test]
    fn every_generator_is_the_same_when_asked_again() {
        for name in ALL {
            let mut first = make(name);
            let mut second = make(name);
            for offset in 0..4 {
                assert_eq!(round(first.as_mut(), offset, 5).0, round(second.as_mut(), offset, 5).0, "{name}");
            }
            // A generator that starts in the middle makes the same rounds.
            let mut third = make(name);
            assert_eq!(round(first.as_mut(), 9, 5).0, round(third.as_mut(), 9, 5).0, "{name}");
        }
    }

    #[test]
    fn no_generator_retracts_what_is_not_there() {
        for name in ALL {
            let mut generator = make(name);
            let mut held: BTreeMap<(&str, Vec<u8>), i64> = BTreeMap::new();
            for offset in 0..40 {
                for (output, updates) in &round(generator.as_mut(), offset, 5).0 {
                    for (row, _, diff) in updates.iter() {
                        *held.entry((output, row.to_vec())).or_insert(0) += diff;
                    }
                }
                assert!(held.values().all(|count| *count >= 0), "{name} at {offset}");
            }
            assert!(held.values().any(|count| *count > 0), "{name}");
        }
    }

    #[test]
    fn datums_begin_again_where_a_column_has_fewer() {
        let mut datums = make("datums");
        let rows: Vec<Vec<u8>> = (0..5)
            .flat_map(|offset| round(datums.as_mut(), offset, 0).0.into_values())
            .flat_map(|updates| updates.iter().map(|(row, _, _)| row.to_vec()).collect::<Vec<_>>())
            .collect();
        let want = [(1, Some(1), 7), (2, None, 8), (3, Some(1), 9)].map(|(id, first, second)| {
            let mut row = vec![];
            push_int(&mut row, id);
            match first {
                Some(value) => push_int(&mut row, value),
                None => push_null(&mut row),
            }
            push_int(&mut row, second);
            row
        });
        assert_eq!(rows, want);
    }

    #[test]
    fn unknown_generators_are_errors() {
        assert!(generator(&options("weather"), from_text).is_err());
    }
}
