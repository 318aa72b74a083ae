//! `to_date` and `to_timestamp` of a text in the form that a template describes.
//!
//! Source: PostgreSQL, section 9.8 "Data Type Formatting Functions", with its leniency: separators
//! match one another, blanks are passed over, numbers may be shorter than their pattern.

use super::to_char::{DAYS, MONTHS, pattern_at};
use crate::calendar::{self, HOUR, MINUTE, SECOND};
use crate::error::{EvalError, Quoted};
use crate::kernel::{Table, kernel};
use hw_types::interval::DAY_MICROS;

type Result<T> = std::result::Result<T, EvalError>;

#[derive(Default)]
struct Fields {
    year: Option<i64>,
    century: Option<i64>,
    /// The year within a century, of a pattern of two digits at most.
    of_century: Option<i64>,
    before_christ: bool,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    iso_year: Option<i64>,
    iso_week: Option<i64>,
    iso_day: Option<i64>,
    iso_day_of_year: Option<i64>,
    week: Option<i64>,
    week_of_month: Option<i64>,
    julian: Option<i64>,
    hour: i64,
    afternoon: Option<bool>,
    twelve: bool,
    minute: i64,
    second: i64,
    of_day: Option<i64>,
    micros: i64,
    offset: i64,
}

fn invalid(message: String) -> EvalError {
    EvalError::raise("22007", message)
}

fn out_of_range(text: &str) -> EvalError {
    EvalError::raise("22008", format!("date/time field value out of range: {}", Quoted(text)))
}

/// Reads a whole number of at most `width` digits.
fn number<'t>(rest: &'t str, width: usize, pattern: &str) -> Result<(i64, &'t str, usize)> {
    let rest = rest.trim_start();
    let body = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    let len = body.bytes().take(width).take_while(u8::is_ascii_digit).count();
    if len == 0 {
        let shown: String = rest.chars().take(width.min(4)).collect();
        return Err(invalid(format!("invalid value {} for \"{pattern}\"", Quoted(&shown))));
    }
    let value: i64 = body[..len].parse().map_err(|_| invalid(format!("invalid value for \"{pattern}\"")))?;
    Ok((if rest.starts_with('-') { -value } else { value }, &body[len..], len))
}

/// The place of the word that the text begins with, by its first `letters` or in full.
fn name<'t>(rest: &'t str, names: &[&str], full: bool, pattern: &str) -> Result<(i64, &'t str)> {
    let rest = rest.trim_start();
    let lower = rest.to_ascii_lowercase();
    for (i, name) in names.iter().enumerate() {
        let name = if full { name.to_ascii_lowercase() } else { name[..3].to_ascii_lowercase() };
        if lower.starts_with(&name) {
            return Ok((i as i64, &rest[name.len()..]));
        }
    }
    let shown: String = rest.chars().take_while(|c| !c.is_whitespace()).collect();
    Err(invalid(format!("invalid value {} for \"{pattern}\"", Quoted(&shown))))
}

fn half<'t>(rest: &'t str, words: [&str; 2], pattern: &str) -> Result<(bool, &'t str)> {
    let lower = rest.trim_start().to_ascii_lowercase();
    for (second, word) in [(false, words[0]), (true, words[1])] {
        let dotted: String = word.chars().flat_map(|c| [c, '.']).collect();
        for form in [dotted.as_str(), word] {
            if lower.starts_with(form) {
                return Ok((second, &rest.trim_start()[form.len()..]));
            }
        }
    }
    Err(invalid(format!("invalid value for \"{pattern}\"")))
}

/// A year of few digits is the one nearest to 2020.
fn near(value: i64, digits: usize) -> i64 {
    match digits {
        3 if value < 520 => value + 2000,
        3 => value + 1000,
        2 | 1 if value < 70 => value + 2000,
        2 | 1 => value + 1900,
        _ => value,
    }
}

