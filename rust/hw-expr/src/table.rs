//! Table functions: rows from the arguments of one call.

use crate::calendar;
use crate::error::EvalError;
use crate::kernel::datetime::bin;
use crate::kernel::json::{kind, unquoted};
use crate::kernel::jsonpath;
use crate::kernel::pattern::{captures, compile_regex, split};
use crate::kernel::text::string_to_array;
use hw_types::arena::Arena;
use hw_types::datum::{Datum, Jsonb};
use hw_types::interval::{DAY_MICROS, Interval};
use hw_types::jsonb::Value;
use hw_types::numeric::Numeric;

/// Takes one row, and how often it stands in the result.
pub type Emit<'e, 'a> = &'e mut dyn FnMut(&[Datum<'a>], i64) -> Result<(), EvalError>;

type Func = for<'e, 'a> fn(&[Datum<'a>], &'a Arena, Emit<'e, 'a>) -> Result<(), EvalError>;

/// A table function, resolved by its kernel name.
#[derive(Clone, Copy)]
pub struct TableFunc {
    func: Func,
    strict: bool,
}

impl TableFunc {
    /// The table function of a kernel name.
    pub fn resolve(name: &str) -> Option<TableFunc> {
        let strict = FUNCTIONS.iter().map(|entry| (entry, true));
        let mut all = strict.chain(LAX_FUNCTIONS.iter().map(|entry| (entry, false)));
        all.find(|((at, _), _)| *at == name).map(|((_, func), strict)| TableFunc { func: *func, strict })
    }
    /// Calls `emit` on each row, in order; none where an argument is NULL, but for the lax ones.
    ///
    /// Rows come one by one, so that the caller can stop by an error of its own; nothing bounds how
    /// many there are.
    pub fn eval<'a>(self, args: &[Datum<'a>], arena: &'a Arena, emit: Emit<'_, 'a>) -> Result<(), EvalError> {
        if self.strict && args.iter().any(Datum::is_null) {
            return Ok(());
        }
        (self.func)(args, arena, emit)
    }
    /// As [`eval`](Self::eval), without the first `skip` rows: for callers that stop and go on. A series
    /// begins there at once, others count the rows that they have made before.
    pub fn eval_from<'a>(
        self,
        args: &[Datum<'a>],
        arena: &'a Arena,
        skip: u64,
        emit: Emit<'_, 'a>,
    ) -> Result<(), EvalError> {
        if skip == 0 {
            return self.eval(args, arena, emit);
        }
        if std::ptr::fn_addr_eq(self.func, series as Func) {
            let Some(first) = nth_of_series(args, skip) else { return Ok(()) };
            let rest: Vec<Datum<'a>> = [first].into_iter().chain(args[1..].iter().copied()).collect();
            return self.eval(&rest, arena, emit);
        }
        let mut left = skip;
        self.eval(args, arena, &mut |row, count| {
            if left > 0 {
                left -= 1;
                return Ok(());
            }
            emit(row, count)
        })
    }
}

impl std::fmt::Debug for TableFunc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TableFunc")
    }
}

/// The names of all table functions' kernels.
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().chain(LAX_FUNCTIONS).map(|(name, _)| *name)
}

