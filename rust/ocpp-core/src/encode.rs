//! One pass from a typed message to the bytes of its frame.

use crate::datetime;
use crate::schema::tables::Window;
use crate::schema::{Field, Kind, ObjectType, Schema};
use crate::scan::plain_prefix;
use crate::sink::Source;
use crate::violation::{Rule, Violation};

/// Room that is always free behind the text: enough for a key, a number, a date-time.
const SLACK: usize = 128;

/// A growing frame.
///
/// Bytes behind `length` are scratch, so short pieces are copied whole, without a branch on their
/// length.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    length: usize,
}

impl Writer {
    /// Starts anew, keeping the memory.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// What has been written.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Appends text as it is.
    pub fn raw(&mut self, text: &[u8]) {
        self.reserve(text.len());
        self.bytes[self.length..][..text.len()].copy_from_slice(text);
        self.length += text.len();
    }

    /// Appends a JSON string.
    pub fn string(&mut self, text: &[u8]) {
        self.byte(b'"');
        let mut rest = text;
        loop {
            let (plain, tail) = rest.split_at(plain_prefix(rest));
            self.raw(plain);
            let Some((byte, tail)) = tail.split_first() else { break };
            self.escape(*byte);
            rest = tail;
        }
        self.byte(b'"');
    }

    /// Makes room for `more` bytes and the slack.
    #[inline]
    fn reserve(&mut self, more: usize) {
        if self.bytes.len() - self.length < more + SLACK {
            self.grow(more);
        }
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let wanted = (self.length + more + SLACK).max(self.bytes.len() * 2).max(4096);
        self.bytes.resize(wanted, 0);
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        self.reserve(1);
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    /// Appends a text whose first bytes are at hand as a window.
    #[inline]
    fn windowed(&mut self, text: &str, window: &Window) {
        self.reserve(Window::WIDTH);
        if text.len() <= Window::WIDTH {
            if let Some(room) = self.bytes[self.length..].first_chunk_mut() {
                *room = window.bytes();
            }
            self.length += text.len();
        } else {
            self.raw(text.as_bytes());
        }
    }

    #[cold]
    fn escape(&mut self, byte: u8) {
        match byte {
            b'"' => self.raw(b"\\\""),
            b'\\' => self.raw(b"\\\\"),
            b'\n' => self.raw(b"\\n"),
            b'\r' => self.raw(b"\\r"),
            b'\t' => self.raw(b"\\t"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                self.raw(b"\\u00");
                self.raw(&digits);
            }
        }
    }

    /// Replaces the last byte, or appends if that is the opening bracket.
    #[inline]
    fn close(&mut self, open: u8, close: u8) {
        if self.bytes[self.length - 1] == open {
            self.byte(close);
        } else {
            self.bytes[self.length - 1] = close;
        }
    }
}

/// Writes one message.
pub struct Encoder<'a, S: Source> {
    schema: &'static Schema,
    source: &'a S,
    out: &'a mut Writer,
    tolerant: bool,
}

/// What a step of the encoder yields.
type Written = Result<(), Box<Violation>>;

impl<'a, S: Source> Encoder<'a, S> {
    /// An encoder that appends to `out`; a tolerant one lets over-long strings pass.
    pub fn new(
        schema: &'static Schema,
        source: &'a S,
        out: &'a mut Writer,
        tolerant: bool,
    ) -> Self {
        Self { schema, source, out, tolerant }
    }

    /// Writes the object of a message or datatype, checking again what tolerant decoding may have
    /// let in: lengths of strings.
    pub fn object(&mut self, id: u16, object: S::Value) -> Written {
        let object_type: &'static ObjectType = &self.schema.objects[usize::from(id)];
        self.out.byte(b'{');
        for (index, field) in object_type.fields.iter().enumerate() {
            if let Some(value) = self.source.member(object, index) {
                self.out.windowed(field.fragment, &field.window);
                self.member(field, value).map_err(|mut violation| {
                    violation.in_member(field.key());
                    violation
                })?;
                self.out.byte(b',');
            }
        }
        if object_type.open
            && let Some(extra) = self.source.member(object, object_type.fields.len())
        {
            self.extra(extra);
        }
        self.out.close(b'{', b'}');
        Ok(())
    }

    /// The members of an open object that the schema does not name.
    fn extra(&mut self, extra: S::Value) {
        let text = self.source.json(extra);
        if let Some(members) = text.get(1..text.len() - 1)
            && !members.is_empty()
        {
            self.out.raw(members);
            self.out.byte(b',');
        }
    }

    #[inline]
    fn member(&mut self, field: &Field, value: S::Value) -> Written {
        if field.max_items == 0 {
            return self.single(field.kind, value);
        }
        self.out.byte(b'[');
        for index in 0..self.source.length(value) {
            let item = self.source.item(value, index);
            self.single(field.kind, item).map_err(|mut violation| {
                violation.in_item(index);
                violation
            })?;
            self.out.byte(b',');
        }
        self.out.close(b'[', b']');
        Ok(())
    }

    #[inline]
    fn single(&mut self, kind: Kind, value: S::Value) -> Written {
        match kind {
            Kind::Text(max_length) => return self.text(max_length, value),
            Kind::Enum(id) => {
                let index = self.source.enumeration(id, value);
                let value = &self.schema.enums[usize::from(id)].values[index];
                self.out.windowed(value.quoted, &value.window);
            }
            Kind::Object(id) => return self.object(id, value),
            Kind::Number(..) => self.number(self.source.number(value)),
            Kind::Integer(..) => self.integer(self.source.integer(value)),
            Kind::DateTime => self.date_time(value),
            Kind::Boolean if self.source.boolean(value) => self.out.raw(b"true"),
            Kind::Boolean => self.out.raw(b"false"),
            Kind::Any => self.out.raw(self.source.json(value)),
        }
        Ok(())
    }

    #[inline]
    fn text(&mut self, max_length: u32, value: S::Value) -> Written {
        let (text, characters) = self.source.text(value);
        if characters > max_length as usize && !self.tolerant {
            let cause = format!("at most {max_length} characters are allowed");
            return Err(Box::new(Violation::new(Rule::MaxLength, cause)));
        }
        self.out.string(text);
        Ok(())
    }

    fn number(&mut self, value: f64) {
        self.out.raw(zmij::Buffer::new().format_finite(value).as_bytes());
    }

    fn integer(&mut self, value: i64) {
        self.out.raw(itoa::Buffer::new().format(value).as_bytes());
    }

    fn date_time(&mut self, value: S::Value) {
        let mut text = [0; datetime::MAX_LENGTH];
        let length = self.source.date_time(value).write(&mut text);
        self.out.byte(b'"');
        self.out.raw(&text[..length]);
        self.out.byte(b'"');
    }
}
