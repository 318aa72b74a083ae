//! What evaluation may raise: a SQLSTATE and PostgreSQL's message.

use hw_types::numeric::NumericError;
use hw_types::row::{self, RowError};
use std::fmt;

/// An error of a row: data, not a failure of the program.
///
/// Two errors are equal where code and message are, whichever way they came about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EvalError {
    /// A number does not fit its type: the type's SQL name.
    OutOfRange(&'static str),
    /// Division by zero.
    DivisionByZero,
    /// A number beyond what numeric holds.
    NumericOverflow,
    /// A number too small for numeric.
    NumericUnderflow,
    /// A float beyond its format.
    FloatOverflow,
    /// A float too small for its format.
    FloatUnderflow,
    /// A result beyond the years that timestamps cover.
    TimestampOutOfRange,
    /// A result beyond the days that dates cover.
    DateOutOfRange,
    /// An interval beyond its parts.
    IntervalOutOfRange,
    /// A text that is no value of the type: the type's name, the text.
    InvalidText(Box<(&'static str, String)>),
    /// Anything else: code and message.
    Raised(Box<(SqlState, String)>),
}

/// Five characters of PostgreSQL's appendix A.
pub type SqlState = [u8; 5];

impl EvalError {
    /// An error of a code, which must have five characters, and a message.
    pub fn raise(sqlstate: &str, message: impl Into<String>) -> EvalError {
        let code = sqlstate.as_bytes().first_chunk::<5>().copied().unwrap_or(*b"XX000");
        EvalError::Raised(Box::new((code, message.into())))
    }
    /// A text that is no value of a type.
    pub fn invalid(type_name: &'static str, text: &str) -> EvalError {
        EvalError::InvalidText(Box::new((type_name, text.to_owned())))
    }
    /// An argument no value of which the function takes.
    pub fn parameter(message: impl Into<String>) -> EvalError {
        EvalError::raise("22023", message)
    }
    /// A plan that calls a kernel with what it does not take: a bug of the planner.
    pub fn internal(message: impl Into<String>) -> EvalError {
        EvalError::raise("XX000", message)
    }
    /// The code.
    pub fn sqlstate(&self) -> &str {
        match self {
            EvalError::OutOfRange(_)
            | EvalError::NumericOverflow
            | EvalError::NumericUnderflow
            | EvalError::FloatOverflow
            | EvalError::FloatUnderflow => "22003",
            EvalError::DivisionByZero => "22012",
            EvalError::TimestampOutOfRange | EvalError::DateOutOfRange | EvalError::IntervalOutOfRange => {
                "22008"
            }
            EvalError::InvalidText(what) => match what.0 {
                "date" | "time" | "timestamp" | "timestamp with time zone" | "interval" => "22007",
                _ => "22P02",
            },
            EvalError::Raised(what) => std::str::from_utf8(&what.0).unwrap_or("XX000"),
        }
    }
    /// The message.
    pub fn message(&self) -> String {
        self.to_string()
    }
    /// The error as a row: one text, `SQLSTATE:message`.
    pub fn push_row(&self, out: &mut Vec<u8>) {
        row::push_text(out, &format!("{}:{self}", self.sqlstate()));
    }
    /// The error as a row.
    pub fn to_row(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.push_row(&mut out);
        out
    }
    /// Reads what [`EvalError::to_row`] wrote.
    pub fn from_row(bytes: &[u8]) -> Result<EvalError, RowError> {
        let arena = hw_types::arena::Arena::new();
        let (datum, _) = row::read_datum(bytes, &arena)?;
        match datum {
            hw_types::datum::Datum::Text(text) => Ok(EvalError::from_text(text)),
            _ => Err(RowError::Malformed("error")),
        }
    }
    /// Reads `SQLSTATE:message`.
    pub fn from_text(text: &str) -> EvalError {
        match text.split_once(':') {
            Some((code, message)) if code.len() == 5 => EvalError::raise(code, message),
            _ => EvalError::internal(text),
        }
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EvalError::OutOfRange(name) => write!(f, "{name} out of range"),
            EvalError::DivisionByZero => f.write_str("division by zero"),
            EvalError::NumericOverflow => f.write_str("value overflows numeric format"),
            EvalError::NumericUnderflow => f.write_str("value underflows numeric format"),
            EvalError::FloatOverflow => f.write_str("value out of range: overflow"),
            EvalError::FloatUnderflow => f.write_str("value out of range: underflow"),
            EvalError::TimestampOutOfRange => f.write_str("timestamp out of range"),
            EvalError::DateOutOfRange => f.write_str("date out of range"),
            EvalError::IntervalOutOfRange => f.write_str("interval out of range"),
            EvalError::InvalidText(what) => {
                write!(f, "invalid input syntax for type {}: \"{}\"", what.0, what.1)
            }
            EvalError::Raised(what) => f.write_str(&what.1),
        }
    }
}

impl std::error::Error for EvalError {}

impl From<NumericError> for EvalError {
    fn from(error: NumericError) -> Self {
        match error {
            NumericError::Overflow => EvalError::NumericOverflow,
            NumericError::Underflow => EvalError::NumericUnderflow,
            NumericError::DivisionByZero => EvalError::DivisionByZero,
            NumericError::Syntax => EvalError::invalid("numeric", ""),
        }
    }
}

impl From<RowError> for EvalError {
    fn from(error: RowError) -> Self {
        EvalError::raise("XX001", error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_survive_as_rows() {
        for error in
            [EvalError::DivisionByZero, EvalError::OutOfRange("integer"), EvalError::invalid("date", "x")]
        {
            let back = EvalError::from_row(&error.to_row()).expect("one text");
            assert_eq!((back.sqlstate(), back.message()), (error.sqlstate(), error.message()));
        }
        assert_eq!(EvalError::OutOfRange("integer").to_row(), {
            let mut out = Vec::new();
            row::push_text(&mut out, "22003:integer out of range");
            out
        });
    }
}
