//! Dates, times and timestamps from text.
//!
//! The text is cut into fields (`fields`), and each field is read by its shape and by what is known
//! already. Source for the rules: PostgreSQL, appendix B.1 "Date/Time Input Interpretation", with
//! its default order of month before day.

use super::fields::{Field, Kind, fields};
use super::zone;
use crate::calendar::{self, HOUR, MINUTE, SECOND};
use crate::error::{EvalError, Quoted};
use hw_types::interval::DAY_MICROS;

type Result<T> = std::result::Result<T, EvalError>;

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const MONTHS_IN_FULL: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 18] = [
    "sun",
    "sunday",
    "mon",
    "monday",
    "tue",
    "tues",
    "tuesday",
    "wed",
    "weds",
    "wednesday",
    "thu",
    "thur",
    "thurs",
    "thursday",
    "fri",
    "friday",
    "sat",
    "saturday",
];
/// The day's number in the Julian calendar on 1970-01-01.
const JULIAN_EPOCH: i64 = 2_440_588;

/// Why a text is no moment.
enum Fault {
    /// No field, or not in this place: why, or nothing.
    Format(String),
    /// A field beyond what it may be.
    Range,
    /// A zone's offset beyond 16 hours.
    Displacement,
    /// A zone of this name is not known.
    Zone(String),
}

type Step<T> = std::result::Result<T, Fault>;

fn bad<T>() -> Step<T> {
    Err(Fault::Format(String::new()))
}

/// What a word other than a number stands for.
enum Word {
    Month(i64),
    Weekday,
    /// `T`: a time follows.
    Time,
    /// `J`: a Julian day follows.
    Julian,
    Afternoon(bool),
    BeforeChrist(bool),
    Epoch,
    Filler,
}

fn month(word: &str) -> Option<i64> {
    let at = MONTHS
        .iter()
        .position(|name| *name == word)
        .or_else(|| MONTHS_IN_FULL.iter().position(|name| *name == word))
        .or((word == "sept").then_some(8))?;
    Some(at as i64 + 1)
}

fn word(text: &str) -> Option<Word> {
    Some(match text {
        "t" => Word::Time,
        "j" | "jd" | "julian" => Word::Julian,
        "am" => Word::Afternoon(false),
        "pm" => Word::Afternoon(true),
        "bc" => Word::BeforeChrist(true),
        "ad" => Word::BeforeChrist(false),
        "epoch" => Word::Epoch,
        "at" | "on" | "dst" => Word::Filler,
        text if WEEKDAYS.contains(&text) => Word::Weekday,
        text => return month(text).map(Word::Month),
    })
}

/// Whether a word is one that a number may follow without a blank.
pub(super) fn is_known_word(text: &str) -> bool {
    word(text).is_some()
}

/// What the fields have said so far.
#[derive(Default)]
struct Found {
    year: Option<i64>,
    year_of_two_digits: bool,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    julian: Option<i64>,
    month_was_named: bool,
    micros: Option<i64>,
    hour_was_given: i64,
    /// An hour without minutes, which `am` or `pm` must follow.
    hour_was_alone: bool,
    afternoon: Option<bool>,
    before_christ: Option<bool>,
    zone: Option<Zone>,
    epoch: bool,
}

enum Zone {
    Offset(i64),
    Named(String),
}

/// Puts a value where none may be yet.
fn set<T>(slot: &mut Option<T>, value: T) -> Step<()> {
    if slot.is_some() {
        return bad();
    }
    *slot = Some(value);
    Ok(())
}

fn digits(text: &str) -> Step<i64> {
    if text.is_empty() || text.len() > 9 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return if text.len() > 9 { Err(Fault::Range) } else { bad() };
    }
    text.parse().or_else(|_| bad())
}

/// The digits after a point as microseconds, rounded.
fn fraction(text: &str) -> Step<i64> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return bad();
    }
    // Seven digits decide how the sixth rounds.
    let padded = format!("{text:0<7}");
    let micros: i64 = padded[..6].parse().or_else(|_| bad())?;
    Ok(micros + i64::from(padded.as_bytes()[6] >= b'5'))
}

