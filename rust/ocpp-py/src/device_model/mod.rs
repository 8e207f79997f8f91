//! Class `DeviceModelCache`: the device model of one station, in memory.

mod pages;
mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;

use ocpp_core::device_model::definition::{
    AttributeKind, ComponentDefinition, MonitorConfig, MonitorKind,
};
use ocpp_core::device_model::files::{self, Problem, SourceFile};
use ocpp_core::device_model::model::{Change, Model, Sizes};
use ocpp_core::device_model::monitor::{Event, Setup};
use ocpp_core::device_model::report::{Base, Selection};
use ocpp_core::device_model::structure::{Address, AttributeId, Structure, Unknown, VariableId};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple};

use crate::native::serving;
pub(crate) use pages::PySelection;
pub(crate) use plan::SetPlan;

/// A number as Python gives it; what is out of range belongs to no variable or attribute.
fn number<T: TryFrom<i64> + Bounded>(object: &Bound<'_, PyAny>) -> PyResult<T> {
    let number: i64 = object.extract()?;
    Ok(T::try_from(number).unwrap_or(T::NOBODY))
}

/// Has a value that is nobody's number.
trait Bounded {
    const NOBODY: Self;
}

impl Bounded for VariableId {
    const NOBODY: Self = Self::MAX;
}

impl Bounded for u8 {
    const NOBODY: Self = Self::MAX;
}

/// File, JSON pointer, variable, message.
type ProblemRow = (String, String, String, String);

/// Component, its instance, EVSE, connector, variable, its instance, attribute, value, source.
type ValueRow = (String, String, u32, u32, String, String, String, Option<String>, String);

/// Monitor, variable, value, cleared.
type EventRow = (i64, VariableId, String, bool);

/// Variable, kind, value, severity, transaction, owner.
type MonitorRow = (VariableId, u8, f64, u8, bool, u8);

/// What the component files say of one component, for storage.
type ComponentRow = (String, String, u32, u32, String);

/// The device model of one station: components, variables, values, monitors.
#[pyclass(module = "ocpp_fast._core")]
pub(crate) struct DeviceModelCache {
    model: Model,
    /// The definitions as text, until [`DeviceModelCache::forget_definitions`].
    definitions: Arc<Vec<ComponentRow>>,
    /// Monitors that the component files define.
    monitors: Arc<Vec<MonitorRow>>,
    /// The names of the structure as Python has them, made when first needed.
    names: Arc<[PyOnceLock<Py<PyString>>]>,
}

fn problem_row(problem: Problem) -> ProblemRow {
    let Problem { file, pointer, variable, message } = problem;
    (file, pointer, variable, message)
}

fn component_row(definition: ComponentDefinition) -> ComponentRow {
    let ComponentDefinition { key, text, .. } = definition;
    (
        key.name.into_string(),
        key.instance.map(String::from).unwrap_or_default(),
        key.evse_id.unwrap_or_default(),
        key.connector_id.unwrap_or_default(),
        text.into_string(),
    )
}

/// The monitors of a component that was just added.
fn monitor_rows(structure: &Structure, definition: &ComponentDefinition) -> Vec<MonitorRow> {
    let first = structure.variable_count() - definition.variables.len();
    let mut rows = Vec::new();
    for (offset, variable) in definition.variables.iter().enumerate() {
        rows.extend(variable.monitors.iter().map(|monitor| {
            let config = monitor.config as u8;
            let id = (first + offset) as VariableId;
            (id, monitor.kind as u8, monitor.value, monitor.severity, monitor.transaction, config)
        }));
    }
    rows
}

/// A place for the Python string of each name.
fn blank_names(structure: &Structure) -> Arc<[PyOnceLock<Py<PyString>>]> {
    (0..structure.names.len()).map(|_| PyOnceLock::new()).collect()
}

#[pymethods]
impl DeviceModelCache {
    #[staticmethod]
    #[pyo3(signature = (sources, connectors, versions, /))]
    fn load(
        sources: Vec<(String, PyBackedBytes)>,
        connectors: Option<Vec<u32>>,
        versions: Vec<String>,
    ) -> (Option<Self>, Vec<ProblemRow>) {
        let sources: Vec<_> =
            sources.iter().map(|(path, content)| SourceFile { path, content }).collect();
        let versions: Vec<_> = versions.iter().map(String::as_str).collect();
        let definitions = match files::load(&sources, connectors.as_deref(), &versions) {
            Ok(definitions) => definitions,
            Err(problems) => return (None, problems.into_iter().map(problem_row).collect()),
        };
        let mut structure = Structure::default();
        let mut monitors = Vec::new();
        for definition in &definitions {
            if structure.add(definition) {
                monitors.extend(monitor_rows(&structure, definition));
            }
        }
        structure.shrink();
        let cache = Self {
            names: blank_names(&structure),
            model: Model::new(Arc::new(structure)),
            definitions: Arc::new(definitions.into_iter().map(component_row).collect()),
            monitors: Arc::new(monitors),
        };
        (Some(cache), Vec::new())
    }

