//! Decoding and encoding of Python objects, with a safe face for the rest of the crate.

use ocpp_core::Deviation;
use ocpp_core::encode::Encoder;
use ocpp_core::frame::{Frame, Invalid, OpenCall, Policy};
use ocpp_core::violation::{Rule, Violation};
use ocpp_core::writer::Writer;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple, PyType};

use super::class::{Class, Shape};
use super::construct::{record, record_text, validation_error};
use super::json;
use super::memory::Owned;
use super::registry::{self, Role, Version};
use super::sink::PythonSink;
use super::source::PythonSource;

/// How a message is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// CALL.
    Call,
    /// CALLRESULT.
    Result,
    /// SEND.
    Send,
}

/// Runs `work` on the bytes of a bytes-like object.
fn with_bytes<'py, T>(data: &Bound<'py, PyAny>, work: impl FnOnce(&[u8]) -> T) -> PyResult<T> {
    if let Ok(bytes) = data.cast_exact::<PyBytes>() {
        return Ok(work(bytes.as_bytes()));
    }
    let buffer = PyBuffer::<u8>::get(data)?;
    if !buffer.is_c_contiguous() {
        return Err(PyValueError::new_err("the buffer must be contiguous"));
    }
    let length = buffer.len_bytes();
    if length == 0 {
        return Ok(work(&[]));
    }
    // SAFETY: the buffer is exported for as long as `buffer` lives. Its contents are copied by the
    // decoder before any Python code could change them.
    Ok(work(unsafe { std::slice::from_raw_parts(buffer.buf_ptr().cast(), length) }))
}

/// Decodes one frame; bad input is an `InvalidFrame`, not an error.
pub(crate) fn decode_frame<'py>(
    version: &'static Version,
    data: &Bound<'py, PyAny>,
    policy: Policy,
    open: Option<(&str, &str)>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = data.py();
    let open =
        open.and_then(|(id, action)| Some(OpenCall { id, response: version.response_of(action)? }));
    let mut sink = PythonSink::new(version, py);
    let frame = with_bytes(data, |bytes| {
        version.with_decoder(|decoder| decoder.frame(bytes, policy, open, &mut sink))
    })?;
    if sink.failed() {
        drop(frame);
        return Err(PyErr::fetch(py));
    }
    // SAFETY: a new reference.
    Ok(unsafe { Bound::from_owned_ptr(py, frame.into_ptr()) })
}

/// The record of a frame.
#[inline(always)]
pub(super) fn frame_record(
    py: Python<'_>,
    version: &'static Version,
    frame: Frame<Owned>,
    deviations: Vec<Deviation>,
) -> PyResult<Owned> {
    let records = registry::records(py);
    Ok(match frame {
        Frame::Request { send, id, action, payload } => {
            let class = if send { records.send } else { records.call };
            // SAFETY: the names of the actions are kept for ever.
            let action = unsafe { Owned::borrow(version.action_name(action)) };
            let deviations = deviation_tuple(py, deviations)?;
            record(py, class, [Some(id), Some(action), Some(payload), Some(deviations)])
        }
        Frame::Result { id, payload } => {
            let deviations = deviation_tuple(py, deviations)?;
            record(py, records.call_result, [Some(id), payload, Some(deviations)])
        }
        Frame::Error { of_result, id, code, description, details } => {
            let class = if of_result { records.call_result_error } else { records.call_error };
            record(py, class, [Some(id), Some(code), Some(description), Some(details)])
        }
        Frame::Invalid(invalid) => invalid_record(py, *invalid),
    })
}

#[cold]
fn invalid_record(py: Python<'_>, invalid: Invalid) -> Owned {
    let Invalid { message_type, id, action, violation } = invalid;
    // SAFETY: the GIL is held.
    let integer = |value| unsafe { Owned::new(ffi::PyLong_FromLongLong(value)) };
    let text = |value: &str| record_text(py, value);
    record(
        py,
        registry::records(py).invalid_frame,
        [
            message_type.map(integer),
            Some(text(id.as_deref().unwrap_or("-1"))),
            action.as_deref().map(text),
            Some(text(violation.rule.code().name())),
            Some(text(&violation.pointer())),
            Some(text(&violation.cause)),
        ],
    )
}

