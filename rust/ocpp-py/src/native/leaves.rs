//! Small objects that come again and again with the same bytes: an EVSE, a unit.

use std::ptr;

use ocpp_core::schema::tables::Window;
use ocpp_core::writer::{Block, Writer};
use pyo3::ffi;

use super::class::Class;
use super::memory::Owned;

const PLACES: usize = 2048;
const HINTS: usize = 4096;
const ENCODED_PLACES: usize = 2048;
const INTERNED_PLACES: usize = 256;

/// Objects by the bytes that they were made from, by their members, and their text.
///
/// The EVSEs of a large station are many, so whatever is looked for may also stand in the next place,
/// where the newer one has moved it.
pub(crate) struct Leaves {
    entries: Box<[Leaf; PLACES]>,
    /// Which entry a place of a message had last time.
    hints: Box<[u16; HINTS]>,
    encoded: Box<[Encoded; ENCODED_PLACES]>,
    interned: Box<[*mut ffi::PyObject; INTERNED_PLACES]>,
}

/// An object and the bytes that it was made from.
#[derive(Clone, Copy)]
struct Leaf {
    window: Window,
    object_type: u16,
    length: u8,
    object: *mut ffi::PyObject,
}

/// An object and its text.
#[derive(Clone, Copy)]
struct Encoded {
    object: *mut ffi::PyObject,
    length: usize,
    text: Block,
}

impl Default for Leaves {
    fn default() -> Self {
        let unread =
            Leaf { window: Window::of(&[]), object_type: 0, length: 0, object: ptr::null_mut() };
        let unwritten = Encoded { object: ptr::null_mut(), length: 0, text: [0; 32] };
        Self {
            entries: Box::new([unread; PLACES]),
            hints: Box::new([0; HINTS]),
            encoded: Box::new([unwritten; ENCODED_PLACES]),
            interned: Box::new([ptr::null_mut(); INTERNED_PLACES]),
        }
    }
}

impl Leaf {
    #[inline]
    fn matches(&self, object_type: u16, head: &[u8; 32]) -> bool {
        !self.object.is_null() && self.object_type == object_type && self.window.matches(head)
    }
}

impl Leaves {
    /// The object that was made from these bytes.
    #[inline]
    pub(super) fn find(
        &mut self,
        object_type: u16,
        place: usize,
        head: &[u8; 32],
    ) -> Option<(Owned, usize)> {
        let leaf = &self.entries[usize::from(self.hints[place % HINTS]) % PLACES];
        let leaf = if leaf.matches(object_type, head) {
            leaf
        } else {
            self.search(object_type, place, head)?
        };
        // SAFETY: the cache owns a reference.
        Some((unsafe { Owned::borrow(leaf.object) }, usize::from(leaf.length)))
    }

    fn search(&mut self, object_type: u16, place: usize, head: &[u8; 32]) -> Option<&Leaf> {
        let first = place_of_text(object_type, head, length(head)?);
        let index = [first, first ^ 1]
            .into_iter()
            .find(|index| self.entries[*index].matches(object_type, head))?;
        self.hints[place % HINTS] = index as u16;
        Some(&self.entries[index])
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
        let leaf = Leaf {
            window: Window::of(&head[..used]),
            object_type,
            length: used as u8,
            object: object.into_ptr(),
        };
        let index = place_of_text(object_type, head, used);
        let neighbour = std::mem::replace(&mut self.entries[index], leaf);
        let before = std::mem::replace(&mut self.entries[index ^ 1], neighbour);
        // SAFETY: the cache owned a reference to what it held.
        (!before.object.is_null()).then(|| unsafe { Owned::new(before.object) })
    }

    /// The object with the very same members, if it was made before; else keeps this one.
    /// Returns the object to use and the one to give back.
    pub(super) fn intern(&mut self, object: Owned) -> (Owned, Option<Owned>) {
        // SAFETY: the cache owns references to complete message objects.
        unsafe {
            let kept = &mut self.interned[place_of_members(object.as_ptr())];
            if !kept.is_null() && same_members(*kept, object.as_ptr()) {
                return (Owned::borrow(*kept), Some(object));
            }
            let before = std::mem::replace(kept, Owned::borrow(object.as_ptr()).into_ptr());
            (object, (!before.is_null()).then(|| Owned::new(before)))
        }
    }
}

/// Whether two objects have one type and the same objects as members.
unsafe fn same_members(left: *mut ffi::PyObject, right: *mut ffi::PyObject) -> bool {
    // SAFETY: both are message objects.
    unsafe {
        let class = Class::of(left);
        ffi::Py_TYPE(left) == ffi::Py_TYPE(right)
            && (0..class.slots).all(|slot| class.member(left, slot) == class.member(right, slot))
    }
}

unsafe fn place_of_members(object: *mut ffi::PyObject) -> usize {
    // SAFETY: a message object.
    unsafe {
        let class = Class::of(object);
        let mixed = (0..class.slots).fold(0_u64, |mixed, slot| {
            mixed.rotate_left(9) ^ class.member(object, slot) as usize as u64
        });
        scatter(mixed, INTERNED_PLACES)
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
        let first = scatter(object as usize as u64, ENCODED_PLACES);
        let mut places = [first, first ^ 1].into_iter().map(|index| &self.encoded[index]);
        let encoded = places.find(|encoded| encoded.object == object)?;
        Some(out.put_block(at, &encoded.text, encoded.length))
    }

    /// Keeps the text of an object, and so the object; returns what that displaces.
    pub(super) fn keep_encoded(&mut self, object: Owned, text: &[u8]) -> Option<Owned> {
        let mut block = [0; 32];
        let Some(room) = block.get_mut(..text.len()) else {
            return Some(object);
        };
        room.copy_from_slice(text);
        let index = scatter(object.as_ptr() as usize as u64, ENCODED_PLACES);
        let encoded = Encoded { object: object.into_ptr(), length: text.len(), text: block };
        let neighbour = std::mem::replace(&mut self.encoded[index], encoded);
        let before = std::mem::replace(&mut self.encoded[index ^ 1], neighbour);
        // SAFETY: the cache owned a reference to what it held.
        (!before.object.is_null()).then(|| unsafe { Owned::new(before.object) })
    }
}

/// Bytes up to and with the first closing brace.
#[inline]
fn length(head: &[u8; 32]) -> Option<usize> {
    let (words, _) = head.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        // A byte of the difference is zero where a brace stands; the lowest one is exact.
        let difference = u64::from_le_bytes(*word) ^ BRACES;
        let zeros = difference.wrapping_sub(ONES) & !difference & (ONES << 7);
        if zeros != 0 {
            return Some(index * 8 + zeros.trailing_zeros() as usize / 8 + 1);
        }
    }
    None
}

const ONES: u64 = 0x0101_0101_0101_0101;
const BRACES: u64 = ONES * b'}' as u64;

#[inline]
fn place_of_text(object_type: u16, head: &[u8; 32], length: usize) -> usize {
    let (words, _) = head.as_chunks::<8>();
    let mut mixed = u64::from(object_type);
    for (index, word) in words.iter().enumerate() {
        let bits = (length * 8).saturating_sub(index * 64).min(64);
        let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
        mixed = (mixed.rotate_left(23) ^ (u64::from_le_bytes(*word) & mask))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    scatter(mixed ^ (mixed >> 32), PLACES)
}

/// One of `places` (a power of two), each as likely as the others.
#[inline]
fn scatter(value: u64, places: usize) -> usize {
    (value.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - places.trailing_zeros())) as usize
}
