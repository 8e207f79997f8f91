//! One pass over the bytes of a payload: parse, validate, build.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::datetime::DateTime;
use crate::guess::{Guesses, POSITIONS};
use crate::number::{self, Number, NumberError};
use crate::scan::string_end;
use crate::schema::tables::Window;
use crate::schema::{EnumType, Field, Kind, ObjectType, Schema};
use crate::sink::Sink;
use crate::violation::{Rule, Violation};

/// What a step of the parser yields.
pub(crate) type Parsed<T> = Result<T, Box<Violation>>;

/// Something that tolerant mode let pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// What strict mode would have answered.
    pub violation: Violation,
    /// JSON text of the member or value that was set aside.
    pub value: Option<String>,
}

/// The state of one pass.
pub(crate) struct Parser<'a, S: Sink> {
    pub(crate) schema: &'static Schema,
    /// The input and [`crate::scan::PADDING`] zero bytes.
    pub(crate) padded: &'a [u8],
    pub(crate) at: usize,
    /// Position in the innermost array, below [`POSITIONS`].
    pub(crate) position: usize,
    /// Whether the whole input is ASCII; otherwise it is UTF-8.
    pub(crate) ascii: bool,
    pub(crate) tolerant: bool,
    pub(crate) guesses: &'a mut Guesses,
    pub(crate) sink: &'a mut S,
    pub(crate) deviations: Vec<Deviation>,
}

impl<'a, S: Sink> Parser<'a, S> {
    /// The next byte; zero behind the end.
    #[inline]
    pub(crate) fn peek(&self) -> u8 {
        self.padded[self.at]
    }

    #[inline(always)]
    pub(crate) fn skip_space(&mut self) {
        if self.peek() <= b' ' {
            self.skip_spaces();
        }
    }