#[inline]
fn deviation_tuple(py: Python<'_>, deviations: Vec<Deviation>) -> PyResult<Owned> {
    if deviations.is_empty() {
        // SAFETY: the GIL is held; the empty tuple is a singleton.
        return Ok(unsafe { Owned::new(ffi::PyTuple_New(0)) });
    }
    let items = deviations.into_iter().map(|deviation| deviation_record(py, deviation));
    let items: Vec<_> = items.collect::<PyResult<_>>()?;
    // SAFETY: the GIL is held.
    Ok(unsafe { super::sink::tuple(items.into_iter()) })
}

#[cold]
fn deviation_record(py: Python<'_>, deviation: Deviation) -> PyResult<Owned> {
    let Deviation { violation, value } = deviation;
    let value = value.map(|text| json::new(py, &text)).transpose()?;
    let members = [
        Some(record_text(py, &violation.pointer())),
        Some(record_text(py, violation.rule.code().name())),
        Some(record_text(py, &violation.cause)),
        value,
    ];
    Ok(record(py, registry::records(py).deviation, members))
}

/// Decodes the JSON object of a message or datatype.
pub(crate) fn decode_payload<'py>(
    message_type: &Bound<'py, PyType>,
    data: &Bound<'py, PyAny>,
    policy: Policy,
) -> PyResult<Bound<'py, PyAny>> {
    let py = data.py();
    // SAFETY: it is a type.
    let class = unsafe { Class::of_type(message_type.as_type_ptr()) };
    let Some(Shape::Message { version, id }) = class.map(|class| class.shape) else {
        return Err(PyTypeError::new_err("expected a message type"));
    };
    let mut sink = PythonSink::new(version, py);
    let result = with_bytes(data, |bytes| {
        version.with_decoder(|decoder| decoder.payload(bytes, policy, id, &mut sink))
    })?;
    if sink.failed() {
        drop(result);
        return Err(PyErr::fetch(py));
    }
    match result {
        // SAFETY: a new reference.
        Ok((message, _)) => Ok(unsafe { Bound::from_owned_ptr(py, message.into_ptr()) }),
        Err(violation) => Err(validation_error(py, &violation)),
    }
}

/// The version and object type of a message.
pub(super) fn shape_of(message: &Bound<'_, PyAny>) -> PyResult<(&'static Version, u16)> {
    // SAFETY: the object is alive.
    match unsafe { Class::of_any(message.as_ptr()) }.map(|class| class.shape) {
        Some(Shape::Message { version, id }) => Ok((version, id)),
        _ => {
            let name = message.get_type().name()?;
            Err(PyTypeError::new_err(format!("expected an OCPP message, not {name}")))
        }
    }
}

/// Encodes a message within its frame.
pub(crate) fn encode_frame<'py>(
    version: &'static Version,
    framing: Framing,
    message_id: &str,
    message: &Bound<'py, PyAny>,
    tolerant: bool,
) -> PyResult<Bound<'py, PyBytes>> {
    let py = message.py();
    let (message_version, id) = shape_of(message)?;
    if !std::ptr::eq(version, message_version) {
        return Err(PyTypeError::new_err(format!(
            "a message of OCPP {} does not fit a codec of OCPP {}",
            message_version.schema.version, version.schema.version
        )));
    }
    let (message_type, action) = match (framing, version.role(id)) {
        (Framing::Call, Role::Request(action)) => (2, Some(action)),
        (Framing::Send, Role::Send(action)) => (6, Some(action)),
        (Framing::Result, Role::Response) => (3, None),
        _ => return Err(wrong_framing(version, framing, id)),
    };
    let mut result = Ok(());
    let frame = write(py, version, |out| {
        open_frame(out, message_type, message_id);
        out.raw(b",");
        if let Some(action) = action {
            out.string(version.schema.actions[usize::from(action)].name.as_bytes());
            out.raw(b",");
        }
        result = encode_object(version, id, message, tolerant, out);
        out.raw(b"]");
    });
    result.map(|()| frame)
}

