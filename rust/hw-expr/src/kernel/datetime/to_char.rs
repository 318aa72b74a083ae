//! `to_char` of timestamps: PostgreSQL's template patterns.

use crate::calendar::{self, HOUR, MINUTE, SECOND};
use crate::error::EvalError;
use crate::kernel::{Table, kernel};
use hw_types::interval::Interval;

pub(super) const KERNELS: Table = &[
    kernel!("to_char_timestamp_text", |a: i64, b: &str| Ok::<_, EvalError>(to_char(&Moment::of(a), b, ""))),
    kernel!("to_char_timestamptz_text", |a: i64, b: &str| Ok::<_, EvalError>(to_char(
        &Moment::of(a),
        b,
        "UTC"
    ))),
    kernel!("to_char_interval_text", |a: Interval, b: &str| Ok::<_, EvalError>(to_char(
        &Moment::of_span(&a),
        b,
        ""
    ))),
];

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// Patterns, longest first among those that begin alike.
const PATTERNS: &[&str] = &[
    "HH24", "HH12", "HH", "MI", "SSSSS", "SSSS", "SS", "MS", "US", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6",
    "A.M.", "P.M.", "AM", "PM", "a.m.", "p.m.", "am", "pm", "Y,YYY", "YYYY", "YYY", "YY", "Y", "IYYY", "IYY",
    "IY", "IDDD", "IW", "ID", "I", "B.C.", "A.D.", "BC", "AD", "b.c.", "a.d.", "bc", "ad", "MONTH", "Month",
    "month", "MON", "Mon", "mon", "MM", "DAY", "Day", "day", "DDD", "DD", "DY", "Dy", "dy", "D", "WW", "W",
    "CC", "J", "Q", "RM", "rm", "TZH", "TZM", "TZ", "tz", "OF",
];

/// The pattern that a template begins with.
pub(super) fn pattern_at(template: &str) -> Option<&'static str> {
    // All but those whose case shows in the result may be written small.
    let small = |pattern: &str| {
        let head = template.as_bytes().get(..pattern.len());
        head.is_some_and(|head| {
            head.eq_ignore_ascii_case(pattern.as_bytes()) && head == head.to_ascii_lowercase()
        })
    };
    let exact = PATTERNS.iter().copied().find(|pattern| template.starts_with(*pattern));
    let other = PATTERNS.iter().copied().find(|pattern| small(pattern));
    match (exact, other) {
        (Some(exact), Some(other)) if other.len() > exact.len() => Some(other),
        (exact, other) => exact.or(other),
    }
}

struct Moment {
    days: i64,
    year: i64,
    month: i64,
    day: i64,
    of_day: i64,
    /// Whether it is an interval, whose fields begin at zero.
    span: bool,
}

/// Digits padded to `width` unless `fill` is off.
fn number(value: i64, width: usize, fill: bool) -> String {
    // PostgreSQL counts digits: a sign comes before them.
    let sign = if value < 0 { "-" } else { "" };
    if fill { format!("{sign}{:0width$}", value.unsigned_abs()) } else { value.to_string() }
}

fn cased(name: &str, pattern: &str, width: usize, fill: bool) -> String {
    let name = if pattern.chars().all(char::is_uppercase) {
        name.to_uppercase()
    } else if pattern.chars().all(char::is_lowercase) {
        name.to_lowercase()
    } else {
        name.to_owned()
    };
    if fill { format!("{name:width$}") } else { name }
}

fn half_day(pattern: &str, first: bool, words: [&str; 2]) -> String {
    let word = words[usize::from(!first)];
    let dotted = if pattern.contains('.') {
        word.chars().flat_map(|c| [c, '.']).collect::<String>()
    } else {
        word.to_owned()
    };
    if pattern.starts_with(char::is_lowercase) { dotted.to_lowercase() } else { dotted }
}

