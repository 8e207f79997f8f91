//! The shape of the generated schema tables: what a message may hold, as constants.
//!
//! `v201.rs` and `v21.rs` are written by `python/ocpp_codegen` with the macros and `const fn`s of
//! this file, so everything that can be computed from a name (key windows, perfect hashes) is
//! computed once, by the compiler.

use super::hash::Lookup;

/// "No upper bound", for arrays without `maxItems` and strings without `maxLength`.
pub const UNBOUNDED: u32 = u32::MAX;

/// What a JSON value must be, with the limits of its schema keywords.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A string of at most this many characters.
    Text(u32),
    /// A string holding an RFC 3339 date-time.
    DateTime,
    /// A whole number between the two limits.
    Integer(i64, i64),
    /// A number between the two limits.
    Number(f64, f64),
    /// `true` or `false`.
    Boolean,
    /// One of the values of the enumeration with this index.
    Enum(u16),
    /// An object of the type with this index.
    Object(u16),
    /// Any JSON value (`DataTransfer.data`).
    Any,
}

/// A whole number without limits of its own.
pub const INT: Kind = Kind::Integer(i64::MIN, i64::MAX);
/// A number without limits.
pub const NUM: Kind = Kind::Number(f64::NEG_INFINITY, f64::INFINITY);

/// How carefully a value has to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// Shown as it is.
    Open,
    /// Never shown: a password, a key, an id token.
    Secret,
    /// Shown unless the variable named beside it is a credential (SetVariableData, GetVariableResult).
    OfVariable,
}

/// One member of an object type.
#[derive(Debug)]
pub struct Field {
    /// `"key":` as it stands on the wire, quotes and colon included.
    pub fragment: &'static str,
    /// Name of the Python attribute.
    pub name: &'static str,
    /// What the member, or each item of it, must be.
    pub kind: Kind,
    /// 0: a single value; otherwise an array of 1 up to this many items.
    pub max_items: u32,
    /// Whether the member must be there.
    pub required: bool,
    /// Whether it may be printed.
    pub secrecy: Secrecy,
    /// The first 32 bytes of `fragment`, for comparison in one go.
    pub window: Window,
}

impl Field {
    /// The JSON name.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        let (_, tail) = self.fragment.split_at(1);
        tail.split_at(tail.len() - 2).0
    }

    /// The same field as an array of at most `max_items` items.
    #[must_use]
    pub const fn array(mut self, max_items: u32) -> Self {
        self.max_items = max_items;
        self
    }

    /// The same field, never to be printed.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.secrecy = Secrecy::Secret;
        self
    }

    /// The same field, printed only when the variable beside it is no credential.
    #[must_use]
    pub const fn secret_of_variable(mut self) -> Self {
        self.secrecy = Secrecy::OfVariable;
        self
    }

    #[doc(hidden)]
    #[must_use]
    pub const fn new(
        fragment: &'static str,
        name: &'static str,
        kind: Kind,
        required: bool,
    ) -> Self {
        Self {
            fragment,
            name,
            kind,
            max_items: 0,
            required,
            secrecy: Secrecy::Open,
            window: Window::new(fragment),
        }
    }
}

/// The head of a text as four words and masks.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    words: [u64; 4],
    masks: [u64; 4],
}

impl Window {
    /// Bytes that one comparison covers.
    pub const WIDTH: usize = 32;

    const fn new(fragment: &str) -> Self {
        Self::of(fragment.as_bytes())
    }

    /// The window of any text.
    #[must_use]
    pub const fn of(bytes: &[u8]) -> Self {
        let mut window = Self { words: [0; 4], masks: [0; 4] };
        let mut i = 0;
        while i < bytes.len() && i < Self::WIDTH {
            window.words[i / 8] |= (bytes[i] as u64) << (i % 8 * 8);
            window.masks[i / 8] |= 0xff << (i % 8 * 8);
            i += 1;
        }
        window
    }

    /// Whether `bytes` begin with this head.
    #[inline]
    #[must_use]
    pub fn matches(&self, bytes: &[u8; Self::WIDTH]) -> bool {
        let (words, _) = bytes.as_chunks::<8>();
        let mut difference = 0;
        for ((word, expected), mask) in words.iter().zip(self.words).zip(self.masks) {
            difference |= (u64::from_le_bytes(*word) ^ expected) & mask;
        }
        difference == 0
    }

    /// The head itself, zero behind its end.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> [u8; Self::WIDTH] {
        let mut bytes = [0; Self::WIDTH];
        for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.words) {
            *chunk = word.to_le_bytes();
        }
        bytes
    }
}

/// An object type: a request, a response or a datatype.
#[derive(Debug)]
pub struct ObjectType {
    /// The name of the specification, such as `MeterValueType`.
    pub name: &'static str,
    /// Its members, required ones first, else in the order of the schema.
    pub fields: &'static [Field],
    /// One bit for each required field.
    pub required: u64,
    /// Finds a field by its key.
    pub lookup: Lookup,
    /// Whether members beyond the fields are allowed and kept (`CustomDataType`).
    pub open: bool,
    /// Small, flat and often repeated (an EVSE, a unit), so equal ones are worth sharing.
    pub leaf: bool,
    /// A number and what describes it (a sampled value): from one message to the next the number
    /// changes and the description does not.
    pub reading: bool,
}

