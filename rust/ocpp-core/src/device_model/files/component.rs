//! One component file, read into a draft: a component, or a template of many.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::reader::{Field, Found, Label, Reader};
use super::tree::{Node, Place};
use super::variable;
use crate::device_model::definition::{AttributeKind, Mutability, VariableDefinition};
use crate::device_model::required;
use crate::device_model::value::parse_boolean;

/// Highest number of an EVSE or connector.
pub(super) const MAX_NUMBER: u32 = 10_000;

/// The EVSEs, or connectors, that a file stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::device_model) enum Numbers {
    /// The component is further up.
    Absent,
    /// From one number to another, both included.
    Range(u32, u32),
    /// All that the station has.
    All,
}

impl Numbers {
    /// Whether it is no more than one.
    pub(super) fn is_exact(self) -> bool {
        match self {
            Self::Absent => true,
            Self::Range(first, last) => first == last,
            Self::All => false,
        }
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => Ok(()),
            Self::Range(first, last) if first == last => write!(out, "{first}"),
            Self::Range(first, last) => write!(out, "{first}-{last}"),
            Self::All => out.write_str("*"),
        }
    }
}

/// A variable as it was read.
#[derive(Debug)]
pub(in crate::device_model) struct DraftVariable<'a> {
    /// What was understood; with dummies for what was not.
    pub(in crate::device_model) definition: VariableDefinition,
    /// Something of it has been reported.
    pub(in crate::device_model) faulty: bool,
    /// Its key under `properties`, and the position of that.
    pub(super) key: &'a str,
    pub(super) index: u32,
}

impl DraftVariable<'_> {
    /// The default of the attribute Actual.
    pub(in crate::device_model) fn value(&self) -> Option<&str> {
        let actual = self.definition.attributes.iter().find(|a| a.kind == AttributeKind::Actual)?;
        actual.value.as_deref()
    }

    /// Whether the CSMS may not read the attribute Actual, so that nobody has to give a default.
    pub(in crate::device_model) fn is_write_only(&self) -> bool {
        let attributes = &self.definition.attributes;
        attributes.iter().any(|attribute| {
            attribute.kind == AttributeKind::Actual && attribute.mutability == Mutability::WriteOnly
        })
    }
}

/// A file as it was read.
#[derive(Debug)]
pub(in crate::device_model) struct Draft<'a> {
    /// Path of the file.
    pub(in crate::device_model) file: &'a str,
    /// Name of the component.
    pub(in crate::device_model) name: &'a str,
    /// Its instance.
    pub(in crate::device_model) instance: Option<&'a str>,
    /// Its EVSEs.
    pub(in crate::device_model) evse: Numbers,
    /// Its connectors.
    pub(in crate::device_model) connector: Numbers,
    /// In the order of the file.
    pub(in crate::device_model) variables: Vec<DraftVariable<'a>>,
    /// Where `name`, `evse_id`, `connector_id` and `properties` stand.
    pub(super) positions: [u32; 4],
}

/// Members of a component file that problems of the whole folder point at.
#[derive(Clone, Copy)]
pub(in crate::device_model) enum Part {
    Name,
    Evse,
    Connector,
    Properties,
}

