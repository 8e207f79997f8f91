//! Class `SetPlan`: SetVariables between its check and its answer.

use ocpp_core::device_model::model::Setting;
use ocpp_core::device_model::serve::Plan;
use ocpp_core::device_model::structure::VariableId;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::{DeviceModelCache, EventRow};
use crate::native::serving;

/// The response, what has changed, what was triggered.
type Applied<'py> = (Bound<'py, PyAny>, Vec<Bound<'py, PyTuple>>, Vec<EventRow>);

/// A SetVariablesRequest that was checked and has changed nothing yet.
#[pyclass(module = "ocpp_fast._core")]
pub(crate) struct SetPlan {
    plan: Plan,
    cache: Py<DeviceModelCache>,
    request: Py<PyAny>,
    source: String,
    done: bool,
}

#[pymethods]
impl SetPlan {
    #[getter]
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let cache = self.cache.borrow(py);
        let row = |setting: &Setting| {
            cache.row(py, setting.variable, setting.attribute, &setting.value, &self.source)
        };
        self.plan.lasting(&cache.model).map(row).collect()
    }

    #[getter]
    fn guarded(&self, py: Python<'_>) -> Vec<(usize, VariableId, u8, String)> {
        let cache = self.cache.borrow(py);
        let structure = cache.model.structure();
        self.plan
            .settings()
            .filter(|(_, setting)| cache.model.is_guarded(setting.variable))
            .map(|(item, setting)| {
                let kind = structure.attribute(setting.attribute).kind as u8;
                (item, setting.variable, kind, setting.value.to_string())
            })
            .collect()
    }

    #[pyo3(signature = (item, reason_code, additional_info="", /))]
    fn refuse(
        &mut self,
        py: Python<'_>,
        item: usize,
        reason_code: String,
        additional_info: &str,
    ) -> PyResult<()> {
        if reason_code.chars().count() > MAX_REASON_CODE {
            return Err(PyValueError::new_err("a reason code has at most 20 characters"));
        }
        self.plan.refuse(
            &self.cache.borrow(py).model,
            item,
            reason_code,
            additional_info.to_owned(),
        );
        Ok(())
    }

    #[pyo3(signature = (item, /))]
    fn reboot(&mut self, item: usize) {
        self.plan.reboot(item);
    }

    #[pyo3(signature = (everything=true, /))]
    fn apply<'py>(&mut self, py: Python<'py>, everything: bool) -> PyResult<Applied<'py>> {
        self.end()?;
        let response = serving::set_response(&self.plan, self.request.bind(py))?;
        let mut cache = self.cache.borrow_mut(py);
        let mut changes = Vec::new();
        for setting in self.plan.take_settings() {
            let change =
                cache.model.set(setting.variable, setting.attribute, setting.value, &self.source);
            if let Some(change) = change.filter(|change| everything || change.watched) {
                changes.push(cache.change(py, &change)?);
            }
        }
        let events = cache.take_events();
        Ok((response, changes, events))
    }

    #[pyo3(signature = (reason_code, additional_info="", /))]
    fn fail<'py>(
        &mut self,
        py: Python<'py>,
        reason_code: &str,
        additional_info: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.end()?;
        self.plan.fail(reason_code, additional_info);
        serving::set_response(&self.plan, self.request.bind(py))
    }
}

/// Longest `statusInfo.reasonCode`, in characters.
const MAX_REASON_CODE: usize = 20;

impl SetPlan {
    /// A plan for `request`.
    pub(super) fn new(
        plan: Plan,
        cache: &Bound<'_, DeviceModelCache>,
        request: &Bound<'_, PyAny>,
        source: String,
    ) -> Self {
        let (cache, request) = (cache.clone().unbind(), request.clone().unbind());
        Self { plan, cache, request, source, done: false }
    }

    fn end(&mut self) -> PyResult<()> {
        if std::mem::replace(&mut self.done, true) {
            return Err(PyRuntimeError::new_err("the plan was carried out already"));
        }
        Ok(())
    }
}
