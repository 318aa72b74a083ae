//! Dates, times and intervals made of their fields; dates and days.

use super::{shift, written_offset, zone_offset};
use crate::calendar::{self, HOUR, MINUTE};
use crate::error::EvalError;
use crate::kernel::{CallInfo, Evaluated, Table, arg, kernel, many};
use crate::parse;
use hw_types::arena::Arena;
use hw_types::datum::Datum;
use hw_types::interval::{DAY_MICROS, Interval};

type Result<T> = std::result::Result<T, EvalError>;

fn out_of_range(what: &str, fields: &str) -> EvalError {
    EvalError::raise("22008", format!("{what} field value out of range: {fields}"))
}

fn make_date(year: i64, month: i64, day: i64) -> Result<i64> {
    let bad = || out_of_range("date", &format!("{year}-{month:02}-{day:02}"));
    // Years before Christ are negative.
    let astronomical = if year < 0 { year + 1 } else { year };
    let valid = year != 0
        && (1..=12).contains(&month)
        && (1..=calendar::days_in_month(astronomical, month)).contains(&day);
    if !valid {
        return Err(bad());
    }
    calendar::check_date(calendar::days_from_civil(astronomical, month, day)).map_err(|_| bad())
}

fn of_day(hour: i64, minute: i64, second: f64) -> Result<i64> {
    let micros = (second * 1e6).round_ties_even();
    let valid = (0..=24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..=60e6).contains(&micros)
        && (hour < 24 || (minute == 0 && micros == 0.0));
    if !valid {
        return Err(out_of_range("time", &format!("{hour}:{minute:02}:{second:02}")));
    }
    Ok(hour * HOUR + minute * MINUTE + micros as i64)
}

fn make_time(hour: i64, minute: i64, second: f64) -> Result<i64> {
    let micros = of_day(hour, minute, second)?;
    if micros >= DAY_MICROS { Err(EvalError::raise("22008", "time out of range")) } else { Ok(micros) }
}

fn moment(args: &[Datum<'_>]) -> Result<i64> {
    let field = |i| arg::<i64>(args, i);
    let days = make_date(field(0)?, field(1)?, field(2)?)?;
    let micros = of_day(field(3)?, field(4)?, arg(args, 5)?)?;
    calendar::check_timestamp(days.checked_mul(DAY_MICROS).and_then(|d| d.checked_add(micros)))
}

fn make_timestamptz<'a>(args: &[Datum<'a>], _: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    let local = moment(args)?;
    let offset = match args.get(6) {
        Some(Datum::Text(zone)) => written_offset(zone, local, true)?,
        _ => 0,
    };
    Ok(Datum::Int(shift(local, offset, false)?))
}

/// Years, months, weeks, days, hours, minutes, seconds; those left out are zero.
fn make_interval<'a>(args: &[Datum<'a>], _: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    let part = |i: usize| if args.len() > i { arg::<i64>(args, i) } else { Ok(0) };
    let out = || EvalError::IntervalOutOfRange;
    let seconds: f64 = if args.len() > 6 { arg(args, 6)? } else { 0.0 };
    let micros = (seconds * 1e6).round_ties_even();
    if !micros.is_finite() || micros.abs() > 9e18 {
        return Err(out());
    }
    let months = part(0)? * 12 + part(1)?;
    let days = part(2)? * 7 + part(3)?;
    let micros = (part(4)? * HOUR + part(5)? * MINUTE).checked_add(micros as i64).ok_or_else(out)?;
    Ok(Datum::Interval(Interval {
        months: i32::try_from(months).map_err(|_| out())?,
        days: i32::try_from(days).map_err(|_| out())?,
        micros,
    }))
}

fn move_date(days: i64, by: i64) -> Result<i64> {
    calendar::check_date(days + by)
}

