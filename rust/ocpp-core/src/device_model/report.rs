//! Reports: which variables, and their NotifyReport frames (B07, B08).

use super::definition::{Characteristics, DataType, Mutability};
use super::model::Model;
use super::names::{ABSENT, Names};
use super::serve::{Shapes, field_of};
use super::structure::{Address, Component, Structure, Variable, VariableId};
use crate::datetime::DateTime;
use crate::schema::Schema;
use crate::sink::Source;
use crate::writer::Writer;

/// What a base report holds (`ReportBaseEnumType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// What the operator can set (B07.FR.07).
    Configuration,
    /// Everything (B07.FR.08).
    Full,
    /// Availability and problems (B07.FR.09).
    Summary,
}

/// Variables to report, and how far the report has come.
#[derive(Clone, Debug)]
pub struct Selection {
    variables: Vec<VariableId>,
    next: usize,
    pages: u32,
}

/// What the pages of one report have in common.
#[derive(Clone, Copy, Debug)]
pub struct PageFrame<'a> {
    /// Message id of the CALL.
    pub message_id: &'a str,
    /// As in the request (B07.FR.04, B08.FR.04).
    pub request_id: i64,
    /// When the page was made.
    pub generated_at: DateTime,
    /// Most variables in a page, at least 1.
    pub max_items: usize,
    /// Longest frame, unless a single variable is longer.
    pub max_bytes: usize,
    /// Whether the version knows `maxElements`.
    pub max_elements: bool,
}

/// One element of `componentVariable`: absent parts match everything.
struct Filter {
    component: u32,
    component_instance: Option<u32>,
    evse_id: Option<u32>,
    connector_id: Option<u32>,
    variable: Option<u32>,
    variable_instance: Option<u32>,
}

impl Selection {
    fn new(variables: Vec<VariableId>) -> Self {
        Self { variables, next: 0, pages: 0 }
    }

    /// The variables of a base report.
    #[must_use]
    pub fn base(model: &Model, base: Base) -> Self {
        let structure = model.structure();
        let all = 0..structure.variable_count() as VariableId;
        Self::new(match base {
            Base::Full => all.collect(),
            Base::Configuration => {
                all.filter(|id| is_settable(structure, &structure.variable(*id))).collect()
            }
            Base::Summary => Summary::new(model).variables(all),
        })
    }

    /// The variables that a GetReportRequest asks for; none means EmptyResultSet (B08.FR.15).
    pub fn requested<S: Source>(
        model: &Model,
        schema: &'static Schema,
        request: S::Value,
        source: &S,
    ) -> Self {
        let structure = model.structure();
        let criteria = criteria(schema, request, source);
        let meets = |component: &&Component| matches_criteria(model, component, &criteria);
        let components = structure.components().iter().filter(meets);
        let field = field_of(schema, "GetReportRequest", "componentVariable");
        Self::new(match source.member(request, field) {
            None => components.flat_map(|one| structure.variables_of(one)).collect(),
            Some(list) => {
                let filters = filters(model, schema, list, source);
                components.flat_map(|one| covered_by(&filters, structure, one)).collect()
            }
        })
    }

    /// How many variables the report has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.variables.len()
    }

    /// Whether there is nothing to report.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.variables.is_empty()
    }

    /// Whether the last page has been written.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.next >= self.variables.len()
    }

    /// Writes the next NotifyReport CALL with the values of now; false when all have been written.
    pub fn write_page(&mut self, model: &Model, frame: &PageFrame<'_>, out: &mut Writer) -> bool {
        if self.next >= self.variables.len() {
            return false;
        }
        open_page(frame, out);
        let first = self.next;
        let limit = (first + frame.max_items.max(1)).min(self.variables.len());
        while self.next < limit {
            let before = out.position();
            if self.next > first {
                out.raw(b",");
            }
            write_variable(model, self.variables[self.next], frame.max_elements, out);
            if out.position() + CLOSING > frame.max_bytes && self.next > first {
                out.end_at(before);
                break;
            }
            self.next += 1;
        }
        // Numbered from 0, every part but the last says that more follow (B07.FR.10, B08.FR.14).
        let more = self.next < self.variables.len();
        out.raw(if more { b"],\"tbc\":true,\"seqNo\":" } else { b"],\"tbc\":false,\"seqNo\":" });
        write_integer(self.pages.into(), out);
        out.raw(b"}]");
        self.pages += 1;
        true
    }
}

