//! Fields of moments and intervals: `extract`, `date_part`, `date_trunc`, `datediff`.

use crate::calendar::{self, HOUR, MINUTE, SECOND};
use crate::error::EvalError;
use crate::kernel::{Table, kernel};
use hw_types::interval::{DAY_MICROS, Interval};
use hw_types::numeric::Numeric;

type Result<T> = std::result::Result<T, EvalError>;

/// What `extract` and its kin can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Epoch,
    Millennium,
    Century,
    Decade,
    Year,
    IsoYear,
    Quarter,
    Month,
    Week,
    Day,
    Dow,
    IsoDow,
    Doy,
    IsoDoy,
    Hour,
    Minute,
    Second,
    Milliseconds,
    Microseconds,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
    Julian,
}

fn unit(name: &str) -> Option<Unit> {
    let mut lower = [0; 16];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"epoch" => Unit::Epoch,
        b"millennium" | b"millennia" | b"mil" | b"mils" => Unit::Millennium,
        b"century" | b"centuries" | b"cent" | b"c" => Unit::Century,
        b"decade" | b"decades" | b"dec" | b"decs" => Unit::Decade,
        b"year" | b"years" | b"y" | b"yr" | b"yrs" => Unit::Year,
        b"isoyear" => Unit::IsoYear,
        b"quarter" | b"qtr" => Unit::Quarter,
        b"month" | b"months" | b"mon" | b"mons" => Unit::Month,
        b"week" | b"weeks" | b"w" => Unit::Week,
        b"day" | b"days" | b"d" => Unit::Day,
        b"dow" => Unit::Dow,
        b"isodow" => Unit::IsoDow,
        b"doy" => Unit::Doy,
        b"isodoy" => Unit::IsoDoy,
        b"hour" | b"hours" | b"h" | b"hr" | b"hrs" => Unit::Hour,
        b"minute" | b"minutes" | b"m" | b"min" | b"mins" => Unit::Minute,
        b"second" | b"seconds" | b"s" | b"sec" | b"secs" => Unit::Second,
        b"millisecond" | b"milliseconds" | b"ms" | b"msec" | b"msecs" | b"mseconds" => Unit::Milliseconds,
        b"microsecond" | b"microseconds" | b"us" | b"usec" | b"usecs" | b"useconds" => Unit::Microseconds,
        b"timezone" => Unit::Timezone,
        b"timezone_hour" => Unit::TimezoneHour,
        b"timezone_minute" => Unit::TimezoneMinute,
        b"julian" | b"j" => Unit::Julian,
        _ => return None,
    })
}

/// The types that have fields, as messages call them.
const DATE: &str = "date";
const TIME: &str = "time";
const TIMESTAMP: &str = "timestamp";
const TIMESTAMPTZ: &str = "timestamp with time zone";
const INTERVAL: &str = "interval";

fn known(name: &str) -> Result<Unit> {
    unit(name).ok_or_else(|| unrecognized(name))
}

fn unrecognized(name: &str) -> EvalError {
    EvalError::parameter(format!("unit '{}' not recognized", name.to_ascii_lowercase()))
}

/// The unit by its full name, as messages have it.
fn unsupported<T>(at: Unit, ty: &str) -> Result<T> {
    let name = match at {
        Unit::Second => "seconds".to_owned(),
        Unit::TimezoneHour => "timezone_hour".to_owned(),
        Unit::TimezoneMinute => "timezone_minute".to_owned(),
        other => format!("{other:?}").to_ascii_lowercase(),
    };
    Err(EvalError::raise("0A000", format!("unit '{name}' not supported for type {ty}")))
}

fn whole(value: i64) -> Numeric {
    Numeric::from(value)
}

/// Microseconds, as a decimal of a unit of `10^digits` of them.
fn decimal(micros: i64, digits: i32) -> Numeric {
    Numeric::from_parts(micros < 0, micros.unsigned_abs().into(), -digits).expect("machine words fit")
}

