//! Sampled values: the number changes, what describes it does not.
//!
//! A station sends the same measurands in the same order again and again. So the text behind the
//! number is compared with, or copied from, the one of the last reading of its kind.

use std::ptr;

use ocpp_core::writer::Writer;
use pyo3::ffi;

use super::class::Class;
use super::memory::{Building, Owned};

const PLACES: usize = 256;
/// Longest text that is kept, in bytes; that of a sampled value with all its members is shorter.
const MAX_TAIL: usize = 320;

/// Readings by the place where they stood in their messages.
pub(crate) struct Readings {
    decoded: Box<[Reading; PLACES]>,
    encoded: Box<[Reading; PLACES]>,
}

/// A reading (owned) and its text behind the number.
#[derive(Clone, Copy)]
struct Reading {
    object: *mut ffi::PyObject,
    object_type: u16,
    length: u16,
    tail: [u8; MAX_TAIL],
}

const UNKNOWN: Reading =
    Reading { object: ptr::null_mut(), object_type: 0, length: 0, tail: [0; MAX_TAIL] };

impl Default for Readings {
    fn default() -> Self {
        Self { decoded: Box::new([UNKNOWN; PLACES]), encoded: Box::new([UNKNOWN; PLACES]) }
    }
}

impl Reading {
    fn tail(&self) -> &[u8] {
        &self.tail[..usize::from(self.length)]
    }

    /// Keeps another reading, unless its text is too long; returns what to give back.
    fn replace(&mut self, object_type: u16, object: Owned, tail: &[u8]) -> Option<Owned> {
        let Some(room) = self.tail.get_mut(..tail.len()) else {
            return Some(object);
        };
        room.copy_from_slice(tail);
        self.length = tail.len() as u16;
        self.object_type = object_type;
        let before = std::mem::replace(&mut self.object, object.into_ptr());
        // SAFETY: the cache owned a reference to what it held.
        (!before.is_null()).then(|| unsafe { Owned::new(before) })
    }
}

impl Readings {
    /// The reading at `place` with another number, if `tail` begins with its text; and the length
    /// of that.
    ///
    /// # Safety
    /// The GIL must be held.
    #[inline]
    pub(super) unsafe fn decoded(
        &self,
        object_type: u16,
        place: usize,
        number: Owned,
        tail: &[u8],
    ) -> Result<(Owned, usize), Owned> {
        let reading = &self.decoded[place % PLACES];
        if reading.object.is_null()
            || reading.object_type != object_type
            || !tail.starts_with(reading.tail())
        {
            return Err(number);
        }
        // SAFETY: the cache holds a complete message object; its number is member 0.
        let object = unsafe {
            let mut building = Building::new(Class::of(reading.object));
            building.copy_from(reading.object, 1);
            building.set(0, number);
            building.finish()
        };
        Ok((object, usize::from(reading.length)))
    }

    /// Keeps a decoded reading; returns what to give back.
    pub(super) fn keep_decoded(
        &mut self,
        object_type: u16,
        place: usize,
        object: Owned,
        tail: &[u8],
    ) -> Option<Owned> {
        self.decoded[place % PLACES].replace(object_type, object, tail)
    }

    /// Writes the text behind the number of a reading, if the last one at this place had the same
    /// other members.
    ///
    /// # Safety
    /// The GIL must be held and `object` must be a message object.
    #[inline]
    pub(super) unsafe fn put_tail(
        &self,
        object: *mut ffi::PyObject,
        place: usize,
        out: &mut Writer,
        at: usize,
    ) -> Option<usize> {
        // SAFETY: the caller's promise; the cache holds complete message objects.
        unsafe {
            let reading = &self.encoded[place % PLACES];
            let is_alike = !reading.object.is_null() && are_alike(reading.object, object);
            is_alike.then(|| out.put(at, reading.tail()))
        }
    }

    /// Keeps an encoded reading; returns what to give back.
    pub(super) fn keep_tail(&mut self, object: Owned, place: usize, tail: &[u8]) -> Option<Owned> {
        self.encoded[place % PLACES].replace(0, object, tail)
    }
}

/// Whether two objects have one type and, but for the number, the same objects as members.
#[inline]
unsafe fn are_alike(left: *mut ffi::PyObject, right: *mut ffi::PyObject) -> bool {
    // SAFETY: both are message objects.
    unsafe {
        let class = Class::of(left);
        ffi::Py_TYPE(left) == ffi::Py_TYPE(right)
            && (1..class.slots).all(|slot| class.member(left, slot) == class.member(right, slot))
    }
}
