//! One variable of a component file.

use super::reader::{Field, Reader};
use super::text::persistent_by_default;
use super::tree::{Node, Place};
use crate::device_model::definition::{
    AttributeDefinition, AttributeKind, Characteristics, DataType, MonitorConfig,
    MonitorDefinition, MonitorKind, Mutability, VariableDefinition,
};
use crate::device_model::value::{ValueFault, parse_number, zero_means_off};

/// Longest `unit` and `valuesList` in characters (`VariableCharacteristicsType`).
const MAX_UNIT_LENGTH: usize = 16;
const MAX_VALUES_LIST_LENGTH: usize = 1000;
/// Severity of debug messages, the highest number there is.
const MAX_SEVERITY: u32 = 9;
/// Characters of a value that a problem quotes.
const QUOTED: usize = 40;

/// Reads a variable as far as it can be understood; `None` if it has no name.
pub(super) fn read<'n>(
    reader: &mut Reader<'n, '_>,
    place: &Place<'_>,
    node: &'n Node<'n>,
) -> Option<VariableDefinition> {
    let members = reader.object(place, node)?;
    let names = [
        "variable_name",
        "instance",
        "characteristics",
        "attributes",
        "monitors",
        "source",
        "default",
    ];
    let [name, instance, about, attributes, monitors, source, default] =
        reader.fields(place, members, names);
    let name = reader.required_identifier(place, name, "variable_name")?;
    reader.label.variable = Some((name, None));
    let instance = reader.identifier(place, instance);
    reader.label.variable = Some((name, instance));
    let about = characteristics(reader, place, about);
    let attributes = attribute_list(reader, place, attributes, about.as_ref(), default);
    let monitors = match (monitors, &about) {
        (Some(field), Some(about)) => monitor_list(reader, place, field, about),
        _ => Vec::new(),
    };
    let source = reader.text(place, source, usize::MAX);
    Some(VariableDefinition {
        name: name.into(),
        instance: instance.map(Into::into),
        characteristics: about.unwrap_or(UNKNOWN),
        attributes,
        monitors,
        source: source.map(Into::into),
    })
}

/// Stands for characteristics that could not be read.
const UNKNOWN: Characteristics = Characteristics {
    data_type: DataType::String,
    unit: None,
    min_limit: None,
    max_limit: None,
    max_elements: None,
    values_list: None,
    supports_monitoring: false,
};

fn characteristics<'n>(
    reader: &mut Reader<'n, '_>,
    place: &Place<'_>,
    field: Option<Field<'n>>,
) -> Option<Characteristics> {
    let Some(Field { name, index, node }) = field else {
        reader.report(place, "has no characteristics");
        return None;
    };
    let place = &place.member(name, index);
    let members = reader.object(place, node)?;
    let names = [
        "dataType",
        "unit",
        "minLimit",
        "maxLimit",
        "maxElements",
        "valuesList",
        "supportsMonitoring",
    ];
    let [data_type, unit, min_limit, max_limit, max_elements, values_list, monitoring] =
        reader.fields(place, members, names);
    if data_type.is_none() {
        reader.report(place, "has no dataType");
    }
    let data_type = reader.word(place, data_type, DataType::parse, DataType::ALL, DataType::name);
    let unit = reader.text(place, unit, MAX_UNIT_LENGTH);
    let lowest = reader.number(place, min_limit);
    let highest = reader.number(place, max_limit);
    if let (Some(lowest), Some(highest), Some(field)) = (lowest, highest, max_limit)
        && lowest > highest
    {
        let message = format!("maxLimit {highest} is below minLimit {lowest}");
        reader.report(&place.member(field.name, field.index), message);
    }
    let max_elements = reader.integer(place, max_elements, 1, u32::MAX);
    // An empty list is a list: the only value is an empty one.
    let values_list = reader.any_text(place, values_list, MAX_VALUES_LIST_LENGTH);
    let supports_monitoring = reader.boolean(place, monitoring, false);
    Some(Characteristics {
        data_type: data_type?,
        unit: unit.map(Into::into),
        min_limit: lowest,
        max_limit: highest,
        max_elements,
        values_list: values_list.map(Into::into),
        supports_monitoring,
    })
}

