//! Messages made by Python code: keyword arguments, checked against the schema.

use std::ptr;

use ocpp_core::violation::{Rule, Violation};
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

use super::class::{Class, Shape};
use super::convert::{array, extra, single};
use super::memory::{Building, MAX_SLOTS, Owned};
use super::sink::ascii;
use super::source::text;

/// Why a value is refused.
pub(crate) enum Refusal {
    /// It breaks the schema.
    Violation(Box<Violation>),
    /// A Python error is set.
    Error,
}

impl From<Violation> for Refusal {
    fn from(violation: Violation) -> Self {
        Self::Violation(Box::new(violation))
    }
}

impl Refusal {
    pub(super) fn located(mut self, step: impl FnOnce(&mut Violation)) -> Self {
        if let Self::Violation(violation) = &mut self {
            step(violation);
        }
        self
    }

    /// Whether a string is too long, which tolerant decoding lets pass.
    fn is_of_length(&self) -> bool {
        matches!(self, Self::Violation(violation) if violation.rule == Rule::MaxLength)
    }

    /// Sets the Python error.
    #[cold]
    pub(super) fn raise(self) {
        if let Self::Violation(violation) = self {
            Python::attach(|py| validation_error(py, &violation).restore(py));
        }
    }

    /// A `TypeError`.
    #[cold]
    pub(super) fn type_error(message: String) -> Self {
        Python::attach(|py| PyTypeError::new_err(message).restore(py));
        Self::Error
    }
}

/// `ocpp_fast.errors.ValidationError` for a violation.
#[cold]
pub(crate) fn validation_error(py: Python<'_>, violation: &Violation) -> PyErr {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || {
        Ok::<_, PyErr>(py.import("ocpp_fast.errors")?.getattr("ValidationError")?.unbind())
    });
    let arguments = (violation.rule.code().name(), violation.pointer(), violation.cause.as_str());
    match class.and_then(|class| class.bind(py).call1(arguments)) {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}

/// `tp_vectorcall` of every message type.
pub(super) unsafe extern "C" fn vectorcall(
    callable: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: usize,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: called by the interpreter on one of our types, with the GIL held.
    unsafe {
        let class = &*callable.cast::<Class>();
        if ffi::PyVectorcall_NARGS(count) != 0 {
            let message = format!("{} takes keyword arguments only", class.short_name());
            Refusal::type_error(message);
            return ptr::null_mut();
        }
        let mut building = Building::new(class);
        match fill(class, &mut building, arguments, keywords)
            .and_then(|()| check_required(class, &building))
        {
            Ok(()) => share(class, building.finish()).into_ptr(),
            Err(refusal) => {
                drop(building);
                refusal.raise();
                ptr::null_mut()
            }
        }
    }
}

/// The same object for the same members of a small type, so that its text is kept too.
#[inline]
fn share(class: &Class, object: Owned) -> Owned {
    match class.shape {
        Shape::Message { version, id } if version.schema.objects[usize::from(id)].leaf => {
            let (object, spare) = version.leaves.borrow_mut().intern(object);
            drop(spare);
            object
        }
        _ => object,
    }
}

/// `tp_new`, for the rare callers that pass a dict of keyword arguments.
pub(super) unsafe extern "C" fn new(
    type_object: *mut ffi::PyTypeObject,
    arguments: *mut ffi::PyObject,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: called by the interpreter with a tuple and a dict or null.
    unsafe { ffi::PyVectorcall_Call(type_object.cast(), arguments, keywords) }
}

/// Sets the members that keyword arguments name.
///
/// # Safety
/// The GIL must be held, `values` must hold one value for each name of the tuple `keywords`.
pub(super) unsafe fn fill(
    class: &'static Class,
    building: &mut Building,
    values: *const *mut ffi::PyObject,
    keywords: *mut ffi::PyObject,
) -> Result<(), Refusal> {
    if keywords.is_null() {
        return Ok(());
    }
    // SAFETY: the caller's promise.
    unsafe {
        let slots = keyword_slots(class, keywords)?;
        let count = ffi::PyTuple_GET_SIZE(keywords).cast_unsigned();
        for (index, slot) in slots.into_iter().take(count).enumerate() {
            let slot = usize::from(slot);
            if let Some(value) = member(class, slot, *values.add(index))? {
                building.set(slot, value);
            }
        }
    }
    Ok(())
}

