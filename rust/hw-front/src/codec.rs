//! Datums as clients write and read them: the one place that reaches `hw_expr`'s text and binary forms.

use crate::frames::utf8;
use crate::protocol::ErrorFields;
use crate::wire::Format;
use hw_expr::error::EvalError;
use hw_expr::format::Style;
use hw_expr::{format, parse};
use hw_types::datum::Datum;
use hw_types::scalar::ScalarType;

impl From<EvalError> for ErrorFields {
    fn from(error: EvalError) -> Self {
        ErrorFields::new(error.sqlstate(), error.message())
    }
}

/// Appends a datum's form. NULL has none and must not come here.
#[inline]
pub fn write(
    out: &mut Vec<u8>,
    ty: &ScalarType,
    datum: Datum<'_>,
    format: Format,
    style: &Style,
) -> Result<(), ErrorFields> {
    match format {
        Format::Text => format::styled(style, ty, datum, out),
        Format::Binary => format::binary(ty, datum, out)?,
    }
    Ok(())
}

/// Appends the datum that a client's value of type `ty` means, in the row encoding.
#[inline]
pub fn read(out: &mut Vec<u8>, ty: &ScalarType, value: &[u8], format: Format) -> Result<(), ErrorFields> {
    match format {
        Format::Text => parse::push_from_text(ty, utf8(value)?, out)?,
        Format::Binary => out.extend_from_slice(&parse::from_binary(ty, value)?),
    }
    Ok(())
}
