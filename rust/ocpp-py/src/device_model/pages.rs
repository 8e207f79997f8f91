//! Class `Selection`: a report, page by page.

use ocpp_core::device_model::report::{PageFrame, Selection};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::DeviceModelCache;
use crate::native::{bridge, serving};

/// The variables of a report that is being sent.
#[pyclass(name = "Selection", module = "ocpp_fast._core")]
pub(crate) struct PySelection {
    selection: Selection,
    cache: Py<DeviceModelCache>,
}

impl PySelection {
    /// The pages of `selection`.
    pub(super) fn new(selection: Selection, cache: &Bound<'_, DeviceModelCache>) -> Self {
        Self { selection, cache: cache.clone().unbind() }
    }
}

#[pymethods]
impl PySelection {
    fn __len__(&self) -> usize {
        self.selection.len()
    }

    #[getter]
    fn done(&self) -> bool {
        self.selection.is_done()
    }

    #[pyo3(signature = (version, message_id, request_id, generated_at, max_items, max_bytes, /))]
    #[expect(clippy::too_many_arguments, reason = "the parts of a frame")]
    fn page<'py>(
        &mut self,
        py: Python<'py>,
        version: &str,
        message_id: &str,
        request_id: i64,
        generated_at: &Bound<'py, PyAny>,
        max_items: usize,
        max_bytes: usize,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        crate::codec::check_id(message_id)?;
        let version = crate::version(py, version)?;
        let generated_at = serving::moment(generated_at)?;
        let cache = self.cache.borrow(py);
        let max_elements = version.schema.version != "2.0.1";
        let frame =
            PageFrame { message_id, request_id, generated_at, max_items, max_bytes, max_elements };
        let mut written = false;
        let page = bridge::write(py, version, |out| {
            written = self.selection.write_page(&cache.model, &frame, out);
        });
        Ok(written.then_some(page))
    }
}
