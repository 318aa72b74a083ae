//! Dates, times and timestamps from text, in ISO form or month/day/year.

use crate::calendar::{self, HOUR, MINUTE, SECOND};
use crate::error::EvalError;
use hw_types::interval::DAY_MICROS;

type Result<T> = std::result::Result<T, EvalError>;

/// A moment as written: day, microseconds since midnight, offset from UTC in microseconds.
struct Written {
    days: i64,
    micros: i64,
    offset: Option<i64>,
}

struct Reader<'t> {
    text: &'t str,
    rest: &'t str,
    type_name: &'static str,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str, type_name: &'static str) -> Self {
        Reader { text, rest: text.trim(), type_name }
    }
    fn invalid<T>(&self) -> Result<T> {
        Err(EvalError::invalid(self.type_name, self.text))
    }
    fn out_of_range<T>(&self) -> Result<T> {
        Err(EvalError::raise("22008", format!("date/time field value out of range: \"{}\"", self.text)))
    }
    fn number(&mut self) -> Option<(i64, usize)> {
        let len = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if len == 0 || len > 9 {
            return None;
        }
        let value = self.rest[..len].parse().ok()?;
        self.rest = &self.rest[len..];
        Some((value, len))
    }
    fn take(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }
    fn date(&mut self) -> Result<i64> {
        let Some((first, width)) = self.number() else { return self.invalid() };
        let (year, month, day) = if width == 8 && !self.rest.starts_with(['-', '/']) {
            (first / 10_000, first / 100 % 100, first % 100)
        } else {
            let separator = if self.take('-') {
                '-'
            } else if self.take('/') {
                '/'
            } else {
                return self.invalid();
            };
            let Some((second, _)) = self.number() else { return self.invalid() };
            if !self.take(separator) {
                return self.invalid();
            }
            let Some((third, last_width)) = self.number() else { return self.invalid() };
            match separator {
                '/' if width <= 2 => (full_year(third, last_width), first, second),
                _ if width <= 2 && last_width > 2 => (third, first, second),
                _ => (first, second, third),
            }
        };
        let year = if self.rest.to_ascii_uppercase().trim_end().ends_with(" BC") {
            self.rest = &self.rest[..self.rest.trim_end().len() - 3];
            1 - year
        } else {
            year
        };
        if year == 0 && first == 0
            || !(1..=12).contains(&month)
            || !(1..=calendar::days_in_month(year, month)).contains(&day)
        {
            return self.out_of_range();
        }
        calendar::check_date(calendar::days_from_civil(year, month, day)).map_err(|_| {
            EvalError::raise("22008", format!("{} out of range: \"{}\"", short(self.type_name), self.text))
        })
    }
    /// Hours, minutes, seconds and their fraction, AM or PM.
    fn time(&mut self) -> Result<i64> {
        let Some((mut hour, width)) = self.number() else { return self.invalid() };
        let (mut minute, mut second, mut micros) = (0, 0, 0);
        if self.take(':') {
            let Some((value, _)) = self.number() else { return self.invalid() };
            minute = value;
            if self.take(':') {
                let Some((value, _)) = self.number() else { return self.invalid() };
                second = value;
                micros = self.fraction()?;
            }
        } else if width == 6 || width == 4 {
            let (h, m, s) = if width == 6 {
                (hour / 10_000, hour / 100 % 100, hour % 100)
            } else {
                (hour / 100, hour % 100, 0)
            };
            (hour, minute, second) = (h, m, s);
            micros = self.fraction()?;
        } else if self.half_day().is_none() {
            return self.invalid();
        }
        self.blanks();
        if let Some(evening) = self.half_day() {
            if !(1..=12).contains(&hour) {
                return self.out_of_range();
            }
            hour = hour % 12 + if evening { 12 } else { 0 };
            self.rest = &self.rest[2..];
            self.blanks();
        }
        let total = hour * HOUR + minute * MINUTE + second * SECOND + micros;
        if minute > 59 || second > 60 || hour > 24 || total > DAY_MICROS {
            return self.out_of_range();
        }
        Ok(total)
    }
    /// Whether AM (false) or PM (true) comes next.
    fn half_day(&self) -> Option<bool> {
        let word = self.rest.trim_start();
        let ends = !word.get(2..)?.starts_with(|c: char| c.is_ascii_alphanumeric());
        match word.get(..2)?.to_ascii_lowercase().as_str() {
            "am" if ends => Some(false),
            "pm" if ends => Some(true),
            _ => None,
        }
    }
    fn fraction(&mut self) -> Result<i64> {
        if !self.take('.') {
            return Ok(0);
        }
        let len = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(len);
        self.rest = rest;
        if digits.is_empty() {
            return Ok(0);
        }
        // Seven digits decide how the sixth rounds.
        let padded = format!("{digits:0<7}");
        let micros: i64 = padded[..6].parse().or_else(|_| self.invalid())?;
        Ok(micros + i64::from(padded.as_bytes()[6] >= b'5'))
    }
    /// The zone at the end, as an offset from UTC at that moment.
    fn zone(&mut self, days: i64, micros: i64) -> Result<Option<i64>> {
        let name = self.rest.trim();
        self.rest = "";
        if name.is_empty() {
            return Ok(None);
        }
        match time_zone_offset(name, days * DAY_MICROS + micros, true) {
            Some(offset) => Ok(Some(offset)),
            None if name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.contains('/') => {
                Err(EvalError::raise(
                    "22023",
                    format!("time zone \"{}\" not recognized", name.to_ascii_lowercase()),
                ))
            }
            None => self.invalid(),
        }
    }
    fn moment(&mut self) -> Result<Written> {
        if self.rest.eq_ignore_ascii_case("epoch") {
            return Ok(Written { days: 0, micros: 0, offset: Some(0) });
        }
        let days = self.date()?;
        if !self.take('T') && !self.take('t') {
            self.blanks();
        }
        let micros = if self.rest.starts_with(|c: char| c.is_ascii_digit()) { self.time()? } else { 0 };
        let offset = self.zone(days, micros)?;
        Ok(Written { days, micros, offset })
    }
}

