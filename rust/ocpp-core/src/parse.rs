//! One pass over the bytes of a payload: parse, validate, build.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::guess::{Guesses, POSITIONS};
use crate::scan::string_end;
use crate::schema::tables::Window;
use crate::schema::{Field, Kind, ObjectType, Schema, Secrecy};
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
        self.at += 1;
        self.skip_space();
        let is_first = self.padded[self.at..]
            .first_chunk()
            .is_some_and(|head| field.window.matches(head) && field.fragment.len() <= head.len());
        if !is_first {
            self.at = start;
            return self.new_object(id, object_type);
        }
        self.at += field.fragment.len();
        self.skip_space();
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
    pub(crate) fn place(&self, slot: usize) -> usize {
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
            self.single(field, slot).map(Some)
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
    fn single(&mut self, field: &Field, slot: usize) -> Parsed<S::Value> {
        match field.kind {
            Kind::Text(max_length) => self.text(max_length, field.secrecy == Secrecy::Open),
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
            let result = self.single(field, slot);
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
    pub(crate) fn wrong_type(&mut self, expected: &str) -> Box<Violation> {
        match self.any_value() {
            Ok(_) => Box::new(Violation::new(Rule::Type, format!("expected {expected}"))),
            Err(violation) => violation,
        }
    }

    /// Refuses an over-long string, or notes it in tolerant mode.
    #[cold]
    pub(crate) fn too_long(&mut self, max_length: u32) -> Parsed<()> {
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
