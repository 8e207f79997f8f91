//! One pass from a typed message to the bytes of its frame.

use std::cell::OnceCell;

use crate::decimal;
use crate::guess::POSITIONS;
use crate::schema::tables::Window;
use crate::schema::{Field, Kind, ObjectType, Schema};
use crate::sink::Source;
use crate::violation::{Rule, Violation};
use crate::writer::Writer;

/// `"key":"value",` for each value of each enumerated member, made when first needed.
#[derive(Debug)]
pub struct Fragments {
    first: Vec<u32>,
    members: Vec<OnceCell<Box<[Fragment]>>>,
}

/// A ready piece of text; nearly all fit the block.
#[derive(Debug)]
struct Fragment {
    block: [u8; FRAGMENT_BLOCK],
    length: usize,
    text: Box<[u8]>,
}

const FRAGMENT_BLOCK: usize = 64;

impl Fragments {
    /// An empty store.
    #[must_use]
    pub fn new(schema: &Schema) -> Self {
        let mut fragments = Self { first: Vec::new(), members: Vec::new() };
        for object_type in schema.objects {
            fragments.first.push(fragments.members.len() as u32);
            fragments.members.extend(object_type.fields.iter().map(|_| OnceCell::new()));
        }
        fragments
    }
}

impl Fragment {
    fn new(text: &[u8]) -> Self {
        let mut block = [0; FRAGMENT_BLOCK];
        for (to, from) in block.iter_mut().zip(text) {
            *to = *from;
        }
        Self { block, length: text.len(), text: text.into() }
    }

    #[inline]
    fn put(&self, out: &mut Writer, at: usize) -> usize {
        if self.length <= FRAGMENT_BLOCK {
            out.put_block(at, &self.block, self.length)
        } else {
            out.put(at, &self.text)
        }
    }
}

/// Writes one message.
pub struct Encoder<'a, S: Source> {
    schema: &'static Schema,
    fragments: &'a Fragments,
    source: &'a S,
    out: &'a mut Writer,
    tolerant: bool,
    /// Position in the innermost array, below [`POSITIONS`].
    position: usize,
}

/// What a step of the encoder yields: where the text goes on.
type Written = Result<usize, Box<Violation>>;

impl<'a, S: Source> Encoder<'a, S> {
    /// An encoder that appends to `out`; a tolerant one lets over-long strings pass.
    pub fn new(
        schema: &'static Schema,
        fragments: &'a Fragments,
        source: &'a S,
        out: &'a mut Writer,
        tolerant: bool,
    ) -> Self {
        Self { schema, fragments, source, out, tolerant, position: 0 }
    }

    /// Writes the object of a message or datatype, checking again what tolerant decoding may have
    /// let in: lengths of strings.
    pub fn message(&mut self, id: u16, object: S::Value) -> Result<(), Box<Violation>> {
        let at = self.object(id, object, self.out.position())?;
        self.out.end_at(at);
        Ok(())
    }

    fn object(&mut self, id: u16, object: S::Value, start: usize) -> Written {
        let object_type: &'static ObjectType = &self.schema.objects[usize::from(id)];
        if object_type.leaf
            && let Some(at) = self.source.put_encoded(object, self.out, start)
        {
            return Ok(at);
        }
        let fragments = self.fragments;
        let first = fragments.first[usize::from(id)] as usize;
        let fragments = &fragments.members[first..][..object_type.fields.len()];
        let mut at = self.out.put_byte(start, b'{');
        let mut tail_at = at;
        let place = usize::from(id) * POSITIONS + self.position;
        for (index, field) in object_type.fields.iter().enumerate() {
            if object_type.reading && index == 1 {
                // The comma belongs to the tail.
                tail_at = at - 1;
                if let Some(at) = self.source.put_tail(object, place, self.out, tail_at) {
                    return Ok(at);
                }
            }
            let Some(value) = self.source.member(object, index) else { continue };
            if let Kind::Enum(id) = field.kind
                && field.max_items == 0
            {
                let values = fragments[index].get_or_init(|| self.ready(field, id));
                at = values[self.source.enumeration(id, value)].put(self.out, at);
                continue;
            }
            at = self.member(field, value, at).map_err(|mut violation| {
                violation.in_member(field.key());
                violation
            })?;
        }
        if object_type.open
            && let Some(extra) = self.source.member(object, object_type.fields.len())
        {
            at = self.extra(extra, at);
        }
        let at = self.out.put_close(at, b'{', b'}');
        if object_type.reading && !self.tolerant {
            self.source.keep_tail(object, place, self.out.between(tail_at, at));
        }
        if object_type.leaf && !self.tolerant {
            self.source.keep_encoded(object, self.out.between(start, at));
        }
        Ok(at)
    }