/// Whether two spans have a moment in common. Source: SQL's OVERLAPS: ends are left out.
fn overlaps(args: &[Datum<'_>]) -> Result<Option<bool>> {
    let end = |from: Option<i64>, to: &Datum<'_>| match (from, to) {
        (Some(from), Datum::Interval(span)) => calendar::add_interval(from, span).map(Some),
        (_, Datum::Int(to)) => Ok(Some(*to)),
        _ => Ok(None),
    };
    let start = |datum: &Datum<'_>| match datum {
        Datum::Int(at) => Some(*at),
        _ => None,
    };
    let mut spans = Vec::with_capacity(2);
    for pair in args.as_chunks::<2>().0 {
        let from = start(&pair[0]);
        let to = end(from, &pair[1])?;
        spans.push(match (from, to) {
            (Some(from), Some(to)) if from > to => (Some(to), Some(from)),
            (None, to) => (to, None),
            other => other,
        });
    }
    let [(Some(s1), e1), (Some(s2), e2)] = spans[..] else { return Ok(None) };
    // NULL decides nothing unless the other ends say enough.
    let ((s1, e1), (s2, e2)) = if s1 > s2 { ((s1, e1), (s2, e2)) } else { ((s2, e2), (s1, e1)) };
    if s1 > s2 {
        return Ok(match e2 {
            Some(e2) if s1 < e2 => Some(true),
            Some(_) => e1.map(|_| false),
            None => None,
        });
    }
    Ok(match (e1, e2) {
        (Some(_), Some(_)) => Some(true),
        _ => None,
    })
}

fn overlap_kernel<'a>(args: &[Datum<'a>], _: &'a CallInfo, _: &'a Arena) -> Evaluated<'a> {
    Ok(overlaps(args)?.map_or(Datum::Null, Datum::bool))
}

/// A moment in a zone, cut to a unit there.
fn trunc_in_zone(unit: &str, micros: i64, zone: &str) -> Result<i64> {
    let local = shift(micros, zone_offset(zone, micros, false)?, true)?;
    let cut = super::fields::trunc_timestamp(unit, local)?;
    // Within an hour the moment keeps its offset: an hour that comes twice is two.
    let of_clock = super::fields::is_of_clock(unit);
    let offset = if of_clock { zone_offset(zone, micros, false)? } else { zone_offset(zone, cut, true)? };
    shift(cut, offset, false)
}

fn timestamptz_of_text(text: &str, zone: &str) -> Result<i64> {
    parse::timestamptz_in(text, zone)
}

/// A moment with time zone as text, in a zone.
fn text_in_zone(micros: i64, zone: &str) -> Result<String> {
    let mut out = Vec::new();
    crate::format::timestamptz_in(micros, written_offset(zone, micros, false)?, &mut out);
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn offset_record<'a>(zone: &'a str, micros: i64, arena: &'a Arena) -> Result<Datum<'a>> {
    let invalid = || EvalError::parameter(format!("invalid IANA Time Zone Database identifier: '{zone}'"));
    let (base, saving) = parse::zone::parts(zone, micros).ok_or_else(invalid)?;
    let span = |micros| Datum::Interval(Interval::new(0, 0, micros));
    Ok(Datum::Record(hw_types::datum::Record(arena.build(|out| {
        hw_types::row::push_datum(out, Datum::Text(arena.text(&parse::zone::abbreviation(zone, micros))));
        hw_types::row::push_datum(out, span(base));
        hw_types::row::push_datum(out, span(saving));
        hw_types::container::push_end(out);
    }))))
}

pub(super) const KERNELS: Table = &[
    kernel!("make_date_int4_int4_int4", |a: i64, b: i64, c: i64| make_date(a, b, c)),
    kernel!("make_time_int4_int4_float8", |a: i64, b: i64, c: f64| make_time(a, b, c)),
    ("make_timestamptz", many(make_timestamptz)),
    ("make_interval", many(make_interval)),
    kernel!("add_date_int4", |a: i64, b: i64| move_date(a, b)),
    kernel!("add_int4_date", |a: i64, b: i64| move_date(b, a)),
    kernel!("sub_date_int4", |a: i64, b: i64| move_date(a, -b)),
    ("overlaps", super::super::lax(overlap_kernel)),
    kernel!("isfinite_int", |_a: i64| Ok::<_, EvalError>(true)),
    kernel!("isfinite_interval", |_a: Interval| Ok::<_, EvalError>(true)),
    kernel!("date_trunc_text_timestamptz_text", |u: &str, a: i64, z: &str| trunc_in_zone(u, a, z)),
    kernel!("timestamptz_of_text_in", |a: &str, z: &str| timestamptz_of_text(a, z)),
    kernel!("text_of_timestamptz_in", |a: i64, z: &str| text_in_zone(a, z)),
    kernel!("timezone_offset_text_timestamptz", arena, |a: &'a str, b: i64| offset_record(a, b, arena)),
];