#[cold]
fn wrong_framing(version: &Version, framing: Framing, id: u16) -> PyErr {
    let name = version.schema.objects[usize::from(id)].name;
    PyTypeError::new_err(format!("{name} is not the payload of a {framing:?} frame"))
}

/// Encodes the JSON object of a message or datatype.
pub(crate) fn encode_payload<'py>(message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let (version, id) = shape_of(message)?;
    let mut result = Ok(());
    let payload = write(message.py(), version, |out| {
        result = encode_object(version, id, message, false, out);
    });
    result.map(|()| payload)
}

fn encode_object(
    version: &'static Version,
    id: u16,
    message: &Bound<'_, PyAny>,
    tolerant: bool,
    out: &mut Writer,
) -> PyResult<()> {
    let source = PythonSource::new(version, message.py());
    let mut encoder = Encoder::new(version.schema, version.fragments(), &source, out, tolerant);
    encoder
        .message(id, message.as_ptr())
        .map_err(|violation| validation_error(message.py(), &violation))
}

/// What `work` writes, as bytes.
#[inline]
pub(crate) fn write<'py>(
    py: Python<'py>,
    version: &Version,
    work: impl FnOnce(&mut Writer),
) -> Bound<'py, PyBytes> {
    version.with_writer(|out| {
        out.clear();
        work(out);
        PyBytes::new(py, out.bytes())
    })
}

/// Writes `[type,"id"`.
#[inline]
pub(crate) fn open_frame(out: &mut Writer, message_type: u8, message_id: &str) {
    out.raw(&[b'[', b'0' + message_type, b',']);
    out.string(message_id.as_bytes());
}

/// The text of a JSON object, `{}` for none; raises `ValidationError` for anything else.
pub(crate) fn json_object(py: Python<'_>, value: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<u8>> {
    let Some(value) = value else {
        return Ok(b"{}".to_vec());
    };
    let value = json::convert(value)?;
    // SAFETY: a `Json` that lives until its text has been copied.
    let raw = unsafe { json::text(value.as_ptr()) }.to_vec();
    if raw.starts_with(b"{") {
        return Ok(raw);
    }
    let mut violation = Violation::new(Rule::Type, "expected an object");
    violation.in_member("details");
    Err(validation_error(py, &violation))
}

/// The public types of the module that are not classes of PyO3.
pub(crate) fn public_classes(py: Python<'_>) -> Vec<(&'static str, Bound<'_, PyAny>)> {
    let bound = |type_object: *mut ffi::PyTypeObject| {
        // SAFETY: types live for ever.
        unsafe { Bound::from_borrowed_ptr(py, type_object.cast()) }
    };
    let records = registry::records(py).all().map(|class| match class.shape {
        Shape::Record { name, .. } => (name, bound(class.as_type())),
        Shape::Message { .. } => unreachable!("records are no messages"),
    });
    let mut classes = vec![("Message", bound(registry::base_type(py)))];
    classes.extend(records);
    classes
}

/// `Call | CallResult | ...`: what decoding a frame can give.
pub(crate) fn frame_union(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let records = registry::records(py);
    let mut classes =
        records.all().into_iter().filter(|class| !std::ptr::eq(*class, records.deviation));
    // SAFETY: types live for ever.
    let bound = |class: &'static Class| unsafe {
        Bound::<PyAny>::from_borrowed_ptr(py, class.as_type().cast())
    };
    let first = bound(records.call);
    classes.try_fold(first, |union, class| union.bitor(bound(class)))
}

/// A type or enumeration of a version by its name.
pub(crate) fn type_by_name<'py>(
    py: Python<'py>,
    version: &'static Version,
    name: &str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let found = registry::type_by_name(py, version, name)?;
    // SAFETY: types live for ever.
    Ok(found.map(|object| unsafe { Bound::from_borrowed_ptr(py, object) }))
}

/// Rebuilds a message from what its `__reduce__` gave, checking it again: pickles come from
/// anywhere.
#[pyfunction]
#[pyo3(name = "_restore")]
pub(crate) fn restore<'py>(
    py: Python<'py>,
    version: &str,
    name: &str,
    members: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let class = registry::class_by_name(py, version, name)?;
    super::construct::from_members(py, class, members)
}
