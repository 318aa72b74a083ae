//! Dates, times, timestamps and intervals.

mod fields;
mod from_char;
mod make;
mod to_char;

use super::{Table, kernel};
use crate::calendar::{self, HOUR, SECOND};
use crate::error::EvalError;
use crate::parse;
use hw_types::interval::{DAY_MICROS, Interval, MONTH_DAYS};

type Result<T> = std::result::Result<T, EvalError>;

pub(super) const KERNELS: &[Table] =
    &[ARITHMETIC, FUNCTIONS, fields::KERNELS, from_char::KERNELS, make::KERNELS, to_char::KERNELS];

const ARITHMETIC: Table = &[
    kernel!("add_interval_interval", |a: Interval, b: Interval| add(&a, &b)),
    kernel!("add_timestamp_interval", |a: i64, b: Interval| calendar::add_interval(a, &b)),
    kernel!("add_interval_timestamp", |a: Interval, b: i64| calendar::add_interval(b, &a)),
    kernel!("add_timestamptz_interval", |a: i64, b: Interval| calendar::add_interval(a, &b)),
    kernel!("add_interval_timestamptz", |a: Interval, b: i64| calendar::add_interval(b, &a)),
    kernel!("add_date_interval", |a: i64, b: Interval| calendar::add_interval(a * DAY_MICROS, &b)),
    kernel!("add_interval_date", |a: Interval, b: i64| calendar::add_interval(b * DAY_MICROS, &a)),
    kernel!("add_date_time", |a: i64, b: i64| calendar::check_timestamp(Some(a * DAY_MICROS + b))),
    kernel!("add_time_date", |a: i64, b: i64| calendar::check_timestamp(Some(b * DAY_MICROS + a))),
    kernel!("add_time_interval", |a: i64, b: Interval| of_day(a, b.micros)),
    kernel!("add_interval_time", |a: Interval, b: i64| of_day(b, a.micros)),
    kernel!("neg_interval", |a: Interval| calendar::negate(&a)),
    kernel!("sub_interval_interval", |a: Interval, b: Interval| add(&a, &calendar::negate(&b)?)),
    kernel!("sub_timestamp_timestamp", |a: i64, b: i64| difference(a, b)),
    kernel!("sub_timestamptz_timestamptz", |a: i64, b: i64| difference(a, b)),
    kernel!("sub_timestamp_interval", |a: i64, b: Interval| {
        calendar::add_interval(a, &calendar::negate(&b)?)
    }),
    kernel!("sub_timestamptz_interval", |a: i64, b: Interval| {
        calendar::add_interval(a, &calendar::negate(&b)?)
    }),
    kernel!("sub_date_date", |a: i64, b: i64| Ok::<_, EvalError>(a - b)),
    kernel!("sub_date_interval", |a: i64, b: Interval| {
        calendar::add_interval(a * DAY_MICROS, &calendar::negate(&b)?)
    }),
    kernel!("sub_time_time", |a: i64, b: i64| Ok::<_, EvalError>(Interval::new(0, 0, a - b))),
    kernel!("sub_time_interval", |a: i64, b: Interval| of_day(a, b.micros.wrapping_neg())),
    kernel!("mul_interval_float8", |a: Interval, b: f64| multiply(&a, b)),
    kernel!("mul_float8_interval", |a: f64, b: Interval| multiply(&b, a)),
    kernel!("div_interval_float8", |a: Interval, b: f64| divide(&a, b)),
];

