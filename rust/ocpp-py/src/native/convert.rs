//! Python values as the schema wants them: each kind of member checked and brought into the one
//! form in which messages hold it.

use ocpp_core::number::Number;
use ocpp_core::schema::{Field, Kind, ObjectType};
use ocpp_core::violation::{ErrorCode, Rule, Violation};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::construct::Refusal;
use super::json;
use super::memory::Owned;
use super::registry::Version;
use super::sink::tuple;
use super::source::{calendar, text};

/// Members of an open type that the schema does not name: a JSON object.
pub(super) unsafe fn extra(
    object_type: &ObjectType,
    value: *mut ffi::PyObject,
) -> Result<Option<Owned>, Refusal> {
    // SAFETY: the GIL is held, `value` is alive.
    unsafe {
        if value == ffi::Py_None() {
            return Ok(None);
        }
        let extra = any(value)?;
        let is_empty = Python::attach(|py| {
            let members = Bound::from_borrowed_ptr(py, extra.as_ptr()).getattr("value");
            let Ok(members) = members.and_then(|members| Ok(members.cast_into::<PyDict>()?)) else {
                return Err(wrong_type("an object"));
            };
            for field in object_type.fields {
                if members.contains(field.key()).unwrap_or(true) {
                    let cause = "the member has a place of its own";
                    let mut violation = Violation::new(Rule::DuplicateMember, cause);
                    violation.in_member(field.key());
                    return Err(violation.into());
                }
            }
            Ok(members.is_empty())
        })?;
        Ok((!is_empty).then_some(extra))
    }
}

pub(super) unsafe fn array(
    version: &'static Version,
    field: &Field,
    value: *mut ffi::PyObject,
) -> Result<Owned, Refusal> {
    // SAFETY: the GIL is held; `sequence` is a list or tuple, read anew at each step because
    // converting an item may run Python code.
    unsafe {
        if ffi::PyList_Check(value) == 0 && ffi::PyTuple_Check(value) == 0 {
            return Err(Violation::new(Rule::Type, "expected a list or tuple").into());
        }
        let sequence = returned(ffi::PySequence_Tuple(value))?;
        let count = ffi::PyTuple_GET_SIZE(sequence.as_ptr()).cast_unsigned();
        if count == 0 {
            return Err(Violation::new(Rule::MinItems, "at least one item is required").into());
        }
        if count > field.max_items as usize {
            let cause = format!("at most {} items are allowed", field.max_items);
            return Err(Violation::new(Rule::MaxItems, cause).into());
        }
        let mut items = Vec::with_capacity(count);
        for index in 0..count {
            let item = ffi::PyTuple_GET_ITEM(sequence.as_ptr(), index.cast_signed());
            let item = single(version, field.kind, item)
                .map_err(|refusal| refusal.located(|v| v.in_item(index)))?;
            items.push(item);
        }
        Ok(tuple(items.into_iter()))
    }
}

#[inline]
pub(super) unsafe fn single(
    version: &'static Version,
    kind: Kind,
    value: *mut ffi::PyObject,
) -> Result<Owned, Refusal> {
    // SAFETY: the GIL is held and `value` alive.
    unsafe {
        match kind {
            Kind::Text(max_length) => string(value, max_length),
            Kind::Enum(id) => enum_member(version, id, value),
            Kind::Object(id) => object(version, id, value),
            Kind::Number(minimum, maximum) => number(value, minimum, maximum),
            Kind::Integer(minimum, maximum) => integer(value, minimum, maximum),
            Kind::DateTime => date_time(value),
            Kind::Boolean => boolean(value),
            Kind::Any => any(value),
        }
    }
}

unsafe fn string(value: *mut ffi::PyObject, max_length: u32) -> Result<Owned, Refusal> {
    // SAFETY: the GIL is held and `value` alive.
    unsafe {
        if ffi::PyUnicode_Check(value) == 0 {
            return Err(wrong_type("a str"));
        }
        let characters = ffi::PyUnicode_GET_LENGTH(value);
        if characters > max_length as isize {
            let cause = format!("at most {max_length} characters are allowed");
            return Err(Violation::new(Rule::MaxLength, cause).into());
        }
        if ffi::PyUnicode_IS_COMPACT_ASCII(value) == 0
            && ffi::PyUnicode_AsUTF8AndSize(value, &mut 0).is_null()
        {
            ffi::PyErr_Clear();
            return Err(Violation::new(Rule::Syntax, "a surrogate stands alone").into());
        }
        if ffi::PyUnicode_CheckExact(value) != 0 {
            return Ok(Owned::borrow(value));
        }
        returned(ffi::PyUnicode_FromObject(value))
    }
}

