//! The fields of a date or time as written, before anything is known of what they mean.

use super::datetime::is_known_word;

/// What a field looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Digits, with a point or none.
    Number,
    /// Parts joined by `-`, `/` or `.`: a date, or a zone's name.
    Date,
    /// Parts joined by `:`.
    Time,
    /// A sign and digits.
    Zone,
    /// Letters.
    Word,
}

/// One field; blanks within a zone's offset are left out of `text` by cutting it at its digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'t> {
    pub kind: Kind,
    pub text: &'t str,
    /// The sign of a zone, which blanks may separate from its digits.
    negative: bool,
}

impl Field<'_> {
    pub(super) fn lower(&self) -> String {
        self.text.to_ascii_lowercase()
    }
    /// Whether the offset of a zone is west of Greenwich.
    pub(super) fn is_negative(&self) -> bool {
        self.negative
    }
}

/// Bytes of a text that are looked at; nothing longer is a moment.
const TEXT_BYTES_MAX: usize = 256;

/// Cuts a text into fields. Punctuation that joins nothing separates.
///
/// # Errors
/// What cannot begin a field, and where.
pub(super) fn fields(text: &str) -> Result<Vec<Field<'_>>, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(String::new());
    }
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let (kind, end, negative) = if c.is_ascii_digit() || (c == '.' && digit_at(text, at + 1)) {
            let (kind, end) = number(text, at);
            (kind, end, false)
        } else if c.is_ascii_alphabetic() {
            let (kind, end) = letters(text, at);
            (kind, end, false)
        } else if c == '+' || c == '-' {
            let from = at + 1 + run(&text[at + 1..], |c| c.is_ascii_whitespace());
            if !digit_at(text, from) {
                return Err(format!("have unprocessed tokens {}", text[at..].trim()));
            }
            let end = from + run(&text[from..], |c| c.is_ascii_digit() || ":.-".contains(c));
            at = from;
            (Kind::Zone, end, c == '-')
        } else if c.is_ascii_whitespace() || c.is_ascii_punctuation() {
            at += 1;
            continue;
        } else {
            return Err(format!("Invalid character at offset {at} in {text}: '{c}'"));
        };
        found.push(Field { kind, text: &text[at..end], negative });
        at = end;
    }
    Ok(found)
}

fn run(text: &str, within: impl Fn(char) -> bool) -> usize {
    text.find(|c| !within(c)).unwrap_or(text.len())
}

fn digit_at(text: &str, at: usize) -> bool {
    text.as_bytes().get(at).is_some_and(u8::is_ascii_digit)
}

/// A field that begins with a digit: its kind and where it ends.
fn number(text: &str, at: usize) -> (Kind, usize) {
    let end = at + run(&text[at..], |c| c.is_ascii_digit());
    let Some(joint @ (b':' | b'-' | b'/' | b'.')) = text.as_bytes().get(end).copied() else {
        return (Kind::Number, end);
    };
    if joint == b':' {
        return (Kind::Time, at + run(&text[at..], |c| c.is_ascii_digit() || c == ':' || c == '.'));
    }
    let joint = char::from(joint);
    let after = end + 1;
    if !digit_at(text, after) {
        if joint == '.' && !text[after..].starts_with(|c: char| c.is_ascii_alphabetic()) {
            return (Kind::Number, after);
        }
        return (Kind::Date, after + run(&text[after..], |c| c.is_ascii_alphanumeric() || c == joint));
    }
    let second = after + run(&text[after..], |c| c.is_ascii_digit());
    if !text[second..].starts_with(joint) {
        return (if joint == '.' { Kind::Number } else { Kind::Date }, second);
    }
    (Kind::Date, second + run(&text[second..], |c| c.is_ascii_digit() || c == joint))
}

/// A field that begins with a letter: a word, or a date or zone joined to it.
fn letters(text: &str, at: usize) -> (Kind, usize) {
    let end = at + run(&text[at..], |c| c.is_ascii_alphabetic());
    let joined = match text.as_bytes().get(end) {
        Some(b'-' | b'/' | b'.' | b'_') => true,
        Some(b'+' | b'0'..=b'9') => !is_known_word(&text[at..end].to_ascii_lowercase()),
        _ => false,
    };
    if !joined {
        return (Kind::Word, end);
    }
    (Kind::Date, at + run(&text[at..], |c| c.is_ascii_alphanumeric() || "+-/_.:".contains(c)))
}
