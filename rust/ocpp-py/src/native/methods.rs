//! What every message can do: compare, hash, print, replace, copy, pickle. Written once.

use std::ffi::c_int;
use std::ptr;

use ocpp_core::schema::{Field, Kind, Secrecy};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::class::{Class, Shape, prepare};
use super::construct::{Refusal, check_required, slot_of};
use super::memory::{Building, Owned};
use super::source::text;

/// Makes the type `Message`.
///
/// # Safety
/// The GIL must be held; once.
pub(super) unsafe fn make_base_type() -> Result<*mut ffi::PyTypeObject, ()> {
    // SAFETY: a zeroed type object is what C programs start from.
    let type_object: &mut ffi::PyTypeObject = Box::leak(Box::new(unsafe { std::mem::zeroed() }));
    prepare(type_object, c"ocpp_fast._core.Message".as_ptr(), 0, ptr::null_mut());
    type_object.tp_doc = c"Base of every request, response, datatype and frame.".as_ptr();
    type_object.tp_flags |= ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
    type_object.tp_methods = Box::leak(method_definitions()).as_mut_ptr();
    // SAFETY: the type object is complete and never moves.
    if unsafe { ffi::PyType_Ready(type_object) } < 0 {
        return Err(());
    }
    Ok(type_object)
}

fn method_definitions() -> Box<[ffi::PyMethodDef]> {
    let fast = ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: replace };
    let plain = |function| ffi::PyMethodDefPointer { PyCFunction: function };
    Box::new([
        ffi::PyMethodDef {
            ml_name: c"replace".as_ptr(),
            ml_meth: fast,
            ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
            ml_doc: c"A copy with some members changed, checked like a new one.".as_ptr(),
        },
        ffi::PyMethodDef {
            ml_name: c"__copy__".as_ptr(),
            ml_meth: plain(itself),
            ml_flags: ffi::METH_NOARGS,
            ml_doc: c"The message itself, which never changes.".as_ptr(),
        },
        ffi::PyMethodDef {
            ml_name: c"__deepcopy__".as_ptr(),
            ml_meth: plain(itself),
            ml_flags: ffi::METH_O,
            ml_doc: c"The message itself, which never changes.".as_ptr(),
        },
        ffi::PyMethodDef {
            ml_name: c"__reduce__".as_ptr(),
            ml_meth: plain(reduce),
            ml_flags: ffi::METH_NOARGS,
            ml_doc: c"For pickle.".as_ptr(),
        },
        ffi::PyMethodDef::zeroed(),
    ])
}

unsafe extern "C" fn itself(
    object: *mut ffi::PyObject,
    _argument: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: called by the interpreter on a live object.
    unsafe { ffi::Py_NewRef(object) }
}

/// `tp_richcompare`: equal types with equal members are equal; there is no order.
pub(super) unsafe extern "C" fn compare(
    left: *mut ffi::PyObject,
    right: *mut ffi::PyObject,
    operation: c_int,
) -> *mut ffi::PyObject {
    // SAFETY: called by the interpreter; `left` is a message.
    unsafe {
        let is_equality = operation == ffi::Py_EQ || operation == ffi::Py_NE;
        if !is_equality || ffi::Py_TYPE(left) != ffi::Py_TYPE(right) {
            return ffi::Py_NewRef(ffi::Py_NotImplemented());
        }
        let class = Class::of(left);
        for slot in 0..class.slots {
            let (mine, other) = (class.member(left, slot), class.member(right, slot));
            match ffi::PyObject_RichCompareBool(mine, other, ffi::Py_EQ) {
                1 => {}
                0 => return truth(operation == ffi::Py_NE),
                _ => return ptr::null_mut(),
            }
        }
        truth(operation == ffi::Py_EQ)
    }
}

unsafe fn truth(value: bool) -> *mut ffi::PyObject {
    // SAFETY: both singletons are always alive.
    unsafe { ffi::Py_NewRef(if value { ffi::Py_True() } else { ffi::Py_False() }) }
}

