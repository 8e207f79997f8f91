//! Decoded values as Python objects.

use ocpp_core::Deviation;
use ocpp_core::datetime::DateTime;
use ocpp_core::frame::Frame;
use ocpp_core::sink::Sink;
use pyo3::ffi;
use pyo3::prelude::*;

use super::bridge::frame_record;
use super::json;
use super::memory::{Building, Owned};
use super::registry::Version;

/// Makes the objects of one version.
pub(crate) struct PythonSink {
    version: &'static Version,
    /// Items of the arrays that are not finished.
    items: Vec<Owned>,
    /// A type could not be made; a Python error is set.
    failed: bool,
}

impl PythonSink {
    /// A sink for messages of `version`.
    pub(crate) fn new(version: &'static Version, _py: Python<'_>) -> Self {
        Self { version, items: version.items.take(), failed: false }
    }

    /// Whether a Python error is set and the result must be thrown away.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    /// Stands in for a value that could not be made.
    #[cold]
    fn fail(&mut self) -> Owned {
        self.failed = true;
        // SAFETY: `None` is always alive.
        unsafe { Owned::borrow(ffi::Py_None()) }
    }
}

/// A Python string of ASCII characters.
///
/// # Safety
/// The GIL must be held and `text` must be ASCII.
#[inline]
pub(super) unsafe fn ascii(text: &[u8]) -> Owned {
    debug_assert!(text.is_ascii());
    // SAFETY: a new string of this length and kind has room for exactly this text.
    unsafe {
        let string = Owned::new(ffi::PyUnicode_New(text.len().cast_signed(), 0x7f));
        if !text.is_empty() {
            let data = ffi::PyUnicode_DATA(string.as_ptr()).cast::<u8>();
            data.copy_from_nonoverlapping(text.as_ptr(), text.len());
        }
        string
    }
}

/// An aware `datetime` in UTC.
///
/// # Safety
/// The GIL must be held.
#[inline]
pub(super) unsafe fn date_time(value: DateTime) -> Owned {
    // SAFETY: the calendar fields are in range, the API was imported with the module.
    unsafe {
        let api = ffi::PyDateTimeAPI();
        Owned::new(((*api).DateTime_FromDateAndTime)(
            i32::from(value.year),
            i32::from(value.month),
            i32::from(value.day),
            i32::from(value.hour),
            i32::from(value.minute),
            i32::from(value.second),
            i32::from(value.millisecond) * 1000,
            (*api).TimeZone_UTC,
            (*api).DateTimeType,
        ))
    }
}

impl Drop for PythonSink {
    fn drop(&mut self) {
        self.items.clear();
        self.version.items.set(std::mem::take(&mut self.items));
    }
}

// SAFETY of this whole implementation: the sink only lives while the GIL is held (it is made from
// a `Python` token and used at once), and the parser passes texts of the promised kind.
impl Sink for PythonSink {
    type Value = Owned;
    type Object = Option<Building>;
    type Frame = Owned;

    #[inline]
    fn ascii(&mut self, text: &[u8]) -> Owned {
        // SAFETY: see above.
        unsafe { ascii(text) }
    }

    #[inline]
    fn shared_ascii(&mut self, text: &[u8], hash: u64) -> Owned {
        // SAFETY: see above.
        unsafe { self.version.texts.borrow_mut().get(text, hash) }
    }

