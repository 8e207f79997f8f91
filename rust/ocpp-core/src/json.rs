//! JSON outside the schema: strings with escapes, members that nobody names, `DataTransfer.data`.
//!
//! Slower than the typed path and rarely taken, but exactly as strict.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::parse::{Parsed, Parser};
use crate::scan::string_end;
use crate::sink::Sink;
use crate::violation::{Rule, Violation};

/// Deepest nesting of a value without a schema.
pub const MAX_DEPTH: usize = 64;

impl<'a, S: Sink> Parser<'a, S> {
    /// Checks any value and returns it without spaces between its parts.
    pub(crate) fn any_value(&mut self) -> Parsed<Cow<'a, str>> {
        let start = self.at;
        self.skip_value(0)?;
        let raw = &self.padded[start..self.at];
        Ok(match str::from_utf8(raw) {
            Ok(text) if !text.contains([' ', '\n', '\r', '\t']) => Cow::Borrowed(text),
            _ => Cow::Owned(without_spaces(raw)),
        })
    }

    fn skip_value(&mut self, depth: usize) -> Parsed<()> {
        match self.peek() {
            b'{' => self.skip_object(depth + 1),
            b'[' => self.skip_array(depth + 1),
            b'"' => self.skip_string(),
            b'0'..=b'9' | b'-' => self.any_number("a number").map(drop),
            _ => self.skip_literal(),
        }
    }

    fn skip_literal(&mut self) -> Parsed<()> {
        for literal in ["null", "true", "false"] {
            if self.padded[self.at..].starts_with(literal.as_bytes()) {
                self.at += literal.len();
                return Ok(());
            }
        }
        Err(self.broken("expected a value"))
    }

    fn skip_object(&mut self, depth: usize) -> Parsed<()> {
        self.check_depth(depth)?;
        let mut keys = BTreeSet::new();
        self.at += 1;
        self.skip_space();
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.plain_key()?;
            if !keys.insert(key.clone()) {
                let violation =
                    Violation::new(Rule::DuplicateMember, "the member stands there twice");
                return Err(inside(&key, Box::new(violation)));
            }
            self.skip_colon()?;
            self.skip_value(depth).map_err(|violation| inside(&key, violation))?;
            if !self.goes_on(b'}')? {
                return Ok(());
            }
        }
    }

    fn skip_array(&mut self, depth: usize) -> Parsed<()> {
        self.check_depth(depth)?;
        self.at += 1;
        self.skip_space();
        if self.peek() == b']' {
            self.at += 1;
            return Ok(());
        }
        for index in 0.. {
            self.skip_value(depth).map_err(|mut violation| {
                violation.in_item(index);
                violation
            })?;
            if !self.goes_on(b']')? {
                break;
            }
        }
        Ok(())
    }

    /// The name of a member, read past its closing quote.
    pub(crate) fn plain_key(&mut self) -> Parsed<Cow<'a, str>> {
        if self.peek() != b'"' {
            return Err(self.broken("expected a member name"));
        }
        self.string_text()
    }

    /// Reads a string; borrowed if it holds no escapes.
    pub(crate) fn string_text(&mut self) -> Parsed<Cow<'a, str>> {
        let start = self.at + 1;
        let end = string_end(self.padded, start);
        if self.padded[end] != b'"' {
            return self.string_value().map(Cow::Owned);
        }
        self.at = end + 1;
        match str::from_utf8(&self.padded[start..end]) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(_) => Err(self.broken("a string is not UTF-8")),
        }
    }

    fn check_depth(&self, depth: usize) -> Parsed<()> {
        if depth <= MAX_DEPTH {
            return Ok(());
        }
        let cause = format!("nested more than {MAX_DEPTH} levels deep");
        Err(Box::new(Violation::new(Rule::Depth, cause)))
    }

    /// Moves behind a string, checking its escapes.
    pub(crate) fn skip_string(&mut self) -> Parsed<()> {
        let end = string_end(self.padded, self.at + 1);
        if self.padded[end] == b'"' {
            self.at = end + 1;
            return Ok(());
        }
        self.string_value().map(drop)
    }

    /// Reads a string, resolving its escapes.
    pub(crate) fn string_value(&mut self) -> Parsed<String> {
        let mut text = Vec::new();
        self.at += 1;
        loop {
            let end = string_end(self.padded, self.at);
            text.extend_from_slice(&self.padded[self.at..end]);
            self.at = end + 1;
            match self.padded[end] {
                b'"' => {
                    return String::from_utf8(text)
                        .map_err(|_| self.broken("a string is not UTF-8"));
                }
                b'\\' => {
                    let character = self.escape()?;
                    text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => {
                    self.at = end;
                    return Err(self.broken("a control character stands in a string"));
                }
            }
        }
    }

    /// The character of an escape; the input stands behind the backslash.
    fn escape(&mut self) -> Parsed<char> {
        let letter = self.peek();
        self.at += 1;
        Ok(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => {
                self.at -= 1;
                return Err(self.broken("unknown escape"));
            }
        })
    }

    fn unicode_escape(&mut self) -> Parsed<char> {
        let unit = self.four_hex_digits()?;
        let code = match unit {
            0xd800..=0xdbff if self.padded[self.at..].starts_with(b"\\u") => {
                self.at += 2;
                let low = self.four_hex_digits()?;
                if !(0xdc00..=0xdfff).contains(&low) {
                    return Err(self.broken("a surrogate stands alone"));
                }
                0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
            }
            _ => unit,
        };
        char::from_u32(code).ok_or_else(|| self.broken("a surrogate stands alone"))
    }

    fn four_hex_digits(&mut self) -> Parsed<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = char::from(self.peek()).to_digit(16) else {
                return Err(self.broken("expected four hexadecimal digits"));
            };
            unit = unit * 16 + digit;
            self.at += 1;
        }
        Ok(unit)
    }
}

fn inside(key: &str, mut violation: Box<Violation>) -> Box<Violation> {
    violation.in_member(key);
    violation
}

/// Checked JSON without the spaces between its parts.
fn without_spaces(raw: &[u8]) -> String {
    let mut text = Vec::with_capacity(raw.len());
    let mut in_string = false;
    let mut escaped = false;
    for byte in raw {
        if in_string || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            text.push(*byte);
        }
        if *byte == b'"' && !escaped {
            in_string = !in_string;
        }
        escaped = *byte == b'\\' && !escaped;
    }
    String::from_utf8_lossy(&text).into_owned()
}