    fn copy(&self) -> Self {
        Self {
            model: self.model.clone(),
            definitions: Arc::clone(&self.definitions),
            monitors: Arc::clone(&self.monitors),
            names: Arc::clone(&self.names),
        }
    }

    #[pyo3(signature = (definition, /))]
    fn add(&mut self, definition: &[u8]) -> Vec<ProblemRow> {
        let definition = match files::parse_component("", definition) {
            Ok(definition) => definition,
            Err(problems) => return problems.into_iter().map(problem_row).collect(),
        };
        if !self.model.add(&definition) {
            let message = "there is such a component already".to_owned();
            return vec![(String::new(), String::new(), definition.key.to_string(), message)];
        }
        self.names = blank_names(self.model.structure());
        let rows = monitor_rows(self.model.structure(), &definition);
        Arc::make_mut(&mut self.monitors).extend(rows);
        Arc::make_mut(&mut self.definitions).push(component_row(definition));
        Vec::new()
    }

    fn components(&self) -> Vec<ComponentRow> {
        self.definitions.to_vec()
    }

    fn forget_definitions(&mut self) {
        self.definitions = Arc::default();
    }

    fn connectors(&self) -> BTreeMap<u32, u32> {
        self.model.connectors().into_iter().collect()
    }

    #[getter]
    fn variable_count(&self) -> usize {
        self.model.structure().variable_count()
    }

    #[getter]
    fn memory_bytes(&self) -> usize {
        self.model.memory()
    }

    #[pyo3(signature = (component, instance, evse_id, connector_id, variable, variable_instance, /))]
    fn find(
        &self,
        component: &str,
        instance: Option<&str>,
        evse_id: Option<i64>,
        connector_id: Option<i64>,
        variable: &str,
        variable_instance: Option<&str>,
    ) -> i64 {
        let address = Address {
            component: component.as_bytes(),
            component_instance: instance.unwrap_or_default().as_bytes(),
            evse_id,
            connector_id,
            variable: variable.as_bytes(),
            variable_instance: variable_instance.unwrap_or_default().as_bytes(),
        };
        match self.model.structure().find(&address) {
            Ok(variable) => variable.id.into(),
            Err(Unknown::Component) => -1,
            Err(Unknown::Variable) => -2,
        }
    }

