//! Intervals from text: PostgreSQL's verbose form, `y-m`, `h:m:s`, and ISO 8601's `P…`.

use crate::calendar::{HOUR, MINUTE, SECOND};
use crate::error::EvalError;
use hw_types::interval::{DAY_MICROS, Interval, MONTH_DAYS};

type Result<T> = std::result::Result<T, EvalError>;

/// What has been read so far, wide enough not to overflow on the way.
#[derive(Default)]
struct Parts {
    months: i128,
    days: i128,
    micros: i128,
}

#[derive(Clone, Copy)]
enum Unit {
    Months(i128),
    Days(i128),
    Micros(i128),
}

/// Reads an interval.
pub fn interval(text: &str) -> Result<Interval> {
    let trimmed = text.trim();
    let parts = match trimmed.strip_prefix(['P', 'p']) {
        Some(rest) => iso(rest),
        None => verbose(trimmed),
    };
    let parts = parts.ok_or_else(|| EvalError::invalid("interval", text))?;
    let out = || EvalError::raise("22015", format!("interval field value out of range: \"{text}\""));
    Ok(Interval {
        months: i32::try_from(parts.months).map_err(|_| out())?,
        days: i32::try_from(parts.days).map_err(|_| out())?,
        micros: i64::try_from(parts.micros).map_err(|_| out())?,
    })
}

/// The unit that a word names.
fn unit(word: &str) -> Option<Unit> {
    let word = word.to_ascii_lowercase();
    let known = match word.as_str() {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds" => Unit::Micros(1),
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds" => {
            Unit::Micros(1000)
        }
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Micros(SECOND.into()),
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Micros(MINUTE.into()),
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Micros(HOUR.into()),
        "d" | "day" | "days" => Unit::Days(1),
        "w" | "week" | "weeks" => Unit::Days(7),
        "mon" | "mons" | "month" | "months" => Unit::Months(1),
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Months(12),
        "dec" | "decs" | "decade" | "decades" => Unit::Months(120),
        "c" | "cent" | "century" | "centuries" => Unit::Months(1200),
        "mil" | "mils" | "millennium" | "millennia" => Unit::Months(12_000),
        _ => return None,
    };
    Some(known)
}

/// A decimal as billionths, so that a fraction of a unit can be passed down to smaller ones.
const ONE: i128 = 1_000_000_000;

fn decimal(text: &str) -> Option<i128> {
    let (negative, body) = match text.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) || whole.len() > 18 {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: i128 = format!("{fraction:0<9}")[..9].parse().ok()?;
    let value = whole * ONE + fraction;
    Some(if negative { -value } else { value })
}

impl Parts {
    /// Adds a decimal number of a unit; a fraction of a month goes into days, of a day into time.
    fn add(&mut self, value: i128, unit: Unit) {
        match unit {
            Unit::Micros(each) => self.micros += div_round(value * each),
            Unit::Days(each) => {
                let total = value * each;
                self.days += total / ONE;
                self.micros += div_round(total % ONE * i128::from(DAY_MICROS));
            }
            Unit::Months(each) => {
                let total = value * each;
                self.months += total / ONE;
                // Years keep to whole months; only a month's fraction becomes days.
                if each == 1 {
                    self.add(total % ONE * i128::from(MONTH_DAYS), Unit::Days(1));
                }
            }
        }
    }
}

fn div_round(value: i128) -> i128 {
    let half = if value < 0 { -ONE / 2 } else { ONE / 2 };
    (value + half) / ONE
}

/// `[-]h:m[:s[.f]]`, or minutes and seconds where the last has a fraction.
fn clock(text: &str) -> Option<i128> {
    let (negative, body) = match text.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let fields: Vec<&str> = body.split(':').collect();
    // What is left out after a colon is zero.
    let read = |field: &&str| if field.is_empty() { Some(0) } else { decimal(field) };
    let values = fields.iter().map(read).collect::<Option<Vec<i128>>>()?;
    let whole = |value: i128| (value % ONE == 0).then_some(value / ONE);
    let (hours, minutes, seconds) = match values.as_slice() {
        [h, m] if fields[1].contains('.') => (0, whole(*h)?, *m),
        [h, m] => (whole(*h)?, whole(*m)?, 0),
        [h, m, s] => (whole(*h)?, whole(*m)?, *s),
        _ => return None,
    };
    if !(0..60).contains(&minutes) && values.len() == 3 || seconds >= 60 * ONE {
        return None;
    }
    let micros =
        hours * i128::from(HOUR) + minutes * i128::from(MINUTE) + div_round(seconds * i128::from(SECOND));
    Some(if negative { -micros } else { micros })
}