impl Fields {
    fn take<'t>(&mut self, pattern: &str, rest: &'t str, last: bool) -> Result<&'t str> {
        let upper = pattern.to_ascii_uppercase();
        let digits = |width| number(rest, width, pattern);
        let (value, tail) = match upper.as_str() {
            "MONTH" => {
                return name(rest, &MONTHS, true, pattern).map(|(i, tail)| self.with_month(i + 1, tail));
            }
            "MON" => {
                return name(rest, &MONTHS, false, pattern).map(|(i, tail)| self.with_month(i + 1, tail));
            }
            "DAY" => return name(rest, &DAYS, true, pattern).map(|(_, tail)| tail),
            "DY" => return name(rest, &DAYS, false, pattern).map(|(_, tail)| tail),
            "AM" | "PM" | "A.M." | "P.M." => {
                let (afternoon, tail) = half(rest, ["am", "pm"], pattern)?;
                self.afternoon = Some(afternoon);
                return Ok(tail);
            }
            "BC" | "AD" | "B.C." | "A.D." => {
                let (after, tail) = half(rest, ["bc", "ad"], pattern)?;
                self.before_christ = !after;
                return Ok(tail);
            }
            "RM" => return self.roman(rest, pattern),
            "TZ" | "OF" | "TZH" | "TZM" => return self.zone(rest, &upper),
            "Y,YYY" => {
                let (thousands, tail, _) = digits(3)?;
                let tail = tail
                    .strip_prefix(',')
                    .ok_or_else(|| invalid("invalid input string for \"Y,YYY\"".into()))?;
                let (units, tail, _) = number(tail, 3, pattern)?;
                self.year = Some(thousands * 1000 + units);
                return Ok(tail);
            }
            "MS" | "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                let width = match upper.as_str() {
                    "MS" => 3,
                    "US" => 6,
                    name => usize::from(name.as_bytes()[2] - b'0'),
                };
                let (value, tail, len) = digits(width)?;
                self.micros = value * 10i64.pow(6 - len as u32);
                return Ok(tail);
            }
            "YYYY" => {
                // A year alone, or before a separator, may have more digits.
                let (value, tail, _) = digits(if last || !follows_digit(rest, 4) { 9 } else { 4 })?;
                fill(&mut self.year, value, pattern)?;
                return Ok(tail);
            }
            "YYY" => digits(3).map(|(v, tail, n)| (near(v, n), tail)),
            "YY" => digits(2).map(|(v, tail, n)| (near(v, n), tail)),
            "Y" => digits(1).map(|(v, tail, n)| (near(v, n), tail)),
            "IYYY" => digits(4).map(|(v, tail, _)| (v, tail)),
            "IYY" => digits(3).map(|(v, tail, n)| (near(v, n), tail)),
            "IY" => digits(2).map(|(v, tail, n)| (near(v, n), tail)),
            "J" => digits(9).map(|(v, tail, _)| (v, tail)),
            "SSSS" | "SSSSS" => digits(5).map(|(v, tail, _)| (v, tail)),
            "DDD" | "IDDD" => digits(3).map(|(v, tail, _)| (v, tail)),
            "W" | "D" | "ID" | "Q" | "I" => digits(1).map(|(v, tail, _)| (v, tail)),
            _ => digits(2).map(|(v, tail, _)| (v, tail)),
        }?;
        let slot = match upper.as_str() {
            "YYY" | "YY" | "Y" => &mut self.year,
            "IYYY" | "IYY" | "IY" | "I" => &mut self.iso_year,
            "CC" => &mut self.century,
            "MM" => &mut self.month,
            "DD" => &mut self.day,
            "DDD" => &mut self.day_of_year,
            "IDDD" => &mut self.iso_day_of_year,
            "IW" => &mut self.iso_week,
            "ID" => &mut self.iso_day,
            "WW" => &mut self.week,
            "W" => &mut self.week_of_month,
            "J" => &mut self.julian,
            "SSSS" | "SSSSS" => &mut self.of_day,
            "HH24" => return self.with_hour(value, false, tail),
            "HH12" | "HH" => return self.with_hour(value, true, tail),
            "MI" => return Ok(set(&mut self.minute, value, tail)),
            "SS" => return Ok(set(&mut self.second, value, tail)),
            _ => return Ok(tail),
        };
        if upper == "YY" || upper == "Y" {
            self.of_century = Some(value % 100);
        }
        fill(slot, value, pattern)?;
        Ok(tail)
    }
    fn with_month<'t>(&mut self, month: i64, tail: &'t str) -> &'t str {
        self.month = Some(month);
        tail
    }
    fn with_hour<'t>(&mut self, hour: i64, twelve: bool, tail: &'t str) -> Result<&'t str> {
        (self.hour, self.twelve) = (hour, twelve);
        Ok(tail)
    }
    fn roman<'t>(&mut self, rest: &'t str, pattern: &str) -> Result<&'t str> {
        const ROMAN: [&str; 12] = ["viii", "vii", "iii", "xii", "ix", "iv", "vi", "ii", "xi", "v", "x", "i"];
        const MONTH: [i64; 12] = [8, 7, 3, 12, 9, 4, 6, 2, 11, 5, 10, 1];
        let lower = rest.to_ascii_lowercase();
        match ROMAN.iter().position(|numeral| lower.starts_with(numeral)) {
            Some(at) => {
                self.month = Some(MONTH[at]);
                Ok(&rest[ROMAN[at].len()..])
            }
            None => Err(invalid(format!("invalid value for \"{pattern}\""))),
        }
    }
    fn zone<'t>(&mut self, rest: &'t str, pattern: &str) -> Result<&'t str> {
        let rest = rest.trim_start();
        if pattern == "TZM" {
            let (minutes, tail, _) = number(rest, 2, pattern)?;
            self.offset += if self.offset < 0 { -minutes } else { minutes } * MINUTE;
            return Ok(tail);
        }
        let end = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
        let word = if pattern == "TZH" { &rest[..end.min(3)] } else { &rest[..end] };
        match crate::parse::zone::offset(word, 0, false) {
            Some(offset) => {
                self.offset = offset;
                Ok(&rest[word.len()..])
            }
            None => Err(invalid(format!("invalid value {} for \"{pattern}\"", Quoted(word)))),
        }
    }
    fn days(&self, text: &str) -> Result<i64> {
        if let Some(julian) = self.julian {
            return Ok(julian - 2_440_588);
        }
        if let (Some(year), Some(week)) = (self.iso_year, self.iso_week) {
            return Ok(first_of_iso_year(year) + (week - 1) * 7 + self.iso_day.unwrap_or(1) - 1);
        }
        if let (Some(year), Some(day)) = (self.iso_year, self.iso_day_of_year) {
            return Ok(first_of_iso_year(year) + day - 1);
        }
        let mut year = self.year.or(self.iso_year);
        if let (None, Some(century)) = (year, self.century) {
            year = Some(century * 100 - 99);
        }
        if let (Some(century), Some(part)) = (self.century, self.of_century) {
            year = Some(if part == 0 { century * 100 } else { (century - 1) * 100 + part });
        }
        // Without a year PostgreSQL's texts are of 1 BC.
        let mut year = year.unwrap_or(if self.before_christ { 1 } else { 0 });
        if self.before_christ {
            year = 1 - year;
        } else if year < 0 {
            year += 1;
        }
        if let Some(day) = self.day_of_year {
            let first = calendar::days_from_civil(year, 1, 1);
            if day < 1 || day > calendar::days_from_civil(year + 1, 1, 1) - first {
                return Err(out_of_range(text));
            }
            return Ok(first + day - 1);
        }
        if let Some(week) = self.week {
            return Ok(calendar::days_from_civil(year, 1, 1) + (week - 1) * 7);
        }
        let by_week = self.week_of_month.map(|week| (week - 1) * 7 + 1);
        let (month, day) = (self.month.unwrap_or(1), self.day.or(by_week).unwrap_or(1));
        if !(1..=12).contains(&month) || !(1..=calendar::days_in_month(year, month)).contains(&day) {
            return Err(out_of_range(text));
        }
        Ok(calendar::days_from_civil(year, month, day))
    }
    fn clock(&self, text: &str) -> Result<i64> {
        if let Some(seconds) = self.of_day {
            return Ok(seconds * SECOND + self.micros);
        }
        let mut hour = self.hour;
        if self.twelve || self.afternoon.is_some() {
            if !(1..=12).contains(&hour) && (self.twelve && hour != 0 || self.afternoon.is_some()) {
                let message = format!("hour \"{hour}\" is invalid for the 12-hour clock");
                return Err(invalid(message));
            }
            hour = hour % 12 + if self.afternoon == Some(true) { 12 } else { 0 };
        }
        if !(0..24).contains(&hour) || !(0..60).contains(&self.minute) || !(0..60).contains(&self.second) {
            return Err(out_of_range(text));
        }
        Ok(hour * HOUR + self.minute * MINUTE + self.second * SECOND + self.micros)
    }
}

