//! What a session's variables ask of text forms: `TimeZone`, `IntervalStyle`, `bytea_output`,
//! `extra_float_digits`.

use super::{fraction, two};
use crate::calendar::{HOUR, MINUTE, SECOND};
use hw_types::interval::Interval;
use std::io::Write;

/// How intervals are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntervalStyle {
    /// `1 year 2 months 3 days 04:05:06`.
    #[default]
    Postgres,
    /// `@ 1 year 2 mons 3 days 4 hours 5 mins 6 secs`.
    Verbose,
    /// `+1-2 +3 +4:05:06`.
    SqlStandard,
    /// `P1Y2M3DT4H5M6S`.
    Iso8601,
}

/// How a session wants values written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Style {
    /// The zone in which timestamps with time zone are shown; None is UTC.
    pub zone: Option<String>,
    /// How intervals are written.
    pub intervals: IntervalStyle,
    /// Whether bytes are written in PostgreSQL's escape form.
    pub bytea_escaped: bool,
    /// Digits of floats beyond those that any decimal survives: above 0 the shortest that read back.
    pub float_digits: i32,
}

/// What is written where no session asks for anything.
pub static PLAIN: Style =
    Style { zone: None, intervals: IntervalStyle::Postgres, bytea_escaped: false, float_digits: 1 };

impl Style {
    /// The style that the values of a session's variables ask for; unknown values ask for nothing.
    pub fn of(zone: &str, intervals: &str, bytea: &str, float_digits: i32) -> Style {
        Style {
            zone: (!zone.is_empty() && !zone.eq_ignore_ascii_case("utc")).then(|| zone.to_owned()),
            intervals: match intervals {
                "postgres_verbose" => IntervalStyle::Verbose,
                "sql_standard" => IntervalStyle::SqlStandard,
                "iso_8601" => IntervalStyle::Iso8601,
                _ => IntervalStyle::Postgres,
            },
            bytea_escaped: bytea == "escape",
            float_digits,
        }
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes all");
}

/// Appends an interval in ISO 8601's form.
pub(super) fn iso_8601(value: &Interval, out: &mut Vec<u8>) {
    if value.months == 0 && value.days == 0 && value.micros == 0 {
        return out.extend_from_slice(b"PT0S");
    }
    out.push(b'P');
    for (count, unit) in [(value.months / 12, 'Y'), (value.months % 12, 'M'), (value.days, 'D')] {
        if count != 0 {
            put(out, format_args!("{count}{unit}"));
        }
    }
    if value.micros == 0 {
        return;
    }
    out.push(b'T');
    for (count, unit) in [(value.micros / HOUR, 'H'), (value.micros / MINUTE % 60, 'M')] {
        if count != 0 {
            put(out, format_args!("{count}{unit}"));
        }
    }
    let seconds = value.micros % MINUTE;
    if seconds != 0 {
        if seconds < 0 {
            out.push(b'-');
        }
        put(out, format_args!("{}", (seconds / SECOND).abs()));
        fraction((seconds % SECOND).abs(), out);
        out.push(b'S');
    }
}

/// Appends an interval in PostgreSQL's verbose form.
pub(super) fn verbose(value: &Interval, out: &mut Vec<u8>) {
    out.push(b'@');
    let parts = [
        (i64::from(value.months / 12), "year"),
        (i64::from(value.months % 12), "mon"),
        (i64::from(value.days), "day"),
        (value.micros / HOUR, "hour"),
        (value.micros / MINUTE % 60, "min"),
    ];
    let seconds = value.micros % MINUTE;
    let first = parts.iter().map(|(count, _)| *count).find(|count| *count != 0).unwrap_or(seconds);
    // The sign of the first part is said once, at the end.
    let sign = if first < 0 { -1 } else { 1 };
    for (count, unit) in parts.into_iter().filter(|(count, _)| *count != 0) {
        let count = count * sign;
        let plural = if count == 1 { "" } else { "s" };
        put(out, format_args!(" {count} {unit}{plural}"));
    }
    let seconds = seconds * sign;
    if seconds != 0 {
        out.extend_from_slice(if seconds < 0 { b" -" } else { b" " });
        put(out, format_args!("{}", (seconds / SECOND).abs()));
        fraction((seconds % SECOND).abs(), out);
        out.extend_from_slice(if seconds.abs() == SECOND { b" sec" } else { b" secs" });
    } else if first == 0 {
        out.extend_from_slice(b" 0");
    }
    if sign < 0 {
        out.extend_from_slice(b" ago");
    }
}

/// Appends an interval in the form of the SQL standard's literals.
pub(super) fn sql_standard(value: &Interval, out: &mut Vec<u8>) {
    let (years, months) = (value.months / 12, value.months % 12);
    let (days, micros) = (i64::from(value.days), value.micros);
    let signs = [i64::from(value.months), days, micros];
    let (any_negative, any_positive) = (signs.iter().any(|v| *v < 0), signs.iter().any(|v| *v > 0));
    let clock = |micros: i64, out: &mut Vec<u8>| {
        put(out, format_args!("{}:", (micros / HOUR).abs()));
        two((micros / MINUTE % 60).abs(), out);
        out.push(b':');
        two((micros / SECOND % 60).abs(), out);
        fraction((micros % SECOND).abs(), out);
    };
    if !any_negative && !any_positive {
        return out.push(b'0');
    }
    let mixed = any_negative && any_positive;
    let (has_months, has_rest) = (value.months != 0, days != 0 || micros != 0);
    if mixed || (has_months && has_rest) {
        // Several parts: each with its sign.
        let sign = |negative: bool| if negative { '-' } else { '+' };
        put(out, format_args!("{}{}-{} ", sign(value.months < 0), years.abs(), months.abs()));
        put(out, format_args!("{}{} ", sign(days < 0), days.abs()));
        put(out, format_args!("{}", sign(micros < 0)));
        return clock(micros, out);
    }
    if any_negative {
        out.push(b'-');
    }
    if has_months {
        put(out, format_args!("{}-{}", years.abs(), months.abs()));
    } else {
        if days != 0 {
            put(out, format_args!("{} ", days.abs()));
        }
        clock(micros, out);
    }
}

/// Appends bytes in escape form.
pub(super) fn escaped(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x20..0x7f => out.push(*byte),
            byte => put(out, format_args!("\\{byte:03o}")),
        }
    }
}