impl Draft<'_> {
    /// How people write the component.
    pub(in crate::device_model) fn label(&self) -> Label<'_> {
        Label {
            component: self.name,
            instance: self.instance,
            evse: self.evse,
            connector: self.connector,
            variable: None,
        }
    }

    /// Whether the file alone does not say where the component is.
    pub(super) fn needs_topology(&self) -> bool {
        self.evse == Numbers::All || self.connector == Numbers::All
    }

    /// The first variable of that name and instance.
    pub(in crate::device_model) fn find(
        &self,
        name: &str,
        instance: Option<&str>,
    ) -> Option<&DraftVariable<'_>> {
        self.variables.iter().find(|variable| {
            same(&variable.definition.name, name)
                && same_instance(variable.definition.instance.as_deref(), instance)
        })
    }

    /// Whether a boolean variable is true by default.
    pub(in crate::device_model) fn is_true(&self, name: &str, instance: Option<&str>) -> bool {
        let value = self.find(name, instance).and_then(DraftVariable::value);
        value.and_then(parse_boolean) == Some(true)
    }

    /// Whether the component is in use: it has no variable `Available`, or one that is true.
    ///
    /// A station that does not report the variable has the component (Part 1, section 3.2); one
    /// that reports it without a value does not say so.
    pub(in crate::device_model) fn is_available(&self) -> bool {
        let mut instances = self
            .variables
            .iter()
            .filter(|variable| same(&variable.definition.name, "Available"))
            .map(|variable| variable.value().and_then(parse_boolean) == Some(true))
            .peekable();
        instances.peek().is_none() || instances.any(|available| available)
    }

    /// A problem with one of the file's members.
    pub(in crate::device_model) fn problem(
        &self,
        part: Part,
        label: &Label<'_>,
        message: String,
    ) -> Found {
        let index = self.positions[part as usize];
        let name = ["name", "evse_id", "connector_id", "properties"][part as usize];
        self.found(&Place::ROOT.member(name, index), label, message)
    }

    /// A problem with one of its variables.
    pub(in crate::device_model) fn variable_problem(
        &self,
        variable: &DraftVariable<'_>,
        label: &Label<'_>,
        message: String,
    ) -> Found {
        let properties = self.positions[Part::Properties as usize];
        let properties = Place::ROOT.member("properties", properties);
        self.found(&properties.member(variable.key, variable.index), label, message)
    }

    fn found(&self, place: &Place<'_>, label: &Label<'_>, message: String) -> Found {
        let mut found = Vec::with_capacity(1);
        Reader { file: self.file, label: *label, found: &mut found }.report(place, message);
        found.remove(0)
    }
}

/// Whether two names are the same (`identifierString` knows no case).
pub(in crate::device_model) fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Whether two instances are the same.
pub(in crate::device_model) fn same_instance(one: Option<&str>, other: Option<&str>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => same(one, other),
        _ => false,
    }
}

/// A name with its instance, to look it up without regard to case.
#[derive(Clone, Copy)]
pub(super) struct Identity<'n> {
    pub(super) name: &'n str,
    pub(super) instance: Option<&'n str>,
}

impl PartialEq for Identity<'_> {
    fn eq(&self, other: &Self) -> bool {
        same(self.name, other.name) && same_instance(self.instance, other.instance)
    }
}

impl Eq for Identity<'_> {}

impl Hash for Identity<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.name.bytes().chain(self.instance.unwrap_or_default().bytes()) {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

/// Reads a component; what is wrong goes to `found`. `None` if nobody knows which one it is.
pub(super) fn read<'n>(
    file: &'n str,
    document: &'n Node<'n>,
    found: &mut Vec<Found>,
) -> Option<Draft<'n>> {
    let root = Place::ROOT;
    let mut reader = Reader { file, label: Label::default(), found };
    let members = reader.object(&root, document)?;
    let names = ["name", "instance", "evse_id", "connector_id", "properties", "required"];
    let [name, instance, evse_id, connector_id, properties, required] =
        reader.fields(&root, members, names);
    let position = |field: Option<Field<'_>>| field.map_or(0, |field| field.index);
    let positions = [name, evse_id, connector_id, properties].map(position);
    if let Some(Field { node: Node::Text(name), .. }) = name {
        reader.label.component = name;
    }
    let name = reader.required_identifier(&root, name, "name");
    let instance = reader.identifier(&root, instance);
    reader.label.instance = instance;
    let evse = numbers(&mut reader, evse_id);
    reader.label.evse = evse.unwrap_or(Numbers::Absent);
    let connector = numbers(&mut reader, connector_id);
    reader.label.connector = connector.unwrap_or(Numbers::Absent);
    if let (None, Some(field)) = (evse_id, connector_id) {
        let here = root.member(field.name, field.index);
        reader.report(&here, "a connector_id needs an evse_id");
    }
    let variables = variables(&mut reader, properties);
    let draft = Draft {
        file,
        name: name.unwrap_or_default(),
        instance,
        evse: reader.label.evse,
        connector: reader.label.connector,
        variables,
        positions,
    };
    check_required(&mut reader, &draft, required);
    (name.is_some() && evse.is_some() && connector.is_some()).then_some(draft)
}