const FUNCTIONS: Table = &[
    kernel!("age_timestamp_timestamp", |a: i64, b: i64| age(a, b)),
    kernel!("age_timestamptz_timestamptz", |a: i64, b: i64| age(a, b)),
    kernel!("date_bin_interval_timestamp", |a: Interval, b: i64| bin(&a, b, 0)),
    kernel!("date_bin_interval_timestamptz", |a: Interval, b: i64| bin(&a, b, 0)),
    kernel!("date_bin_interval_timestamp_timestamp", |a: Interval, b: i64, c: i64| bin(&a, b, c)),
    kernel!("date_bin_interval_timestamptz_timestamptz", |a: Interval, b: i64, c: i64| bin(&a, b, c)),
    kernel!("justify_days_interval", |a: Interval| justify_days(&a)),
    kernel!("justify_hours_interval", |a: Interval| justify_hours(&a)),
    kernel!("justify_interval_interval", |a: Interval| justify_interval(&a)),
    ("make_timestamp_int8_int8_int8_int8_int8_float8", super::many(make_timestamp)),
    kernel!("timezone_text_timestamp", |zone: &str, a: i64| shift(a, zone_offset(zone, a, true)?, false)),
    kernel!("timezone_text_timestamptz", |zone: &str, a: i64| shift(a, zone_offset(zone, a, false)?, true)),
    kernel!("timezone_text_time", |zone: &str, a: i64| of_day(a, zone_offset(zone, 0, false)?)),
    kernel!("timezone_interval_timestamp", |zone: Interval, a: i64| shift(a, fixed(&zone)?, false)),
    kernel!("timezone_interval_timestamptz", |zone: Interval, a: i64| shift(a, fixed(&zone)?, true)),
    kernel!("timezone_interval_time", |zone: Interval, a: i64| of_day(a, fixed(&zone)?)),
    kernel!("to_timestamp_float8", |a: f64| to_timestamp(a)),
    kernel!("try_parse_iso8601_text", |a: &str| Ok::<_, EvalError>(try_parse_iso8601(a))),
];

fn parts<M: TryInto<i32>, D: TryInto<i32>, U: TryInto<i64>>(
    months: M,
    days: D,
    micros: U,
) -> Result<Interval> {
    let out = EvalError::IntervalOutOfRange;
    match (months.try_into(), days.try_into(), micros.try_into()) {
        (Ok(months), Ok(days), Ok(micros)) => Ok(Interval { months, days, micros }),
        _ => Err(out),
    }
}

fn add(a: &Interval, b: &Interval) -> Result<Interval> {
    parts(
        i64::from(a.months) + i64::from(b.months),
        i64::from(a.days) + i64::from(b.days),
        i128::from(a.micros) + i128::from(b.micros),
    )
}

/// A time of day moved by an interval's clock part, around midnight.
fn of_day(micros: i64, by: i64) -> Result<i64> {
    Ok((micros + by.rem_euclid(DAY_MICROS)).rem_euclid(DAY_MICROS))
}

/// The time between two timestamps, in days and clock time.
fn difference(a: i64, b: i64) -> Result<Interval> {
    let micros = a.checked_sub(b).ok_or(EvalError::IntervalOutOfRange)?;
    parts(0, micros / DAY_MICROS, micros % DAY_MICROS)
}

fn round_micro(value: f64) -> f64 {
    (value * 1e6).round_ties_even() / 1e6
}

/// An interval times a number: fractions of months pass down as days, of days as clock time.
///
/// Source: PostgreSQL's `interval_mul`.
fn scale(span: &Interval, by: impl Fn(f64) -> f64) -> Result<Interval> {
    const DAY_SECONDS: f64 = 86_400.0;
    let (months, days) = (by(f64::from(span.months)), by(f64::from(span.days)));
    let fits = |value: f64| value.is_finite() && value.abs() < 2_147_483_648.0;
    if !fits(months) || !fits(days) {
        return Err(EvalError::IntervalOutOfRange);
    }
    let month_days = round_micro((months - months.trunc()) * MONTH_DAYS as f64);
    let mut seconds = round_micro((days - days.trunc() + month_days - month_days.trunc()) * DAY_SECONDS);
    let mut whole_days = days.trunc();
    if seconds.abs() >= DAY_SECONDS {
        whole_days += (seconds / DAY_SECONDS).trunc();
        seconds -= (seconds / DAY_SECONDS).trunc() * DAY_SECONDS;
    }
    whole_days += month_days.trunc();
    let micros = (by(span.micros as f64) + seconds * 1e6).round_ties_even();
    if !micros.is_finite() || micros.abs() >= 9.223_372_036_854_775e18 || !fits(whole_days) {
        return Err(EvalError::IntervalOutOfRange);
    }
    Ok(Interval::new(months as i32, whole_days as i32, micros as i64))
}

