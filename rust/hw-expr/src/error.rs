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
    /// As [`EvalError::OutOfRange`], where the value, or what it would have come from, is known.
    Beyond(Box<(String, &'static str)>),
    /// Integer arithmetic whose result does not fit.
    FieldOverflow,
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
    /// A text that is no value of the type: the type's name, why (or nothing), the text.
    InvalidText(Box<(&'static str, String, String)>),
    /// Anything else: code and message.
    Raised(Box<(SqlState, String)>),
}

/// What stands between an error's message and its detail.
pub const DETAIL: &str = "\nDETAIL:  ";

/// What stands between an error's message, or its detail, and its hint.
pub const HINT: &str = "\nHINT:  ";

/// Five characters of PostgreSQL's appendix A.
pub type SqlState = [u8; 5];

impl EvalError {
    /// An error of a code, which must have five characters, and a message.
    pub fn raise(sqlstate: &str, message: impl Into<String>) -> EvalError {
        let code = sqlstate.as_bytes().first_chunk::<5>().copied().unwrap_or(*b"XX000");
        EvalError::Raised(Box::new((code, message.into())))
    }
    /// As [`EvalError::raise`], with what PostgreSQL says as the error's detail.
    ///
    /// The detail stands in the message behind [`DETAIL`]: who shows the error takes them apart.
    pub fn raise_with_detail(
        sqlstate: &str,
        message: impl fmt::Display,
        detail: impl fmt::Display,
    ) -> EvalError {
        EvalError::raise(sqlstate, format!("{message}{DETAIL}{detail}"))
    }
    /// As [`EvalError::raise_with_detail`], with what the user may do about it.
    pub fn raise_with_hint(sqlstate: &str, message: impl fmt::Display, hint: impl fmt::Display) -> EvalError {
        EvalError::raise(sqlstate, format!("{message}{HINT}{hint}"))
    }
    /// A text that is no value of a type.
    pub fn invalid(type_name: &'static str, text: &str) -> EvalError {
        EvalError::invalid_because(type_name, "", text)
    }
    /// A text that is no value of a type, and why.
    pub fn invalid_because(type_name: &'static str, why: impl Into<String>, text: &str) -> EvalError {
        EvalError::InvalidText(Box::new((type_name, why.into(), text.to_owned())))
    }
    /// A value that does not fit the type of this name.
    pub fn beyond(value: impl fmt::Display, type_name: &'static str) -> EvalError {
        EvalError::Beyond(Box::new((value.to_string(), type_name)))
    }
    /// An infinity where `function` wants a finite number.
    pub fn infinite(function: &str) -> EvalError {
        EvalError::raise("22003", format!("function {function} is only defined for finite arguments"))
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
            EvalError::Beyond(what) if what.1 == "interval" => "22008",
            EvalError::OutOfRange(_)
            | EvalError::Beyond(_)
            | EvalError::FieldOverflow
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
            EvalError::Beyond(what) => write!(f, "{} {} out of range", Quoted(&what.0), what.1),
            EvalError::FieldOverflow => f.write_str("numeric field overflow"),
            EvalError::NumericOverflow | EvalError::FloatOverflow => {
                f.write_str("value out of range: overflow")
            }
            EvalError::NumericUnderflow | EvalError::FloatUnderflow => {
                f.write_str("value out of range: underflow")
            }
            EvalError::TimestampOutOfRange => f.write_str("timestamp out of range"),
            EvalError::DateOutOfRange => f.write_str("date out of range"),
            EvalError::IntervalOutOfRange => f.write_str("interval out of range"),
            EvalError::InvalidText(what) => {
                let (name, why, text) = &**what;
                let colon = if why.is_empty() { "" } else { ": " };
                write!(f, "invalid input syntax for type {name}: {why}{colon}{}", Quoted(text))
            }
            EvalError::Raised(what) => f.write_str(&what.1),
        }
    }
}

/// A text as messages show it: in quotes, those within escaped.
pub(crate) struct Quoted<'t>(pub &'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\\\""))
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