fn verbose(text: &str) -> Option<Parts> {
    let mut parts = Parts::default();
    let body = join_signs(text.strip_prefix('@').unwrap_or(text));
    let words = split_words(&body);
    let mut words = words.iter().peekable();
    let (mut any, mut ago) = (false, false);
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case("ago") && any {
            ago = true;
            if words.peek().is_some() {
                return None;
            }
            break;
        }
        any = true;
        if word.contains(':') {
            parts.micros += clock(word)?;
        } else if let Some((years, months)) = word.trim_start_matches(['+', '-']).split_once('-') {
            let total = years.parse::<i128>().ok()? * 12 + months.parse::<i128>().ok().filter(|m| *m < 12)?;
            parts.months += if word.starts_with('-') { -total } else { total };
        } else {
            let value = decimal(word)?;
            match words.peek() {
                Some(next) if unit(next).is_some() => {
                    let name = words.next()?;
                    parts.add(value, unit(name)?);
                }
                // `1 2:03:04` is a day and a time; a number at the end is seconds.
                Some(next) if next.contains(':') => parts.add(value, Unit::Days(1)),
                None => parts.add(value, Unit::Micros(SECOND.into())),
                Some(_) => return None,
            }
        }
    }
    if ago {
        (parts.months, parts.days, parts.micros) = (-parts.months, -parts.days, -parts.micros);
    }
    any.then_some(parts)
}

/// Brings signs to the numbers that blanks separate them from.
fn join_signs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut signed = false;
    for c in text.chars() {
        if signed && c.is_ascii_whitespace() {
            continue;
        }
        signed = matches!(c, '+' | '-') && out.ends_with(|before: char| before.is_ascii_whitespace())
            || matches!(c, '+' | '-') && out.is_empty();
        out.push(c);
    }
    out
}

/// Splits at blanks and between a number and the unit behind it.
fn split_words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for word in text.split_ascii_whitespace() {
        let mut rest = word;
        let letter = |c: char| c.is_ascii_alphabetic();
        while rest.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
            && let Some(at) = rest.find(letter)
        {
            let (number, name) = rest.split_at(at);
            let end = name.find(|c: char| !letter(c)).unwrap_or(name.len());
            words.push(number);
            words.push(&name[..end]);
            rest = &name[end..];
        }
        if !rest.is_empty() {
            words.push(rest);
        }
    }
    words
}

/// ISO 8601's alternative form: `yyyy-mm-ddThh:mm:ss`, its fields left out from either end.
fn iso_fields(text: &str) -> Option<Parts> {
    let (date, time) = text.split_once(['T', 't']).map_or((text, None), |(date, time)| (date, Some(time)));
    let mut parts = Parts::default();
    if !date.is_empty() {
        let units = [Unit::Months(12), Unit::Months(1), Unit::Days(1)];
        let fields: Vec<&str> = date.split('-').collect();
        if fields.len() > units.len() {
            return None;
        }
        for (field, unit) in fields.into_iter().zip(units) {
            parts.add(decimal(field)?, unit);
        }
    }
    if let Some(time) = time {
        parts.micros += clock(time)?;
    }
    Some(parts)
}

fn iso(text: &str) -> Option<Parts> {
    let designated = text.contains(|c: char| c.is_ascii_alphabetic() && !c.eq_ignore_ascii_case(&'t'));
    if !designated && text.contains(['-', ':']) {
        return iso_fields(text);
    }
    let mut parts = Parts::default();
    let (mut rest, mut in_time, mut any) = (text, false, false);
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix(['T', 't']) {
            (rest, in_time) = (tail, true);
            continue;
        }
        let at = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, tail) = rest.split_at(at);
        let value = decimal(number)?;
        let unit = match (tail.as_bytes()[0].to_ascii_uppercase(), in_time) {
            (b'Y', false) => Unit::Months(12),
            (b'M', false) => Unit::Months(1),
            (b'W', false) => Unit::Days(7),
            (b'D', false) => Unit::Days(1),
            (b'H', true) => Unit::Micros(HOUR.into()),
            (b'M', true) => Unit::Micros(MINUTE.into()),
            (b'S', true) => Unit::Micros(SECOND.into()),
            _ => return None,
        };
        parts.add(value, unit);
        any = true;
        rest = &tail[1..];
    }
    any.then_some(parts)
}