impl Moment {
    fn of(micros: i64) -> Moment {
        let (days, of_day) = calendar::split(micros);
        let (year, month, day) = calendar::civil_from_days(days);
        Moment { days, year, month, day, of_day, span: false }
    }
    /// An interval's fields in the places of a moment's; those of the calendar are those of its months.
    fn of_span(span: &Interval) -> Moment {
        let (years, months) = (i64::from(span.months) / 12, i64::from(span.months) % 12);
        let days = i64::from(span.days);
        Moment {
            days: (years * 12 + months) * 30 + days,
            year: years,
            month: months,
            day: days,
            of_day: span.micros,
            span: true,
        }
    }
    fn shown_year(year: i64) -> i64 {
        if year > 0 { year } else { 1 - year }
    }
    fn expand(&self, pattern: &str, fill: bool, zone: &str) -> String {
        let two = |value: i64| number(value, 2, fill);
        let micros = self.of_day % SECOND;
        let year = if self.span { self.year } else { Moment::shown_year(self.year) };
        let (iso_year, iso_week) = calendar::iso_week(self.days);
        let iso_year = Moment::shown_year(iso_year);
        let hour12 = |hour: i64| if hour % 12 == 0 { 12 } else { hour % 12 };
        if self.span
            && matches!(
                pattern,
                "DDD" | "J" | "MONTH" | "Month" | "month" | "MON" | "Mon" | "mon" | "RM" | "rm"
            )
        {
            return match (pattern, self.month) {
                ("DDD", _) => number(self.days, 3, fill),
                ("J", _) => (self.year * 365 + self.month * 30 + self.day + 1_721_060).to_string(),
                (_, 0) => String::new(),
                _ => Moment { span: false, month: self.month.abs(), ..*self }.expand(pattern, fill, zone),
            };
        }
        match pattern {
            "HH24" => two(self.of_day / HOUR),
            "HH12" | "HH" => two(hour12(self.of_day / HOUR)),
            "MI" => two(self.of_day / MINUTE % 60),
            "SS" => two(self.of_day / SECOND % 60),
            "SSSS" | "SSSSS" => (self.of_day / SECOND).to_string(),
            "MS" | "FF3" => format!("{:03}", micros / 1000),
            "US" | "FF6" => format!("{micros:06}"),
            "FF1" => format!("{}", micros / 100_000),
            "FF2" => format!("{:02}", micros / 10_000),
            "FF4" => format!("{:04}", micros / 100),
            "FF5" => format!("{:05}", micros / 10),
            "AM" | "PM" | "A.M." | "P.M." | "am" | "pm" | "a.m." | "p.m." => {
                half_day(pattern, self.of_day < 12 * HOUR, ["AM", "PM"])
            }
            "BC" | "AD" | "B.C." | "A.D." | "bc" | "ad" | "b.c." | "a.d." => {
                half_day(pattern, self.year <= 0, ["BC", "AD"])
            }
            "Y,YYY" => format!("{},{:03}", year / 1000, year % 1000),
            "YYYY" => number(year, 4, fill),
            "YYY" => number(year % 1000, 3, fill),
            "YY" => two(year % 100),
            "Y" => (year % 10).to_string(),
            "IYYY" => number(iso_year, 4, fill),
            "IYY" => number(iso_year % 1000, 3, fill),
            "IY" => two(iso_year % 100),
            "I" => (iso_year % 10).to_string(),
            "MONTH" | "Month" | "month" => cased(MONTHS[self.month as usize - 1], pattern, 9, fill),
            "MON" | "Mon" | "mon" => cased(&MONTHS[self.month as usize - 1][..3], pattern, 3, fill),
            "DAY" | "Day" | "day" => {
                cased(DAYS[calendar::weekday_sunday(self.days) as usize], pattern, 9, fill)
            }
            "DY" | "Dy" | "dy" => {
                cased(&DAYS[calendar::weekday_sunday(self.days) as usize][..3], pattern, 3, fill)
            }
            "MM" => two(self.month),
            "DD" => two(self.day),
            "DDD" => number(calendar::day_of_year(self.days), 3, fill),
            "D" => (calendar::weekday_sunday(self.days) + 1).to_string(),
            "ID" => (calendar::weekday_monday(self.days) + 1).to_string(),
            "IDDD" => number((iso_week - 1) * 7 + calendar::weekday_monday(self.days) + 1, 3, fill),
            "IW" => two(iso_week),
            "WW" => two((calendar::day_of_year(self.days) - 1) / 7 + 1),
            "W" => ((self.day - 1) / 7 + 1).to_string(),
            "CC" if self.year <= 0 && !self.span => two(-((year + 99) / 100)),
            "CC" => two((year + 99) / 100),
            "J" => (self.days + 2_440_588).to_string(),
            "Q" => ((self.month - 1) / 3 + 1).to_string(),
            "RM" | "rm" => {
                let roman = cased(ROMAN[self.month as usize - 1], pattern, 4, fill);
                if pattern == "rm" { roman.to_lowercase() } else { roman }
            }
            "TZ" => zone.to_owned(),
            "tz" => zone.to_lowercase(),
            "TZH" => "+00".to_owned(),
            "TZM" => "00".to_owned(),
            _ => "+00".to_owned(),
        }
    }
}

fn ordinal(text: &str) -> &'static str {
    let digits = text.as_bytes();
    let tens = digits.len() >= 2 && digits[digits.len() - 2] == b'1';
    match (digits.last(), tens) {
        (Some(b'1'), false) => "st",
        (Some(b'2'), false) => "nd",
        (Some(b'3'), false) => "rd",
        _ => "th",
    }
}

/// The moment in the template's form.
fn to_char(moment: &Moment, template: &str, zone: &str) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(c) = rest.chars().next() {
        if c == '"' {
            rest = quoted(&rest[1..], &mut out);
            continue;
        }
        if c == '\\' && rest[1..].starts_with('"') {
            out.push('"');
            rest = &rest[2..];
            continue;
        }
        let (fill, body) = rest.strip_prefix("FM").map_or((true, rest), |body| (false, body));
        let Some(pattern) = pattern_at(body) else {
            // `FM` alone changes nothing; anything else stands for itself.
            let skip = if fill { c.len_utf8() } else { 2 };
            if fill {
                out.push(c);
            }
            rest = &rest[skip..];
            continue;
        };
        let text = moment.expand(pattern, fill, zone);
        rest = &body[pattern.len()..];
        out.push_str(&text);
        let is_number = text.ends_with(|c: char| c.is_ascii_digit());
        if is_number && let Some(tail) = rest.strip_prefix("TH") {
            out.push_str(&ordinal(&text).to_uppercase());
            rest = tail;
        } else if is_number && let Some(tail) = rest.strip_prefix("th") {
            out.push_str(ordinal(&text));
            rest = tail;
        }
    }
    out
}

/// Copies text up to the closing quote; returns what follows it.
fn quoted<'t>(text: &'t str, out: &mut String) -> &'t str {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return &text[at + 1..],
            '\\' => out.extend(chars.next().map(|(_, c)| c)),
            c => out.push(c),
        }
    }
    ""
}