/// The Monday that an ISO year begins with: that of the week of January 4th.
fn first_of_iso_year(year: i64) -> i64 {
    let january = calendar::days_from_civil(year, 1, 4);
    january - calendar::weekday_monday(january)
}

/// Takes a field's value, which must be the one it has where the template names it twice.
fn fill(slot: &mut Option<i64>, value: i64, pattern: &str) -> Result<()> {
    if slot.is_some_and(|before| before != value) {
        return Err(EvalError::raise_with_detail(
            "22007",
            format!("conflicting values for \"{pattern}\" field in formatting string"),
            "This value contradicts a previous setting for the same field type.",
        ));
    }
    *slot = Some(value);
    Ok(())
}

fn set<'t>(slot: &mut i64, value: i64, tail: &'t str) -> &'t str {
    *slot = value;
    tail
}

fn follows_digit(rest: &str, width: usize) -> bool {
    rest.trim_start().as_bytes().get(width).is_some_and(u8::is_ascii_digit)
}

fn separator(c: char) -> bool {
    c.is_ascii_punctuation() || c.is_whitespace()
}

fn read(text: &str, template: &str) -> Result<Fields> {
    let mut fields = Fields::default();
    let mut rest = text.trim_start();
    let mut pattern = template.trim_start().strip_prefix("FX").unwrap_or(template.trim_start());
    while let Some(c) = pattern.chars().next() {
        if rest.is_empty() {
            break;
        }
        if let Some(body) = pattern.strip_prefix("FM") {
            pattern = body;
            continue;
        }
        if let Some(body) = pattern.strip_prefix('"') {
            let (mut end, mut skip, mut escaped) = (body.len(), 0, false);
            for (at, c) in body.char_indices() {
                match c {
                    '"' if !escaped => {
                        end = at;
                        break;
                    }
                    '\\' if !escaped => escaped = true,
                    _ => (skip, escaped) = (skip + 1, false),
                }
            }
            rest = rest.char_indices().nth(skip).map_or("", |(at, _)| &rest[at..]);
            pattern = body.get(end + 1..).unwrap_or("");
            continue;
        }
        if let Some(found) = pattern_at(pattern) {
            pattern = &pattern[found.len()..];
            let after = pattern.strip_prefix("TH").or_else(|| pattern.strip_prefix("th"));
            // A sign that is no number's is a separator.
            rest = rest.trim_start();
            rest = fields.take(found, rest, !pattern.starts_with(|c: char| c.is_ascii_alphabetic()))?;
            if let Some(after) = after {
                pattern = after;
                rest = rest.get(2..).unwrap_or("");
            }
            continue;
        }
        pattern = &pattern[c.len_utf8()..];
        if separator(c) {
            let skip = rest.find(|c: char| !separator(c) || c == '+' || c == '-' && c_is_sign(pattern));
            rest = &rest[skip.unwrap_or(rest.len())..];
        } else {
            rest = rest.char_indices().nth(1).map_or("", |(at, _)| &rest[at..]);
        }
    }
    Ok(fields)
}

/// Whether what follows in the template may begin with a sign.
fn c_is_sign(pattern: &str) -> bool {
    pattern.starts_with("TZ") || pattern.starts_with("OF")
}

fn to_timestamp(text: &str, template: &str) -> Result<i64> {
    let fields = read(text, template)?;
    let at = fields.days(text)?.checked_mul(DAY_MICROS);
    let at = at.and_then(|days| days.checked_add(fields.clock(text).ok()?)?.checked_sub(fields.offset));
    fields.clock(text)?;
    calendar::check_timestamp(at)
}

fn to_date(text: &str, template: &str) -> Result<i64> {
    calendar::check_date(read(text, template)?.days(text)?)
}

pub(super) const KERNELS: Table = &[
    kernel!("to_timestamp_text_text", |a: &str, b: &str| to_timestamp(a, b)),
    kernel!("to_date_text_text", |a: &str, b: &str| to_date(a, b)),
];
