//! Where decoded values go and encoded ones come from.
//!
//! The parser and the writer know no Python: they are generic over these two traits and are
//! compiled anew for each implementation, so the calls cost nothing.

use crate::datetime::DateTime;
use crate::frame::Frame;
use crate::parse::Deviation;
use crate::writer::Writer;

/// Receives the values of a message, innermost first.
pub trait Sink {
    /// A finished value. Dropping it gives it back.
    type Value;
    /// An object whose members are being filled in. Dropping it gives it back.
    type Object;

    /// What decoding a frame gives.
    type Frame;

    /// A string of ASCII characters only.
    fn ascii(&mut self, text: &[u8]) -> Self::Value;
    /// A short string of ASCII characters that is no secret and may come again, such as the name of
    /// a variable. Equal strings often have equal hashes, and others seldom.
    fn shared_ascii(&mut self, text: &[u8], hash: u64) -> Self::Value;
    /// Any other string.
    fn text(&mut self, text: &str) -> Self::Value;
    /// A whole number.
    fn integer(&mut self, value: i64) -> Self::Value;
    /// A number, always finite.
    fn number(&mut self, value: f64) -> Self::Value;
    /// `true` or `false`.
    fn boolean(&mut self, value: bool) -> Self::Value;
    /// A date-time.
    fn date_time(&mut self, value: DateTime) -> Self::Value;
    /// The value with this index of the enumeration with that one.
    fn enumeration(&mut self, enumeration: u16, value: usize) -> Self::Value;
    /// Any JSON value, as compact text that has been checked.
    fn json(&mut self, text: &str) -> Self::Value;

    /// Starts an object of this type, all members absent.
    fn object(&mut self, object_type: u16) -> Self::Object;
    /// Sets a member that is still absent. For an open type, the index behind the last field
    /// takes the members that the schema does not name, as one JSON object.
    fn set(&mut self, object: &mut Self::Object, field: usize, value: Self::Value);
    /// Ends an object.
    fn finish(&mut self, object: Self::Object) -> Self::Value;

    /// Starts an array; returns a mark for the other two.
    fn list(&mut self) -> usize;
    /// Appends to the array started last.
    fn push(&mut self, value: Self::Value);
    /// Ends the array of that mark.
    fn finish_list(&mut self, mark: usize) -> Self::Value;
    /// Gives back what was pushed since that mark.
    fn discard_list(&mut self, mark: usize);

    /// A reading like the one that came at this place before: same type, and `tail` begins with the
    /// same text behind the number. Returns it with another number, and the length of that text.
    /// The number is given back if there is no such reading.
    fn reading(
        &mut self,
        object_type: u16,
        place: usize,
        number: Self::Value,
        tail: &[u8],
    ) -> Result<(Self::Value, usize), Self::Value>;
    /// Offers a reading for [`Sink::reading`]; `tail` is its text behind the number.
    fn keep_reading(&mut self, object_type: u16, place: usize, tail: &[u8], value: &Self::Value);

    /// Takes a whole frame and what tolerant mode let pass in it.
    fn frame(&mut self, frame: Frame<Self::Value>, deviations: Vec<Deviation>) -> Self::Frame;

    /// An object made earlier from the same bytes, and how many of them it took. `place` is a hint:
    /// equal objects often come at equal places.
    fn shared(
        &mut self,
        object_type: u16,
        place: usize,
        head: &[u8; 32],
    ) -> Option<(Self::Value, usize)>;
    /// Offers an object for [`Sink::shared`]; it was made from the first `length` bytes.
    fn share(&mut self, object_type: u16, head: &[u8; 32], length: usize, value: &Self::Value);
}

/// Gives the values of a message to the writer.
///
/// Every method may rely on the kind: `integer` is only asked of a member that the schema calls an
/// integer. `None` from [`Source::member`] means absent.
pub trait Source {
    /// A borrowed value.
    type Value: Copy;

    /// The member with this index, unless it is absent.
    fn member(&self, object: Self::Value, field: usize) -> Option<Self::Value>;
    /// The text of a string as UTF-8, and its length in characters.
    fn text(&self, value: Self::Value) -> (&[u8], usize);
    /// A whole number.
    fn integer(&self, value: Self::Value) -> i64;
    /// A finite number.
    fn number(&self, value: Self::Value) -> f64;
    /// A truth value.
    fn boolean(&self, value: Self::Value) -> bool;
    /// A date-time.
    fn date_time(&self, value: Self::Value) -> DateTime;
    /// Index of a value of this enumeration.
    fn enumeration(&self, enumeration: u16, value: Self::Value) -> usize;
    /// JSON text.
    fn json(&self, value: Self::Value) -> &[u8];
    /// Number of items of an array.
    fn length(&self, list: Self::Value) -> usize;
    /// One item of an array.
    fn item(&self, list: Self::Value, index: usize) -> Self::Value;

    /// Writes what stands behind the number of a reading, if the last one at this place had the
    /// same members; returns where the text goes on.
    fn put_tail(
        &self,
        reading: Self::Value,
        place: usize,
        out: &mut Writer,
        at: usize,
    ) -> Option<usize>;
    /// Offers the text behind the number of a reading for [`Source::put_tail`].
    fn keep_tail(&self, reading: Self::Value, place: usize, tail: &[u8]);

    /// Writes a small object that was encoded before; returns where the text goes on.
    fn put_encoded(&self, object: Self::Value, out: &mut Writer, at: usize) -> Option<usize>;
    /// Offers the text of a small object for [`Source::put_encoded`].
    fn keep_encoded(&self, object: Self::Value, text: &[u8]);
}
