//! JSON outside the schema: strings with escapes, members that nobody names, `DataTransfer.data`.
//!
//! Slower than the typed path and rarely taken, but exactly as strict.

use std::collections::BTreeSet;

use crate::parse::{Parsed, Parser};
use crate::scan::string_end;
use crate::sink::Sink;
use crate::violation::{Rule, Violation};

/// Deepest nesting of a value without a schema.
pub const MAX_DEPTH: usize = 64;

impl<S: Sink> Parser<'_, S> {
    /// Checks any value and returns it as compact JSON.
    pub(crate) fn any_value(&mut self) -> Parsed<String> {
        let mut out = String::new();
        self.copy_value(&mut out, 0)?;
        Ok(out)
    }

    fn copy_value(&mut self, out: &mut String, depth: usize) -> Parsed<()> {
        match self.peek() {
            b'{' => self.copy_object(out, depth + 1),
            b'[' => self.copy_array(out, depth + 1),
            b'"' => self.copy_raw(out, Self::skip_string),
            b'0'..=b'9' | b'-' => {
                self.copy_raw(out, |parser| parser.any_number("a number").map(drop))
            }
            _ => self.copy_literal(out),
        }
    }

    /// Copies what `skip` skips.
    fn copy_raw(&mut self, out: &mut String, skip: impl Fn(&mut Self) -> Parsed<()>) -> Parsed<()> {
        let start = self.at;
        skip(self)?;
        out.push_str(&String::from_utf8_lossy(&self.padded[start..self.at]));
        Ok(())
    }

    fn copy_literal(&mut self, out: &mut String) -> Parsed<()> {
        for literal in ["null", "true", "false"] {
            if self.padded[self.at..].starts_with(literal.as_bytes()) {
                self.at += literal.len();
                out.push_str(literal);
                return Ok(());
            }
        }
        Err(self.broken("expected a value"))
    }

    fn copy_object(&mut self, out: &mut String, depth: usize) -> Parsed<()> {
        self.check_depth(depth)?;
        let mut keys = BTreeSet::new();
        out.push('{');
        self.copy_sequence(out, b'}', |parser, out| {
            if parser.peek() != b'"' {
                return Err(parser.broken("expected a member name"));
            }
            let start = parser.at;
            let key = parser.string_value()?;
            out.push_str(&String::from_utf8_lossy(&parser.padded[start..parser.at]));
            out.push(':');
            if !keys.insert(key.clone()) {
                let cause = "the member stands there twice";
                return Err(inside(&key, Box::new(Violation::new(Rule::DuplicateMember, cause))));
            }
            parser.skip_colon()?;
            parser.copy_value(out, depth).map_err(|violation| inside(&key, violation))
        })?;
        out.push('}');
        Ok(())
    }

    fn copy_array(&mut self, out: &mut String, depth: usize) -> Parsed<()> {
        self.check_depth(depth)?;
        let mut index = 0;
        out.push('[');
        self.copy_sequence(out, b']', |parser, out| {
            parser.copy_value(out, depth).map_err(|mut violation| {
                violation.in_item(index);
                violation
            })?;
            index += 1;
            Ok(())
        })?;
        out.push(']');
        Ok(())
    }

    /// The elements between an opening bracket and `close`, with their commas.
    fn copy_sequence(
        &mut self,
        out: &mut String,
        close: u8,
        mut element: impl FnMut(&mut Self, &mut String) -> Parsed<()>,
    ) -> Parsed<()> {
        self.at += 1;
        self.skip_space();
        if self.peek() == close {
            self.at += 1;
            return Ok(());
        }
        loop {
            element(self, out)?;
            self.skip_space();
            let byte = self.peek();
            if byte != b',' && byte != close {
                return Err(self.broken("expected a comma or a closing bracket"));
            }
            self.at += 1;
            if byte == close {
                return Ok(());
            }
            out.push(',');
            self.skip_space();
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