/// `tp_hash`: over the members and the type.
pub(super) unsafe extern "C" fn hash(object: *mut ffi::PyObject) -> ffi::Py_hash_t {
    // SAFETY: called by the interpreter on a message.
    unsafe {
        let class = Class::of(object);
        let object_type = class.shape.object_type();
        let mut hash = class.as_type() as usize as u64;
        for slot in 0..class.slots {
            let member = class.member(object, slot);
            let field = object_type.and_then(|object_type| object_type.fields.get(slot));
            let part = if field.is_some_and(is_single_enum) {
                // One object a value; its own hash function is written in Python.
                member as usize as u64
            } else {
                match ffi::PyObject_Hash(member) {
                    -1 => return -1,
                    part => part.cast_unsigned() as u64,
                }
            };
            hash = (hash.rotate_left(5) ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        match hash.cast_signed() as ffi::Py_hash_t {
            -1 => -2,
            hash => hash,
        }
    }
}

fn is_single_enum(field: &Field) -> bool {
    field.max_items == 0 && matches!(field.kind, Kind::Enum(_))
}

/// `tp_repr`: the members that are there, as keyword arguments; secrets are not shown.
pub(super) unsafe extern "C" fn repr(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: called by the interpreter on a message, with the GIL held.
    unsafe {
        Python::attach(|py| match describe(py, object) {
            Ok(description) => {
                let length = description.len().cast_signed();
                ffi::PyUnicode_FromStringAndSize(description.as_ptr().cast(), length)
            }
            Err(error) => {
                error.restore(py);
                ptr::null_mut()
            }
        })
    }
}

unsafe fn describe(py: Python<'_>, object: *mut ffi::PyObject) -> PyResult<String> {
    // SAFETY: `object` is a message and alive.
    unsafe {
        let class = Class::of(object);
        let object_type = class.shape.object_type();
        let mut description = format!("{}(", class.short_name());
        let mut separator = "";
        for slot in 0..class.slots {
            let value = class.member(object, slot);
            if value == ffi::Py_None() {
                continue;
            }
            description.push_str(separator);
            separator = ", ";
            description.push_str(&String::from_utf8_lossy(text(class.names[slot]).0));
            description.push('=');
            let field = object_type.and_then(|object_type| object_type.fields.get(slot));
            if field.is_some_and(|field| is_hidden(class, object, field)) {
                description.push_str("<redacted>");
            } else {
                let value = Bound::from_borrowed_ptr(py, value);
                description.push_str(&describe_value(&value)?);
            }
        }
        description.push(')');
        Ok(description)
    }
}

/// Date-times and enumerations as they stand on the wire, everything else as Python shows it.
fn describe_value(value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(items) = value.cast::<PyTuple>() {
        let items: PyResult<Vec<_>> = items.iter().map(|item| describe_value(&item)).collect();
        let items = items?.join(", ");
        return Ok(if value.len()? == 1 { format!("({items},)") } else { format!("({items})") });
    }
    let shown = if value.hasattr("isoformat")? {
        value.call_method0("isoformat")?
    } else if value.hasattr("_value_")? {
        value.getattr("_value_")?
    } else {
        value.repr()?.into_any()
    };
    shown.extract()
}

/// Whether a member must not be shown.
unsafe fn is_hidden(class: &Class, object: *mut ffi::PyObject, field: &Field) -> bool {
    match field.secrecy {
        Secrecy::Open => false,
        Secrecy::Secret => true,
        // SAFETY: `object` is alive.
        Secrecy::OfVariable => unsafe { variable_is_credential(class, object) },
    }
}

/// Whether the variable named beside a value holds a password, key or other secret.
unsafe fn variable_is_credential(class: &Class, object: *mut ffi::PyObject) -> bool {
    // SAFETY: members are checked: `variable` is a message with a member `name`, a string.
    unsafe {
        let Some(slot) = class.slot_named("variable") else {
            return true;
        };
        let variable = class.member(object, slot);
        let Some(variable_class) = Class::of_any(variable) else {
            return true;
        };
        let Some(slot) = variable_class.slot_named("name") else {
            return true;
        };
        let name = String::from_utf8_lossy(text(variable_class.member(variable, slot)).0)
            .to_ascii_lowercase();
        CREDENTIALS.iter().any(|word| name.contains(word))
    }
}

/// Words in the names of such variables; the last one is a list of profiles with their passwords.
const CREDENTIALS: [&str; 6] = ["password", "secret", "key", "token", "pin", "connectionprofiles"];

/// `replace(**changes)`.
unsafe extern "C" fn replace(
    object: *mut ffi::PyObject,
    values: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: called by the interpreter on a message, with the GIL held.
    unsafe {
        if count != 0 {
            Refusal::type_error("replace takes keyword arguments only".to_owned());
            return ptr::null_mut();
        }
        match replaced(object, values, keywords) {
            Ok(message) => message.into_ptr(),
            Err(refusal) => {
                refusal.raise();
                ptr::null_mut()
            }
        }
    }
}

unsafe fn replaced(
    object: *mut ffi::PyObject,
    values: *const *mut ffi::PyObject,
    keywords: *mut ffi::PyObject,
) -> Result<Owned, Refusal> {
    // SAFETY: `object` is a message; one value for each keyword.
    unsafe {
        let class = Class::of(object);
        let mut building = Building::new(class);
        super::construct::fill(class, &mut building, values, keywords)?;
        let changed = |slot: usize| {
            !keywords.is_null()
                && (0..ffi::PyTuple_GET_SIZE(keywords)).any(|index| {
                    slot_of(class, ffi::PyTuple_GET_ITEM(keywords, index)) == Some(slot)
                })
        };
        for slot in 0..class.slots {
            let value = class.member(object, slot);
            if value != ffi::Py_None() && !changed(slot) {
                building.set(slot, Owned::borrow(value));
            }
        }
        check_required(class, &building)?;
        Ok(building.finish())
    }
}

/// `__reduce__`: `_restore(version, name, members)`.
unsafe extern "C" fn reduce(
    object: *mut ffi::PyObject,
    _argument: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: called by the interpreter on a message, with the GIL held.
    unsafe {
        Python::attach(|py| match reduced(py, object) {
            Ok(reduced) => reduced.into_ptr(),
            Err(error) => {
                error.restore(py);
                ptr::null_mut()
            }
        })
    }
}

unsafe fn reduced<'py>(py: Python<'py>, object: *mut ffi::PyObject) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: `object` is a message and alive.
    unsafe {
        let class = Class::of(object);
        let version = match class.shape {
            Shape::Message { version, .. } => version.schema.version,
            Shape::Record { .. } => "",
        };
        let members =
            (0..class.slots).map(|slot| Bound::from_borrowed_ptr(py, class.member(object, slot)));
        let members = PyTuple::new(py, members.collect::<Vec<_>>())?;
        let restore = py.import("ocpp_fast._core")?.getattr("_restore")?;
        let arguments = (version, class.short_name(), members).into_pyobject(py)?;
        Ok((restore, arguments).into_pyobject(py)?.into_any())
    }
}