/// Reads `1`, `"1-128"` or `"*"`.
fn numbers(reader: &mut Reader<'_, '_>, field: Option<Field<'_>>) -> Option<Numbers> {
    let Some(Field { name, index, node }) = field else {
        return Some(Numbers::Absent);
    };
    let range = match node {
        Node::Integer(number) => u32::try_from(*number).ok().map(|number| (number, number)),
        Node::Text(text) if text == "*" => return Some(Numbers::All),
        Node::Text(text) => text.split_once('-').and_then(|(first, last)| {
            Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
        }),
        _ => None,
    };
    match range {
        Some((first, last)) if 1 <= first && first <= last && last <= MAX_NUMBER => {
            Some(Numbers::Range(first, last))
        }
        _ => {
            let message = format!(
                "expected a number from 1 to {MAX_NUMBER}, a range of them like \"1-128\", or \"*\""
            );
            reader.report(&Place::ROOT.member(name, index), message);
            None
        }
    }
}

fn variables<'n>(
    reader: &mut Reader<'n, '_>,
    properties: Option<Field<'n>>,
) -> Vec<DraftVariable<'n>> {
    let Some(Field { name, index, node }) = properties else {
        reader.report(&Place::ROOT, "has no properties");
        return Vec::new();
    };
    let place = Place::ROOT.member(name, index);
    let members = reader.object(&place, node).unwrap_or_default();
    let mut variables = Vec::with_capacity(members.len());
    let mut known = HashMap::with_capacity(members.len());
    for (index, (key, node)) in (0..).zip(members) {
        let here = place.member(key, index);
        let before = reader.found.len();
        let definition = variable::read(reader, &here, node);
        if let (Some(definition), Some((name, instance))) = (definition, reader.label.variable) {
            if let Some(other) = known.insert(Identity { name, instance }, key) {
                reader.report(&here, format!("the same variable as {other:?}"));
            }
            let faulty = reader.found.len() > before;
            variables.push(DraftVariable { definition, faulty, key, index });
        }
        reader.label.variable = None;
    }
    variables
}

/// The file's own list of keys, or names, of variables that have to be there and have a value.
///
/// A value may be missing where nobody can know it beforehand: a password, what the standard lets
/// the station find out, a slot of the network configuration that is not in use, a component that
/// is not available.
fn check_required<'n>(reader: &mut Reader<'n, '_>, draft: &Draft<'n>, field: Option<Field<'n>>) {
    let Some(Field { name, index, node }) = field else {
        return;
    };
    let place = Place::ROOT.member(name, index);
    for (index, item) in (0..).zip(reader.list(&place, node)) {
        let here = place.item(index);
        let Node::Text(key) = item else {
            reader.report(&here, "expected the key of a variable");
            continue;
        };
        let by_key = draft.variables.iter().find(|variable| variable.key == key);
        let by_name = || draft.variables.iter().find(|v| same(&v.definition.name, key));
        let Some(variable) = by_key.or_else(by_name) else {
            reader.report(&here, format!("the required variable {key:?} is missing"));
            continue;
        };
        let needs_value = !variable.faulty
            && variable.value().is_none()
            && !variable.is_write_only()
            && draft.is_available()
            && !required::may_be_empty(draft.name, &variable.definition);
        if needs_value {
            let label = draft.label().of(&variable.definition);
            let message = "the required variable has no value".to_owned();
            reader.found.push(draft.found(&here, &label, message));
        }
    }
}