    #[pyo3(signature = (variable, /))]
    fn describe<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = number)] variable: VariableId,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let structure = self.known(variable)?;
        let of = &structure.variable(variable);
        let component = structure.component(of.component);
        let characteristics = structure.characteristics(of);
        let text = |id| Some(structure.names.text(id)).filter(|text| !text.is_empty());
        let id = |id: u32| (id > 0).then_some(id);
        let attributes = structure.attributes(of).map(|attribute| {
            let attribute = structure.attribute(attribute);
            let mutability = attribute.mutability.name();
            (attribute.kind as u8, mutability, attribute.persistent, attribute.constant)
        });
        let place = (
            structure.names.text(component.name),
            text(component.instance),
            id(component.evse_id),
            id(component.connector_id),
            structure.names.text(of.name),
            text(of.instance),
        );
        let characteristics = (
            characteristics.data_type.name(),
            characteristics.unit.as_deref(),
            characteristics.min_limit,
            characteristics.max_limit,
            characteristics.values_list.as_deref(),
            characteristics.supports_monitoring,
        );
        let rest = (PyTuple::new(py, attributes.collect::<Vec<_>>())?, text(of.source));
        let parts = [
            place.into_pyobject(py)?.into_any(),
            characteristics.into_pyobject(py)?.into_any(),
            rest.into_pyobject(py)?.into_any(),
        ];
        let mut members = Vec::new();
        for part in parts {
            members.extend(part.try_iter()?.collect::<PyResult<Vec<_>>>()?);
        }
        PyTuple::new(py, members)
    }

    #[pyo3(signature = (variable, attribute=0, /))]
    fn value(
        &self,
        #[pyo3(from_py_with = number)] variable: VariableId,
        #[pyo3(from_py_with = number)] attribute: u8,
    ) -> PyResult<Option<&str>> {
        Ok(self.model.value(self.attribute(variable, attribute)?))
    }

    #[pyo3(signature = (variable, attribute=0, /))]
    fn source(
        &self,
        #[pyo3(from_py_with = number)] variable: VariableId,
        #[pyo3(from_py_with = number)] attribute: u8,
    ) -> PyResult<&str> {
        Ok(self.model.source(self.attribute(variable, attribute)?))
    }

    #[pyo3(signature = (rows, /))]
    fn restore(&mut self, rows: Vec<ValueRow>) -> Vec<ValueRow> {
        rows.into_iter().filter(|row| !self.restore_row(row)).collect()
    }

    #[pyo3(signature = (variable, attribute, value, /))]
    fn default(
        &mut self,
        #[pyo3(from_py_with = number)] variable: VariableId,
        #[pyo3(from_py_with = number)] attribute: u8,
        value: &str,
    ) -> PyResult<()> {
        let attribute = self.attribute(variable, attribute)?;
        self.model
            .set_default(variable, attribute, value)
            .map_err(|fault| PyValueError::new_err(fault.to_string()))
    }

    #[pyo3(signature = (variable, attribute, value, /))]
    fn check(
        &self,
        #[pyo3(from_py_with = number)] variable: VariableId,
        #[pyo3(from_py_with = number)] attribute: u8,
        value: &str,
    ) -> PyResult<()> {
        self.attribute(variable, attribute)?;
        self.model
            .check_format(variable, value)
            .map_err(|fault| PyValueError::new_err(fault.to_string()))
    }

    #[pyo3(signature = (variable, attribute, value, source, /))]
    fn write<'py>(
        &mut self,
        py: Python<'py>,
        #[pyo3(from_py_with = number)] variable: VariableId,
        #[pyo3(from_py_with = number)] attribute: u8,
        value: &str,
        source: &str,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let attribute = self.attribute(variable, attribute)?;
        let change = self
            .model
            .write(variable, attribute, value, source)
            .map_err(|fault| PyValueError::new_err(fault.to_string()))?;
        let persistent = self.model.structure().attribute(attribute).is_stored();
        match change {
            Some(change) if change.watched || persistent => self.change(py, &change).map(Some),
            _ => Ok(None),
        }
    }

    #[pyo3(signature = (variable, on=true, /))]
    fn watch(
        &mut self,
        #[pyo3(from_py_with = number)] variable: VariableId,
        on: bool,
    ) -> PyResult<()> {
        self.known(variable)?;
        self.model.watch(variable, on);
        Ok(())
    }

    #[pyo3(signature = (variable, on=true, /))]
    fn guard(
        &mut self,
        #[pyo3(from_py_with = number)] variable: VariableId,
        on: bool,
    ) -> PyResult<()> {
        self.known(variable)?;
        self.model.guard(variable, on);
        Ok(())
    }

    #[pyo3(signature = (reported, configured, /))]
    fn set_sizes(&mut self, reported: usize, configured: usize) {
        self.model.set_sizes(Sizes { reported, configured });
    }

    #[pyo3(signature = (request, /))]
    fn get_variables<'py>(&self, request: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        serving::get_variables(&self.model, request)
    }

    #[pyo3(signature = (request, source, /))]
    fn plan(
        slf: &Bound<'_, Self>,
        request: &Bound<'_, PyAny>,
        source: String,
    ) -> PyResult<SetPlan> {
        let plan = serving::plan(&slf.borrow().model, request)?;
        Ok(SetPlan::new(plan, slf, request, source))
    }

    #[pyo3(signature = (kind, /))]
    fn base_report(slf: &Bound<'_, Self>, kind: u8) -> PyResult<PySelection> {
        let base = match kind {
            0 => Base::Configuration,
            1 => Base::Full,
            2 => Base::Summary,
            _ => return Err(PyValueError::new_err("no such report base")),
        };
        let selection = Selection::base(&slf.borrow().model, base);
        Ok(PySelection::new(selection, slf))
    }

    #[pyo3(signature = (request, /))]
    fn report(slf: &Bound<'_, Self>, request: &Bound<'_, PyAny>) -> PyResult<PySelection> {
        let selection = serving::requested(&slf.borrow().model, request)?;
        Ok(PySelection::new(selection, slf))
    }

    #[pyo3(signature = (request, /))]
    fn monitored(&self, request: &Bound<'_, PyAny>) -> PyResult<Option<Vec<VariableId>>> {
        serving::monitored(&self.model, request)
    }

    #[pyo3(signature = (monitor, variable, kind, value, severity, transaction, triggered=false, /))]
    #[expect(clippy::too_many_arguments, reason = "the members of a monitor")]
    fn set_monitor(
        &mut self,
        monitor: i64,
        #[pyo3(from_py_with = number)] variable: VariableId,
        kind: u8,
        value: f64,
        severity: u8,
        transaction: bool,
        triggered: bool,
    ) -> PyResult<Vec<EventRow>> {
        self.known(variable)?;
        let kind = MonitorKind::from_number(kind)
            .ok_or_else(|| PyValueError::new_err("no such kind of monitor"))?;
        let setup = Setup { id: monitor, variable, kind, value, severity, transaction };
        self.model.set_monitor(setup, triggered);
        Ok(self.take_events())
    }

    #[pyo3(signature = (monitor, /))]
    fn clear_monitor(&mut self, monitor: i64) -> bool {
        self.model.remove_monitor(monitor)
    }

    #[pyo3(signature = (evse_id, active, /))]
    fn set_transaction(&mut self, evse_id: u32, active: bool) -> Vec<EventRow> {
        self.model.set_transaction(evse_id, active);
        self.take_events()
    }

    #[pyo3(signature = (above_severity, /))]
    fn suspend(&mut self, above_severity: i8) -> Vec<EventRow> {
        self.model.set_live_up_to(above_severity);
        self.take_events()
    }

    fn resume(&mut self) -> Vec<EventRow> {
        self.suspend(i8::MAX)
    }

    fn take_events(&mut self) -> Vec<EventRow> {
        let row = |event: Event| {
            (event.monitor, event.variable, event.value.into_string(), event.cleared)
        };
        self.model.take_events().into_iter().map(row).collect()
    }

    #[getter]
    fn has_events(&self) -> bool {
        self.model.has_events()
    }

    #[pyo3(signature = (variable, /))]
    fn value_for_peer(
        &self,
        #[pyo3(from_py_with = number)] variable: VariableId,
    ) -> PyResult<String> {
        self.known(variable)?;
        Ok(self.model.value_for_peer(variable).into_string())
    }

    fn config_monitors(&self) -> Vec<MonitorRow> {
        self.monitors.to_vec()
    }

    fn __len__(&self) -> usize {
        self.variable_count()
    }
}

