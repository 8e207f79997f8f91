//! Values that are neither objects nor arrays, checked as they are read.

use crate::datetime::DateTime;
use crate::number::{self, Number, NumberError};
use crate::parse::{Parsed, Parser};
use crate::scan::string_end;
use crate::schema::EnumType;
use crate::sink::Sink;
use crate::violation::{Rule, Violation};

/// Longest text, in bytes, that is worth a look whether it came before.
const MAX_SHARED_TEXT: usize = 32;

impl<S: Sink> Parser<'_, S> {
    #[inline(always)]
    pub(crate) fn text(&mut self, max_length: u32, may_share: bool) -> Parsed<S::Value> {
        if self.peek() != b'"' {
            return Err(self.wrong_type("a string"));
        }
        let start = self.at + 1;
        let end = string_end(self.padded, start);
        let raw = &self.padded[start..end];
        if self.padded[end] != b'"' || !(self.ascii || raw.is_ascii()) {
            return self.unusual_text(max_length);
        }
        self.at = end + 1;
        if raw.len() > max_length as usize {
            self.too_long(max_length)?;
        }
        if may_share && raw.len() <= MAX_SHARED_TEXT {
            return Ok(self.sink.shared_ascii(raw, self.hash(start, end)));
        }
        Ok(self.sink.ascii(raw))
    }

    /// A quick hash of the text between two positions: its first and its last eight bytes.
    #[inline(always)]
    fn hash(&self, from: usize, to: usize) -> u64 {
        let word = |at: usize| {
            self.padded[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        let length = to - from;
        if length >= 8 {
            return word(from) ^ word(to - 8).rotate_left(31) ^ length as u64;
        }
        word(from) & !(u64::MAX << (8 * length)) ^ length as u64
    }

    /// A string with escapes or characters beyond ASCII.
    #[cold]
    fn unusual_text(&mut self, max_length: u32) -> Parsed<S::Value> {
        let text = self.string_text()?;
        if text.len() > max_length as usize && text.chars().count() > max_length as usize {
            self.too_long(max_length)?;
        }
        Ok(if text.is_ascii() { self.sink.ascii(text.as_bytes()) } else { self.sink.text(&text) })
    }

    #[inline(always)]
    pub(crate) fn enumeration(&mut self, id: u16, slot: usize) -> Parsed<S::Value> {
        let enumeration = &self.schema.enums[usize::from(id)];
        let place = self.place(slot);
        let guess = usize::from(self.guesses.values[place]);
        if let Some(value) = enumeration.values.get(guess)
            && value.stands_at(&self.padded[self.at..])
        {
            self.at += value.quoted.len();
            return Ok(self.sink.enumeration(id, guess));
        }
        let index = self.search_value(enumeration)?;
        self.guesses.values[place] = index as u8;
        Ok(self.sink.enumeration(id, index))
    }

    #[inline(never)]
    fn search_value(&mut self, enumeration: &'static EnumType) -> Parsed<usize> {
        if self.peek() != b'"' {
            return Err(self.wrong_type("a string"));
        }
        let start = self.at + 1;
        let end = string_end(self.padded, start);
        let resolved;
        let text = if self.padded[end] == b'"' {
            self.at = end + 1;
            &self.padded[start..end]
        } else {
            resolved = self.string_value()?;
            resolved.as_bytes()
        };
        let candidate = enumeration.lookup.candidate(text);
        candidate
            .filter(|index| enumeration.values[*index].text().as_bytes() == text)
            .ok_or_else(|| no_such_value(enumeration.name))
    }

    #[inline(always)]
    pub(crate) fn date_time(&mut self) -> Parsed<S::Value> {
        if self.peek() != b'"' {
            return Err(self.wrong_type("a string"));
        }
        let start = self.at + 1;
        let end = string_end(self.padded, start);
        let moment = if self.padded[end] == b'"' {
            self.at = end + 1;
            DateTime::parse(&self.padded[start..end])
        } else {
            DateTime::parse(self.string_value()?.as_bytes())
        };
        match moment {
            Some(moment) => Ok(self.sink.date_time(moment)),
            None => Err(no_date_time()),
        }
    }

    #[inline(always)]
    pub(crate) fn number(&mut self, minimum: f64, maximum: f64) -> Parsed<S::Value> {
        let value = self.any_number("a number")?.as_f64();
        if value < minimum {
            return Err(out_of_limits(Rule::Minimum, minimum));
        }
        if value > maximum {
            return Err(out_of_limits(Rule::Maximum, maximum));
        }
        Ok(self.sink.number(value))
    }

    #[inline(always)]
    pub(crate) fn integer(&mut self, minimum: i64, maximum: i64) -> Parsed<S::Value> {
        let number = self.any_number("an integer")?;
        let Some(value) = number.as_whole() else {
            return Err(no_integer(number));
        };
        if value < minimum {
            return Err(out_of_limits(Rule::Minimum, minimum));
        }
        if value > maximum {
            return Err(out_of_limits(Rule::Maximum, maximum));
        }
        Ok(self.sink.integer(value))
    }

    #[inline]
    pub(crate) fn any_number(&mut self, expected: &str) -> Parsed<Number> {
        if !matches!(self.peek(), b'0'..=b'9' | b'-') {
            return Err(self.wrong_type(expected));
        }
        match number::parse(self.padded, self.at) {
            Ok((number, end)) => {
                self.at = end;
                Ok(number)
            }
            Err(NumberError::Syntax) => Err(self.broken("a number is malformed")),
            Err(NumberError::TooLarge) => {
                Err(Box::new(Violation::new(Rule::Range, "the number exceeds a double")))
            }
        }
    }

    #[inline(always)]
    pub(crate) fn boolean(&mut self) -> Parsed<S::Value> {
        let rest = &self.padded[self.at..];
        let value = rest.starts_with(b"true");
        if !value && !rest.starts_with(b"false") {
            return Err(self.wrong_type("a boolean"));
        }
        self.at += if value { 4 } else { 5 };
        Ok(self.sink.boolean(value))
    }
}

#[cold]
fn no_such_value(enumeration: &str) -> Box<Violation> {
    Box::new(Violation::new(Rule::Enum, format!("not a value of {enumeration}")))
}

#[cold]
fn no_date_time() -> Box<Violation> {
    Box::new(Violation::new(Rule::DateTime, "expected an RFC 3339 date-time"))
}

#[cold]
fn out_of_limits(rule: Rule, limit: impl std::fmt::Display) -> Box<Violation> {
    let least = if rule == Rule::Minimum { "least" } else { "most" };
    Box::new(Violation::new(rule, format!("must be at {least} {limit}")))
}

#[cold]
fn no_integer(number: Number) -> Box<Violation> {
    if number.as_f64().fract() == 0.0 {
        return Box::new(Violation::new(Rule::Range, "the integer exceeds 64 bits"));
    }
    Box::new(Violation::new(Rule::Type, "expected an integer"))
}
