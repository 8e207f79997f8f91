//! Class `Codec` and the functions around it: arguments in, frames out.

use ocpp_core::frame::Policy;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyType};

use crate::native::bridge::{self, Framing};
use crate::native::registry::Version;

/// Longest frame that a codec accepts unless told otherwise, in bytes.
const DEFAULT_MAX_BYTES: usize = 1 << 20;

/// Longest message id, in characters (Part 4, 4.1.4).
const MAX_ID_LENGTH: usize = ocpp_core::frame::MAX_ID_LENGTH;

/// Longest description of an error, in characters (Part 4, 4.2.3).
const MAX_DESCRIPTION_LENGTH: usize = 255;

/// Frames of one OCPP version, to typed messages and back.
#[pyclass(frozen, module = "ocpp_fast._core")]
pub(crate) struct Codec {
    version: &'static Version,
    policy: Policy,
    tolerant_encode: bool,
}

#[pymethods]
impl Codec {
    #[new]
    #[pyo3(signature = (version, *, tolerant=false, tolerant_encode=false,
                        max_frame_bytes=DEFAULT_MAX_BYTES))]
    fn new(
        py: Python<'_>,
        version: &str,
        tolerant: bool,
        tolerant_encode: bool,
        max_frame_bytes: usize,
    ) -> PyResult<Self> {
        let version = crate::version(py, version)?;
        Ok(Self {
            version,
            policy: Policy { tolerant, max_bytes: max_frame_bytes },
            tolerant_encode,
        })
    }

    #[getter]
    fn version(&self) -> &'static str {
        self.version.schema.version
    }

    #[pyo3(signature = (frame, open_id=None, open_action=None, /))]
    fn decode<'py>(
        &self,
        frame: &Bound<'py, PyAny>,
        open_id: Option<&str>,
        open_action: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let open = open_id.zip(open_action);
        bridge::decode_frame(self.version, frame, self.policy, open)
    }

    #[pyo3(signature = (message_id, request, /))]
    fn encode_call<'py>(
        &self,
        message_id: &str,
        request: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.encode(Framing::Call, message_id, request)
    }

    #[pyo3(signature = (message_id, message, /))]
    fn encode_send<'py>(
        &self,
        message_id: &str,
        message: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.encode(Framing::Send, message_id, message)
    }

    #[pyo3(signature = (message_id, response, /))]
    fn encode_result<'py>(
        &self,
        message_id: &str,
        response: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.encode(Framing::Result, message_id, response)
    }

    #[pyo3(signature = (message_id, action, payload, /))]
    fn encode_call_raw<'py>(
        &self,
        py: Python<'py>,
        message_id: &str,
        action: &str,
        payload: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        check_id(message_id)?;
        if !self.version.schema.actions.iter().any(|known| known.name == action) {
            return Err(PyValueError::new_err(format!("unknown action '{action}'")));
        }
        Ok(bridge::write(py, self.version, |out| {
            bridge::open_frame(out, 2, message_id);
            out.raw(b",");
            out.string(action.as_bytes());
            out.raw(b",");
            out.raw(payload);
            out.raw(b"]");
        }))
    }

    #[pyo3(signature = (message_id, code, description="", details=None, /))]
    fn encode_error<'py>(
        &self,
        py: Python<'py>,
        message_id: &str,
        code: &str,
        description: &str,
        details: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        self.refuse(py, 4, message_id, (code, description, details))
    }

    #[pyo3(signature = (message_id, code, description="", details=None, /))]
    fn encode_result_error<'py>(
        &self,
        py: Python<'py>,
        message_id: &str,
        code: &str,
        description: &str,
        details: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        if !self.version.schema.has_send {
            return Err(PyValueError::new_err("CALLRESULTERROR is new in OCPP 2.1"));
        }
        self.refuse(py, 5, message_id, (code, description, details))
    }

    fn __repr__(&self) -> String {
        let mode = if self.policy.tolerant { "tolerant" } else { "strict" };
        format!("Codec('{}', {mode})", self.version.schema.version)
    }
}

impl Codec {
    fn encode<'py>(
        &self,
        framing: Framing,
        message_id: &str,
        message: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        check_id(message_id)?;
        bridge::encode_frame(self.version, framing, message_id, message, self.tolerant_encode)
    }

    fn refuse<'py>(
        &self,
        py: Python<'py>,
        message_type: u8,
        message_id: &str,
        (code, description, details): (&str, &str, Option<&Bound<'py, PyAny>>),
    ) -> PyResult<Bound<'py, PyBytes>> {
        check_id(message_id)?;
        let details = bridge::json_object(py, details)?;
        let description: String = description.chars().take(MAX_DESCRIPTION_LENGTH).collect();
        Ok(bridge::write(py, self.version, |out| {
            bridge::open_frame(out, message_type, message_id);
            out.raw(b",");
            out.string(code.as_bytes());
            out.raw(b",");
            out.string(description.as_bytes());
            out.raw(b",");
            out.raw(&details);
            out.raw(b"]");
        }))
    }
}

pub(crate) fn check_id(message_id: &str) -> PyResult<()> {
    let length = if message_id.len() <= MAX_ID_LENGTH {
        message_id.len()
    } else {
        message_id.chars().count()
    };
    if (1..=MAX_ID_LENGTH).contains(&length) {
        return Ok(());
    }
    Err(PyValueError::new_err(format!("a message id has 1 to {MAX_ID_LENGTH} characters")))
}

/// The JSON object of one message or datatype.
#[pyfunction]
#[pyo3(signature = (message, /))]
pub(crate) fn encode_payload<'py>(message: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    bridge::encode_payload(message)
}

/// Parses and validates the JSON object of one message or datatype.
#[pyfunction]
#[pyo3(signature = (type_, data, /))]
pub(crate) fn decode_payload<'py>(
    type_: &Bound<'py, PyAny>,
    data: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let type_ = type_.cast::<PyType>().map_err(|_| PyTypeError::new_err("expected a type"))?;
    let policy = Policy { tolerant: false, max_bytes: usize::MAX };
    bridge::decode_payload(type_, data, policy)
}
