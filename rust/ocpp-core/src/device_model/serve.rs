//! GetVariables and SetVariables: a typed request in, the typed response out.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::definition::AttributeKind;
use super::model::{Model, NotRead, NotSet, Setting};
use super::structure::Address;
use crate::schema::Schema;
use crate::sink::{Sink, Source};

/// Longest `statusInfo.additionalInfo` of either version, in characters.
const MAX_INFO: usize = 512;

/// Where the members stand in the messages of one version.
#[derive(Debug)]
pub struct Shapes {
    get: Exchange,
    set: Exchange,
    component: [usize; 3],
    evse: [usize; 2],
    variable: [usize; 2],
    attribute_enum: u16,
    /// Wire number of each attribute kind, and the other way round.
    attribute_kinds: [usize; 4],
    kinds: [AttributeKind; 4],
    info_type: u16,
    info: [usize; 2],
}

/// The members of a request, its items, the response and its items.
#[derive(Debug)]
struct Exchange {
    items: usize,
    component: usize,
    variable: usize,
    kind: usize,
    /// Of SetVariables only.
    value: usize,
    response_type: u16,
    results: usize,
    result_type: u16,
    result_component: usize,
    result_variable: usize,
    result_kind: usize,
    result_status: usize,
    result_info: usize,
    /// Of GetVariables only.
    result_value: usize,
    status_enum: u16,
    /// Wire numbers of the statuses, in the order of [`Status`].
    statuses: [usize; 6],
}

/// The statuses of both responses; the last one belongs to SetVariables alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Accepted,
    Rejected,
    UnknownComponent,
    UnknownVariable,
    NotSupportedAttributeType,
    RebootRequired,
}

const STATUS_NAMES: [&str; 6] = [
    "Accepted",
    "Rejected",
    "UnknownComponent",
    "UnknownVariable",
    "NotSupportedAttributeType",
    "RebootRequired",
];

impl Shapes {
    /// The shapes of a version.
    #[must_use]
    pub fn of(schema: &'static Schema) -> &'static Self {
        static SHAPES: [OnceLock<Shapes>; 2] = [const { OnceLock::new() }; 2];
        SHAPES[usize::from(schema.version != "2.0.1")].get_or_init(|| Self::new(schema))
    }

    fn new(schema: &'static Schema) -> Self {
        let field = |object, key| field_of(schema, object, key);
        let attribute_enum = enum_of(schema, "AttributeEnumType");
        let values = schema.enums[usize::from(attribute_enum)].values;
        let kind_of = |index: usize| AttributeKind::parse(values[index].text());
        let kinds = std::array::from_fn(|index| kind_of(index).expect("a known attribute type"));
        let mut attribute_kinds = [0; 4];
        for (index, kind) in kinds.iter().enumerate() {
            attribute_kinds[*kind as usize] = index;
        }
        Self {
            get: Exchange::new(schema, "Get"),
            set: Exchange::new(schema, "Set"),
            component: ["name", "instance", "evse"].map(|key| field("ComponentType", key)),
            evse: ["id", "connectorId"].map(|key| field("EVSEType", key)),
            variable: ["name", "instance"].map(|key| field("VariableType", key)),
            attribute_enum,
            attribute_kinds,
            kinds,
            info_type: object_of(schema, "StatusInfoType"),
            info: ["reasonCode", "additionalInfo"].map(|key| field("StatusInfoType", key)),
        }
    }

    /// The names and ids that `component` and `variable` hold.
    #[inline]
    pub(super) fn address<'a, S: Source>(
        &self,
        source: &'a S,
        component: S::Value,
        variable: Option<S::Value>,
    ) -> Address<'a> {
        let text = |object, field| {
            source.member(object, field).map_or(&b""[..], |value| source.text(value).0)
        };
        let evse = source.member(component, self.component[2]);
        let id =
            |field| evse.and_then(|evse| source.member(evse, field)).map(|id| source.integer(id));
        Address {
            component: text(component, self.component[0]),
            component_instance: text(component, self.component[1]),
            evse_id: id(self.evse[0]),
            connector_id: id(self.evse[1]),
            variable: variable.map_or(b"", |variable| text(variable, self.variable[0])),
            variable_instance: variable.map_or(b"", |variable| text(variable, self.variable[1])),
        }
    }

    #[inline]
    fn kind<S: Source>(&self, source: &S, member: Option<S::Value>) -> AttributeKind {
        // Without one it is Actual (B05.FR.12, B06.FR.11).
        member.map_or(AttributeKind::Actual, |value| {
            self.kinds[source.enumeration(self.attribute_enum, value)]
        })
    }
}

