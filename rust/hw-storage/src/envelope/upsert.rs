//! UPSERT: the last value of each key holds, a null value deletes.
//!
//! The state is what the output holds, by key: it is filled from the output's snapshot when the
//! source starts, and kept in step with what is emitted. A value that can't be decoded is an error
//! under its key, which the key's next value replaces.

use hw_types::flat::Updates;
use hw_types::row;
use rustc_hash::FxHashMap;

/// What stands under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Held {
    /// The whole row.
    Row(Box<[u8]>),
    /// The whole error row.
    Error(Box<[u8]>),
}

/// Separates an error's text from the key it stands under, in hexadecimal to the end.
const KEY_MARK: &str = "; key \\x";

/// The error row of `sqlstate` and `message`, standing under `key` if there is one.
pub fn error_row(sqlstate: &str, message: &str, key: Option<&[u8]>) -> Vec<u8> {
    let mut text = format!("{sqlstate}:{message}");
    if let Some(key) = key {
        text.push_str(KEY_MARK);
        for byte in key {
            text.push_str(&format!("{byte:02x}"));
        }
    }
    let mut out = Vec::new();
    row::push_text(&mut out, &text);
    out
}

/// The key that an error row stands under.
fn error_key(error: &[u8]) -> Option<Vec<u8>> {
    let arena = hw_types::arena::Arena::new();
    let (datum, _) = row::read_datum(error, &arena).ok()?;
    let hw_types::datum::Datum::Text(text) = datum else { return None };
    let (_, digits) = text.rsplit_once(KEY_MARK)?;
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let nibble = |digit: u8| (digit as char).to_digit(16);
    let byte = |pair: &[u8; 2]| Some((nibble(pair[0])? * 16 + nibble(pair[1])?) as u8);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// The state of one output.
#[derive(Default)]
pub struct Upsert {
    held: FxHashMap<Box<[u8]>, Held>,
    bytes: usize,
}

impl Upsert {
    /// Nothing held yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// The number of keys.
    pub fn len(&self) -> usize {
        self.held.len()
    }
    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
    /// Bytes of keys and rows.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
    /// Takes in the output's snapshot, whose rows begin with `key_arity` key columns.
    pub fn load(&mut self, rows: &Updates, errors: &Updates, key_arity: usize) {
        for (row, _, diff) in rows.iter() {
            if diff > 0 {
                let key: usize = row::split(row).take(key_arity).map(<[u8]>::len).sum();
                self.set(&row[..key], Some(Held::Row(row.into())));
            }
        }
        for (error, _, diff) in errors.iter() {
            if diff > 0
                && let Some(key) = error_key(error)
            {
                self.set(&key, Some(Held::Error(error.into())));
            }
        }
    }
    fn set(&mut self, key: &[u8], held: Option<Held>) -> Option<Held> {
        let size = |held: &Held| match held {
            Held::Row(bytes) | Held::Error(bytes) => key.len() + bytes.len(),
        };
        self.bytes += held.as_ref().map_or(0, size);
        let before = match held {
            Some(held) => self.held.insert(key.into(), held),
            None => self.held.remove(key),
        };
        self.bytes -= before.as_ref().map_or(0, size);
        before
    }
    fn change(&mut self, key: &[u8], held: Option<Held>, rows: &mut Updates, errors: &mut Updates) {
        if self.held.get(key) == held.as_ref() {
            return;
        }
        let mut emit = |held: &Held, diff| match held {
            Held::Row(row) => rows.push(row, 0, diff),
            Held::Error(error) => errors.push(error, 0, diff),
        };
        if let Some(held) = &held {
            emit(held, 1);
        }
        if let Some(before) = self.set(key, held) {
            emit(&before, -1);
        }
    }
    /// `row` holds under `key` from now on.
    pub fn upsert(&mut self, key: &[u8], row: &[u8], rows: &mut Updates, errors: &mut Updates) {
        self.change(key, Some(Held::Row(row.into())), rows, errors);
    }
    /// Nothing holds under `key` from now on.
    pub fn delete(&mut self, key: &[u8], rows: &mut Updates, errors: &mut Updates) {
        self.change(key, None, rows, errors);
    }
    /// The value of `key` could not be decoded.
    pub fn fail(&mut self, key: &[u8], message: &str, rows: &mut Updates, errors: &mut Updates) {
        let error = error_row("22P02", message, Some(key));
        self.change(key, Some(Held::Error(error.into())), rows, errors);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hw_types::row::{push_int, push_text};

    fn row(key: i64, value: &str) -> Vec<u8> {
        let mut out = key_of(key);
        push_text(&mut out, value);
        out
    }
    fn key_of(key: i64) -> Vec<u8> {
        let mut out = vec![];
        push_int(&mut out, key);
        out
    }
    fn list(updates: &Updates) -> Vec<(Vec<u8>, i64)> {
        updates.iter().map(|(row, _, diff)| (row.to_vec(), diff)).collect()
    }

    #[test]
    fn the_last_value_holds() {
        let (mut upsert, mut rows, mut errors) = (Upsert::new(), Updates::new(), Updates::new());
        upsert.upsert(&key_of(1), &row(1, "a"), &mut rows, &mut errors);
        upsert.upsert(&key_of(1), &row(1, "b"), &mut rows, &mut errors);
        upsert.upsert(&key_of(1), &row(1, "b"), &mut rows, &mut errors);
        upsert.delete(&key_of(2), &mut rows, &mut errors);
        assert_eq!(list(&rows.consolidate()), [(row(1, "b"), 1)]);
        upsert.delete(&key_of(1), &mut rows, &mut errors);
        assert!(rows.consolidate().is_empty() && errors.is_empty());
        assert_eq!((upsert.len(), upsert.bytes()), (0, 0));
    }

    #[test]
    fn an_error_stands_under_its_key_until_the_next_value() {
        let (mut upsert, mut rows, mut errors) = (Upsert::new(), Updates::new(), Updates::new());
        upsert.upsert(&key_of(1), &row(1, "a"), &mut rows, &mut errors);
        upsert.fail(&key_of(1), "bad", &mut rows, &mut errors);
        assert!(rows.consolidate().is_empty());
        assert_eq!(errors.consolidate().len(), 1);
        // A restart finds the error in the snapshot, and the next value retracts it.
        let mut again = Upsert::new();
        again.load(&rows.consolidate(), &errors.consolidate(), 1);
        again.upsert(&key_of(1), &row(1, "c"), &mut rows, &mut errors);
        assert_eq!(list(&rows.consolidate()), [(row(1, "c"), 1)]);
        assert!(errors.consolidate().is_empty());
    }

    #[test]
    fn the_state_is_what_the_snapshot_holds() {
        let (mut rows, mut errors) = (Updates::new(), Updates::new());
        rows.push(&row(1, "a"), 7, 1);
        rows.push(&row(2, "b"), 7, 1);
        let mut upsert = Upsert::new();
        upsert.load(&rows, &errors, 1);
        assert_eq!(upsert.len(), 2);
        rows = Updates::new();
        upsert.delete(&key_of(2), &mut rows, &mut errors);
        assert_eq!(list(&rows), [(row(2, "b"), -1)]);
    }
}