/// Room for what closes a page.
const CLOSING: usize = 36;

fn open_page(frame: &PageFrame<'_>, out: &mut Writer) {
    out.raw(b"[2,");
    out.string(frame.message_id.as_bytes());
    out.raw(b",\"NotifyReport\",{\"requestId\":");
    write_integer(frame.request_id, out);
    out.raw(b",\"generatedAt\":");
    let mut block = [0; 32];
    let length = frame.generated_at.write(&mut block);
    out.raw(&block[..length]);
    out.raw(b",\"reportData\":[");
}

fn write_integer(value: i64, out: &mut Writer) {
    out.raw(itoa::Buffer::new().format(value).as_bytes());
}

/// One `ReportDataType`.
fn write_variable(model: &Model, id: VariableId, max_elements: bool, out: &mut Writer) {
    let structure = model.structure();
    let variable = &structure.variable(id);
    write_component(structure, structure.component(variable.component), out);
    out.raw(b",\"variable\":{\"name\":");
    out.string(structure.names.text(variable.name).as_bytes());
    write_instance(structure, variable.instance, out);
    out.raw(b"},\"variableAttribute\":[");
    for attribute in structure.attributes(variable) {
        let definition = structure.attribute(attribute);
        out.raw(ATTRIBUTE_HEADS[definition.kind as usize].as_bytes());
        out.raw(MUTABILITIES[definition.mutability as usize].as_bytes());
        if definition.persistent {
            out.raw(b",\"persistent\":true");
        }
        if definition.constant {
            out.raw(b",\"constant\":true");
        }
        // Unset ones are reported too (B07.FR.11), credentials without their value (B07.FR.03,
        // B08.FR.03), which alone may be left out (VariableAttributeType).
        if definition.mutability != Mutability::WriteOnly {
            out.raw(b",\"value\":");
            out.string(model.reported(model.value(attribute).unwrap_or_default()).as_bytes());
        }
        out.raw(b"},");
    }
    out.end_at(out.position() - 1);
    out.raw(b"],\"variableCharacteristics\":");
    out.raw(structure.characteristics_text(variable).as_bytes());
    if max_elements && let Some(most) = structure.characteristics(variable).max_elements {
        out.end_at(out.position() - 1);
        out.raw(b",\"maxElements\":");
        write_integer(most.into(), out);
        out.raw(b"}");
    }
    out.raw(b"}");
}

const ATTRIBUTE_HEADS: [&str; 4] = [
    "{\"type\":\"Actual\",\"mutability\":",
    "{\"type\":\"Target\",\"mutability\":",
    "{\"type\":\"MinSet\",\"mutability\":",
    "{\"type\":\"MaxSet\",\"mutability\":",
];

const MUTABILITIES: [&str; 3] = ["\"ReadOnly\"", "\"WriteOnly\"", "\"ReadWrite\""];

fn write_component(structure: &Structure, component: &Component, out: &mut Writer) {
    out.raw(b"{\"component\":{\"name\":");
    out.string(structure.names.text(component.name).as_bytes());
    write_instance(structure, component.instance, out);
    if component.evse_id > 0 {
        out.raw(b",\"evse\":{\"id\":");
        write_integer(component.evse_id.into(), out);
        if component.connector_id > 0 {
            out.raw(b",\"connectorId\":");
            write_integer(component.connector_id.into(), out);
        }
        out.raw(b"}");
    }
    out.raw(b"}");
}

fn write_instance(structure: &Structure, instance: u32, out: &mut Writer) {
    if instance != ABSENT {
        out.raw(b",\"instance\":");
        out.string(structure.names.text(instance).as_bytes());
    }
}