/// Fields of a time of day.
fn clock(unit: Unit, micros: i64) -> Option<Numeric> {
    Some(match unit {
        Unit::Hour => whole(micros / HOUR),
        Unit::Minute => whole(micros / MINUTE % 60),
        Unit::Second => decimal(micros % MINUTE, 6),
        Unit::Milliseconds => decimal(micros % MINUTE, 3),
        Unit::Microseconds => whole(micros % MINUTE),
        _ => return None,
    })
}

fn floor_to_period(year: i64, span: i64) -> i64 {
    if year > 0 { (year + span - 1) / span } else { -((span - 1 - (year - 1)) / span) }
}

/// Fields of a day.
fn calendar_field(unit: Unit, days: i64) -> Option<Numeric> {
    let (year, month, day) = calendar::civil_from_days(days);
    // Years before Christ show as PostgreSQL shows them, without a year zero.
    let shown = |year: i64| if year > 0 { year } else { year - 1 };
    Some(whole(match unit {
        Unit::Millennium => floor_to_period(year, 1000),
        Unit::Century => floor_to_period(year, 100),
        Unit::Decade => year.div_euclid(10),
        Unit::Year => shown(year),
        Unit::IsoYear => shown(calendar::iso_week(days).0),
        Unit::Quarter => (month - 1) / 3 + 1,
        Unit::Month => month,
        Unit::Week => calendar::iso_week(days).1,
        Unit::Day => day,
        Unit::Dow => calendar::weekday_sunday(days),
        Unit::IsoDow => calendar::weekday_monday(days) + 1,
        Unit::Doy => calendar::day_of_year(days),
        _ => return None,
    }))
}

const JULIAN_EPOCH: i64 = 2_440_588;

fn of_timestamp(name: &str, micros: i64, ty: &'static str) -> Result<Numeric> {
    let at = known(name)?;
    let (days, of_day) = calendar::split(micros);
    let zone = ty == TIMESTAMPTZ;
    match at {
        Unit::Epoch => Ok(decimal(micros, 6)),
        Unit::Timezone | Unit::TimezoneHour | Unit::TimezoneMinute if zone => Ok(Numeric::ZERO),
        Unit::Julian => Ok(whole(days + JULIAN_EPOCH).add(&whole(of_day).div(&whole(DAY_MICROS))?)?),
        _ => clock(at, of_day).or_else(|| calendar_field(at, days)).map_or_else(|| unsupported(at, ty), Ok),
    }
}

/// A field of a moment as the clocks of the session's zone show it.
fn of_zoned(name: &str, micros: i64, zone: &str) -> Result<Numeric> {
    let offset = super::written_offset(zone, micros, false)?;
    match known(name)? {
        Unit::Epoch => Ok(decimal(micros, 6)),
        Unit::Timezone => Ok(whole(offset / SECOND)),
        Unit::TimezoneHour => Ok(whole(offset / HOUR)),
        Unit::TimezoneMinute => Ok(whole(offset / MINUTE % 60)),
        _ => of_timestamp(name, super::shift(micros, offset, true)?, TIMESTAMPTZ),
    }
}

fn of_date(name: &str, days: i64) -> Result<Numeric> {
    match known(name)? {
        Unit::Epoch => Ok(whole(days * (DAY_MICROS / SECOND))),
        Unit::Julian => Ok(whole(days + JULIAN_EPOCH)),
        at => calendar_field(at, days).map_or_else(|| unsupported(at, DATE), Ok),
    }
}

fn of_time(name: &str, micros: i64) -> Result<Numeric> {
    match known(name)? {
        Unit::Epoch => Ok(decimal(micros, 6)),
        at => clock(at, micros).map_or_else(|| unsupported(at, TIME), Ok),
    }
}