/// Which member each keyword names. A call site passes the same tuple each time, so the last one
/// is remembered.
unsafe fn keyword_slots(
    class: &'static Class,
    keywords: *mut ffi::PyObject,
) -> Result<[u8; MAX_SLOTS], Refusal> {
    if class.keywords.get() == keywords {
        return Ok(class.keyword_slots.get());
    }
    let mut slots = [0; MAX_SLOTS];
    // SAFETY: `keywords` is a tuple of strings, without duplicates.
    unsafe {
        for index in 0..ffi::PyTuple_GET_SIZE(keywords) {
            let name = ffi::PyTuple_GET_ITEM(keywords, index);
            let Some(slot) = slot_of(class, name) else {
                let message = format!(
                    "{} has no member '{}'",
                    class.short_name(),
                    String::from_utf8_lossy(text(name).0)
                );
                return Err(Refusal::type_error(message));
            };
            slots[index.cast_unsigned()] = slot as u8;
        }
        class.keyword_slots.set(slots);
        let before = class.keywords.replace(ffi::Py_NewRef(keywords));
        ffi::Py_XDECREF(before);
    }
    Ok(slots)
}

/// The member with that name.
pub(super) unsafe fn slot_of(class: &Class, name: *mut ffi::PyObject) -> Option<usize> {
    if let Some(slot) = class.names.iter().position(|known| *known == name) {
        return Some(slot);
    }
    // SAFETY: both are strings.
    class.names.iter().position(|known| unsafe { ffi::PyUnicode_Compare(*known, name) == 0 })
}

/// Refuses a message without one of its required members.
pub(super) fn check_required(class: &Class, building: &Building) -> Result<(), Refusal> {
    let Some(object_type) = class.shape.object_type() else {
        return Ok(());
    };
    for (index, field) in object_type.fields.iter().enumerate() {
        if field.required && building.is_absent(index) {
            let mut violation = Violation::new(Rule::Required, "the member is required");
            violation.in_member(field.key());
            return Err(violation.into());
        }
    }
    Ok(())
}

/// A message of `class` from one value for each member.
pub(super) fn from_members<'py>(
    py: Python<'py>,
    class: &'static Class,
    members: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    if members.len() != class.slots {
        let message = format!("{} has {} members", class.short_name(), class.slots);
        return Err(PyTypeError::new_err(message));
    }
    // SAFETY: the GIL is held.
    let mut building = unsafe { Building::new(class) };
    let result = (0..class.slots).try_for_each(|slot| {
        // SAFETY: the GIL is held and the tuple keeps its items alive.
        let value = unsafe {
            let value = ffi::PyTuple_GET_ITEM(members.as_ptr(), slot.cast_signed());
            match member(class, slot, value) {
                Err(refusal) if refusal.is_of_length() => Some(Owned::borrow(value)),
                result => result?,
            }
        };
        if let Some(value) = value {
            building.set(slot, value);
        }
        Ok(())
    });
    match result.and_then(|()| check_required(class, &building)) {
        // SAFETY: a new reference.
        Ok(()) => Ok(unsafe { Bound::from_owned_ptr(py, building.finish().into_ptr()) }),
        Err(refusal) => {
            drop(building);
            refusal.raise();
            Err(PyErr::fetch(py))
        }
    }
}

/// The value of one member as it is stored; `None` for absent.
///
/// # Safety
/// The GIL must be held and `value` alive.
#[inline]
pub(super) unsafe fn member(
    class: &Class,
    slot: usize,
    value: *mut ffi::PyObject,
) -> Result<Option<Owned>, Refusal> {
    // SAFETY: the caller's promise.
    unsafe {
        let Shape::Message { version, id } = class.shape else {
            return Ok((value != ffi::Py_None()).then(|| Owned::borrow(value)));
        };
        let object_type = &version.schema.objects[usize::from(id)];
        let Some(field) = object_type.fields.get(slot) else {
            return extra(object_type, value);
        };
        if value == ffi::Py_None() && !field.required {
            return Ok(None);
        }
        let result = if field.max_items == 0 {
            single(version, field.kind, value)
        } else {
            array(version, field, value)
        };
        result.map(Some).map_err(|refusal| refusal.located(|v| v.in_member(field.key())))
    }
}

/// A text for a record of the codec.
pub(crate) fn record_text(_py: Python<'_>, value: &str) -> Owned {
    // SAFETY: the GIL is held; the text is what it says.
    unsafe {
        if value.is_ascii() {
            return ascii(value.as_bytes());
        }
        let length = value.len().cast_signed();
        Owned::new(ffi::PyUnicode_FromStringAndSize(value.as_ptr().cast(), length))
    }
}

/// A record of the codec, members in order; `None` for an absent one.
#[inline]
pub(crate) fn record<const N: usize>(
    _py: Python<'_>,
    class: &'static Class,
    members: [Option<Owned>; N],
) -> Owned {
    // SAFETY: the GIL is held.
    let mut building = unsafe { Building::new(class) };
    for (slot, member) in members.into_iter().enumerate() {
        if let Some(member) = member {
            building.set(slot, member);
        }
    }
    building.finish()
}
