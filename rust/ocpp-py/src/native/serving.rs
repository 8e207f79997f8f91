//! Device-model messages as Python objects, with a safe face for the rest of the crate.

use ocpp_core::datetime::DateTime;
use ocpp_core::device_model::model::Model;
use ocpp_core::device_model::report::{Selection, covered};
use ocpp_core::device_model::serve::{self, Plan, Shapes};
use ocpp_core::sink::Source;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;

use super::bridge::shape_of;
use super::convert;
use super::memory::Owned;
use super::registry::Version;
use super::sink::PythonSink;
use super::source::{PythonSource, calendar};

/// The version of a message of that type; raises `TypeError` for any other object.
fn version_of(message: &Bound<'_, PyAny>, name: &str) -> PyResult<&'static Version> {
    let (version, id) = shape_of(message)?;
    let found = version.schema.objects[usize::from(id)].name;
    if found != name {
        return Err(PyTypeError::new_err(format!("expected {name}, not {found}")));
    }
    Ok(version)
}

/// Another reference to a member of a message.
fn keep(member: *mut ffi::PyObject) -> Owned {
    // SAFETY: the source only gives members of a living message, with the GIL held.
    unsafe { Owned::borrow(member) }
}

/// What the sink has made, unless it failed.
fn made<'py>(py: Python<'py>, sink: &PythonSink, value: Owned) -> PyResult<Bound<'py, PyAny>> {
    if sink.failed() {
        drop(value);
        return Err(PyErr::fetch(py));
    }
    // SAFETY: a new reference.
    Ok(unsafe { Bound::from_owned_ptr(py, value.into_ptr()) })
}

/// Answers a GetVariablesRequest.
pub(crate) fn get_variables<'py>(
    model: &Model,
    request: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = request.py();
    let version = version_of(request, "GetVariablesRequest")?;
    let shapes = Shapes::of(version.schema);
    let source = PythonSource::new(version, py);
    let mut sink = PythonSink::new(version, py);
    let response = serve::get_variables(model, shapes, request.as_ptr(), &source, &mut sink, keep);
    made(py, &sink, response)
}

/// Checks a SetVariablesRequest.
pub(crate) fn plan(model: &Model, request: &Bound<'_, PyAny>) -> PyResult<Plan> {
    let version = version_of(request, "SetVariablesRequest")?;
    let source = PythonSource::new(version, request.py());
    Ok(Plan::new(model, Shapes::of(version.schema), request.as_ptr(), &source))
}

/// The answer to a SetVariablesRequest.
pub(crate) fn set_response<'py>(
    plan: &Plan,
    request: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = request.py();
    let version = version_of(request, "SetVariablesRequest")?;
    let shapes = Shapes::of(version.schema);
    let source = PythonSource::new(version, py);
    let mut sink = PythonSink::new(version, py);
    let response = plan.response(shapes, request.as_ptr(), &source, &mut sink, keep);
    made(py, &sink, response)
}

/// What a GetReportRequest asks for.
pub(crate) fn requested(model: &Model, request: &Bound<'_, PyAny>) -> PyResult<Selection> {
    let version = version_of(request, "GetReportRequest")?;
    let source = PythonSource::new(version, request.py());
    Ok(Selection::requested(model, version.schema, request.as_ptr(), &source))
}

/// The variables that the componentVariable elements of a GetMonitoringReportRequest cover; `None`
/// if it has none.
pub(crate) fn monitored(model: &Model, request: &Bound<'_, PyAny>) -> PyResult<Option<Vec<u32>>> {
    let version = version_of(request, "GetMonitoringReportRequest")?;
    let source = PythonSource::new(version, request.py());
    let (_, id) = shape_of(request)?;
    let fields = version.schema.objects[usize::from(id)].fields;
    let field = fields.iter().position(|field| field.key() == "componentVariable");
    let list = field.and_then(|field| source.member(request.as_ptr(), field));
    Ok(list.map(|list| covered(model, version.schema, list, &source)))
}

/// An aware `datetime` in UTC.
pub(crate) fn moment(value: &Bound<'_, PyAny>) -> PyResult<DateTime> {
    // SAFETY: the GIL is held, the argument alive; the result is exactly a `datetime`.
    unsafe {
        match convert::date_time(value.as_ptr()) {
            Ok(moment) => Ok(calendar(moment.as_ptr())),
            Err(refusal) => {
                refusal.raise();
                Err(PyErr::fetch(value.py()))
            }
        }
    }
}
