//! Small objects that come again and again with the same bytes: an EVSE, a unit.

use std::ptr;

use ocpp_core::writer::{Block, Writer};
use pyo3::ffi;
use wide::u8x16;

use super::memory::Owned;

const PLACES: usize = 64;

/// Objects by the bytes that they were made from.
pub(crate) struct Leaves {
    entries: Box<[Leaf; PLACES]>,
    encoded: Box<[Encoded; PLACES]>,
}

/// An object and its text.
#[derive(Clone, Copy)]
struct Encoded {
    object: *mut ffi::PyObject,
    length: usize,
    text: Block,
}

#[derive(Clone, Copy)]
struct Leaf {
    bytes: [u8; 32],
    object_type: u16,
    object: *mut ffi::PyObject,
}

impl Default for Leaves {
    fn default() -> Self {
        let none = Leaf { bytes: [0; 32], object_type: 0, object: ptr::null_mut() };
        let unwritten = Encoded { object: ptr::null_mut(), length: 0, text: [0; 32] };
        Self { entries: Box::new([none; PLACES]), encoded: Box::new([unwritten; PLACES]) }
    }
}

impl Leaves {
    /// The object that was made from the bytes up to the first closing brace.
    #[inline]
    pub(super) fn find(&self, object_type: u16, head: &[u8; 32]) -> Option<(Owned, usize)> {
        let length = length(head)?;
        let bytes = cut(head, length);
        let leaf = &self.entries[place(object_type, &bytes)];
        if leaf.bytes != bytes || leaf.object_type != object_type || leaf.object.is_null() {
            return None;
        }
        // SAFETY: the cache owns a reference.
        Some((unsafe { Owned::borrow(leaf.object) }, length))
    }

    /// Keeps an object, in place of another if need be; returns that one.
    pub(super) fn keep(
        &mut self,
        object_type: u16,
        head: &[u8; 32],
        used: usize,
        object: Owned,
    ) -> Option<Owned> {
        if length(head) != Some(used) {
            return Some(object);
        }
        let bytes = cut(head, used);
        let leaf = &mut self.entries[place(object_type, &bytes)];
        let object = object.into_ptr();
        let before = std::mem::replace(leaf, Leaf { bytes, object_type, object });
        // SAFETY: the cache owned a reference to what it held.
        (!before.object.is_null()).then(|| unsafe { Owned::new(before.object) })
    }
}

impl Leaves {
    /// Writes an object that was encoded before.
    #[inline]
    pub(super) fn put_encoded(
        &self,
        object: *mut ffi::PyObject,
        out: &mut Writer,
        at: usize,
    ) -> Option<usize> {
        let encoded = &self.encoded[place_of_object(object)];
        (encoded.object == object).then(|| out.put_block(at, &encoded.text, encoded.length))
    }

    /// Keeps the text of an object, and so the object; returns what that displaces.
    pub(super) fn keep_encoded(&mut self, object: Owned, text: &[u8]) -> Option<Owned> {
        let mut block = [0; 32];
        let Some(room) = block.get_mut(..text.len()) else {
            return Some(object);
        };
        room.copy_from_slice(text);
        let encoded = &mut self.encoded[place_of_object(object.as_ptr())];
        let before = std::mem::replace(
            encoded,
            Encoded { object: object.into_ptr(), length: text.len(), text: block },
        );
        // SAFETY: the cache owned a reference to what it held.
        (!before.object.is_null()).then(|| unsafe { Owned::new(before.object) })
    }
}

/// Bytes up to and with the first closing brace.
#[inline]
fn length(head: &[u8; 32]) -> Option<usize> {
    let (halves, _) = head.as_chunks::<16>();
    let brace = u8x16::splat(b'}');
    let low = u8x16::new(halves[0]).simd_eq(brace).to_bitmask();
    let high = u8x16::new(halves[1]).simd_eq(brace).to_bitmask();
    let mask = low | high << 16;
    (mask != 0).then(|| mask.trailing_zeros() as usize + 1)
}

/// The first `length` bytes, zeros behind them.
#[inline]
fn cut(head: &[u8; 32], length: usize) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (index, (to, from)) in bytes.iter_mut().zip(head).enumerate() {
        *to = if index < length { *from } else { 0 };
    }
    bytes
}

#[inline]
fn place(object_type: u16, bytes: &[u8; 32]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    let mut mixed = u64::from(object_type);
    for (index, word) in words.iter().enumerate() {
        mixed ^= u64::from_le_bytes(*word).rotate_left(17 * index as u32);
    }
    scatter(mixed)
}

#[inline]
fn place_of_object(object: *mut ffi::PyObject) -> usize {
    scatter(object as usize as u64)
}

#[inline]
fn scatter(value: u64) -> usize {
    (value.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - PLACES.trailing_zeros())) as usize
}
