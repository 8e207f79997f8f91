//! `Json` values, made and read without calling their Python methods.
//!
//! `ocpp_fast.messages.json_value.Json` is a Python class with one slot, which holds the text as
//! bytes. Where that slot lies is found out, and checked, when the class is first needed.

use std::slice;

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

use super::memory::Owned;

/// Where the slot of a class without other slots lies: right behind the header.
const SLOT: usize = size_of::<ffi::PyObject>();

/// The class.
pub(super) fn class<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || {
        let class = py.import("ocpp_fast.messages.json_value")?.getattr("Json")?;
        check_layout(&class)?;
        Ok::<_, PyErr>(class.unbind())
    })?;
    Ok(class.bind(py))
}

/// Refuses a class whose instances are not what this module takes them for.
fn check_layout(class: &Bound<'_, PyAny>) -> PyResult<()> {
    let raw = PyBytes::new(class.py(), b"\"layout\"");
    let sample = class.call_method1("from_raw", (&raw,))?;
    let size: usize = class.getattr("__basicsize__")?.extract()?;
    // SAFETY: the instance is at least that long.
    let is_as_expected =
        size == SLOT + size_of::<usize>() && unsafe { *slot(sample.as_ptr()) } == raw.as_ptr();
    if is_as_expected {
        return Ok(());
    }
    Err(PyTypeError::new_err("Json must have exactly one slot, for its text"))
}

unsafe fn slot(value: *mut ffi::PyObject) -> *mut *mut ffi::PyObject {
    // SAFETY: the caller passes a `Json`.
    unsafe { value.byte_add(SLOT).cast() }
}

/// A `Json` that holds a text: this one, or what the class makes of another value.
pub(super) fn convert<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let class = class(value.py())?;
    if !value.get_type().is(class) {
        return class.call1((value,));
    }
    // SAFETY: a `Json` has this slot; empty or of another type if it was not made properly.
    let raw = unsafe { *slot(value.as_ptr()) };
    // SAFETY: an object that is not null is alive as long as the `Json`.
    if !raw.is_null() && unsafe { ffi::PyBytes_CheckExact(raw) != 0 && ffi::PyBytes_Size(raw) > 0 }
    {
        return Ok(value.clone());
    }
    Err(PyTypeError::new_err("a Json without text"))
}

/// A `Json` around checked text.
pub(super) fn new(py: Python<'_>, text: &str) -> PyResult<Owned> {
    let class = class(py)?.as_ptr().cast::<ffi::PyTypeObject>();
    // SAFETY: the GIL is held; the class has this layout. A value that holds only bytes cannot be
    // part of a cycle, so the garbage collector need not look at it.
    unsafe {
        let value = ffi::PyType_GenericAlloc(class, 0);
        if value.is_null() {
            return Err(PyErr::fetch(py));
        }
        ffi::PyObject_GC_UnTrack(value.cast());
        slot(value).write(PyBytes::new(py, text.as_bytes()).into_ptr());
        Ok(Owned::new(value))
    }
}

/// The text of a `Json`.
///
/// # Safety
/// The GIL must be held and `value` must be a `Json` that outlives `'a`.
pub(super) unsafe fn text<'a>(value: *mut ffi::PyObject) -> &'a [u8] {
    // SAFETY: the slot of a complete `Json` holds bytes and is never set again.
    unsafe {
        let raw = *slot(value);
        let length = ffi::PyBytes_Size(raw).cast_unsigned();
        slice::from_raw_parts(ffi::PyBytes_AsString(raw).cast(), length)
    }
}