fn attribute_list<'n>(
    reader: &mut Reader<'n, '_>,
    place: &Place<'_>,
    field: Option<Field<'n>>,
    about: Option<&Characteristics>,
    default: Option<Field<'n>>,
) -> Vec<AttributeDefinition> {
    let Some(Field { name, index, node }) = field else {
        reader.report(place, "has no attributes");
        return Vec::new();
    };
    let here = place.member(name, index);
    let items = reader.list(&here, node);
    if items.is_empty() && matches!(node, Node::List(_)) {
        reader.report(&here, "has no attributes");
    }
    let mut attributes: Vec<AttributeDefinition> = Vec::with_capacity(items.len());
    for (index, item) in (0..).zip(items) {
        let here = here.item(index);
        let Some(attribute) = attribute(reader, &here, item, about) else {
            continue;
        };
        if attributes.iter().any(|other| other.kind == attribute.kind) {
            reader.report(&here, format!("a second attribute {}", attribute.kind.name()));
        } else {
            attributes.push(attribute);
        }
    }
    attributes.sort_by_key(|attribute| attribute.kind);
    if let (Some(default), Some(about), Some(actual)) = (default, about, attributes.first_mut())
        && actual.kind == AttributeKind::Actual
    {
        apply_default(reader, place, default, about, actual);
    }
    attributes
}

/// Gives the attribute Actual the variable's `default`, if it has no value of its own.
///
/// A default that is not needed may break the limits, since files in use have such ones.
fn apply_default(
    reader: &mut Reader<'_, '_>,
    place: &Place<'_>,
    field: Field<'_>,
    about: &Characteristics,
    actual: &mut AttributeDefinition,
) {
    let here = place.member(field.name, field.index);
    if actual.value.is_none() {
        actual.value = value(reader, &here, field.node, about, actual.mutability);
    } else if let Some(text) = scalar(field.node, about.data_type) {
        if !text.is_empty() && about.check(&text, true) == Err(ValueFault::Format) {
            let message = describe(&text, ValueFault::Format, about, actual.mutability);
            reader.report(&here, message);
        }
    } else {
        reader.report(&here, no_scalar(field.node));
    }
}

fn attribute<'n>(
    reader: &mut Reader<'n, '_>,
    place: &Place<'_>,
    node: &'n Node<'n>,
    about: Option<&Characteristics>,
) -> Option<AttributeDefinition> {
    let members = reader.object(place, node)?;
    let names = ["type", "mutability", "value", "persistent", "constant"];
    let [kind, mutability, text, persistent, constant] = reader.fields(place, members, names);
    let kind = match kind {
        None => AttributeKind::Actual,
        _ => reader.word(
            place,
            kind,
            AttributeKind::parse,
            AttributeKind::ALL,
            AttributeKind::name,
        )?,
    };
    let mutability = reader
        .word(place, mutability, Mutability::parse, Mutability::ALL, Mutability::name)
        .unwrap_or(Mutability::ReadWrite);
    let persistent = reader.boolean(place, persistent, persistent_by_default(mutability));
    let constant = reader.boolean(place, constant, false);
    let value = match (text, about) {
        (Some(field), Some(about)) => {
            value(reader, &place.member(field.name, field.index), field.node, about, mutability)
        }
        _ => None,
    };
    Some(AttributeDefinition { kind, mutability, value, persistent, constant })
}

/// The text of a value that fits the characteristics.
///
/// An empty text that does not fit is no value: files in use write it where a value comes later.
fn value(
    reader: &mut Reader<'_, '_>,
    place: &Place<'_>,
    node: &Node<'_>,
    about: &Characteristics,
    mutability: Mutability,
) -> Option<Box<str>> {
    let Some(text) = scalar(node, about.data_type) else {
        reader.report(place, no_scalar(node));
        return None;
    };
    match about.check(&text, true) {
        Ok(()) => Some(text.into()),
        Err(_) if text.is_empty() => None,
        Err(ValueFault::TooLow) if is_off(reader, &text) => Some(text.into()),
        Err(fault) => {
            reader.report(place, describe(&text, fault, about, mutability));
            None
        }
    }
}

fn is_off(reader: &Reader<'_, '_>, text: &str) -> bool {
    let variable = reader.label.variable.map_or("", |(name, _)| name);
    parse_number(text) == Some(0.0) && zero_means_off(reader.label.component, variable)
}

/// The text of a string, number or boolean.
fn scalar<'n>(node: &'n Node<'_>, data_type: DataType) -> Option<std::borrow::Cow<'n, str>> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    Some(match node {
        Node::Text(text) => text.as_ref().into(),
        Node::Boolean(true) => "true".into(),
        Node::Boolean(false) => "false".into(),
        Node::Integer(number) => itoa::Buffer::new().format(*number).to_owned().into(),
        Node::Double(number)
            if data_type == DataType::Integer && number.fract() == 0.0 && number.abs() < LIMIT =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
            itoa::Buffer::new().format(*number as i64).to_owned().into()
        }
        Node::Double(number) => zmij::Buffer::new().format_finite(*number).to_owned().into(),
        Node::Null | Node::List(_) | Node::Object(_) => return None,
    })
}

#[cold]
fn no_scalar(node: &Node<'_>) -> String {
    format!("expected a string, a number or a boolean, found {}", node.kind())
}