unsafe fn enum_member(
    version: &'static Version,
    id: u16,
    value: *mut ffi::PyObject,
) -> Result<Owned, Refusal> {
    // SAFETY: the GIL is held and `value` alive.
    unsafe {
        let class = version.enumeration(id).map_err(|()| Refusal::Error)?;
        if ffi::Py_TYPE(value).cast() == class.class {
            return Ok(Owned::borrow(value));
        }
        if ffi::PyUnicode_Check(value) == 0 {
            return Err(wrong_type("a str"));
        }
        let schema = &version.schema.enums[usize::from(id)];
        let wanted = text(value).0;
        let found = schema
            .lookup
            .candidate(wanted)
            .filter(|index| schema.values[*index].text().as_bytes() == wanted);
        match found {
            Some(index) => Ok(Owned::borrow(class.members[index])),
            None => {
                let cause = format!("not a value of {}", schema.name);
                Err(Violation::new(Rule::Enum, cause).into())
            }
        }
    }
}

unsafe fn object(
    version: &'static Version,
    id: u16,
    value: *mut ffi::PyObject,
) -> Result<Owned, Refusal> {
    // SAFETY: the GIL is held and `value` alive.
    unsafe {
        let class = version.class(id).map_err(|()| Refusal::Error)?;
        if ffi::Py_TYPE(value) == class.as_type() {
            return Ok(Owned::borrow(value));
        }
        Err(wrong_type(class.short_name()))
    }
}

unsafe fn number(value: *mut ffi::PyObject, minimum: f64, maximum: f64) -> Result<Owned, Refusal> {
    // SAFETY: the GIL is held and `value` alive.
    unsafe {
        let exact = ffi::PyFloat_CheckExact(value) != 0;
        let double = if exact {
            ffi::PyFloat_AS_DOUBLE(value)
        } else if ffi::PyFloat_Check(value) != 0
            || (ffi::PyLong_Check(value) != 0 && ffi::PyBool_Check(value) == 0)
        {
            ffi::PyFloat_AsDouble(value)
        } else {
            return Err(wrong_type("a float"));
        };
        if double == -1.0 && !ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_Clear();
            return Err(Violation::new(Rule::Range, "the number exceeds a double").into());
        }
        if !double.is_finite() {
            return Err(Violation::new(Rule::Range, "the number must be finite").into());
        }
        if double < minimum {
            return Err(out_of_limits(Rule::Minimum, minimum));
        }
        if double > maximum {
            return Err(out_of_limits(Rule::Maximum, maximum));
        }
        Ok(if exact { Owned::borrow(value) } else { Owned::new(ffi::PyFloat_FromDouble(double)) })
    }
}

unsafe fn integer(value: *mut ffi::PyObject, minimum: i64, maximum: i64) -> Result<Owned, Refusal> {
    // SAFETY: the GIL is held and `value` alive.
    unsafe {
        if ffi::PyLong_CheckExact(value) == 0 {
            return unusual_integer(value, minimum, maximum);
        }
        let mut overflow = 0;
        let whole = ffi::PyLong_AsLongLongAndOverflow(value, &raw mut overflow);
        if overflow != 0 {
            return Err(Violation::new(Rule::Range, "the integer exceeds 64 bits").into());
        }
        if whole < minimum {
            return Err(out_of_limits(Rule::Minimum, minimum));
        }
        if whole > maximum {
            return Err(out_of_limits(Rule::Maximum, maximum));
        }
        Ok(Owned::borrow(value))
    }
}

/// An `int` of a subclass, or a `float` without fraction, which JSON calls an integer too.
#[cold]
unsafe fn unusual_integer(
    value: *mut ffi::PyObject,
    minimum: i64,
    maximum: i64,
) -> Result<Owned, Refusal> {
    // SAFETY: the GIL is held and `value` alive.
    unsafe {
        let is_int = ffi::PyLong_Check(value) != 0 && ffi::PyBool_Check(value) == 0;
        let is_whole =
            ffi::PyFloat_Check(value) != 0 && ffi::PyFloat_AS_DOUBLE(value).fract() == 0.0;
        if !is_int && !is_whole {
            return Err(wrong_type("an int"));
        }
        let mut overflow = 0;
        let whole = if is_int {
            ffi::PyLong_AsLongLongAndOverflow(value, &raw mut overflow)
        } else {
            let whole = Number::Double(ffi::PyFloat_AS_DOUBLE(value)).as_whole();
            overflow = i32::from(whole.is_none());
            whole.unwrap_or_default()
        };
        if overflow != 0 {
            return Err(Violation::new(Rule::Range, "the integer exceeds 64 bits").into());
        }
        let exact = Owned::new(ffi::PyLong_FromLongLong(whole));
        integer(exact.as_ptr(), minimum, maximum)
    }
}