impl Found {
    fn has_date(&self) -> bool {
        self.julian.is_some()
            || self.epoch
            || (self.year.is_some()
                && (self.day_of_year.is_some() || (self.month.is_some() && self.day.is_some())))
    }
    fn set_year(&mut self, value: i64, width: usize) -> Step<()> {
        set(&mut self.year, value)?;
        self.year_of_two_digits = width <= 2;
        Ok(())
    }
    fn named_month(&mut self, value: i64) -> Step<()> {
        // A number that looked like a month was the day.
        if let (Some(number), false, None) = (self.month, self.month_was_named, self.day) {
            self.day = Some(number);
            self.month = None;
        }
        self.month_was_named = true;
        set(&mut self.month, value)
    }
    /// Reads a number by what of the date is still missing.
    fn number(&mut self, text: &str) -> Step<()> {
        if let Some((whole, rest)) = text.split_once('.') {
            return self.run_together(whole, Some(rest));
        }
        let (width, value) = (text.len(), digits(text)?);
        let (has_year, has_month, has_day) = (self.year.is_some(), self.month.is_some(), self.day.is_some());
        match (has_year, has_month, has_day) {
            (true, false, false) if width == 3 && (1..=366).contains(&value) => {
                set(&mut self.day_of_year, value)
            }
            _ if self.has_date() => self.run_together(text, None),
            (false, false, false) if width >= 3 => self.set_year(value, width),
            (false, false, false) | (true, false, false) | (false, false, true) => {
                set(&mut self.month, value)
            }
            (false, true, false) if self.month_was_named && width >= 3 => self.set_year(value, width),
            (true, true, false) if self.month_was_named && width >= 3 && self.year_of_two_digits => {
                // What looked like a year of two digits was the day: 08-Feb-1999.
                self.day = self.year.take();
                self.set_year(value, width)
            }
            (false, true, false) | (true, true, false) => set(&mut self.day, value),
            (false, true, true) => self.set_year(value, width),
            (true, false, true) => set(&mut self.month, value),
            (true, true, true) => self.run_together(text, None),
        }
    }
    /// Reads `yyyymmdd` or `hhmmss`, whichever is missing.
    fn run_together(&mut self, whole: &str, after: Option<&str>) -> Step<()> {
        if !whole.bytes().all(|b| b.is_ascii_digit()) {
            return bad();
        }
        if after.is_none() && !self.has_date() && whole.len() >= 6 {
            let (year, rest) = whole.split_at(whole.len() - 4);
            self.set_year(digits(year)?, year.len())?;
            set(&mut self.month, digits(&rest[..2])?)?;
            return set(&mut self.day, digits(&rest[2..])?);
        }
        let micros = match whole.len() {
            6 => clock(digits(&whole[..2])?, digits(&whole[2..4])?, digits(&whole[4..])?)?,
            4 if after.is_none() => clock(digits(&whole[..2])?, digits(&whole[2..])?, 0)?,
            _ => return bad(),
        };
        self.hour_was_given = digits(&whole[..2])?;
        set(&mut self.micros, micros + after.map_or(Ok(0), fraction)?)
    }
    /// Reads a date whose parts are joined by `-`, `/` or `.`, one of which may name the month.
    fn joined_date(&mut self, text: &str) -> Step<()> {
        let parts: Vec<&str> = text.split(['-', '/', '.']).filter(|part| !part.is_empty()).collect();
        let letters = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic());
        if parts.len() > 3 {
            return bad();
        }
        for part in parts.iter().filter(|part| letters(part)) {
            match month(part) {
                Some(value) => self.named_month(value)?,
                None => return bad(),
            }
        }
        for part in parts.iter().filter(|part| !letters(part)) {
            self.number(part)?;
        }
        if self.has_date() { Ok(()) } else { bad() }
    }
    fn time(&mut self, text: &str) -> Step<()> {
        let (body, after) = text.split_once('.').map_or((text, None), |(body, rest)| (body, Some(rest)));
        let parts: Vec<&str> = body.split(':').collect();
        let part = |i: usize| match parts.get(i) {
            None | Some(&"") => Ok(0),
            Some(text) => digits(text),
        };
        if parts.len() > 3 {
            return bad();
        }
        let micros = after.map_or(Ok(0), fraction)?;
        // Two parts and a fraction are minutes and seconds.
        let (hour, minute, second) = if parts.len() == 2 && after.is_some() {
            (0, part(0)?, part(1)?)
        } else {
            (part(0)?, part(1)?, part(2)?)
        };
        self.hour_was_given = hour;
        let total = clock(hour, minute, second)? + micros;
        if second == 60 && micros > 0 || total > DAY_MICROS {
            return Err(Fault::Range);
        }
        set(&mut self.micros, total)
    }
    fn zone(&mut self, zone: Zone) -> Step<()> {
        set(&mut self.zone, zone)
    }
    /// Reads a field that begins with letters.
    fn letters(&mut self, field: &Field<'_>, rest: &[Field<'_>]) -> Step<Next> {
        let text = field.lower();
        if word(&text).is_none() && zone::is_known(field.text) {
            self.zone(Zone::Named(field.text.to_owned()))?;
            return Ok(Next::Any);
        }
        match word(&text) {
            Some(Word::Month(value)) => self.named_month(value)?,
            Some(Word::Weekday | Word::Filler) => {}
            Some(Word::Time) => {
                let follows = rest.first().is_some_and(|next| !matches!(next.kind, Kind::Word | Kind::Zone));
                if !self.has_date() || !follows {
                    return bad();
                }
                return Ok(Next::Time);
            }
            Some(Word::Julian) => return Ok(Next::Julian),
            Some(Word::Afternoon(afternoon)) => set(&mut self.afternoon, afternoon)?,
            Some(Word::BeforeChrist(before)) => set(&mut self.before_christ, before)?,
            Some(Word::Epoch) => self.epoch = true,
            None => {
                let letters = field.text.find(|c: char| !c.is_alphabetic()).unwrap_or(field.text.len());
                return Err(Fault::Format(format!("unknown units {}", &field.text[..letters])));
            }
        }
        Ok(Next::Any)
    }
    fn date_like(&mut self, field: &Field<'_>, next: Next) -> Step<()> {
        let text = field.lower();
        let begins_with_digit = text.starts_with(|c: char| c.is_ascii_digit());
        let known = self.has_date() || (self.month.is_some() && self.day.is_some() && self.year.is_some());
        if !known && next == Next::Any {
            return match self.joined_date(&text) {
                Err(Fault::Format(why)) if !begins_with_digit => {
                    if zone::is_known(field.text) {
                        return self.zone(Zone::Named(field.text.to_owned()));
                    }
                    Err(Fault::Format(why))
                }
                done => done,
            };
        }
        if begins_with_digit {
            // A time with its zone behind it: hhmmss-zz.
            let at = text.find('-').ok_or_else(|| Fault::Format(String::new()))?;
            self.run_together(&text[..at], None)?;
            return self.zone(Zone::Offset(offset(&text[at..])?));
        }
        if zone::is_known(field.text) {
            return self.zone(Zone::Named(field.text.to_owned()));
        }
        if text.contains('/') {
            return Err(Fault::Zone(text));
        }
        let letters = field.text.find(|c: char| !c.is_alphabetic()).unwrap_or(field.text.len());
        Err(Fault::Format(format!("unknown units {}", &field.text[..letters])))
    }
    fn read(&mut self, all: &[Field<'_>]) -> Step<()> {
        let mut next = Next::Any;
        for (i, field) in all.iter().enumerate() {
            let expected = std::mem::replace(&mut next, Next::Any);
            match (field.kind, expected) {
                (Kind::Number, Next::Julian) => set(&mut self.julian, digits(field.text)?)?,
                (Kind::Number, Next::Time) => {
                    let (whole, rest) = field
                        .text
                        .split_once('.')
                        .map_or((field.text, None), |(whole, rest)| (whole, Some(rest)));
                    self.run_together(whole, rest)?;
                }
                (Kind::Number, Next::Any) => self.lone_number(field.text)?,
                (Kind::Date, expected) => self.date_like(field, expected)?,
                (Kind::Time, _) => self.time(field.text)?,
                (Kind::Zone, _) => self.zone(Zone::Offset(field_offset(field)?))?,
                (Kind::Word, Next::Any) => next = self.letters(field, &all[i + 1..])?,
                (Kind::Word, _) => return bad(),
            }
        }
        Ok(())
    }
    /// A number between blanks: part of a date, a date or a time run together.
    fn lone_number(&mut self, text: &str) -> Step<()> {
        match text.split_once('.') {
            Some((whole, _)) if !self.has_date() && whole.len() <= 4 => self.joined_date(text),
            Some((whole, rest)) if whole.len() > 2 => self.run_together(whole, Some(rest)),
            None if text.len() >= 6 && (!self.has_date() || self.micros.is_none()) => {
                let none_of_date = self.year.is_none() && self.month.is_none() && self.day.is_none();
                if none_of_date || self.has_date() {
                    self.run_together(text, None)
                } else {
                    self.number(text)
                }
            }
            None if text.len() <= 2 && self.has_date() && self.micros.is_none() => {
                self.hour_was_alone = true;
                self.hour_was_given = digits(text)?;
                set(&mut self.micros, clock(digits(text)?, 0, 0)?)
            }
            _ => self.number(text),
        }
    }
    /// Days since 1970-01-01.
    fn days(&self) -> Step<i64> {
        if self.epoch {
            return Ok(0);
        }
        if let Some(julian) = self.julian {
            return Ok(julian - JULIAN_EPOCH);
        }
        let Some(mut year) = self.year else { return bad() };
        if self.year_of_two_digits {
            year += if year < 70 { 2000 } else { 1900 };
        }
        if self.before_christ == Some(true) {
            year = if self.year_of_two_digits { 1 - self.year.unwrap_or(0) } else { 1 - year };
            if year > 0 {
                return Err(Fault::Range);
            }
        } else if year == 0 {
            return Err(Fault::Range);
        }
        if let Some(day) = self.day_of_year {
            return Ok(calendar::days_from_civil(year, 1, 1) + day - 1);
        }
        let (Some(month), Some(day)) = (self.month, self.day) else { return bad() };
        if !(1..=12).contains(&month) || !(1..=calendar::days_in_month(year, month)).contains(&day) {
            return Err(Fault::Range);
        }
        Ok(calendar::days_from_civil(year, month, day))
    }
    /// Microseconds since midnight.
    fn of_day(&self) -> Step<i64> {
        let Some(micros) = self.micros else { return if self.afternoon.is_some() { bad() } else { Ok(0) } };
        let Some(afternoon) = self.afternoon else {
            return if self.hour_was_alone { bad() } else { Ok(micros) };
        };
        if !(1..=12).contains(&self.hour_was_given) {
            return Err(Fault::Range);
        }
        let hour = self.hour_was_given % 12 + if afternoon { 12 } else { 0 };
        Ok(micros + (hour - self.hour_was_given) * HOUR)
    }
}