/// What is wrong with a value; says nothing of a value that must stay secret.
#[cold]
fn describe(
    text: &str,
    fault: ValueFault,
    about: &Characteristics,
    mutability: Mutability,
) -> String {
    let subject = if mutability == Mutability::WriteOnly {
        "the value".to_owned()
    } else if let Some((end, _)) = text.char_indices().nth(QUOTED) {
        format!("the value {:?}...", &text[..end])
    } else {
        format!("the value {text:?}")
    };
    let limit = |limit: Option<f64>| limit.unwrap_or_default();
    match fault {
        ValueFault::Format => format!("{subject} is no {}", about.data_type.name()),
        ValueFault::TooLow => format!("{subject} is below minLimit {}", limit(about.min_limit)),
        ValueFault::TooHigh => format!("{subject} is above maxLimit {}", limit(about.max_limit)),
        ValueFault::NotListed => {
            let list = about.values_list.as_deref().unwrap_or_default();
            format!("{subject} is not in valuesList {list:?}")
        }
        _ => format!("{subject} is not allowed: {fault}"),
    }
}

fn monitor_list<'n>(
    reader: &mut Reader<'n, '_>,
    place: &Place<'_>,
    Field { name, index, node }: Field<'n>,
    about: &Characteristics,
) -> Vec<MonitorDefinition> {
    let place = &place.member(name, index);
    let items = reader.list(place, node);
    if !items.is_empty() && !about.supports_monitoring {
        reader.report(place, "the variable has monitors, but supportsMonitoring is not true");
    }
    let mut monitors: Vec<MonitorDefinition> = Vec::with_capacity(items.len());
    for (index, item) in (0..).zip(items) {
        let here = place.item(index);
        let Some(monitor) = monitor(reader, &here, item, about) else {
            continue;
        };
        let twin = |other: &MonitorDefinition| {
            (other.kind, other.severity) == (monitor.kind, monitor.severity)
        };
        if monitors.iter().any(twin) {
            // N04.FR.10
            let (kind, severity) = (monitor.kind.name(), monitor.severity);
            reader.report(&here, format!("a second {kind} monitor of severity {severity}"));
        }
        monitors.push(monitor);
    }
    monitors
}

fn monitor<'n>(
    reader: &mut Reader<'n, '_>,
    place: &Place<'_>,
    node: &'n Node<'n>,
    about: &Characteristics,
) -> Option<MonitorDefinition> {
    let members = reader.object(place, node)?;
    let names = ["type", "value", "severity", "transaction", "config_type"];
    let fields = reader.fields(place, members, names);
    for (name, field) in names.iter().zip(&fields).take(3) {
        if field.is_none() {
            reader.report(place, format!("the monitor has no {name}"));
        }
    }
    let [kind, value, severity, transaction, config] = fields;
    let kind_field = kind;
    let kind = reader.word(place, kind, MonitorKind::parse, MonitorKind::ALL, MonitorKind::name);
    let number = reader.number(place, value);
    let severity = reader.integer(place, severity, 0, MAX_SEVERITY);
    let transaction = reader.boolean(place, transaction, false);
    let config = match config {
        None => Some(MonitorConfig::Preconfigured),
        _ => reader.word(
            place,
            config,
            MonitorConfig::parse,
            MonitorConfig::ALL,
            MonitorConfig::name,
        ),
    };
    if let (Some(kind), Some(field)) = (kind, kind_field)
        && !kind.suits(about.data_type)
    {
        let data_type = about.data_type.name();
        let message = format!("{} cannot watch a {data_type} (Part 1, section 3.4)", kind.name());
        reader.report(&place.member(field.name, field.index), message);
    }
    if let (Some(kind), Some(number), Some(field)) = (kind, number, value)
        && let Some(message) = monitor_fault(kind, number, about)
    {
        reader.report(&place.member(field.name, field.index), message);
    }
    Some(MonitorDefinition {
        kind: kind?,
        value: number?,
        severity: u8::try_from(severity?).ok()?,
        transaction,
        config: config?,
    })
}

/// Why a monitor's value makes no sense (N04.FR.06, N04.FR.14).
fn monitor_fault(kind: MonitorKind, number: f64, about: &Characteristics) -> Option<String> {
    match kind {
        MonitorKind::UpperThreshold | MonitorKind::LowerThreshold
            if about.data_type.is_number() =>
        {
            let fault = about.check_range(number).err()?;
            Some(format!("the threshold {number} is outside the variable's limits: {fault}"))
        }
        MonitorKind::Periodic | MonitorKind::PeriodicClockAligned if number <= 0.0 => {
            Some(format!("the interval {number} is not above 0 seconds"))
        }
        MonitorKind::Delta | MonitorKind::TargetDelta | MonitorKind::TargetDeltaRelative
            if number < 0.0 =>
        {
            Some(format!("the difference {number} is negative"))
        }
        _ => None,
    }
}