fn short(type_name: &str) -> &str {
    type_name.split(' ').next().unwrap_or(type_name)
}

fn full_year(year: i64, width: usize) -> i64 {
    match year {
        0..70 if width <= 2 => year + 2000,
        70..100 if width <= 2 => year + 1900,
        year => year,
    }
}

/// Reads a date: days since 1970-01-01.
pub fn date(text: &str) -> Result<i64> {
    Ok(Reader::new(text, "date").moment()?.days)
}

/// Reads a time of day: microseconds since midnight.
pub fn time(text: &str) -> Result<i64> {
    let mut reader = Reader::new(text, "time");
    // A date before it is passed over.
    if reader.rest.split([' ', 'T']).next().is_some_and(|word| word.contains('-') && !word.contains(':')) {
        reader.date()?;
        if !reader.take('T') {
            reader.blanks();
        }
    }
    let micros = reader.time()?;
    reader.zone(0, micros)?;
    if micros >= DAY_MICROS { reader.out_of_range() } else { Ok(micros) }
}

/// Reads a timestamp without time zone; a zone that is written is passed over.
pub fn timestamp(text: &str) -> Result<i64> {
    let at = Reader::new(text, "timestamp").moment()?;
    calendar::check_timestamp(at.days.checked_mul(DAY_MICROS).and_then(|d| d.checked_add(at.micros)))
}

/// Reads a timestamp with time zone; UTC where none is written.
pub fn timestamptz(text: &str) -> Result<i64> {
    let at = Reader::new(text, "timestamp with time zone").moment()?;
    let local = at.days.checked_mul(DAY_MICROS).and_then(|d| d.checked_add(at.micros));
    calendar::check_timestamp(local.and_then(|l| l.checked_sub(at.offset.unwrap_or(0))))
}

/// Rounds to a declared number of digits of fractional seconds.
pub(crate) fn round_to(micros: i64, digits: Option<i64>) -> Result<i64> {
    let Some(digits @ 0..6) = digits else { return Ok(micros) };
    let unit = 10i64.pow(6 - digits as u32);
    let (whole, rest) = (micros.div_euclid(unit), micros.rem_euclid(unit));
    // Half rounds away from PostgreSQL's epoch, which is to say from a time before it down.
    let up = if micros >= 0 { rest * 2 >= unit } else { rest * 2 > unit };
    calendar::check_timestamp(Some((whole + i64::from(up)) * unit))
}

/// The offset from UTC, in microseconds, that a zone has at a moment: local where `is_local`.
///
/// Zones are `Z`, `UTC`, IANA names, a few abbreviations, and offsets such as `+05:30` or `-8`.
pub fn time_zone_offset(name: &str, micros: i64, is_local: bool) -> Option<i64> {
    let upper = name.to_ascii_uppercase();
    if matches!(&*upper, "Z" | "UTC" | "GMT" | "UT" | "ZULU" | "UCT") {
        return Some(0);
    }
    if let Some(offset) = fixed_offset(name) {
        return Some(offset);
    }
    const ABBREVIATIONS: [(&str, i64); 12] = [
        ("EST", -5),
        ("EDT", -4),
        ("CST", -6),
        ("CDT", -5),
        ("MST", -7),
        ("MDT", -6),
        ("PST", -8),
        ("PDT", -7),
        ("CET", 1),
        ("CEST", 2),
        ("BST", 1),
        ("JST", 9),
    ];
    if let Some((_, hours)) = ABBREVIATIONS.iter().find(|(word, _)| *word == upper) {
        return Some(hours * HOUR);
    }
    let zone = jiff::tz::TimeZone::get(name).ok()?;
    let seconds = micros.div_euclid(SECOND);
    let at = jiff::Timestamp::from_second(seconds.clamp(-377_705_023_201, 253_402_207_200)).ok()?;
    let offset = if is_local {
        let civil = jiff::tz::TimeZone::UTC.to_datetime(at);
        zone.to_ambiguous_timestamp(civil).compatible().ok().map(|moment| zone.to_offset(moment))?
    } else {
        zone.to_offset(at)
    };
    Some(i64::from(offset.seconds()) * SECOND)
}

/// `+hh`, `+hhmm`, `+hh:mm`, `+hh:mm:ss` and the same with a minus.
fn fixed_offset(name: &str) -> Option<i64> {
    let (sign, body) = match name.as_bytes().first()? {
        b'+' => (1, &name[1..]),
        b'-' => (-1, &name[1..]),
        _ => return None,
    };
    let mut parts = body.split(':');
    let first = parts.next()?;
    if first.is_empty() || !body.bytes().all(|b| b.is_ascii_digit() || b == b':') {
        return None;
    }
    let (hours, minutes) = if first.len() > 2 && first.len() <= 4 {
        let at = first.len() - 2;
        (first[..at].parse::<i64>().ok()?, first[at..].parse::<i64>().ok()?)
    } else {
        let minutes = parts.next().map_or(Some(0), |part| part.parse::<i64>().ok())?;
        (first.parse::<i64>().ok()?, minutes)
    };
    let seconds = parts.next().map_or(Some(0), |part| part.parse::<i64>().ok())?;
    let in_range = hours < 16 && minutes < 60 && seconds < 60;
    in_range.then_some(sign * (hours * HOUR + minutes * MINUTE + seconds * SECOND))
}