impl ObjectType {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str, fields: &'static [Field], lookup: Lookup) -> Self {
        assert!(fields.len() <= 64, "required members are counted in 64 bits");
        let mut required = 0;
        let mut enums = 0;
        let mut i = 0;
        while i < fields.len() {
            if fields[i].required {
                required |= 1 << i;
            }
            if matches!(fields[i].kind, Kind::Enum(_)) {
                enums += 1;
            }
            i += 1;
        }
        let is_number = required == 1 && matches!(fields[0].kind, Kind::Number(..));
        let reading = is_number && fields[0].max_items == 0 && enums >= 2;
        Self { name, fields, required, lookup, open: false, leaf: false, reading }
    }

    /// The same type, accepting members that the schema does not name.
    #[must_use]
    pub const fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// The same type, marked as worth sharing.
    #[must_use]
    pub const fn leaf(mut self) -> Self {
        self.leaf = true;
        self
    }
}

/// An enumeration.
#[derive(Debug)]
pub struct EnumType {
    /// The name of the specification, such as `MeasurandEnumType`.
    pub name: &'static str,
    /// The values on the wire.
    pub values: &'static [EnumValue],
    /// The names of the Python members, in the same order.
    pub members: &'static [&'static str],
    /// Finds a value's index.
    pub lookup: Lookup,
}

/// One value of an enumeration.
#[derive(Debug)]
pub struct EnumValue {
    /// The value between its quotes, as it stands on the wire.
    pub quoted: &'static str,
    /// The first 32 bytes of `quoted`.
    pub window: Window,
}

impl EnumValue {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(quoted: &'static str) -> Self {
        Self { quoted, window: Window::new(quoted) }
    }

    /// Whether the value stands at the start of `padded`, quotes included.
    #[inline]
    #[must_use]
    pub fn stands_at(&self, padded: &[u8]) -> bool {
        padded.first_chunk().is_some_and(|head| self.window.matches(head))
            && (self.quoted.len() <= Window::WIDTH || padded.starts_with(self.quoted.as_bytes()))
    }

    /// The value itself.
    #[must_use]
    pub const fn text(&self) -> &'static str {
        let (_, tail) = self.quoted.split_at(1);
        tail.split_at(tail.len() - 1).0
    }
}

/// Who may send an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The charging station sends it.
    CsToCsms,
    /// The CSMS sends it.
    CsmsToCs,
    /// Both may.
    Both,
}

/// One action of a version.
#[derive(Debug)]
pub struct Action {
    /// Its name in a CALL or SEND.
    pub name: &'static str,
    /// Who sends it.
    pub direction: Direction,
    /// Letter of its functional block.
    pub block: char,
    /// Index of the request's (or the SEND message's) object type.
    pub request: u16,
    /// Index of the response's object type; `None` for an action framed as SEND.
    pub response: Option<u16>,
}

/// Everything one version of OCPP says about its messages.
#[derive(Debug)]
pub struct Schema {
    /// `2.0.1` or `2.1`.
    pub version: &'static str,
    /// The Python module that shows its types.
    pub module: &'static str,
    /// All object types.
    pub objects: &'static [ObjectType],
    /// All enumerations.
    pub enums: &'static [EnumType],
    /// All actions, by name.
    pub actions: &'static [Action],
    /// Finds an action by its name.
    pub action_lookup: Lookup,
    /// Whether CALLRESULTERROR and SEND exist (OCPP 2.1).
    pub has_send: bool,
}

/// Builds a [`Lookup`] whose table has `$slots` places, a power of two.
#[macro_export]
#[doc(hidden)]
macro_rules! lookup {
    ($slots:literal, [$($key:expr),* $(,)?]) => {{
        const KEYS: &[&str] = &[$($key),*];
        static TABLE: $crate::schema::hash::PerfectHash<$slots> =
            $crate::schema::hash::PerfectHash::build(KEYS);
        TABLE.lookup()
    }};
}

/// A required member: key on the wire, Python name, kind.
#[macro_export]
#[doc(hidden)]
macro_rules! required {
    ($key:literal, $name:literal, $kind:expr) => {
        $crate::schema::tables::Field::new(concat!("\"", $key, "\":"), $name, $kind, true)
    };
}

/// An optional member: key on the wire, Python name, kind.
#[macro_export]
#[doc(hidden)]
macro_rules! optional {
    ($key:literal, $name:literal, $kind:expr) => {
        $crate::schema::tables::Field::new(concat!("\"", $key, "\":"), $name, $kind, false)
    };
}

/// An object type: name, hash places, fields.
#[macro_export]
#[doc(hidden)]
macro_rules! object {
    ($name:literal, $slots:literal, [$($field:expr),* $(,)?]) => {{
        const FIELDS: &[$crate::schema::tables::Field] = &[$($field),*];
        static TABLE: $crate::schema::hash::PerfectHash<$slots> =
            $crate::schema::hash::PerfectHash::of_fields(FIELDS);
        $crate::schema::tables::ObjectType::new($name, FIELDS, TABLE.lookup())
    }};
}

/// An enumeration: name, hash places, values, Python names.
#[macro_export]
#[doc(hidden)]
macro_rules! enumeration {
    ($name:literal, $slots:literal, [$($value:literal),* $(,)?], [$($member:literal),* $(,)?]) => {
        $crate::schema::tables::EnumType {
            name: $name,
            values: &[$($crate::schema::tables::EnumValue::new(concat!("\"", $value, "\""))),*],
            members: &[$($member),*],
            lookup: $crate::lookup!($slots, [$($value),*]),
        }
    };
}