unsafe fn boolean(value: *mut ffi::PyObject) -> Result<Owned, Refusal> {
    // SAFETY: the GIL is held and `value` alive.
    unsafe {
        if ffi::PyBool_Check(value) == 0 {
            return Err(wrong_type("a bool"));
        }
        Ok(Owned::borrow(value))
    }
}

/// An aware `datetime`, turned to UTC and cut to milliseconds, the most that OCPP can carry
/// (2.1.4, primitive datatypes).
pub(super) unsafe fn date_time(value: *mut ffi::PyObject) -> Result<Owned, Refusal> {
    // SAFETY: the GIL is held and `value` alive.
    unsafe {
        if ffi::PyDateTime_Check(value) == 0 {
            return Err(wrong_type("a datetime"));
        }
        let utc = ffi::PyDateTime_TimeZone_UTC();
        let zone = ffi::PyDateTime_DATE_GET_TZINFO(value);
        let whole = ffi::PyDateTime_DATE_GET_MICROSECOND(value) % 1000 == 0;
        if zone == utc && whole && ffi::PyDateTime_CheckExact(value) != 0 {
            return Ok(Owned::borrow(value));
        }
        if zone == ffi::Py_None() {
            return Err(naive());
        }
        let moment = if zone == utc { Owned::borrow(value) } else { to_utc(value, utc)? };
        Ok(super::sink::date_time(calendar(moment.as_ptr())))
    }
}

unsafe fn to_utc(value: *mut ffi::PyObject, utc: *mut ffi::PyObject) -> Result<Owned, Refusal> {
    // SAFETY: the GIL is held, both are alive.
    unsafe {
        let offset = returned(ffi::PyObject_CallMethodNoArgs(value, name(c"utcoffset").as_ptr()))?;
        if offset.as_ptr() == ffi::Py_None() {
            return Err(naive());
        }
        let method = name(c"astimezone");
        let moment = ffi::PyObject_CallMethodOneArg(value, method.as_ptr(), utc);
        if moment.is_null() && ffi::PyErr_ExceptionMatches(ffi::PyExc_OverflowError) != 0 {
            ffi::PyErr_Clear();
            let cause = "in UTC the datetime leaves the years 1 to 9999";
            return Err(Violation::new(Rule::DateTime, cause).into());
        }
        let moment = returned(moment)?;
        if ffi::PyDateTime_Check(moment.as_ptr()) == 0 {
            return Err(wrong_type("a datetime"));
        }
        Ok(moment)
    }
}

#[cold]
fn naive() -> Refusal {
    Violation::new(Rule::DateTime, "the datetime must be aware of its time zone").into()
}

unsafe fn name(text: &std::ffi::CStr) -> Owned {
    // SAFETY: the GIL is held; the text ends in a zero byte.
    unsafe { Owned::new(ffi::PyUnicode_FromString(text.as_ptr())) }
}

/// A `Json`, or what becomes one.
unsafe fn any(value: *mut ffi::PyObject) -> Result<Owned, Refusal> {
    // SAFETY: the GIL is held and `value` alive.
    unsafe {
        Python::attach(|py| match json::convert(&Bound::from_borrowed_ptr(py, value)) {
            Ok(json) => Ok(Owned::new(json.into_ptr())),
            Err(error) => Err(json_refusal(py, error)),
        })
    }
}

/// Why `Json` refused a value, to be located within the message.
#[cold]
fn json_refusal(py: Python<'_>, error: PyErr) -> Refusal {
    let text = |name| error.value(py).getattr(name).and_then(|value| value.extract::<String>());
    if let (Ok(code), Ok(pointer), Ok(cause)) = (text("code"), text("pointer"), text("cause")) {
        let is_type = code == ErrorCode::TypeConstraintViolation.name();
        let rule = if is_type { Rule::Type } else { Rule::Syntax };
        return Violation::new(rule, cause).at(&pointer).into();
    }
    error.restore(py);
    Refusal::Error
}

/// What a call of the interpreter returned: a new reference, or null with an error set.
unsafe fn returned(object: *mut ffi::PyObject) -> Result<Owned, Refusal> {
    if object.is_null() {
        return Err(Refusal::Error);
    }
    // SAFETY: a new reference.
    Ok(unsafe { Owned::new(object) })
}

#[cold]
fn wrong_type(expected: &str) -> Refusal {
    Violation::new(Rule::Type, format!("expected {expected}")).into()
}

#[cold]
fn out_of_limits(rule: Rule, limit: impl std::fmt::Display) -> Refusal {
    let least = if rule == Rule::Minimum { "least" } else { "most" };
    Violation::new(rule, format!("must be at {least} {limit}")).into()
}