const FUNCTIONS: &[(&str, Func)] = &[
    ("generate_series_int4_int4", series),
    ("generate_series_int4_int4_int4", series),
    ("generate_series_int8_int8", series),
    ("generate_series_int8_int8_int8", series),
    ("generate_series_timestamp_timestamp_interval", moments),
    ("generate_series_timestamptz_timestamptz_interval", moments),
    ("generate_series_numeric_numeric", numeric_series),
    ("generate_series_numeric_numeric_numeric", numeric_series),
    ("generate_subscripts_array_int4", subscripts),
    ("generate_subscripts_array_int4_bool", subscripts),
    ("expand_array", expand_array),
    ("jsonb_path_query", |args, arena, emit| {
        jsonpath::query(args, arena)?.into_iter().try_for_each(|item| emit(&[Datum::Jsonb(item)], 1))
    }),
    ("unnest_array", unnest),
    ("unnest_list", unnest),
    ("unnest_map", unnest),
    ("jsonb_array_elements_jsonb", |args, arena, emit| elements(args, arena, emit, Datum::Jsonb)),
    ("jsonb_array_elements_text_jsonb", |args, arena, emit| {
        elements(args, arena, emit, |value| unquoted(value, arena))
    }),
    ("jsonb_each_jsonb", |args, arena, emit| each(args, arena, emit, "jsonb_each", Datum::Jsonb)),
    ("jsonb_each_text_jsonb", |args, arena, emit| {
        each(args, arena, emit, "jsonb_each_text", |value| unquoted(value, arena))
    }),
    ("jsonb_object_keys_jsonb", object_keys),
    ("regexp_split_to_table_text_text", split_to_table),
    ("regexp_split_to_table_text_text_text", split_to_table),
    ("regexp_matches_text_text", matches),
    ("regexp_matches_text_text_text", matches),
    ("regexp_extract_text_text", extract),
    ("csv_extract_int8_text", csv),
    ("date_bin_hopping_interval_interval_timestamp", hopping),
    ("date_bin_hopping_interval_interval_timestamptz", hopping),
    ("date_bin_hopping_interval_interval_timestamp_timestamp", hopping),
    ("date_bin_hopping_interval_interval_timestamptz_timestamptz", hopping),
    ("repeat_row_int8", repeat_row),
    ("repeat_row_non_negative_int8", repeat_row_non_negative),
];

/// Those that see NULL arguments.
const LAX_FUNCTIONS: &[(&str, Func)] =
    &[("string_to_table_text_text", string_to_table), ("string_to_table_text_text_text", string_to_table)];

fn int(args: &[Datum<'_>], i: usize) -> Result<i64, EvalError> {
    match args.get(i) {
        Some(Datum::Int(value)) => Ok(*value),
        _ => Err(EvalError::internal("a table function wants a whole number")),
    }
}

fn text<'a>(args: &[Datum<'a>], i: usize) -> Result<&'a str, EvalError> {
    match args.get(i) {
        Some(Datum::Text(value)) => Ok(value),
        _ => Err(EvalError::internal("a table function wants a text")),
    }
}

fn interval(args: &[Datum<'_>], i: usize) -> Result<Interval, EvalError> {
    match args.get(i) {
        Some(Datum::Interval(value)) => Ok(*value),
        _ => Err(EvalError::internal("a table function wants an interval")),
    }
}

fn json<'a>(args: &[Datum<'a>]) -> Result<Jsonb<'a>, EvalError> {
    match args.first() {
        Some(Datum::Jsonb(value)) => Ok(*value),
        _ => Err(EvalError::internal("a table function wants a jsonb")),
    }
}

fn no_step() -> EvalError {
    EvalError::parameter("step size cannot equal zero")
}

/// The number that stands at `place` in a series; none beyond what numbers reach.
fn nth_of_series<'a>(args: &[Datum<'a>], place: u64) -> Option<Datum<'a>> {
    let step = args.get(2).map_or(Ok(1), |_| int(args, 2)).ok()?;
    let place = i64::try_from(place).ok()?;
    int(args, 0).ok()?.checked_add(step.checked_mul(place)?).map(Datum::Int)
}

fn series<'a>(args: &[Datum<'a>], _: &'a Arena, emit: Emit<'_, 'a>) -> Result<(), EvalError> {
    let (mut at, stop) = (int(args, 0)?, int(args, 1)?);
    let step = if args.len() > 2 { int(args, 2)? } else { 1 };
    if step == 0 {
        return Err(no_step());
    }
    while (step > 0 && at <= stop) || (step < 0 && at >= stop) {
        emit(&[Datum::Int(at)], 1)?;
        match at.checked_add(step) {
            Some(next) => at = next,
            None => break,
        }
    }
    Ok(())
}