impl Exchange {
    fn new(schema: &'static Schema, verb: &str) -> Self {
        let request = format!("{verb}VariablesRequest");
        let response = format!("{verb}VariablesResponse");
        let data = format!("{verb}VariableDataType");
        let result = format!("{verb}VariableResultType");
        let lower = verb.to_ascii_lowercase();
        let field = |object: &str, key: &str| field_of(schema, object, key);
        let optional = |object: &str, key| find_field(schema, object, key).unwrap_or(usize::MAX);
        let status_enum = enum_of(schema, &format!("{verb}VariableStatusEnumType"));
        let values = schema.enums[usize::from(status_enum)].values;
        let wire = |name: &str| values.iter().position(|value| value.text() == name).unwrap_or(0);
        Self {
            items: field(&request, &format!("{lower}VariableData")),
            component: field(&data, "component"),
            variable: field(&data, "variable"),
            kind: field(&data, "attributeType"),
            value: optional(&data, "attributeValue"),
            response_type: object_of(schema, &response),
            results: field(&response, &format!("{lower}VariableResult")),
            result_type: object_of(schema, &result),
            result_component: field(&result, "component"),
            result_variable: field(&result, "variable"),
            result_kind: field(&result, "attributeType"),
            result_status: field(&result, "attributeStatus"),
            result_info: field(&result, "attributeStatusInfo"),
            result_value: optional(&result, "attributeValue"),
            status_enum,
            statuses: STATUS_NAMES.map(wire),
        }
    }
}

fn object_of(schema: &Schema, name: &str) -> u16 {
    let found = schema.objects.iter().position(|object| object.name == name);
    found.unwrap_or_else(|| panic!("the schema has no {name}")) as u16
}

fn enum_of(schema: &Schema, name: &str) -> u16 {
    let found = schema.enums.iter().position(|one| one.name == name);
    found.unwrap_or_else(|| panic!("the schema has no {name}")) as u16
}

fn find_field(schema: &Schema, object: &str, key: &str) -> Option<usize> {
    let object = &schema.objects[usize::from(object_of(schema, object))];
    object.fields.iter().position(|field| field.key() == key)
}

pub(super) fn field_of(schema: &Schema, object: &str, key: &str) -> usize {
    find_field(schema, object, key).unwrap_or_else(|| panic!("{object} has no {key}"))
}

/// A string of either kind.
#[inline]
fn text<K: Sink>(sink: &mut K, value: &str) -> K::Value {
    if value.is_ascii() { sink.ascii(value.as_bytes()) } else { sink.text(value) }
}

