//! Python objects as values to encode.

use std::slice;

use ocpp_core::datetime::DateTime;
use ocpp_core::sink::Source;
use ocpp_core::writer::Writer;
use pyo3::ffi;
use pyo3::prelude::*;

use super::class::Class;
use super::json;
use super::memory::Owned;
use super::registry::Version;

/// Reads message objects of one version. Rule 2 of the module lets it trust their members.
pub(crate) struct PythonSource<'py> {
    version: &'static Version,
    _py: Python<'py>,
}

impl<'py> PythonSource<'py> {
    /// A source of messages of `version`.
    pub(crate) fn new(version: &'static Version, py: Python<'py>) -> Self {
        Self { version, _py: py }
    }
}

/// The text of a Python string as UTF-8, and its length in characters.
///
/// # Safety
/// The GIL must be held, `string` must be a Python string without surrogates and outlive `'a`.
#[inline]
pub(super) unsafe fn text<'a>(string: *mut ffi::PyObject) -> (&'a [u8], usize) {
    // SAFETY: the caller's promise; the UTF-8 form is kept by the string itself.
    unsafe {
        let characters = ffi::PyUnicode_GET_LENGTH(string).cast_unsigned();
        if ffi::PyUnicode_IS_COMPACT_ASCII(string) != 0 {
            let data = ffi::PyUnicode_DATA(string).cast::<u8>();
            return (slice::from_raw_parts(data, characters), characters);
        }
        let mut length = 0;
        let data = ffi::PyUnicode_AsUTF8AndSize(string, &raw mut length);
        if data.is_null() {
            ffi::PyErr_Clear();
            return (&[], characters);
        }
        (slice::from_raw_parts(data.cast(), length.cast_unsigned()), characters)
    }
}

/// The calendar fields of a `datetime`.
///
/// # Safety
/// `value` must be a `datetime`, whose fields are in range.
#[inline]
pub(super) unsafe fn calendar(value: *mut ffi::PyObject) -> DateTime {
    // SAFETY: the caller's promise.
    unsafe {
        DateTime {
            year: ffi::PyDateTime_GET_YEAR(value) as u16,
            month: ffi::PyDateTime_GET_MONTH(value) as u8,
            day: ffi::PyDateTime_GET_DAY(value) as u8,
            hour: ffi::PyDateTime_DATE_GET_HOUR(value) as u8,
            minute: ffi::PyDateTime_DATE_GET_MINUTE(value) as u8,
            second: ffi::PyDateTime_DATE_GET_SECOND(value) as u8,
            millisecond: (ffi::PyDateTime_DATE_GET_MICROSECOND(value) / 1000) as u16,
        }
    }
}

impl Source for PythonSource<'_> {
    type Value = *mut ffi::PyObject;

    #[inline]
    fn member(&self, object: Self::Value, field: usize) -> Option<Self::Value> {
        // SAFETY: the encoder asks for the members of the object's own type.
        unsafe {
            let member = Class::of(object).member(object, field);
            (member != ffi::Py_None()).then_some(member)
        }
    }

    #[inline]
    fn text(&self, value: Self::Value) -> (&[u8], usize) {
        // SAFETY: the member is a checked string and the message keeps it alive.
        unsafe { text(value) }
    }

    #[inline]
    fn integer(&self, value: Self::Value) -> i64 {
        // SAFETY: the member is an `int` within 64 bits.
        unsafe { ffi::PyLong_AsLongLong(value) }
    }

    #[inline]
    fn number(&self, value: Self::Value) -> f64 {
        // SAFETY: the member is exactly a `float`.
        unsafe { ffi::PyFloat_AS_DOUBLE(value) }
    }

    #[inline]
    fn boolean(&self, value: Self::Value) -> bool {
        // SAFETY: the member is one of the two singletons.
        value == unsafe { ffi::Py_True() }
    }

    #[inline]
    fn date_time(&self, value: Self::Value) -> DateTime {
        // SAFETY: the member is exactly a `datetime` in UTC.
        unsafe { calendar(value) }
    }

    #[inline]
    fn enumeration(&self, enumeration: u16, value: Self::Value) -> usize {
        // SAFETY: the GIL is held; the member's class exists, since the member does.
        let class = unsafe { self.version.enumeration(enumeration) };
        class.ok().and_then(|class| class.index_of(value)).unwrap_or_default()
    }

    fn json(&self, value: Self::Value) -> &[u8] {
        // SAFETY: the member is a `Json` and the message keeps it alive.
        unsafe { json::text(value) }
    }

    #[inline]
    fn length(&self, list: Self::Value) -> usize {
        // SAFETY: the member is a tuple.
        unsafe { ffi::PyTuple_GET_SIZE(list).cast_unsigned() }
    }

    #[inline]
    fn put_tail(
        &self,
        reading: Self::Value,
        place: usize,
        out: &mut Writer,
        at: usize,
    ) -> Option<usize> {
        // SAFETY: the encoder asks for a message object.
        unsafe { self.version.readings.borrow().put_tail(reading, place, out, at) }
    }

    fn keep_tail(&self, reading: Self::Value, place: usize, tail: &[u8]) {
        // SAFETY: the message keeps the reading alive.
        let reading = unsafe { Owned::borrow(reading) };
        let replaced = self.version.readings.borrow_mut().keep_tail(reading, place, tail);
        drop(replaced);
    }

    #[inline]
    fn put_encoded(&self, object: Self::Value, out: &mut Writer, at: usize) -> Option<usize> {
        self.version.leaves.borrow().put_encoded(object, out, at)
    }

    fn keep_encoded(&self, object: Self::Value, text: &[u8]) {
        // SAFETY: the message keeps the object alive.
        let object = unsafe { Owned::borrow(object) };
        let replaced = self.version.leaves.borrow_mut().keep_encoded(object, text);
        drop(replaced);
    }

    #[inline]
    fn item(&self, list: Self::Value, index: usize) -> Self::Value {
        // SAFETY: the encoder stays below the length.
        unsafe { ffi::PyTuple_GET_ITEM(list, index.cast_signed()) }
    }
}