fn of_interval(name: &str, span: &Interval) -> Result<Numeric> {
    let (years, months) = (i64::from(span.months) / 12, i64::from(span.months) % 12);
    Ok(match known(name)? {
        Unit::Epoch => {
            // A year has 365.25 days here, a month 30. Source: PostgreSQL's `interval_part`.
            let quarter_days = years * 1461 + (months * 30 + i64::from(span.days)) * 4;
            let seconds = whole(quarter_days * 21_600);
            seconds.add(&decimal(span.micros, 6))?
        }
        Unit::Millennium => whole(years / 1000),
        Unit::Century => whole(years / 100),
        Unit::Decade => whole(years / 10),
        Unit::Year => whole(years),
        Unit::Quarter => whole(months / 3 + 1),
        Unit::Month => whole(months),
        Unit::Day => whole(span.days.into()),
        at => return clock(at, span.micros).map_or_else(|| unsupported(at, INTERVAL), Ok),
    })
}

fn trunc_days(at: Unit, days: i64) -> Option<i64> {
    let (year, month, _) = calendar::civil_from_days(days);
    let first = |year, month| calendar::days_from_civil(year, month, 1);
    let period = |span: i64| (year - 1).div_euclid(span) * span + 1;
    Some(match at {
        Unit::Millennium => first(period(1000), 1),
        Unit::Century => first(period(100), 1),
        Unit::Decade => first(year.div_euclid(10) * 10, 1),
        Unit::Year => first(year, 1),
        Unit::Quarter => first(year, (month - 1) / 3 * 3 + 1),
        Unit::Month => first(year, month),
        Unit::Week => days - calendar::weekday_monday(days),
        Unit::Day => days,
        _ => return None,
    })
}

fn clock_unit(at: Unit) -> Option<i64> {
    Some(match at {
        Unit::Hour => HOUR,
        Unit::Minute => MINUTE,
        Unit::Second => SECOND,
        Unit::Milliseconds => 1000,
        Unit::Microseconds => 1,
        _ => return None,
    })
}

/// Whether a unit divides the day.
pub(super) fn is_of_clock(name: &str) -> bool {
    unit(name).and_then(clock_unit).is_some()
}

/// Fields that `extract` knows and nothing can be cut to.
fn can_cut(name: &str) -> Result<Unit> {
    match known(name)? {
        Unit::Epoch | Unit::IsoYear | Unit::Dow | Unit::IsoDow | Unit::Doy | Unit::Julian => {
            Err(unrecognized(name))
        }
        at => Ok(at),
    }
}

fn trunc_timestamp_of(name: &str, micros: i64, ty: &'static str) -> Result<i64> {
    let at = can_cut(name)?;
    if let Some(unit) = clock_unit(at) {
        return Ok(micros - micros.rem_euclid(unit));
    }
    let (days, _) = calendar::split(micros);
    match trunc_days(at, days) {
        Some(days) => calendar::check_timestamp(days.checked_mul(DAY_MICROS)),
        None => unsupported(at, ty),
    }
}

/// A timestamp cut to a unit.
pub(super) fn trunc_timestamp(name: &str, micros: i64) -> Result<i64> {
    trunc_timestamp_of(name, micros, TIMESTAMP)
}

fn trunc_interval(name: &str, span: &Interval) -> Result<Interval> {
    let at = can_cut(name)?;
    if let Some(unit) = clock_unit(at) {
        return Ok(Interval { micros: span.micros - span.micros % unit, ..*span });
    }
    let months = match at {
        // Materialize knows no weeks of intervals.
        Unit::Week => return Err(unrecognized(name)),
        Unit::Millennium => 12_000,
        Unit::Century => 1200,
        Unit::Decade => 120,
        Unit::Year => 12,
        Unit::Quarter => 3,
        Unit::Month => 1,
        Unit::Day => return Ok(Interval { micros: 0, ..*span }),
        _ => return unsupported(at, INTERVAL),
    };
    Ok(Interval::new(span.months - span.months % months, 0, 0))
}