fn moments<'a>(args: &[Datum<'a>], _: &'a Arena, emit: Emit<'_, 'a>) -> Result<(), EvalError> {
    let (mut at, stop, step) = (int(args, 0)?, int(args, 1)?, interval(args, 2)?);
    let length = step.estimate();
    if length == 0 {
        return Err(no_step());
    }
    while (length > 0 && at <= stop) || (length < 0 && at >= stop) {
        emit(&[Datum::Int(at)], 1)?;
        let next = calendar::add_interval(at, &step)?;
        // Parts of different signs may not advance.
        if (next > at) != (length > 0) {
            break;
        }
        at = next;
    }
    Ok(())
}

fn subscripts<'a>(args: &[Datum<'a>], _: &'a Arena, emit: Emit<'_, 'a>) -> Result<(), EvalError> {
    let Some(Datum::Array(array)) = args.first() else { return Ok(()) };
    let dimension = usize::try_from(int(args, 1)? - 1).ok();
    let len = dimension.and_then(|i| array.dimensions().get(i).copied()).unwrap_or(0);
    let reverse = matches!(args.get(2), Some(Datum::True));
    (1..=len).try_for_each(|i| emit(&[Datum::Int(if reverse { len + 1 - i } else { i } as i64)], 1))
}

/// Each element with its number.
fn expand_array<'a>(args: &[Datum<'a>], arena: &'a Arena, emit: Emit<'_, 'a>) -> Result<(), EvalError> {
    let Some(Datum::Array(array)) = args.first() else { return Ok(()) };
    array.items(arena).enumerate().try_for_each(|(i, item)| emit(&[item, Datum::Int(i as i64 + 1)], 1))
}

fn string_to_table<'a>(args: &[Datum<'a>], arena: &'a Arena, emit: Emit<'_, 'a>) -> Result<(), EvalError> {
    match string_to_array(args, arena)? {
        Datum::Array(array) => array.items(arena).try_for_each(|item| emit(&[item], 1)),
        _ => Ok(()),
    }
}

fn numeric(args: &[Datum<'_>], i: usize) -> Result<Numeric, EvalError> {
    match args.get(i) {
        Some(Datum::Numeric(value)) => Ok(*value),
        _ => Err(EvalError::internal("a table function wants a numeric")),
    }
}

fn numeric_series<'a>(args: &[Datum<'a>], _: &'a Arena, emit: Emit<'_, 'a>) -> Result<(), EvalError> {
    let (mut at, stop) = (numeric(args, 0)?, numeric(args, 1)?);
    let step = if args.len() > 2 { numeric(args, 2)? } else { Numeric::from(1i64) };
    for (name, value) in [("start", at), ("stop", stop), ("step size", step)] {
        if !value.is_finite() {
            let what = if value == Numeric::NAN { "NaN" } else { "infinity" };
            return Err(EvalError::parameter(format!("{name} value cannot be {what}")));
        }
    }
    if step.is_zero() {
        return Err(no_step());
    }
    while if step.is_negative() { at >= stop } else { at <= stop } {
        emit(&[Datum::Numeric(at)], 1)?;
        at = at.add(&step)?;
    }
    Ok(())
}

fn unnest<'a>(args: &[Datum<'a>], arena: &'a Arena, emit: Emit<'_, 'a>) -> Result<(), EvalError> {
    match args.first() {
        Some(Datum::Array(array)) => array.items(arena).try_for_each(|item| emit(&[item], 1)),
        Some(Datum::List(list)) => list.items(arena).try_for_each(|item| emit(&[item], 1)),
        Some(Datum::Map(map)) => {
            map.entries(arena).try_for_each(|(key, value)| emit(&[Datum::Text(key), value], 1))
        }
        _ => Err(EvalError::internal("unnest wants an array, a list or a map")),
    }
}

