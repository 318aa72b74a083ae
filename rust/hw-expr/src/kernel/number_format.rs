//! Numbers in the form that a template describes, and back: `to_char` and `to_number`.
//!
//! Source: PostgreSQL, table 9.28 "Template Patterns for Numeric Formatting", in the C locale.

use super::{Table, kernel};
use crate::error::EvalError;
use hw_types::numeric::Numeric;

type Result<T> = std::result::Result<T, EvalError>;

/// Digits that a template may ask for.
const DIGITS_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// `9`: a digit, blank where it would lead.
    Nine,
    /// `0`: a digit.
    Zero,
    Point,
    Comma,
    Literal(char),
    /// `S`, `SG`, `MI`, `PL`.
    Sign,
    SignHere,
    Minus,
    Plus,
    Currency,
    Ordinal {
        upper: bool,
    },
}

/// A template, read.
#[derive(Debug, Default)]
struct Template {
    parts: Vec<Part>,
    fill: bool,
    /// `PR`: negative numbers in angle brackets.
    brackets: bool,
    /// `V`: digits after it multiply.
    shift: Option<usize>,
    roman: Option<bool>,
    exponent: bool,
}

fn misplaced(message: &str) -> EvalError {
    EvalError::raise("42601", message)
}

fn read(text: &str) -> Result<Template> {
    let mut found = Template { fill: true, ..Template::default() };
    let (mut rest, mut after_v) = (text, false);
    while let Some(c) = rest.chars().next() {
        let upper = rest.get(..rest.len().min(4)).unwrap_or(&rest[..c.len_utf8()]).to_ascii_uppercase();
        let takes = |word: &str| upper.starts_with(word);
        if c == '"' {
            let end = rest[1..].find('"').map_or(rest.len(), |at| at + 1);
            found.parts.extend(rest[1..end].chars().map(Part::Literal));
            rest = &rest[(end + 1).min(rest.len())..];
            continue;
        }
        if takes("EEEE") {
            found.exponent = true;
            rest = &rest[4..];
        } else if takes("FM") {
            found.fill = false;
            rest = &rest[2..];
        } else if takes("PR") {
            found.brackets = true;
            rest = &rest[2..];
        } else if takes("SG") {
            found.parts.push(Part::SignHere);
            rest = &rest[2..];
        } else if takes("MI") {
            found.parts.push(Part::Minus);
            rest = &rest[2..];
        } else if takes("PL") {
            found.parts.push(Part::Plus);
            rest = &rest[2..];
        } else if takes("TH") {
            found.parts.push(Part::Ordinal { upper: rest.starts_with('T') });
            rest = &rest[2..];
        } else if takes("RN") {
            found.roman = Some(rest.starts_with('R'));
            rest = &rest[2..];
        } else {
            match c {
                '9' | '0' => {
                    if found.exponent {
                        return Err(misplaced("\"EEEE\" must be the last pattern used"));
                    }
                    if after_v {
                        *found.shift.get_or_insert(0) += 1;
                    }
                    found.parts.push(if c == '9' { Part::Nine } else { Part::Zero });
                }
                '.' | 'D' | 'd' => {
                    if found.parts.contains(&Part::Point) {
                        return Err(misplaced("multiple decimal points"));
                    }
                    if after_v {
                        return Err(misplaced("cannot use \"V\" and decimal point together"));
                    }
                    found.parts.push(Part::Point);
                }
                ',' | 'G' | 'g' => found.parts.push(Part::Comma),
                'S' | 's' => {
                    if found.parts.contains(&Part::Sign) {
                        return Err(misplaced("cannot use \"S\" twice"));
                    }
                    found.parts.push(Part::Sign);
                }
                'L' | 'l' => found.parts.push(Part::Currency),
                'V' | 'v' => {
                    after_v = true;
                    found.shift.get_or_insert(0);
                }
                c => found.parts.push(Part::Literal(c)),
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    let digits = found.parts.iter().filter(|part| is_digit(part)).count();
    if digits > DIGITS_MAX {
        return Err(EvalError::raise("54000", "template has too many digits"));
    }
    Ok(found)
}

fn is_digit(part: &Part) -> bool {
    matches!(part, Part::Nine | Part::Zero)
}

fn roman(value: i128, upper: bool, fill: bool) -> String {
    const NUMERALS: [(i128, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut out = String::new();
    if (1..=3999).contains(&value) {
        let mut left = value;
        for (size, numeral) in NUMERALS {
            while left >= size {
                out.push_str(numeral);
                left -= size;
            }
        }
    } else {
        out = "#".repeat(15);
    }
    if !upper {
        out = out.to_lowercase();
    }
    if fill { format!("{out:>15}") } else { out }
}

fn scientific(value: &Numeric, template: &Template) -> Result<String> {
    let point = template.parts.iter().position(|part| *part == Part::Point);
    let after = point.map_or(0, |at| template.parts[at..].iter().filter(|part| is_digit(part)).count());
    if !value.is_finite() {
        let marks = "#".repeat(after + 1);
        return Ok(format!(" #.{marks}"));
    }
    let sign = if value.is_negative() {
        "-"
    } else if template.fill {
        " "
    } else {
        ""
    };
    if value.is_zero() {
        let zeros = "0".repeat(after);
        return Ok(format!("{sign}0{}{zeros}e+00", if after > 0 { "." } else { "" }));
    }
    let magnitude = value.magnitude();
    let rounded = value.abs().round(after as i32 - magnitude)?;
    let magnitude = rounded.magnitude();
    let mut digits: String = rounded.big_coefficient().to_string();
    digits.truncate(after + 1);
    let digits = format!("{digits:0<width$}", width = after + 1);
    let (whole, fraction) = digits.split_at(1);
    let point = if after > 0 { "." } else { "" };
    let mark = if magnitude < 0 { '-' } else { '+' };
    Ok(format!("{sign}{whole}{point}{fraction}e{mark}{:02}", magnitude.abs()))
}

fn ordinal(digits: &str, upper: bool) -> &'static str {
    let bytes = digits.as_bytes();
    let teens = bytes.len() >= 2 && bytes[bytes.len() - 2] == b'1';
    let end = match (bytes.last(), teens) {
        (Some(b'1'), false) => ["st", "ST"],
        (Some(b'2'), false) => ["nd", "ND"],
        (Some(b'3'), false) => ["rd", "RD"],
        _ => ["th", "TH"],
    };
    end[usize::from(upper)]
}

/// The number in the template's form.
pub(super) fn to_char(value: &Numeric, text: &str) -> Result<String> {
    let template = read(text)?;
    if let Some(upper) = template.roman {
        let whole = value.round(0)?.to_i128().unwrap_or(0);
        return Ok(roman(whole, upper, template.fill));
    }
    if template.exponent {
        return scientific(value, &template);
    }
    let value = match template.shift {
        Some(shift) if value.is_finite() => value.mul(&Numeric::from(10i64.pow(shift.min(18) as u32)))?,
        _ => *value,
    };
    let point = template.parts.iter().position(|part| *part == Part::Point);
    if value == Numeric::NAN {
        let width = template.parts[..point.unwrap_or(template.parts.len())]
            .iter()
            .filter(|part| is_digit(part))
            .count();
        return Ok(if template.fill { format!("{:>1$}", "NaN", width + 1) } else { "NaN".to_owned() });
    }
    let split = point.unwrap_or(template.parts.len());
    let before = template.parts[..split].iter().filter(|part| is_digit(part)).count();
    let after = template.parts[split..].iter().filter(|part| is_digit(part)).count();
    let rounded = if value.is_finite() { value.abs().round(after as i32)? } else { value };
    let shown = rounded.to_string();
    let (whole, fraction) = shown.split_once('.').unwrap_or((&shown, ""));
    let whole = if whole == "0" { "" } else { whole };
    let overflow = !value.is_finite() || whole.len() > before;
    let negative = value.is_negative() && (!rounded.is_zero() || overflow);
    let digits =
        if overflow { "#".repeat(before + after) } else { format!("{whole:>before$}{fraction:0<after$}") };
    Ok(lay_out(&template, &digits, before, negative, whole))
}

/// Puts digits, signs and literals in the template's places.
fn lay_out(template: &Template, digits: &str, before: usize, negative: bool, whole: &str) -> String {
    let parts = &template.parts;
    let digits: Vec<char> = digits.chars().collect();
    let first_zero =
        parts.iter().filter(|part| is_digit(part)).position(|part| *part == Part::Zero).unwrap_or(before);
    // From here on digits are shown: the number's first, the template's first zero, or the last before the point.
    // (the last where nothing follows the point, so that zero is not blank).
    let last_whole = if digits.len() == before { before.saturating_sub(1) } else { before };
    let begins =
        digits[..before].iter().position(|c| *c != ' ').unwrap_or(before).min(first_zero).min(last_whole);
    let own_sign = parts.iter().any(|p| matches!(p, Part::Sign | Part::SignHere | Part::Minus | Part::Plus));
    let anchored = parts.iter().position(|part| *part == Part::Sign);
    let leading_sign = anchored.is_some_and(|at| parts[..at].iter().all(|part| !is_digit(part)));
    let (open, shut) = match (template.brackets, negative) {
        (true, true) => ("<", ">"),
        (true, false) if template.fill => (" ", " "),
        (true, false) => ("", ""),
        (false, true) if !own_sign => ("-", ""),
        (false, false) if !own_sign && template.fill => (" ", ""),
        (false, _) if leading_sign => (if negative { "-" } else { "+" }, ""),
        _ => ("", ""),
    };
    let mut out = String::new();
    let (mut seen, mut opened) = (0, false);
    // Without filling, zeros at the end stay only up to the template's last zero.
    let digit_parts: Vec<&Part> = parts.iter().filter(|part| is_digit(part)).collect();
    let last_zero = digit_parts.iter().rposition(|part| **part == Part::Zero).map_or(0, |at| at + 1);
    let last_fraction = digits.iter().rposition(|c| *c != '0').map_or(0, |at| at + 1).max(last_zero);
    for part in parts {
        match part {
            Part::Nine | Part::Zero => {
                let c = digits[seen];
                let within_whole = seen < before;
                if within_whole && seen < begins {
                    // Blanks stand before the sign.
                    if template.fill {
                        out.push(' ');
                    }
                } else {
                    if !opened {
                        out.push_str(open);
                        opened = true;
                    }
                    let needed = within_whole || *part == Part::Zero || template.fill || seen < last_fraction;
                    if needed {
                        out.push(if c == ' ' { '0' } else { c });
                    }
                }
                seen += 1;
            }
            Part::Comma => {
                if opened {
                    out.push(',');
                } else if template.fill {
                    out.push(' ');
                }
            }
            Part::Point => {
                if !opened {
                    out.push_str(open);
                    opened = true;
                }
                out.push('.');
            }
            Part::Sign if leading_sign => {}
            Part::Sign => out.push(if negative { '-' } else { '+' }),
            Part::SignHere => out.push(if negative { '-' } else { '+' }),
            Part::Minus if negative => out.push('-'),
            Part::Plus if !negative => out.push('+'),
            Part::Minus | Part::Plus | Part::Currency => {
                if template.fill {
                    out.push(' ');
                }
            }
            Part::Ordinal { upper } => {
                if !negative {
                    out.push_str(ordinal(if whole.is_empty() { "0" } else { whole }, *upper));
                }
            }
            Part::Literal(c) => out.push(*c),
        }
    }
    out.push_str(shut);
    out
}

/// The number that a text in the template's form writes.
fn to_number(text: &str, template: &str) -> Result<Numeric> {
    let template = read(template)?;
    let mut chars = text.chars().peekable();
    let (mut digits, mut negative, mut point) = (String::new(), false, false);
    let sign = |c: char, negative: &mut bool| match c {
        '-' | '<' => {
            *negative = true;
            true
        }
        '+' => true,
        _ => false,
    };
    for part in &template.parts {
        while chars.peek().is_some_and(|c| c.is_whitespace()) {
            chars.next();
        }
        if let Some(c) = chars.peek().copied()
            && sign(c, &mut negative)
        {
            chars.next();
        }
        match part {
            Part::Nine | Part::Zero => {
                if let Some(c) = chars.peek().filter(|c| c.is_ascii_digit()).copied() {
                    digits.push(c);
                    chars.next();
                } else if chars.peek() == Some(&'.') && !point && template.parts.contains(&Part::Point) {
                    // Fewer digits than the template has before the point.
                } else if chars.peek() == Some(&',') {
                    chars.next();
                }
            }
            Part::Point => {
                if chars.peek() == Some(&'.') && !point {
                    chars.next();
                    digits.push('.');
                    point = true;
                }
            }
            Part::Comma => {
                if chars.peek() == Some(&',') {
                    chars.next();
                }
            }
            Part::Literal(_) | Part::Currency => {
                if chars.peek().is_some_and(|c| !c.is_ascii_digit() && *c != '.') {
                    chars.next();
                }
            }
            Part::Ordinal { .. } => {
                chars.next();
                chars.next();
            }
            Part::Sign | Part::SignHere | Part::Minus | Part::Plus => {}
        }
    }
    if let Some(c) = chars.peek().copied() {
        sign(c, &mut negative);
    }
    if !digits.bytes().any(|b| b.is_ascii_digit()) {
        return Err(EvalError::invalid("numeric", text));
    }
    let value = Numeric::parse(digits.trim_end_matches('.'))?;
    let value = match template.shift {
        Some(shift) => value.div(&Numeric::from(10i64.pow(shift.min(18) as u32)))?,
        None => value,
    };
    Ok(if negative { value.negated() } else { value })
}

fn of_float(value: f64, text: &str) -> Result<String> {
    let number = match Numeric::parse(&value.to_string()) {
        Ok(number) => number,
        Err(_) if value == 0.0 => Numeric::ZERO,
        Err(_) => Numeric::from_f64(value, 15)?,
    };
    to_char(&number, text)
}

pub(super) const KERNELS: Table = &[
    kernel!("to_char_int4_text", |a: i64, b: &str| to_char(&Numeric::from(a), b)),
    kernel!("to_char_int8_text", |a: i64, b: &str| to_char(&Numeric::from(a), b)),
    kernel!("to_char_numeric_text", |a: Numeric, b: &str| to_char(&a, b)),
    kernel!("to_char_float4_text", |a: f32, b: &str| of_float(
        a.to_string().parse().unwrap_or(f64::from(a)),
        b
    )),
    kernel!("to_char_float8_text", |a: f64, b: &str| of_float(a, b)),
    kernel!("to_number_text_text", |a: &str, b: &str| to_number(a, b)),
];