/// Answers a GetVariablesRequest (B06). `keep` gives a member of the request to the response.
pub fn get_variables<S: Source, K: Sink>(
    model: &Model,
    shapes: &Shapes,
    request: S::Value,
    source: &S,
    sink: &mut K,
    keep: impl Fn(S::Value) -> K::Value,
) -> K::Value {
    let Exchange { items, component, variable, kind, .. } = shapes.get;
    let shape = &shapes.get;
    let list = source.member(request, items);
    let mark = sink.list();
    let length = list.map_or(0, |list| source.length(list));
    let mut asked = Vec::with_capacity(length);
    let mut members = Vec::with_capacity(length);
    for index in 0..length {
        let Some(item) = list.map(|list| source.item(list, index)) else { continue };
        let (Some(of), Some(which)) =
            (source.member(item, component), source.member(item, variable))
        else {
            continue;
        };
        let kind = shapes.kind(source, source.member(item, kind));
        asked.push((shapes.address(source, of, Some(which)), kind));
        members.push((of, which));
    }
    let found = model.read(&asked);
    for ((&(_, kind), (of, which)), found) in asked.iter().zip(members).zip(found) {
        let mut result = sink.object(shape.result_type);
        sink.set(&mut result, shape.result_component, keep(of));
        sink.set(&mut result, shape.result_variable, keep(which));
        let status = match found {
            Ok(value) => {
                let value = text(sink, value);
                sink.set(&mut result, shape.result_value, value);
                Status::Accepted
            }
            Err(NotRead::UnknownComponent) => Status::UnknownComponent,
            Err(NotRead::UnknownVariable) => Status::UnknownVariable,
            Err(NotRead::NotSupportedAttributeType) => Status::NotSupportedAttributeType,
            Err(NotRead::WriteOnly) => {
                let info = status_info(shapes, sink, "WriteOnly", "");
                sink.set(&mut result, shape.result_info, info);
                Status::Rejected
            }
        };
        finish(shapes, shape, sink, result, status, kind);
    }
    response(shape, sink, mark)
}

/// Adds status and attribute type (B05.FR.03, B06.FR.03) to a result, and the result to the list.
#[inline]
fn finish<K: Sink>(
    shapes: &Shapes,
    shape: &Exchange,
    sink: &mut K,
    mut result: K::Object,
    status: Status,
    kind: AttributeKind,
) {
    let status = sink.enumeration(shape.status_enum, shape.statuses[status as usize]);
    sink.set(&mut result, shape.result_status, status);
    let number = shapes.attribute_kinds[kind as usize];
    let kind = sink.enumeration(shapes.attribute_enum, number);
    sink.set(&mut result, shape.result_kind, kind);
    let result = sink.finish(result);
    sink.push(result);
}

fn response<K: Sink>(shape: &Exchange, sink: &mut K, mark: usize) -> K::Value {
    let results = sink.finish_list(mark);
    let mut response = sink.object(shape.response_type);
    sink.set(&mut response, shape.results, results);
    sink.finish(response)
}

fn status_info<K: Sink>(shapes: &Shapes, sink: &mut K, reason_code: &str, info: &str) -> K::Value {
    let mut object = sink.object(shapes.info_type);
    let reason_code = text(sink, reason_code);
    sink.set(&mut object, shapes.info[0], reason_code);
    if !info.is_empty() {
        let end = info.char_indices().nth(MAX_INFO).map_or(info.len(), |(at, _)| at);
        let info = text(sink, &info[..end]);
        sink.set(&mut object, shapes.info[1], info);
    }
    sink.finish(object)
}

/// A SetVariablesRequest that was checked and has changed nothing yet.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    verdicts: Vec<Verdict>,
    /// What would be set, in the order of the request.
    settings: Vec<Setting>,
    /// For each setting the number of its item.
    items: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Verdict {
    kind: AttributeKind,
    outcome: Result<bool, NotSet>,
}

impl Plan {
    /// Checks a request (B05.FR.04 to B05.FR.09).
    pub fn new<S: Source>(model: &Model, shapes: &Shapes, request: S::Value, source: &S) -> Self {
        let shape = &shapes.set;
        let mut plan = Self::default();
        let list = source.member(request, shape.items);
        for index in 0..list.map_or(0, |list| source.length(list)) {
            let Some(item) = list.map(|list| source.item(list, index)) else { continue };
            let (Some(of), Some(which), Some(value)) = (
                source.member(item, shape.component),
                source.member(item, shape.variable),
                source.member(item, shape.value),
            ) else {
                continue;
            };
            let kind = shapes.kind(source, source.member(item, shape.kind));
            let address = shapes.address(source, of, Some(which));
            let checked = std::str::from_utf8(source.text(value).0)
                .map_err(|_| NotSet::Rejected("InvalidValue".into(), "no text".into()))
                .and_then(|value| model.check(&address, kind, value, &plan.settings));
            let outcome = checked.map(|setting| {
                plan.items.push(plan.verdicts.len());
                plan.settings.push(setting);
                false
            });
            plan.verdicts.push(Verdict { kind, outcome });
        }
        plan
    }