fn elements<'a>(
    args: &[Datum<'a>],
    arena: &'a Arena,
    emit: Emit<'_, 'a>,
    show: impl Fn(Jsonb<'a>) -> Datum<'a>,
) -> Result<(), EvalError> {
    match json(args)?.value(arena) {
        Value::Array(mut elements) => elements.try_for_each(|item| emit(&[show(item)], 1)),
        Value::Object(_) => Err(EvalError::parameter("cannot extract elements from an object")),
        _ => Err(EvalError::parameter("cannot extract elements from a scalar")),
    }
}

fn each<'a>(
    args: &[Datum<'a>],
    arena: &'a Arena,
    emit: Emit<'_, 'a>,
    name: &str,
    show: impl Fn(Jsonb<'a>) -> Datum<'a>,
) -> Result<(), EvalError> {
    let Value::Object(mut members) = json(args)?.value(arena) else {
        return Err(EvalError::parameter(format!("cannot call {name} on a non-object")));
    };
    while let Some((key, value)) = members.next_in(arena) {
        emit(&[Datum::Text(key), show(value)], 1)?;
    }
    Ok(())
}

fn object_keys<'a>(args: &[Datum<'a>], arena: &'a Arena, emit: Emit<'_, 'a>) -> Result<(), EvalError> {
    match json(args)?.value(arena) {
        Value::Object(mut members) => {
            while let Some((key, _)) = members.next_in(arena) {
                emit(&[Datum::Text(key)], 1)?;
            }
            Ok(())
        }
        other => {
            let what = if matches!(other, Value::Array(_)) { "an array" } else { "a scalar" };
            debug_assert_ne!(kind(&other), "object");
            Err(EvalError::parameter(format!("cannot call jsonb_object_keys on {what}")))
        }
    }
}

fn flags<'a>(args: &[Datum<'a>]) -> Result<&'a str, EvalError> {
    if args.len() > 2 { text(args, 2) } else { Ok("") }
}

fn split_to_table<'a>(args: &[Datum<'a>], _: &'a Arena, emit: Emit<'_, 'a>) -> Result<(), EvalError> {
    let regex = compile_regex(text(args, 1)?, flags(args)?)?;
    split(&regex, text(args, 0)?).into_iter().try_for_each(|part| emit(&[Datum::Text(part)], 1))
}

fn matches<'a>(args: &[Datum<'a>], arena: &'a Arena, emit: Emit<'_, 'a>) -> Result<(), EvalError> {
    let flags = flags(args)?;
    let regex = compile_regex(text(args, 1)?, flags)?;
    let limit = if flags.contains('g') { usize::MAX } else { 1 };
    regex.captures_iter(text(args, 0)?).take(limit).try_for_each(|found| emit(&[captures(&found, arena)], 1))
}

/// One column a capture group.
fn extract<'a>(args: &[Datum<'a>], _: &'a Arena, emit: Emit<'_, 'a>) -> Result<(), EvalError> {
    // Materialize gives the pattern first.
    let regex = compile_regex(text(args, 0)?, "")?;
    let haystack = text(args, 1)?;
    let Some(found) = regex.captures(haystack) else { return Ok(()) };
    let columns: Vec<Datum<'a>> = (1..found.len())
        .map(|i| found.get(i).map_or(Datum::Null, |group| Datum::Text(&haystack[group.range()])))
        .collect();
    emit(&columns, 1)
}

/// The lines of a CSV text that have as many fields as asked for.
fn csv<'a>(args: &[Datum<'a>], arena: &'a Arena, emit: Emit<'_, 'a>) -> Result<(), EvalError> {
    let columns = usize::try_from(int(args, 0)?).unwrap_or(0);
    let mut rest = text(args, 1)?;
    while !rest.is_empty() {
        let (fields, tail) = csv_line(rest, arena);
        rest = tail;
        if fields.len() == columns {
            emit(&fields, 1)?;
        }
    }
    Ok(())
}

/// The fields of the first line, and what follows it. Source: RFC 4180.
fn csv_line<'a>(text: &'a str, arena: &'a Arena) -> (Vec<Datum<'a>>, &'a str) {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' if quoted && chars.peek().is_some_and(|(_, next)| *next == '"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(Datum::Text(arena.text(&std::mem::take(&mut field)))),
            '\n' if !quoted => {
                fields.push(Datum::Text(arena.text(field.trim_end_matches('\r'))));
                return (fields, &text[at + 1..]);
            }
            c => field.push(c),
        }
    }
    fields.push(Datum::Text(arena.text(&field)));
    (fields, "")
}