impl DeviceModelCache {
    fn known(&self, variable: VariableId) -> PyResult<&Structure> {
        let structure = self.model.structure();
        if (variable as usize) < structure.variable_count() {
            return Ok(structure);
        }
        Err(PyValueError::new_err("no such variable"))
    }

    fn attribute(&self, variable: VariableId, kind: u8) -> PyResult<AttributeId> {
        let structure = self.known(variable)?;
        AttributeKind::from_number(kind)
            .and_then(|kind| structure.find_attribute(&structure.variable(variable), kind))
            .ok_or_else(|| PyValueError::new_err("the variable has no such attribute"))
    }

    fn restore_row(&mut self, row: &ValueRow) -> bool {
        let (
            component,
            instance,
            evse_id,
            connector_id,
            variable,
            variable_instance,
            kind,
            value,
            source,
        ) = row;
        let id = |id: u32| (id > 0).then_some(i64::from(id));
        let address = Address {
            component: component.as_bytes(),
            component_instance: instance.as_bytes(),
            evse_id: id(*evse_id),
            connector_id: id(*connector_id),
            variable: variable.as_bytes(),
            variable_instance: variable_instance.as_bytes(),
        };
        let (Some(kind), Some(value)) = (AttributeKind::parse(kind), value) else { return false };
        self.model.restore(&address, kind, value, source)
    }

    /// Variable, attribute, old and new value, watched, and the row to store if it is persistent.
    fn change<'py>(&self, py: Python<'py>, change: &Change) -> PyResult<Bound<'py, PyTuple>> {
        let definition = self.model.structure().attribute(change.attribute);
        let value = self.model.value(change.attribute).unwrap_or_default();
        let row = if definition.is_stored() {
            let source = self.model.source(change.attribute);
            Some(self.row(py, change.variable, change.attribute, value, source)?)
        } else {
            None
        };
        let kind = definition.kind as u8;
        (change.variable, kind, change.old.as_deref(), value, change.watched, row).into_pyobject(py)
    }

    /// A [`ValueRow`] as Python sees it.
    fn row<'py>(
        &self,
        py: Python<'py>,
        variable: VariableId,
        attribute: AttributeId,
        value: &str,
        source: &str,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let structure = self.model.structure();
        let of = &structure.variable(variable);
        let component = structure.component(of.component);
        let name = |id: u32| {
            let text = || PyString::new(py, structure.names.text(id)).unbind();
            self.names[id as usize].get_or_init(py, text).bind(py)
        };
        let kind = match structure.attribute(attribute).kind {
            AttributeKind::Actual => intern!(py, "Actual"),
            AttributeKind::Target => intern!(py, "Target"),
            AttributeKind::MinSet => intern!(py, "MinSet"),
            AttributeKind::MaxSet => intern!(py, "MaxSet"),
        };
        let row = (
            name(component.name),
            name(component.instance),
            component.evse_id,
            component.connector_id,
            name(of.name),
            name(of.instance),
            kind,
            value,
            source,
        );
        row.into_pyobject(py)
    }
}

const _: () = assert!(MonitorConfig::HardWired as u8 == 0 && MonitorConfig::Custom as u8 == 2);