    /// What is to be set: number of the item, and the value.
    pub fn settings(&self) -> impl Iterator<Item = (usize, &Setting)> {
        self.items.iter().copied().zip(&self.settings)
    }

    /// What is to be durable before it is set: of an attribute that is set twice, the later value.
    pub fn lasting<'a>(&'a self, model: &'a Model) -> impl Iterator<Item = &'a Setting> {
        self.settings.iter().enumerate().filter_map(move |(position, setting)| {
            let persistent = model.structure().attribute(setting.attribute).is_stored();
            let later = &self.settings[position + 1..];
            let replaced = later.iter().any(|other| other.attribute == setting.attribute);
            (persistent && !replaced).then_some(setting)
        })
    }

    /// Leaves out an item that somebody else has refused (B05.FR.09), and those that were only fine
    /// with it: a Target beyond the MaxSet that there will be.
    pub fn refuse(&mut self, model: &Model, item: usize, reason_code: String, info: String) {
        let Some(position) = self.items.iter().position(|known| *known == item) else { return };
        let reason = NotSet::Rejected(Cow::Owned(reason_code), Cow::Owned(info));
        self.drop_setting(position, reason);
        let mut next = position;
        while let Some(setting) = self.settings.get(next) {
            match model.check_again(setting, &self.settings[..next]) {
                Ok(()) => next += 1,
                Err(reason) => self.drop_setting(next, reason),
            }
        }
    }

    fn drop_setting(&mut self, position: usize, reason: NotSet) {
        self.settings.remove(position);
        let item = self.items.remove(position);
        self.verdicts[item].outcome = Err(reason);
    }

    /// Answers an item with RebootRequired instead of Accepted.
    pub fn reboot(&mut self, item: usize) {
        if let Some(Verdict { outcome: Ok(reboot), .. }) = self.verdicts.get_mut(item) {
            *reboot = true;
        }
    }

    /// Leaves out every item that is left: none of them could be stored (B05.FR.09).
    pub fn fail(&mut self, reason_code: &str, info: &str) {
        for item in std::mem::take(&mut self.items) {
            let reason =
                NotSet::Rejected(Cow::from(reason_code.to_owned()), info.to_owned().into());
            self.verdicts[item].outcome = Err(reason);
        }
        self.settings.clear();
    }

    /// The settings, which are then the caller's.
    pub fn take_settings(&mut self) -> Vec<Setting> {
        std::mem::take(&mut self.settings)
    }

    /// The response (B05.FR.01 to B05.FR.12). `keep` gives a member of the request to the response.
    pub fn response<S: Source, K: Sink>(
        &self,
        shapes: &Shapes,
        request: S::Value,
        source: &S,
        sink: &mut K,
        keep: impl Fn(S::Value) -> K::Value,
    ) -> K::Value {
        let shape = &shapes.set;
        let list = source.member(request, shape.items);
        let mark = sink.list();
        for (index, verdict) in self.verdicts.iter().enumerate() {
            let Some(item) = list.map(|list| source.item(list, index)) else { continue };
            let (Some(of), Some(which)) =
                (source.member(item, shape.component), source.member(item, shape.variable))
            else {
                continue;
            };
            let mut result = sink.object(shape.result_type);
            sink.set(&mut result, shape.result_component, keep(of));
            sink.set(&mut result, shape.result_variable, keep(which));
            let status = match &verdict.outcome {
                Ok(false) => Status::Accepted,
                Ok(true) => Status::RebootRequired,
                Err(NotSet::UnknownComponent) => Status::UnknownComponent,
                Err(NotSet::UnknownVariable) => Status::UnknownVariable,
                Err(NotSet::NotSupportedAttributeType) => Status::NotSupportedAttributeType,
                Err(NotSet::Rejected(reason_code, info)) => {
                    let info = status_info(shapes, sink, reason_code, info);
                    sink.set(&mut result, shape.result_info, info);
                    Status::Rejected
                }
            };
            finish(shapes, shape, sink, result, status, verdict.kind);
        }
        response(shape, sink, mark)
    }
}