    /// The texts of one enumerated member.
    #[cold]
    fn ready(&self, field: &Field, id: u16) -> Box<[Fragment]> {
        let values = self.schema.enums[usize::from(id)].values.iter();
        let text = |quoted: &str| [field.fragment, quoted, ","].concat();
        values.map(|value| Fragment::new(text(value.quoted).as_bytes())).collect()
    }

    /// The members of an open object that the schema does not name.
    fn extra(&mut self, extra: S::Value, at: usize) -> usize {
        let text = self.source.json(extra);
        match text.get(1..text.len() - 1) {
            Some(members) if !members.is_empty() => {
                let at = self.out.put(at, members);
                self.out.put_byte(at, b',')
            }
            _ => at,
        }
    }

    /// Key, value and comma.
    #[inline]
    fn member(&mut self, field: &Field, value: S::Value, at: usize) -> Written {
        let key = field.fragment;
        let at = if key.len() <= Window::WIDTH {
            self.out.put_block(at, &field.window.bytes(), key.len())
        } else {
            self.out.put(at, key.as_bytes())
        };
        let at = if field.max_items == 0 {
            self.single(field.kind, value, at)?
        } else {
            self.array(field.kind, value, at)?
        };
        Ok(self.out.put_byte(at, b','))
    }

    fn array(&mut self, kind: Kind, list: S::Value, at: usize) -> Written {
        let position = self.position;
        let mut at = self.out.put_byte(at, b'[');
        for index in 0..self.source.length(list) {
            let item = self.source.item(list, index);
            self.position = index % POSITIONS;
            at = self.single(kind, item, at).map_err(|mut violation| {
                violation.in_item(index);
                violation
            })?;
            at = self.out.put_byte(at, b',');
        }
        self.position = position;
        Ok(self.out.put_close(at, b'[', b']'))
    }

    #[inline]
    fn single(&mut self, kind: Kind, value: S::Value, at: usize) -> Written {
        Ok(match kind {
            Kind::Text(max_length) => return self.text(max_length, value, at),
            Kind::Object(id) => return self.object(id, value, at),
            Kind::Enum(id) => {
                let index = self.source.enumeration(id, value);
                let value = &self.schema.enums[usize::from(id)].values[index];
                self.out.put(at, value.quoted.as_bytes())
            }
            Kind::Number(..) => self.number(self.source.number(value), at),
            Kind::Integer(..) => self.integer(self.source.integer(value), at),
            Kind::DateTime => self.date_time(value, at),
            Kind::Boolean if self.source.boolean(value) => self.out.put(at, b"true"),
            Kind::Boolean => self.out.put(at, b"false"),
            Kind::Any => self.out.put(at, self.source.json(value)),
        })
    }

    #[inline]
    fn text(&mut self, max_length: u32, value: S::Value, at: usize) -> Written {
        let (text, characters) = self.source.text(value);
        if characters > max_length as usize && !self.tolerant {
            let cause = format!("at most {max_length} characters are allowed");
            return Err(Box::new(Violation::new(Rule::MaxLength, cause)));
        }
        Ok(self.out.put_string(at, text))
    }

    fn number(&mut self, value: f64, at: usize) -> usize {
        match decimal::format(value) {
            Some((text, length)) => self.out.put_block(at, &text, length),
            None => self.out.put(at, zmij::Buffer::new().format_finite(value).as_bytes()),
        }
    }

    fn integer(&mut self, value: i64, at: usize) -> usize {
        self.out.put(at, itoa::Buffer::new().format(value).as_bytes())
    }

    fn date_time(&mut self, value: S::Value, at: usize) -> usize {
        let mut text = [0; Window::WIDTH];
        let length = self.source.date_time(value).write(&mut text);
        self.out.put_block(at, &text, length)
    }
}
