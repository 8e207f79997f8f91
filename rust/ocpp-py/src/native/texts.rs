//! Short texts that come again and again: names of components and variables, units, ids.

use std::ptr;

use pyo3::ffi;

use super::memory::Owned;
use super::sink::ascii;
use super::source::text;

const PLACES: usize = 1024;

/// The last text of each hash (owned).
pub(crate) struct Texts {
    places: Box<[*mut ffi::PyObject; PLACES]>,
}

impl Default for Texts {
    fn default() -> Self {
        Self { places: Box::new([ptr::null_mut(); PLACES]) }
    }
}

impl Texts {
    /// The Python string of a text: the one made last time, if it is the same.
    ///
    /// # Safety
    /// The GIL must be held and `wanted` must be ASCII.
    #[inline]
    pub(super) unsafe fn get(&mut self, wanted: &[u8], hash: u64) -> Owned {
        let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let place = &mut self.places[(mixed >> (u64::BITS - PLACES.trailing_zeros())) as usize];
        // SAFETY: the caller's promise; the cache owns what it holds, ASCII strings. Giving one back
        // runs no Python code.
        unsafe {
            if !place.is_null() && text(*place).0 == wanted {
                return Owned::borrow(*place);
            }
            let string = ascii(wanted);
            let before = std::mem::replace(place, Owned::borrow(string.as_ptr()).into_ptr());
            ffi::Py_XDECREF(before);
            string
        }
    }
}