/// What a word asks of the field behind it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Any,
    Time,
    Julian,
}

fn clock(hour: i64, minute: i64, second: i64) -> Step<i64> {
    if minute > 59 || second > 60 || hour > 24 {
        return Err(Fault::Range);
    }
    let total = hour * HOUR + minute * MINUTE + second * SECOND;
    if total > DAY_MICROS { Err(Fault::Range) } else { Ok(total) }
}

fn offset(text: &str) -> Step<i64> {
    checked_offset(zone::fixed_offset(text), text)
}

fn field_offset(field: &Field<'_>) -> Step<i64> {
    let offset = checked_offset(zone::unsigned_offset(field.text.trim_end_matches(['.', '-'])), field.text)?;
    Ok(if field.is_negative() { -offset } else { offset })
}

fn checked_offset(found: Option<std::result::Result<i64, ()>>, text: &str) -> Step<i64> {
    match found {
        Some(Ok(offset)) => Ok(offset),
        Some(Err(())) => Err(Fault::Displacement),
        None => Err(Fault::Format(format!("Cannot parse timezone offset {text}"))),
    }
}

fn raise(fault: Fault, type_name: &'static str, text: &str) -> EvalError {
    match fault {
        Fault::Format(why) => EvalError::invalid_because(type_name, why, text),
        Fault::Range => {
            EvalError::raise("22008", format!("date/time field value out of range: {}", Quoted(text)))
        }
        Fault::Displacement => {
            EvalError::raise("22009", format!("time zone displacement out of range: {}", Quoted(text)))
        }
        Fault::Zone(name) => EvalError::parameter(format!("time zone {} not recognized", Quoted(&name))),
    }
}