/// `VariableCharacteristicsType` as JSON (B08.FR.12), as far as both versions have it.
pub(super) fn characteristics_text(characteristics: &Characteristics) -> Box<str> {
    let mut out = Writer::default();
    out.raw(b"{\"dataType\":");
    out.string(characteristics.data_type.name().as_bytes());
    if let Some(unit) = &characteristics.unit {
        out.raw(b",\"unit\":");
        out.string(unit.as_bytes());
    }
    let limits = [("minLimit", characteristics.min_limit), ("maxLimit", characteristics.max_limit)];
    for (name, limit) in limits {
        if let Some(limit) = limit {
            out.raw(format!(",\"{name}\":{limit}").as_bytes());
        }
    }
    if let Some(values_list) = &characteristics.values_list {
        out.raw(b",\"valuesList\":");
        out.string(values_list.as_bytes());
    }
    out.raw(b",\"supportsMonitoring\":");
    out.raw(if characteristics.supports_monitoring { b"true}" } else { b"false}" });
    String::from_utf8_lossy(out.bytes()).into()
}

fn is_settable(structure: &Structure, variable: &Variable) -> bool {
    structure
        .attributes(variable)
        .map(|id| structure.attribute(id))
        .any(|attribute| attribute.mutability != Mutability::ReadOnly && !attribute.constant)
}

/// Picks the variables of a summary: the state of each tier, and what is wrong.
struct Summary<'a> {
    model: &'a Model,
    state: Option<u32>,
    problems: Vec<u32>,
}

/// Variables that say something is wrong when they are true; 2.1 calls the last one Failback.
const PROBLEMS: [&str; 5] = ["Problem", "Tripped", "Overload", "Fallback", "Failback"];

impl<'a> Summary<'a> {
    fn new(model: &'a Model) -> Self {
        let names = &model.structure().names;
        let find = |name: &str| names.find(name.as_bytes());
        Self {
            model,
            state: find("AvailabilityState"),
            problems: PROBLEMS.iter().filter_map(|name| find(name)).collect(),
        }
    }

    fn variables(&self, all: impl Iterator<Item = VariableId>) -> Vec<VariableId> {
        all.filter(|id| {
            let variable = &self.model.structure().variable(*id);
            if Some(variable.name) == self.state {
                return self.is_state_of_a_tier(variable);
            }
            self.problems.contains(&variable.name) && self.model.actual(variable) == Some("true")
        })
        .collect()
    }

    /// A connector's is left out when it is unknown or the same as its EVSE's.
    fn is_state_of_a_tier(&self, variable: &Variable) -> bool {
        let structure = self.model.structure();
        let component = structure.component(variable.component);
        let name = structure.names.text(component.name);
        if !name.eq_ignore_ascii_case("Connector") {
            return name.eq_ignore_ascii_case("EVSE")
                || name.eq_ignore_ascii_case("ChargingStation");
        }
        let evse = Address {
            component: b"EVSE",
            evse_id: Some(component.evse_id.into()),
            variable: b"AvailabilityState",
            ..Address::default()
        };
        let of_evse = structure.find(&evse).ok();
        let own = self.model.actual(variable).filter(|state| !state.is_empty());
        own.is_some() && own != of_evse.as_ref().and_then(|evse| self.model.actual(evse))
    }
}

/// Numbers of the criteria that a request names.
fn criteria<S: Source>(
    schema: &'static Schema,
    request: S::Value,
    source: &S,
) -> Vec<&'static str> {
    let Some(id) = schema.enums.iter().position(|one| one.name == "ComponentCriterionEnumType")
    else {
        return Vec::new();
    };
    let field = field_of(schema, "GetReportRequest", "componentCriteria");
    let Some(list) = source.member(request, field) else { return Vec::new() };
    (0..source.length(list))
        .map(|index| source.enumeration(id as u16, source.item(list, index)))
        .map(|value| schema.enums[id].values[value].text())
        .collect()
}