/// The starts of windows of `width`, one each `hop`, that a moment lies in.
///
/// The last window ends with the bin that the moment is in, whatever the width. Source: Materialize's
/// definition, by `generate_series` from that bin's end less the width.
fn hopping<'a>(args: &[Datum<'a>], _: &'a Arena, emit: Emit<'_, 'a>) -> Result<(), EvalError> {
    let (hop, width, at) = (interval(args, 0)?, interval(args, 1)?, int(args, 2)?);
    let origin = if args.len() > 3 { int(args, 3)? } else { 0 };
    let micros = |span: &Interval| i64::from(span.days).checked_mul(DAY_MICROS)?.checked_add(span.micros);
    let out = || EvalError::IntervalOutOfRange;
    let (hop_micros, width_micros) = (micros(&hop).ok_or_else(out)?, micros(&width).ok_or_else(out)?);
    if width.months != 0 {
        bin(&width, at, origin)?;
    }
    let end = bin(&hop, calendar::add_interval(at, &hop)?, origin)?;
    let mut start = end.checked_sub(width_micros).ok_or(EvalError::TimestampOutOfRange)?;
    while start <= at {
        emit(&[Datum::Int(start)], 1)?;
        start = start.checked_add(hop_micros).ok_or(EvalError::TimestampOutOfRange)?;
    }
    Ok(())
}

fn repeat_row<'a>(args: &[Datum<'a>], _: &'a Arena, emit: Emit<'_, 'a>) -> Result<(), EvalError> {
    match int(args, 0)? {
        0 => Ok(()),
        count => emit(&[], count),
    }
}

fn repeat_row_non_negative<'a>(
    args: &[Datum<'a>],
    arena: &'a Arena,
    emit: Emit<'_, 'a>,
) -> Result<(), EvalError> {
    if int(args, 0)? < 0 {
        let message = format!("repeat_row_non_negative got {}", int(args, 0)?);
        return Err(EvalError::parameter(message));
    }
    repeat_row(args, arena, emit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<'a>(name: &str, args: &[Datum<'a>], arena: &'a Arena) -> Result<Vec<Vec<Datum<'a>>>, EvalError> {
        let mut rows = Vec::new();
        let func = TableFunc::resolve(name).expect("known");
        func.eval(args, arena, &mut |row, count| {
            assert_eq!(count, 1);
            rows.push(row.to_vec());
            Ok(())
        })?;
        Ok(rows)
    }

    #[test]
    fn series_include_their_ends() {
        let arena = Arena::new();
        let run = |args: &[Datum<'static>]| {
            run("generate_series_int8_int8_int8", args, &arena)
                .map(|rows| rows.into_iter().map(|row| row[0]).collect::<Vec<_>>())
        };
        let ints = |values: &[i64]| Ok(values.iter().map(|v| Datum::Int(*v)).collect::<Vec<_>>());
        assert_eq!(run(&[Datum::Int(1), Datum::Int(7), Datum::Int(3)]), ints(&[1, 4, 7]));
        assert_eq!(run(&[Datum::Int(3), Datum::Int(1), Datum::Int(-1)]), ints(&[3, 2, 1]));
        assert_eq!(
            run(&[Datum::Int(i64::MAX - 1), Datum::Int(i64::MAX), Datum::Int(2)]),
            ints(&[i64::MAX - 1])
        );
        assert_eq!(run(&[Datum::Int(1), Datum::Null, Datum::Int(1)]), ints(&[]));
        assert_eq!(run(&[Datum::Int(1), Datum::Int(2), Datum::Int(0)]), Err(no_step()));
    }

    #[test]
    fn csv_lines_of_other_widths_are_left_out() {
        let arena = Arena::new();
        let args = [Datum::Int(2), Datum::Text("a,\"b,\"\"c\"\n1\nx,y\r\n")];
        let rows = run("csv_extract_int8_text", &args, &arena).expect("well formed");
        assert_eq!(rows, [[Datum::Text("a"), Datum::Text("b,\"c")], [Datum::Text("x"), Datum::Text("y")]]);
    }
}