    fn text(&mut self, text: &str) -> Owned {
        // SAFETY: the text is UTF-8 of this length.
        unsafe {
            let length = text.len().cast_signed();
            Owned::new(ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), length))
        }
    }

    #[inline]
    fn integer(&mut self, value: i64) -> Owned {
        // SAFETY: see above.
        unsafe { Owned::new(ffi::PyLong_FromLongLong(value)) }
    }

    #[inline]
    fn number(&mut self, value: f64) -> Owned {
        // SAFETY: see above.
        unsafe { Owned::new(ffi::PyFloat_FromDouble(value)) }
    }

    #[inline]
    fn boolean(&mut self, value: bool) -> Owned {
        // SAFETY: both singletons are always alive.
        unsafe { Owned::borrow(if value { ffi::Py_True() } else { ffi::Py_False() }) }
    }

    #[inline]
    fn date_time(&mut self, value: DateTime) -> Owned {
        // SAFETY: see above.
        unsafe { date_time(value) }
    }

    #[inline(always)]
    fn enumeration(&mut self, enumeration: u16, value: usize) -> Owned {
        // SAFETY: the members are kept for ever.
        unsafe {
            match self.version.enumeration(enumeration) {
                Ok(class) => Owned::borrow(class.members[value]),
                Err(()) => self.fail(),
            }
        }
    }

    fn json(&mut self, text: &str) -> Owned {
        // SAFETY: the GIL is held.
        let py = unsafe { Python::assume_attached() };
        match json::new(py, text) {
            Ok(value) => value,
            Err(error) => {
                error.restore(py);
                self.fail()
            }
        }
    }

    #[inline]
    fn object(&mut self, object_type: u16) -> Option<Building> {
        // SAFETY: see above.
        unsafe {
            if let Ok(class) = self.version.class(object_type) {
                return Some(Building::new(class));
            }
        }
        self.failed = true;
        None
    }

    #[inline]
    fn set(&mut self, object: &mut Option<Building>, field: usize, value: Owned) {
        if let Some(object) = object {
            object.set(field, value);
        }
    }

    #[inline]
    fn finish(&mut self, object: Option<Building>) -> Owned {
        match object {
            Some(object) => object.finish(),
            None => self.fail(),
        }
    }

    #[inline]
    fn list(&mut self) -> usize {
        self.items.len()
    }

    #[inline]
    fn push(&mut self, value: Owned) {
        self.items.push(value);
    }

    #[inline]
    fn finish_list(&mut self, mark: usize) -> Owned {
        // SAFETY: see above.
        unsafe { tuple(self.items.drain(mark..)) }
    }

    fn discard_list(&mut self, mark: usize) {
        self.items.truncate(mark);
    }

    #[inline]
    fn reading(
        &mut self,
        object_type: u16,
        place: usize,
        number: Owned,
        tail: &[u8],
    ) -> Result<(Owned, usize), Owned> {
        // SAFETY: see above.
        unsafe { self.version.readings.borrow().decoded(object_type, place, number, tail) }
    }

    fn keep_reading(&mut self, object_type: u16, place: usize, tail: &[u8], value: &Owned) {
        if self.failed {
            return;
        }
        // SAFETY: the value is alive.
        let value = unsafe { Owned::borrow(value.as_ptr()) };
        let replaced =
            self.version.readings.borrow_mut().keep_decoded(object_type, place, value, tail);
        drop(replaced);
    }

    #[inline(always)]
    fn frame(&mut self, frame: Frame<Owned>, deviations: Vec<Deviation>) -> Owned {
        // SAFETY: the GIL is held.
        let py = unsafe { Python::assume_attached() };
        match frame_record(py, self.version, frame, deviations) {
            Ok(record) => record,
            Err(error) => {
                error.restore(py);
                self.fail()
            }
        }
    }

    #[inline]
    fn shared(
        &mut self,
        object_type: u16,
        place: usize,
        head: &[u8; 32],
    ) -> Option<(Owned, usize)> {
        self.version.leaves.borrow_mut().find(object_type, place, head)
    }

    fn share(&mut self, object_type: u16, head: &[u8; 32], length: usize, value: &Owned) {
        if self.failed {
            return;
        }
        // SAFETY: the value is alive.
        let value = unsafe { Owned::borrow(value.as_ptr()) };
        let replaced = self.version.leaves.borrow_mut().keep(object_type, head, length, value);
        drop(replaced);
    }
}

/// A tuple of values that take no part in garbage collection, so neither does the tuple.
///
/// # Safety
/// The GIL must be held.
#[inline]
pub(super) unsafe fn tuple(items: impl ExactSizeIterator<Item = Owned>) -> Owned {
    // SAFETY: the tuple is new and has exactly one place for each item.
    unsafe {
        let tuple = Owned::new(ffi::PyTuple_New(items.len().cast_signed()));
        if items.len() > 0 {
            ffi::PyObject_GC_UnTrack(tuple.as_ptr().cast());
        }
        for (index, item) in items.enumerate() {
            ffi::PyTuple_SET_ITEM(tuple.as_ptr(), index.cast_signed(), item.into_ptr());
        }
        tuple
    }
}
