//! The proleptic Gregorian calendar: days, microseconds and their fields.

use crate::error::EvalError;
use hw_types::interval::{DAY_MICROS, Interval};

/// Microseconds of a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds of a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds of an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Days from 1970-01-01, where ours begin, to 2000-01-01, where PostgreSQL's do.
pub const PG_EPOCH_DAYS: i64 = 10_957;

/// The first and last days a date may be: 4714-11-24 BC and 262142-12-31.
pub const DATE_RANGE: (i64, i64) = (-2_440_588, 95_026_236);

/// Days since 1970-01-01 of a day of the calendar; years count from 0 (1 BC).
///
/// Source: Howard Hinnant, "chrono-compatible low-level date algorithms".
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of days since 1970-01-01.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Whether a year has 366 days.
pub fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

/// How many days a month has.
pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The date, where it is in range.
pub fn check_date(days: i64) -> Result<i64, EvalError> {
    if days < DATE_RANGE.0 || days > DATE_RANGE.1 { Err(EvalError::DateOutOfRange) } else { Ok(days) }
}

/// The timestamp, where it is in range.
pub fn check_timestamp(micros: Option<i64>) -> Result<i64, EvalError> {
    let range = DATE_RANGE.0 * DAY_MICROS..(DATE_RANGE.1 + 1) * DAY_MICROS;
    micros.filter(|micros| range.contains(micros)).ok_or(EvalError::TimestampOutOfRange)
}

/// A timestamp's day and microseconds since midnight.
pub fn split(micros: i64) -> (i64, i64) {
    (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS))
}

/// Adds months to a day, which moves to the month's last where it would lie beyond.
pub fn add_months(days: i64, months: i64) -> i64 {
    let (year, month, day) = civil_from_days(days);
    let at = year * 12 + month - 1 + months;
    let (year, month) = (at.div_euclid(12), at.rem_euclid(12) + 1);
    days_from_civil(year, month, day.min(days_in_month(year, month)))
}

/// Adds an interval to a timestamp: months, then days, then microseconds.
pub fn add_interval(micros: i64, interval: &Interval) -> Result<i64, EvalError> {
    let (days, time) = split(micros);
    let days = if interval.months == 0 { days } else { add_months(days, i64::from(interval.months)) };
    let days = days + i64::from(interval.days);
    let day_micros = days.checked_mul(DAY_MICROS);
    check_timestamp(day_micros.and_then(|d| d.checked_add(time)).and_then(|t| t.checked_add(interval.micros)))
}

/// The interval negated.
pub fn negate(interval: &Interval) -> Result<Interval, EvalError> {
    let out = || EvalError::beyond(crate::format::interval_text(interval), "interval");
    Ok(Interval {
        months: interval.months.checked_neg().ok_or_else(out)?,
        days: interval.days.checked_neg().ok_or_else(out)?,
        micros: interval.micros.checked_neg().ok_or_else(out)?,
    })
}

/// ISO 8601's year and week of a day.
pub fn iso_week(days: i64) -> (i64, i64) {
    // The week belongs to the year that its Thursday is in.
    let thursday = days - weekday_monday(days) + 3;
    let (year, _, _) = civil_from_days(thursday);
    (year, (thursday - days_from_civil(year, 1, 1)) / 7 + 1)
}

/// Days since Monday, 0 to 6.
pub fn weekday_monday(days: i64) -> i64 {
    (days + 3).rem_euclid(7)
}

/// Days since Sunday, 0 to 6.
pub fn weekday_sunday(days: i64) -> i64 {
    (days + 4).rem_euclid(7)
}

/// The day's number in its year, from 1.
pub fn day_of_year(days: i64) -> i64 {
    let (year, _, _) = civil_from_days(days);
    days - days_from_civil(year, 1, 1) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(2000, 1, 1), PG_EPOCH_DAYS);
        assert_eq!(days_from_civil(-4713, 11, 24), DATE_RANGE.0);
        assert_eq!(days_from_civil(262_142, 12, 31), DATE_RANGE.1);
        assert_eq!(iso_week(days_from_civil(2021, 1, 3)), (2020, 53));
        assert_eq!(add_months(days_from_civil(2024, 1, 31), 1), days_from_civil(2024, 2, 29));
    }

    #[test]
    fn days_and_fields_convert_back() {
        for days in (DATE_RANGE.0..DATE_RANGE.1).step_by(9973) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
            assert!((1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day));
        }
    }
}