/// Whether at least one criterion holds (B08.FR.13); without any, all do.
fn matches_criteria(model: &Model, component: &Component, criteria: &[&str]) -> bool {
    criteria.is_empty() || criteria.iter().any(|name| matches_criterion(model, component, name))
}

/// A component without the variable counts as Active, Available and Enabled (B08.FR.07 to
/// B08.FR.09) but not as having a Problem (B08.FR.10).
fn matches_criterion(model: &Model, component: &Component, criterion: &str) -> bool {
    let structure = model.structure();
    let name = structure.names.find(criterion.as_bytes());
    let of_name = structure
        .variables_of(component)
        .map(|id| structure.variable(id))
        .filter(|variable| Some(variable.name) == name);
    let mut is_absent = criterion != "Problem";
    for variable in of_name {
        is_absent = false;
        if model.data_type(&variable) == DataType::Boolean
            && model.actual(&variable) == Some("true")
        {
            return true;
        }
    }
    is_absent
}

/// The variables that a list of ComponentVariableType covers (N02.FR.16 to N02.FR.21).
pub fn covered<S: Source>(
    model: &Model,
    schema: &'static Schema,
    list: S::Value,
    source: &S,
) -> Vec<VariableId> {
    let structure = model.structure();
    let filters = filters(model, schema, list, source);
    let components = structure.components().iter();
    components.flat_map(|component| covered_by(&filters, structure, component)).collect()
}

/// The variables of a component that at least one filter covers.
fn covered_by(filters: &[Filter], structure: &Structure, component: &Component) -> Vec<VariableId> {
    let filters: Vec<_> = filters.iter().filter(|filter| filter.covers(component)).collect();
    let wanted = |id: &VariableId| {
        let variable = structure.variable(*id);
        filters.iter().any(|filter| filter.covers_variable(&variable))
    };
    structure.variables_of(component).filter(wanted).collect()
}

/// A list of ComponentVariableType, without what names nothing that there is.
fn filters<S: Source>(
    model: &Model,
    schema: &'static Schema,
    list: S::Value,
    source: &S,
) -> Vec<Filter> {
    let shapes = Shapes::of(schema);
    let component = field_of(schema, "ComponentVariableType", "component");
    let variable = field_of(schema, "ComponentVariableType", "variable");
    let names = &model.structure().names;
    let filters = (0..source.length(list)).filter_map(|index| {
        let item = source.item(list, index);
        let which = source.member(item, variable);
        let address = shapes.address(source, source.member(item, component)?, which);
        Filter::new(names, &address, which.is_some())
    });
    filters.collect()
}

impl Filter {
    /// `None` if it names what the device model does not have.
    fn new(names: &Names, address: &Address<'_>, names_variable: bool) -> Option<Self> {
        let instance = |text: &[u8]| match text {
            b"" => Some(None),
            _ => names.find(text).map(Some),
        };
        let id = |id: Option<i64>| id.map(u32::try_from).transpose().ok();
        Some(Self {
            component: names.find(address.component)?,
            component_instance: instance(address.component_instance)?, // B08.FR.24, B08.FR.25
            evse_id: id(address.evse_id)?,                             // B08.FR.23
            connector_id: id(address.connector_id)?,                   // B08.FR.22
            // B08.FR.20
            variable: if names_variable { Some(names.find(address.variable)?) } else { None },
            variable_instance: instance(address.variable_instance)?, // B08.FR.21
        })
    }

    fn covers(&self, component: &Component) -> bool {
        self.component == component.name
            && self.component_instance.is_none_or(|instance| instance == component.instance)
            && self.evse_id.is_none_or(|id| id == component.evse_id)
            && self.connector_id.is_none_or(|id| id == component.connector_id)
    }

    fn covers_variable(&self, variable: &Variable) -> bool {
        self.variable.is_none_or(|name| name == variable.name)
            && self.variable_instance.is_none_or(|instance| instance == variable.instance)
    }
}