/// How many boundaries of a unit lie between two moments.
fn difference(name: &str, from: i64, to: i64, ty: &'static str) -> Result<i64> {
    let at = known(name)?;
    if let Some(unit) = clock_unit(at) {
        return Ok(to.div_euclid(unit) - from.div_euclid(unit));
    }
    let ((from, _), (to, _)) = (calendar::split(from), calendar::split(to));
    let ((y1, m1, _), (y2, m2, _)) = (calendar::civil_from_days(from), calendar::civil_from_days(to));
    let period = |span: i64| (y2 - 1).div_euclid(span) - (y1 - 1).div_euclid(span);
    Ok(match at {
        Unit::Millennium => period(1000),
        Unit::Century => period(100),
        Unit::Decade => y2.div_euclid(10) - y1.div_euclid(10),
        Unit::Year => y2 - y1,
        Unit::Quarter => (y2 - y1) * 4 + (m2 - 1) / 3 - (m1 - 1) / 3,
        Unit::Month => (y2 - y1) * 12 + m2 - m1,
        // Weeks begin on Sunday.
        Unit::Week => (to + 4).div_euclid(7) - (from + 4).div_euclid(7),
        Unit::Day | Unit::Dow | Unit::Doy => to - from,
        _ => return unsupported(at, ty),
    })
}

fn as_float(field: Result<Numeric>) -> Result<f64> {
    field.map(|value| value.to_f64())
}

pub(super) const KERNELS: Table = &[
    kernel!("extract_text_interval", |u: &str, a: Interval| of_interval(u, &a)),
    kernel!("extract_text_time", |u: &str, a: i64| of_time(u, a)),
    kernel!("extract_text_timestamp", |u: &str, a: i64| of_timestamp(u, a, TIMESTAMP)),
    kernel!("extract_text_timestamptz", |u: &str, a: i64| of_timestamp(u, a, TIMESTAMPTZ)),
    kernel!("extract_in_zone", |u: &str, a: i64, zone: &str| of_zoned(u, a, zone)),
    kernel!("date_part_in_zone", |u: &str, a: i64, zone: &str| as_float(of_zoned(u, a, zone))),
    kernel!("extract_text_date", |u: &str, a: i64| of_date(u, a)),
    kernel!("date_part_text_interval", |u: &str, a: Interval| as_float(of_interval(u, &a))),
    kernel!("date_part_text_time", |u: &str, a: i64| as_float(of_time(u, a))),
    kernel!("date_part_text_timestamp", |u: &str, a: i64| as_float(of_timestamp(u, a, TIMESTAMP))),
    kernel!("date_part_text_timestamptz", |u: &str, a: i64| as_float(of_timestamp(u, a, TIMESTAMPTZ))),
    kernel!("date_part_text_date", |u: &str, a: i64| {
        as_float(of_timestamp(u, a * DAY_MICROS, TIMESTAMP))
    }),
    kernel!("date_trunc_text_timestamp", |u: &str, a: i64| trunc_timestamp(u, a)),
    kernel!("date_trunc_text_timestamptz", |u: &str, a: i64| trunc_timestamp_of(u, a, TIMESTAMPTZ)),
    kernel!("date_trunc_text_interval", |u: &str, a: Interval| trunc_interval(u, &a)),
    kernel!("datediff_text_timestamp_timestamp", |u: &str, a: i64, b: i64| difference(u, a, b, TIMESTAMP)),
    kernel!("datediff_text_timestamptz_timestamptz", |u: &str, a: i64, b: i64| {
        difference(u, a, b, TIMESTAMPTZ)
    }),
    kernel!("datediff_text_date_date", |u: &str, a: i64, b: i64| {
        difference(u, a * DAY_MICROS, b * DAY_MICROS, DATE)
    }),
    kernel!("datediff_text_time_time", |u: &str, a: i64, b: i64| difference(u, a, b, TIME)),
];