/// Appends a float with a number of significant digits, as C's `%g` does.
pub(super) fn rounded(value: f64, digits: i32, out: &mut Vec<u8>) {
    let digits = digits.max(1) as usize;
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let mantissa =
        if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    super::shortest(&format!("{mantissa}e{exponent}"), digits as i32, out);
}

#[cfg(test)]
mod tests {
    use crate::format::{IntervalStyle, PLAIN, Style, styled};
    use hw_types::arena::Arena;
    use hw_types::datum::Datum;
    use hw_types::interval::Interval;
    use hw_types::scalar::{BaseType, ScalarType};

    fn shown(style: &Style, base: BaseType, datum: Datum<'_>) -> String {
        let mut out = Vec::new();
        styled(style, &ScalarType::from(base), datum, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn intervals_in_each_style() {
        // Source: PostgreSQL, table 8.17 "Interval Output Style Examples".
        let clock = (4 * 3600 + 5 * 60 + 6) * 1_000_000i64;
        let samples = [Interval::new(14, 0, 0), Interval::new(0, 3, clock), Interval::new(-14, 3, -clock)];
        let expected = [
            (IntervalStyle::SqlStandard, ["1-2", "3 4:05:06", "-1-2 +3 -4:05:06"]),
            (
                IntervalStyle::Verbose,
                [
                    "@ 1 year 2 mons",
                    "@ 3 days 4 hours 5 mins 6 secs",
                    "@ 1 year 2 mons -3 days 4 hours 5 mins 6 secs ago",
                ],
            ),
            (IntervalStyle::Iso8601, ["P1Y2M", "P3DT4H5M6S", "P-1Y-2M3DT-4H-5M-6S"]),
        ];
        for (intervals, texts) in expected {
            let style = Style { intervals, ..PLAIN.clone() };
            for (sample, text) in samples.iter().zip(texts) {
                assert_eq!(shown(&style, BaseType::Interval, Datum::Interval(*sample)), text);
            }
        }
    }

    #[test]
    fn moments_in_the_session_s_zone() {
        let style = Style::of("Asia/Kolkata", "postgres", "hex", 1);
        // 2000-01-01 00:00:00 UTC.
        let moment = Datum::Int(946_684_800_000_000);
        assert_eq!(shown(&style, BaseType::Timestamptz, moment), "2000-01-01 05:30:00+05:30");
        assert_eq!(shown(&style, BaseType::Timestamp, moment), "2000-01-01 00:00:00");
        let west = Style::of("-05:00", "postgres", "hex", 1);
        assert_eq!(shown(&west, BaseType::Timestamptz, moment), "1999-12-31 19:00:00-05");
    }

    #[test]
    fn bytes_escaped_and_floats_rounded() {
        let style = Style::of("UTC", "postgres", "escape", 0);
        let arena = Arena::new();
        let bytes = Datum::Bytes(arena.bytes(b"a\\\x00\xff"));
        assert_eq!(shown(&style, BaseType::Bytea, bytes), "a\\\\\\000\\377");
        assert_eq!(shown(&style, BaseType::Float8, Datum::Float8(0.1 + 0.2)), "0.3");
        assert_eq!(shown(&style, BaseType::Float8, Datum::Float8(1e100 / 3.0)), "3.33333333333333e+99");
    }
}