fn multiply(span: &Interval, factor: f64) -> Result<Interval> {
    scale(span, |part| part * factor)
}

/// An interval divided by a number.
/// The interval a part of the way from one to another.
pub(crate) fn between(low: &Interval, high: &Interval, part: f64) -> Result<Interval> {
    let distance = add(high, &calendar::negate(low)?)?;
    add(low, &multiply(&distance, part)?)
}

pub(crate) fn divide(span: &Interval, divisor: f64) -> Result<Interval> {
    if divisor == 0.0 {
        return Err(EvalError::DivisionByZero);
    }
    scale(span, |part| part / divisor)
}

/// The difference in years, months, days and clock time. Source: PostgreSQL's `timestamp_age`.
fn age(a: i64, b: i64) -> Result<Interval> {
    let negative = a < b;
    let (later, earlier) = if negative { (b, a) } else { (a, b) };
    let ((days1, time1), (days2, time2)) = (calendar::split(later), calendar::split(earlier));
    let ((y1, m1, d1), (y2, m2, d2)) = (calendar::civil_from_days(days1), calendar::civil_from_days(days2));
    let (mut months, mut days, mut micros) = ((y1 - y2) * 12 + m1 - m2, d1 - d2, time1 - time2);
    if micros < 0 {
        micros += DAY_MICROS;
        days -= 1;
    }
    if days < 0 {
        // Days are borrowed from the month of the earlier moment, whichever way it goes.
        days += calendar::days_in_month(y2, m2);
        months -= 1;
    }
    if negative {
        (months, days, micros) = (-months, -days, -micros);
    }
    parts(months, days, micros)
}