    fn skip_spaces(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    /// Moves behind a comma or the closing bracket; whether it was a comma.
    #[inline(always)]
    pub(crate) fn goes_on(&mut self, close: u8) -> Parsed<bool> {
        self.skip_space();
        let byte = self.peek();
        if byte != b',' && byte != close {
            return Err(self.broken("expected a comma or a closing bracket"));
        }
        self.at += 1;
        if byte == close {
            return Ok(false);
        }
        self.skip_space();
        Ok(true)
    }

    /// Parses the payload of this type; the input stands at its first byte.
    pub(crate) fn payload(&mut self, id: u16) -> Parsed<S::Value> {
        if self.peek() == b'{' {
            return self.object(id, 0);
        }
        self.any_value()?;
        Err(Box::new(Violation::new(Rule::PayloadObject, "the payload must be an object")))
    }

    #[inline(always)]
    fn object(&mut self, id: u16, slot: usize) -> Parsed<S::Value> {
        let object_type = &self.schema.objects[usize::from(id)];
        if object_type.leaf
            && let Some(head) = self.padded[self.at..].first_chunk()
            && let Some((value, length)) = self.sink.shared(id, self.place(slot), head)
        {
            self.at += length;
            return Ok(value);
        }
        if object_type.reading {
            return self.reading(id, object_type, slot);
        }
        self.new_object(id, object_type)
    }

    /// A number and a description that may be the same, byte for byte, as last time at this place.
    fn reading(
        &mut self,
        id: u16,
        object_type: &'static ObjectType,
        slot: usize,
    ) -> Parsed<S::Value> {
        let start = self.at;
        let place = self.place(slot);
        let field = &object_type.fields[0];
        let Kind::Number(minimum, maximum) = field.kind else {
            return self.new_object(id, object_type);
        };
        let key_at = start + 1;
        let is_first = self.padded[key_at..]
            .first_chunk()
            .is_some_and(|head| field.window.matches(head) && field.fragment.len() <= head.len());
        if !is_first {
            return self.new_object(id, object_type);
        }
        self.at = key_at + field.fragment.len();
        let number = self.number(minimum, maximum);
        let tail_at = self.at;
        if let Ok(number) = number
            && let Ok((value, length)) =
                self.sink.reading(id, place, number, &self.padded[tail_at..])
        {
            self.at += length;
            return Ok(value);
        }
        self.at = start;
        let deviations = self.deviations.len();
        let value = self.new_object(id, object_type)?;
        if deviations == self.deviations.len() {
            self.sink.keep_reading(id, place, &self.padded[tail_at..self.at], &value);
        }
        Ok(value)
    }

    #[inline(never)]
    fn new_object(&mut self, id: u16, object_type: &'static ObjectType) -> Parsed<S::Value> {
        let start = self.at;
        let deviations = self.deviations.len();
        let mut object = self.sink.object(id);
        self.members(id, object_type, &mut object)?;
        let value = self.sink.finish(object);
        if object_type.leaf && deviations == self.deviations.len() {
            let length = self.at - start;
            if let Some(head) = self.padded[start..].first_chunk()
                && length <= head.len()
            {
                self.sink.share(id, head, length, &value);
            }
        }
        Ok(value)
    }

    #[inline(always)]
    fn members(
        &mut self,
        id: u16,
        object_type: &'static ObjectType,
        object: &mut S::Object,
    ) -> Parsed<()> {
        let first_slot = self.guesses.first_slot[usize::from(id)] as usize;
        let mut slot = first_slot;
        let mut seen = 0_u64;
        let mut extra = None;
        self.at += 1;
        self.skip_space();
        if self.peek() == b'}' {
            self.at += 1;
        } else {
            loop {
                if let Some(index) = self.key(object_type, slot)? {
                    let field = &object_type.fields[index];
                    if seen >> index & 1 != 0 {
                        return Err(duplicate(field.key()));
                    }
                    seen |= 1 << index;
                    slot = first_slot + 1 + index;
                    if let Some(value) = self.member(field, slot)? {
                        self.sink.set(object, index, value);
                    }
                } else {
                    self.unnamed_member(object_type, &mut extra)?;
                }
                if !self.goes_on(b'}')? {
                    break;
                }
            }
        }
        let missing = object_type.required & !seen;
        if missing != 0 {
            return Err(missing_member(object_type, missing));
        }
        if let Some(extra) = extra
            && object_type.open
        {
            let value = extra.finish(self.sink);
            self.sink.set(object, object_type.fields.len(), value);
        }
        Ok(())
    }

    /// Index of the member whose key comes next, read past its colon; `None` for an unknown key,
    /// which is left unread.
    #[inline(always)]
    fn key(&mut self, object_type: &'static ObjectType, slot: usize) -> Parsed<Option<usize>> {
        let place = self.place(slot);
        let guess = usize::from(self.guesses.next[place]);
        if let Some(field) = object_type.fields.get(guess)
            && let Some(head) = self.padded[self.at..].first_chunk()
            && field.window.matches(head)
            && self.matches_tail(field)
        {
            self.at += field.fragment.len();
            self.skip_space();
            return Ok(Some(guess));
        }
        let found = self.search_key(object_type)?;
        if let Some(index) = found {
            self.guesses.next[place] = index as u8;
        }
        Ok(found)
    }

    /// Where the guesses for a slot stand.
    #[inline(always)]
    fn place(&self, slot: usize) -> usize {
        slot * POSITIONS + self.position
    }

    /// Whether the part of a long key that the window does not cover is right too.
    #[inline]
    fn matches_tail(&self, field: &Field) -> bool {
        let fragment = field.fragment.as_bytes();
        fragment.len() <= Window::WIDTH
            || self.padded[self.at + Window::WIDTH..].starts_with(&fragment[Window::WIDTH..])
    }

    #[inline(never)]
    fn search_key(&mut self, object_type: &'static ObjectType) -> Parsed<Option<usize>> {
        let start = self.at + 1;
        if self.peek() != b'"' {
            return Err(self.broken("expected a member name"));
        }
        let end = string_end(self.padded, start);
        let found = if self.padded[end] == b'"' {
            find_field(object_type, &self.padded[start..end])
        } else {
            let key = self.string_value()?;
            self.at = start - 1;
            find_field(object_type, key.as_bytes())
        };
        if found.is_some() {
            self.skip_string()?;
            self.skip_colon()?;
        }
        Ok(found)
    }

    pub(crate) fn skip_colon(&mut self) -> Parsed<()> {
        self.skip_space();
        if self.peek() != b':' {
            return Err(self.broken("expected a colon"));
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    /// The value of a known member; `None` when tolerant mode takes it as absent.
    #[inline(always)]
    fn member(&mut self, field: &'static Field, slot: usize) -> Parsed<Option<S::Value>> {
        let start = self.at;
        let deviations = self.deviations.len();
        let result = if field.max_items != 0 {
            self.array(field, slot)
        } else {
            self.single(field.kind, slot).map(Some)
        };
        let result = match result {
            Err(violation) => self.recover(field, start, violation),
            result => result,
        };
        if self.deviations.len() != deviations {
            self.locate_deviations(deviations, |violation| violation.in_member(field.key()));
        }
        result
    }

    #[inline(always)]
    fn single(&mut self, kind: Kind, slot: usize) -> Parsed<S::Value> {
        match kind {
            Kind::Text(max_length) => self.text(max_length),
            Kind::Enum(id) => self.enumeration(id, slot),
            Kind::Object(id) if self.peek() == b'{' => self.object(id, slot),
            Kind::Object(_) => Err(self.wrong_type("an object")),
            Kind::Number(minimum, maximum) => self.number(minimum, maximum),
            Kind::Integer(minimum, maximum) => self.integer(minimum, maximum),
            Kind::DateTime => self.date_time(),
            Kind::Boolean => self.boolean(),
            Kind::Any => self.json(),
        }
    }

    fn array(&mut self, field: &Field, slot: usize) -> Parsed<Option<S::Value>> {
        if self.peek() != b'[' {
            return Err(self.wrong_type("an array"));
        }
        self.at += 1;
        self.skip_space();
        if self.peek() == b']' {
            self.at += 1;
            return self.empty_array(field);
        }
        let mark = self.sink.list();
        let position = self.position;
        let result = self.items(field, slot);
        self.position = position;
        match result {
            Ok(()) => Ok(Some(self.sink.finish_list(mark))),
            Err(violation) => {
                self.sink.discard_list(mark);
                Err(violation)
            }
        }
    }

    fn items(&mut self, field: &Field, slot: usize) -> Parsed<()> {
        let mut index = 0;
        loop {
            if index == field.max_items as usize {
                let cause = format!("at most {} items are allowed", field.max_items);
                return Err(Box::new(Violation::new(Rule::MaxItems, cause)));
            }
            let deviations = self.deviations.len();
            self.position = index % POSITIONS;
            let result = self.single(field.kind, slot);
            if self.deviations.len() != deviations {
                self.locate_deviations(deviations, |violation| violation.in_item(index));
            }
            match result {
                Ok(value) => self.sink.push(value),
                Err(mut violation) => {
                    violation.in_item(index);
                    return Err(violation);
                }
            }
            index += 1;
            if !self.goes_on(b']')? {
                return Ok(());
            }
        }
    }

    #[inline(always)]
    fn text(&mut self, max_length: u32) -> Parsed<S::Value> {
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
        Ok(self.sink.ascii(raw))
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
    fn enumeration(&mut self, id: u16, slot: usize) -> Parsed<S::Value> {
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
    fn date_time(&mut self) -> Parsed<S::Value> {
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
    fn number(&mut self, minimum: f64, maximum: f64) -> Parsed<S::Value> {
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
    fn integer(&mut self, minimum: i64, maximum: i64) -> Parsed<S::Value> {
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
    fn boolean(&mut self) -> Parsed<S::Value> {
        let rest = &self.padded[self.at..];
        let value = rest.starts_with(b"true");
        if !value && !rest.starts_with(b"false") {
            return Err(self.wrong_type("a boolean"));
        }
        self.at += if value { 4 } else { 5 };
        Ok(self.sink.boolean(value))
    }

    fn json(&mut self) -> Parsed<S::Value> {
        let text = self.any_value()?;
        Ok(self.sink.json(&text))
    }
}

/// What is not on the way of a valid message.
impl<'a, S: Sink> Parser<'a, S> {
    /// Broken JSON at the current position.
    #[cold]
    pub(crate) fn broken(&self, what: &str) -> Box<Violation> {
        let truncated = self.at >= self.padded.len() - crate::scan::PADDING;
        let cause = if truncated {
            "the text ends too early".to_owned()
        } else {
            format!("{what} at byte {}", self.at)
        };
        Box::new(Violation::new(Rule::Syntax, cause))
    }

    /// A value of another JSON type, or none at all.
    #[cold]
    fn wrong_type(&mut self, expected: &str) -> Box<Violation> {
        match self.any_value() {
            Ok(_) => Box::new(Violation::new(Rule::Type, format!("expected {expected}"))),
            Err(violation) => violation,
        }
    }

    /// Refuses an over-long string, or notes it in tolerant mode.
    #[cold]
    fn too_long(&mut self, max_length: u32) -> Parsed<()> {
        let cause = format!("at most {max_length} characters are allowed");
        self.tolerate(Violation::new(Rule::MaxLength, cause), None)
    }

    #[cold]
    fn empty_array(&mut self, field: &Field) -> Parsed<Option<S::Value>> {
        let violation = Violation::new(Rule::MinItems, "at least one item is required");
        if field.required {
            return Err(Box::new(violation));
        }
        self.tolerate(violation, Some("[]".to_owned()))?;
        Ok(None)
    }

    /// Refuses a member, unless tolerant mode takes it as absent: Part 4, 4.1.5 lets an optional
    /// member be left out only by leaving it out, but peers send `null`.
    #[cold]
    fn recover(
        &mut self,
        field: &Field,
        start: usize,
        mut violation: Box<Violation>,
    ) -> Parsed<Option<S::Value>> {
        let is_null = self.padded[start..].starts_with(b"null");
        if self.tolerant && is_null && !field.required && violation.rule == Rule::Type {
            let violation = Violation::new(Rule::Type, "null stands for absent");
            self.tolerate(violation, Some("null".to_owned()))?;
            return Ok(None);
        }
        violation.in_member(field.key());
        Err(violation)
    }

    /// A member that the schema does not name: kept if the type is open, else refused or set
    /// aside.
    #[cold]
    fn unnamed_member(
        &mut self,
        object_type: &ObjectType,
        extra: &mut Option<Extra<'a>>,
    ) -> Parsed<()> {
        let start = self.at;
        let key = self.plain_key()?;
        let raw_key = String::from_utf8_lossy(&self.padded[start..self.at]);
        let extra = extra.get_or_insert_default();
        if !extra.keys.insert(key.clone()) {
            return Err(duplicate(&key));
        }
        self.skip_colon()?;
        let value = self.any_value().map_err(|mut violation| {
            violation.in_member(&key);
            violation
        })?;
        if object_type.open {
            extra.append(&raw_key, &value);
            return Ok(());
        }
        let mut violation = Violation::new(Rule::UnknownMember, "the schema has no such member");
        violation.in_member(&key);
        self.tolerate(violation, Some(value.into_owned()))
    }

    fn tolerate(&mut self, violation: Violation, value: Option<String>) -> Parsed<()> {
        if !self.tolerant {
            return Err(Box::new(violation));
        }
        self.deviations.push(Deviation { violation, value });
        Ok(())
    }

    #[cold]
    fn locate_deviations(&mut self, from: usize, step: impl Fn(&mut Violation)) {
        for deviation in &mut self.deviations[from..] {
            step(&mut deviation.violation);
        }
    }
}

/// The members of an object that the schema does not name.
#[derive(Default)]
struct Extra<'a> {
    keys: BTreeSet<Cow<'a, str>>,
    text: String,
}

impl Extra<'_> {
    fn append(&mut self, raw_key: &str, value: &str) {
        self.text.push(if self.text.is_empty() { '{' } else { ',' });
        self.text.push_str(raw_key);
        self.text.push(':');
        self.text.push_str(value);
    }

    fn finish<S: Sink>(mut self, sink: &mut S) -> S::Value {
        self.text.push('}');
        sink.json(&self.text)
    }
}

#[inline]
fn find_field(object_type: &ObjectType, key: &[u8]) -> Option<usize> {
    let index = object_type.lookup.candidate(key)?;
    (object_type.fields[index].key().as_bytes() == key).then_some(index)
}

#[cold]
fn duplicate(key: &str) -> Box<Violation> {
    let mut violation = Violation::new(Rule::DuplicateMember, "the member stands there twice");
    violation.in_member(key);
    Box::new(violation)
}

#[cold]
fn missing_member(object_type: &ObjectType, missing: u64) -> Box<Violation> {
    let mut violation = Violation::new(Rule::Required, "the member is required");
    violation.in_member(object_type.fields[missing.trailing_zeros() as usize].key());
    Box::new(violation)
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
