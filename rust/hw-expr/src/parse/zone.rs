//! Time zones: IANA names, abbreviations, offsets, and POSIX's name with an offset.

use crate::calendar::{HOUR, MINUTE, SECOND};
use jiff::tz::AmbiguousOffset;

/// Zones that are offsets of zero under several names.
const UTC: [&str; 6] = ["Z", "UTC", "GMT", "UT", "ZULU", "UCT"];
/// Abbreviations and their hours from UTC; PostgreSQL's default list has these among others.
const ABBREVIATIONS: [(&str, i64); 28] = [
    ("EST", -5),
    ("EDT", -4),
    ("CST", -6),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
    ("AKST", -9),
    ("AKDT", -8),
    ("HST", -10),
    ("AST", -4),
    ("ADT", -3),
    ("BRT", -3),
    ("ART", -3),
    ("WET", 0),
    ("WEST", 1),
    ("CET", 1),
    ("CEST", 2),
    ("MET", 1),
    ("MEST", 2),
    ("EET", 2),
    ("EEST", 3),
    ("MSK", 3),
    ("BST", 1),
    ("JST", 9),
    ("KST", 9),
    ("SGT", 8),
];

/// Whether a zone of this name is known.
pub fn is_known(name: &str) -> bool {
    offset(name, 0, false).is_some()
}

/// The offset from UTC, in microseconds, that a zone has at a moment: local where `is_local`.
pub fn offset(name: &str, micros: i64, is_local: bool) -> Option<i64> {
    let upper = name.to_ascii_uppercase();
    if UTC.contains(&upper.as_str()) {
        return Some(0);
    }
    if let Some(offset) = fixed_offset(name) {
        return offset.ok();
    }
    if let Some((_, hours)) = ABBREVIATIONS.iter().find(|(word, _)| *word == upper) {
        return Some(hours * HOUR);
    }
    if let Some(offset) = posix(name) {
        return Some(offset);
    }
    let zone = jiff::tz::TimeZone::get(name).ok()?;
    let seconds = micros.div_euclid(SECOND);
    let at = jiff::Timestamp::from_second(seconds.clamp(-377_705_023_201, 253_402_207_200)).ok()?;
    let offset = if is_local {
        // A time that is skipped is read by the clock before the change, one that comes twice by the
        // clock after it. Source: PostgreSQL's `DetermineTimeZoneOffset`.
        let civil = jiff::tz::TimeZone::UTC.to_datetime(at);
        match zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, .. } => before,
            AmbiguousOffset::Fold { after, .. } => after,
        }
    } else {
        zone.to_offset(at)
    };
    Some(i64::from(offset.seconds()) * SECOND)
}

/// As [`offset`], for a zone that a function names: there `+03` is west of Greenwich.
///
/// Source: PostgreSQL, section B.5: outside of literals a bare offset is a POSIX specification.
pub fn offset_of_argument(name: &str, micros: i64, is_local: bool) -> Option<i64> {
    match fixed_offset(name) {
        Some(offset) => offset.ok().map(|offset| -offset),
        None => offset(name, micros, is_local),
    }
}

/// The abbreviation that a zone has at a moment, as `to_char`'s `TZ` shows it.
pub fn abbreviation(name: &str, micros: i64) -> String {
    let zone = jiff::tz::TimeZone::get(name).ok();
    let at = jiff::Timestamp::from_second(micros.div_euclid(SECOND)).ok();
    match (zone, at) {
        (Some(zone), Some(at)) => zone.to_offset_info(at).abbreviation().to_owned(),
        _ => name.to_owned(),
    }
}

/// A named zone's offset from UTC without daylight saving, and what that adds, at a moment.
pub fn parts(name: &str, micros: i64) -> Option<(i64, i64)> {
    let zone = jiff::tz::TimeZone::get(name).ok()?;
    let at = jiff::Timestamp::from_second(micros.div_euclid(SECOND)).ok()?;
    let info = zone.to_offset_info(at);
    let total = i64::from(info.offset().seconds()) * SECOND;
    // Daylight saving adds an hour wherever there is any; its amount is not recorded.
    let saving = if info.dst().is_dst() { HOUR } else { 0 };
    Some((total - saving, saving))
}

/// POSIX's form: a name of three letters or more and the hours *behind* UTC, as in `GMT+8`.
fn posix(name: &str) -> Option<i64> {
    let letters = name.find(|c: char| !c.is_ascii_alphabetic())?;
    let rest = &name[letters..];
    if letters < 3 {
        return None;
    }
    let signed =
        if rest.starts_with(|c: char| c.is_ascii_digit()) { format!("+{rest}") } else { rest.to_owned() };
    fixed_offset(&signed)?.ok().map(|offset| -offset)
}

/// `+hh`, `+hhmm`, `+hh:mm`, `+hh:mm:ss` and the same with a minus.
///
/// None where the text is nothing of the kind; an error where it is, and beyond 16 hours.
pub fn fixed_offset(text: &str) -> Option<Result<i64, ()>> {
    let (sign, body) = match text.as_bytes().first()? {
        b'+' => (1, text[1..].trim_start()),
        b'-' => (-1, text[1..].trim_start()),
        _ => return None,
    };
    unsigned_offset(body).map(|found| found.map(|offset| sign * offset))
}

/// As [`fixed_offset`], without the sign.
pub fn unsigned_offset(body: &str) -> Option<Result<i64, ()>> {
    if body.is_empty() || !body.bytes().all(|b| b.is_ascii_digit() || b == b':') || body.len() > 9 {
        return None;
    }
    let number = |part: &str| if part.is_empty() { Some(0) } else { part.parse::<i64>().ok() };
    let mut parts = body.split(':');
    let first = parts.next()?;
    let (hours, minutes, seconds) = if first.len() > 2 && first.len() == body.len() {
        let value = number(first)?;
        if first.len() > 4 {
            (value / 10_000, value / 100 % 100, value % 100)
        } else {
            (value / 100, value % 100, 0)
        }
    } else {
        let mut next = || parts.next().map_or(Some(0), number);
        (number(first)?, next()?, next()?)
    };
    if hours > 15 || minutes > 59 || seconds > 59 {
        return Some(Err(()));
    }
    Some(Ok(hours * HOUR + minutes * MINUTE + seconds * SECOND))
}