/// The start of the bin that a moment lies in. Source: PostgreSQL's `timestamp_bin`.
pub(crate) fn bin(stride: &Interval, at: i64, origin: i64) -> Result<i64> {
    if stride.months != 0 {
        return Err(EvalError::raise(
            "0A000",
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    let stride = i64::from(stride.days).checked_mul(DAY_MICROS).and_then(|d| d.checked_add(stride.micros));
    let stride = stride.ok_or(EvalError::IntervalOutOfRange)?;
    if stride <= 0 {
        return Err(EvalError::raise("22008", "stride must be greater than zero"));
    }
    let since = at.checked_sub(origin).ok_or(EvalError::IntervalOutOfRange)?;
    calendar::check_timestamp(origin.checked_add(since - since.rem_euclid(stride)))
}

fn same_sign(mut larger: i64, mut smaller: i64, unit: i64) -> (i64, i64) {
    larger += smaller / unit;
    smaller %= unit;
    if larger > 0 && smaller < 0 {
        (larger, smaller) = (larger - 1, smaller + unit);
    } else if larger < 0 && smaller > 0 {
        (larger, smaller) = (larger + 1, smaller - unit);
    }
    (larger, smaller)
}

fn justify_hours(span: &Interval) -> Result<Interval> {
    let (days, micros) = same_sign(span.days.into(), span.micros, DAY_MICROS);
    parts(span.months, days, micros)
}

fn justify_days(span: &Interval) -> Result<Interval> {
    let (months, days) = same_sign(span.months.into(), span.days.into(), MONTH_DAYS);
    parts(months, days, span.micros)
}

/// Source: PostgreSQL's `interval_justify_interval`.
fn justify_interval(span: &Interval) -> Result<Interval> {
    let (mut months, mut days, mut micros) = (i64::from(span.months), i64::from(span.days), span.micros);
    days += micros / DAY_MICROS;
    micros %= DAY_MICROS;
    months += days / MONTH_DAYS;
    days %= MONTH_DAYS;
    if months > 0 && (days < 0 || (days == 0 && micros < 0)) {
        (days, months) = (days + MONTH_DAYS, months - 1);
    } else if months < 0 && (days > 0 || (days == 0 && micros > 0)) {
        (days, months) = (days - MONTH_DAYS, months + 1);
    }
    if days > 0 && micros < 0 {
        (micros, days) = (micros + DAY_MICROS, days - 1);
    } else if days < 0 && micros > 0 {
        (micros, days) = (micros - DAY_MICROS, days + 1);
    }
    parts(months, days, micros)
}

fn make_timestamp<'a>(
    args: &[hw_types::datum::Datum<'a>],
    _: &'a super::CallInfo,
    _: &'a hw_types::arena::Arena,
) -> super::Evaluated<'a> {
    let field = |i| super::arg::<i64>(args, i);
    let (year, month, day, hour, minute) = (field(0)?, field(1)?, field(2)?, field(3)?, field(4)?);
    let second: f64 = super::arg(args, 5)?;
    let valid = (1..=12).contains(&month)
        && year != 0
        && year.abs() < 1_000_000
        && (1..=calendar::days_in_month(year, month)).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..60.0).contains(&second);
    // Fields that are no moment give NULL, as Materialize has it.
    if !valid {
        return Ok(hw_types::datum::Datum::Null);
    }
    let of_day = hour * HOUR + minute * calendar::MINUTE + (second * 1e6).round_ties_even() as i64;
    let days = calendar::days_from_civil(year, month, day).checked_mul(DAY_MICROS);
    Ok(hw_types::datum::Datum::Int(calendar::check_timestamp(days.and_then(|d| d.checked_add(of_day)))?))
}

fn no_zone(zone: &str) -> EvalError {
    EvalError::parameter(format!("invalid time zone '{zone}'"))
}

/// The offset of a zone that a function's argument names.
fn zone_offset(zone: &str, micros: i64, is_local: bool) -> Result<i64> {
    parse::zone::offset_of_argument(zone, micros, is_local).ok_or_else(|| no_zone(zone))
}

/// The offset of a zone as literals and the session name it.
fn written_offset(zone: &str, micros: i64, is_local: bool) -> Result<i64> {
    parse::zone::offset(zone, micros, is_local).ok_or_else(|| no_zone(zone))
}

fn fixed(zone: &Interval) -> Result<i64> {
    if zone.months != 0 {
        return Err(EvalError::parameter("timezone interval must not contain months or years"));
    }
    if zone.days != 0 {
        return Err(EvalError::parameter("timezone interval must not contain days"));
    }
    Ok(zone.micros)
}

fn shift(micros: i64, offset: i64, to_local: bool) -> Result<i64> {
    calendar::check_timestamp(if to_local { micros.checked_add(offset) } else { micros.checked_sub(offset) })
}

fn to_timestamp(seconds: f64) -> Result<i64> {
    if seconds.is_nan() {
        return Err(EvalError::raise("22008", "timestamp cannot be NaN"));
    }
    let micros = (seconds * 1e6).round_ties_even();
    if !micros.is_finite() || micros.abs() > 9e18 {
        return Err(EvalError::TimestampOutOfRange);
    }
    calendar::check_timestamp(Some(micros as i64))
}

/// Exactly `YYYY-MM-DDTHH:MM:SS.mmmZ`, so that the order of texts is that of moments.
fn try_parse_iso8601(text: &str) -> Option<i64> {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00.000Z";
    let bytes = text.as_bytes();
    let fits = bytes.len() == SHAPE.len()
        && SHAPE
            .iter()
            .zip(bytes)
            .all(|(want, got)| if *want == b'0' { got.is_ascii_digit() } else { want == got });
    let field = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    if !fits {
        return None;
    }
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second, millis) = (field(11, 13)?, field(14, 16)?, field(17, 19)?, field(20, 23)?);
    let valid = (1..=12).contains(&month)
        && (1..=calendar::days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let of_day = hour * HOUR + minute * calendar::MINUTE + second * SECOND + millis * 1000;
    valid.then(|| calendar::days_from_civil(year, month, day) * DAY_MICROS + of_day)
}
