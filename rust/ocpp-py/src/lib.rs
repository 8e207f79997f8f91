//! `ocpp_fast._core`: the message path as Python sees it. `_core.pyi` documents it.
#![deny(unsafe_code)]

#[cfg(Py_GIL_DISABLED)]
compile_error!("free-threaded Python is not supported yet: the caches rely on the GIL");

mod codec;
mod device_model;
#[expect(unsafe_code, reason = "the one module that handles Python objects by pointer")]
mod native;

use ocpp_core::schema::Direction;
use pyo3::exceptions::{PyAttributeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use native::{bridge, registry};

fn version(py: Python<'_>, name: &str) -> PyResult<&'static registry::Version> {
    registry::version(py, name)
        .ok_or_else(|| PyValueError::new_err(format!("unknown OCPP version '{name}'")))
}

/// The type or enumeration of that name.
#[pyfunction]
#[pyo3(signature = (version_name, name, /))]
fn message_type<'py>(
    py: Python<'py>,
    version_name: &str,
    name: &str,
) -> PyResult<Bound<'py, PyAny>> {
    bridge::type_by_name(py, version(py, version_name)?, name)?
        .ok_or_else(|| PyAttributeError::new_err(format!("OCPP {version_name} has no '{name}'")))
}

/// Names of all types and enumerations of a version, sorted.
#[pyfunction]
#[pyo3(signature = (version_name, /))]
fn type_names<'py>(py: Python<'py>, version_name: &str) -> PyResult<Bound<'py, PyTuple>> {
    let schema = version(py, version_name)?.schema;
    let objects = schema.objects.iter().map(|object| object.name);
    let mut names: Vec<_> = objects.chain(schema.enums.iter().map(|e| e.name)).collect();
    names.sort_unstable();
    PyTuple::new(py, names)
}

/// For each action its direction, block letter, request type and response type.
#[pyfunction]
#[pyo3(signature = (version_name, /))]
fn actions<'py>(py: Python<'py>, version_name: &str) -> PyResult<Bound<'py, PyDict>> {
    let schema = version(py, version_name)?.schema;
    let actions = PyDict::new(py);
    for action in schema.actions {
        let direction = match action.direction {
            Direction::CsToCsms => "cs_to_csms",
            Direction::CsmsToCs => "csms_to_cs",
            Direction::Both => "both",
        };
        let name_of = |id: u16| schema.objects[usize::from(id)].name;
        let facts = (
            direction,
            action.block.to_string(),
            name_of(action.request),
            action.response.map(name_of),
        );
        actions.set_item(action.name, facts)?;
    }
    Ok(actions)
}

#[pymodule(gil_used = true)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    registry::initialise(py)?;
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    module.add("build_profile", profile)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    for (name, class) in bridge::public_classes(py) {
        module.add(name, class)?;
    }
    module.add("Frame", bridge::frame_union(py)?)?;
    module.add_class::<codec::Codec>()?;
    module.add_class::<device_model::DeviceModelCache>()?;
    module.add_class::<device_model::SetPlan>()?;
    module.add_class::<device_model::PySelection>()?;
    module.add_class::<native::template::MeterValueTemplate>()?;
    module.add_function(wrap_pyfunction!(message_type, module)?)?;
    module.add_function(wrap_pyfunction!(type_names, module)?)?;
    module.add_function(wrap_pyfunction!(actions, module)?)?;
    module.add_function(wrap_pyfunction!(codec::encode_payload, module)?)?;
    module.add_function(wrap_pyfunction!(codec::decode_payload, module)?)?;
    module.add_function(wrap_pyfunction!(bridge::restore, module)?)?;
    Ok(())
}