fn beyond(type_name: &str, text: &str) -> EvalError {
    let short = type_name.split(' ').next().unwrap_or(type_name);
    EvalError::raise("22008", format!("{short} out of range: {}", Quoted(text)))
}

/// A moment as written: day, microseconds since midnight, zone.
fn moment(text: &str, type_name: &'static str) -> Result<(i64, i64, Option<Zone>, bool)> {
    let fault = |fault| raise(fault, type_name, text);
    let all = fields(text).map_err(|why| fault(Fault::Format(why)))?;
    if all.is_empty() {
        return Err(fault(Fault::Format(String::new())));
    }
    let mut found = Found::default();
    found.read(&all).map_err(fault)?;
    let days = found.days().map_err(fault)?;
    calendar::check_date(days).map_err(|_| beyond(type_name, text))?;
    let micros = found.of_day().map_err(fault)?;
    Ok((days, micros, found.zone, found.epoch))
}

/// Reads a date: days since 1970-01-01.
pub fn date(text: &str) -> Result<i64> {
    Ok(moment(text, "date")?.0)
}

/// Reads a time of day: microseconds since midnight. A date and a zone are passed over.
pub fn time(text: &str) -> Result<i64> {
    let fault = |fault| raise(fault, "time", text);
    let all = fields(text).map_err(|why| fault(Fault::Format(why)))?;
    let mut found = Found::default();
    match all.as_slice() {
        [first, rest @ ..] if first.kind == Kind::Number && matches!(first.text.len(), 4 | 6..) => {
            let (whole, after) =
                first.text.split_once('.').map_or((first.text, None), |(whole, rest)| (whole, Some(rest)));
            if whole.len() == 8 {
                found.read(&all).map_err(fault)?;
            } else {
                clock_alone(&mut found, whole, after, rest).map_err(fault)?;
            }
        }
        [first, rest @ ..] if first.kind == Kind::Number && first.text.len() <= 2 && !rest.is_empty() => {
            let hour = digits(first.text).map_err(fault)?;
            found.hour_was_given = hour;
            found.micros = Some(clock(hour, 0, 0).map_err(fault)?);
            found.hour_was_alone = true;
            found.read(rest).map_err(fault)?;
        }
        all => found.read(all).map_err(fault)?,
    }
    if found.micros.is_none() {
        return Err(fault(Fault::Format(String::new())));
    }
    if found.year.is_some() || found.month.is_some() {
        found.days().map_err(fault)?;
    }
    let micros = found.of_day().map_err(fault)?;
    if micros >= DAY_MICROS { Err(fault(Fault::Range)) } else { Ok(micros) }
}

fn clock_alone(found: &mut Found, whole: &str, after: Option<&str>, rest: &[Field<'_>]) -> Step<()> {
    // With a date assumed, six or four digits are a time.
    (found.year, found.month, found.day) = (Some(1970), Some(1), Some(1));
    found.run_together(whole, after)?;
    found.read(rest)
}

/// Reads a timestamp without time zone; a zone that is written is passed over.
pub fn timestamp(text: &str) -> Result<i64> {
    let (days, micros, _, _) = moment(text, "timestamp")?;
    let at = days.checked_mul(DAY_MICROS).and_then(|d| d.checked_add(micros));
    calendar::check_timestamp(at).map_err(|_| beyond("timestamp", text))
}

/// Reads a timestamp with time zone; UTC where none is written.
pub fn timestamptz(text: &str) -> Result<i64> {
    timestamptz_in(text, "UTC")
}

/// Reads a timestamp with time zone; of the zone `default` where none is written.
pub fn timestamptz_in(text: &str, default: &str) -> Result<i64> {
    let (days, micros, written, epoch) = moment(text, "timestamp with time zone")?;
    let local = days.checked_mul(DAY_MICROS).and_then(|d| d.checked_add(micros));
    let local = local.ok_or_else(|| beyond("timestamp", text))?;
    let offset = match written {
        _ if epoch => 0,
        Some(Zone::Offset(offset)) => offset,
        Some(Zone::Named(name)) => zone::offset(&name, local, true).unwrap_or(0),
        None => zone::offset(default, local, true).unwrap_or(0),
    };
    calendar::check_timestamp(local.checked_sub(offset)).map_err(|_| beyond("timestamp", text))
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
