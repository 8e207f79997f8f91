//! What reading a file needs again and again: typed members, and a list of what is wrong.

use std::fmt;

use super::Problem;
use super::component::Numbers;
use super::tree::{Member, Node, Place};
use crate::device_model::definition::VariableDefinition;
use crate::device_model::value::longer_than;

/// Longest name or instance in characters (`ComponentType`, `VariableType`).
const MAX_NAME_LENGTH: usize = 50;

/// A problem and its place among others of the same file.
#[derive(Debug)]
pub(in crate::device_model) struct Found {
    /// Compares like the positions in the document.
    pub(super) order: Vec<u32>,
    /// What is told.
    pub(super) problem: Problem,
}

impl Found {
    /// A problem of a whole file.
    pub(in crate::device_model) fn in_file(file: &str, message: String) -> Self {
        let (pointer, variable) = (String::new(), String::new());
        let problem = Problem { file: file.to_owned(), pointer, variable, message };
        Self { order: Vec::new(), problem }
    }

    /// A problem that belongs to no file.
    pub(super) fn nowhere(label: &Label<'_>, message: String) -> Self {
        let mut found = Self::in_file("", message);
        found.problem.variable = label.to_string();
        found
    }

    /// A variable that is in no file.
    pub(in crate::device_model) fn missing(
        component: &str,
        variable: &str,
        instance: Option<&str>,
        message: String,
    ) -> Self {
        let label = Label { component, ..Label::default() };
        Self::nowhere(&label.with(variable, instance), message)
    }
}

/// A component or variable as people write it: `EVSE[1].Power`, `MessageTimeout(Default)`,
/// `Connector[1,2]`, in the style of the specification's tables.
#[derive(Clone, Copy)]
pub(in crate::device_model) struct Label<'n> {
    pub(super) component: &'n str,
    pub(super) instance: Option<&'n str>,
    pub(super) evse: Numbers,
    pub(super) connector: Numbers,
    pub(super) variable: Option<(&'n str, Option<&'n str>)>,
}

impl Default for Label<'_> {
    fn default() -> Self {
        let none = Numbers::Absent;
        Self { component: "", instance: None, evse: none, connector: none, variable: None }
    }
}

impl<'n> Label<'n> {
    /// With a variable.
    pub(in crate::device_model) fn of(self, variable: &'n VariableDefinition) -> Self {
        self.with(&variable.name, variable.instance.as_deref())
    }

    /// At one EVSE or connector.
    pub(super) fn at(self, evse: Option<u32>, connector: Option<u32>) -> Self {
        let one = |number: Option<u32>| {
            number.map_or(Numbers::Absent, |number| Numbers::Range(number, number))
        };
        Self { evse: one(evse), connector: one(connector), ..self }
    }

    /// With a variable that may not exist.
    pub(in crate::device_model) fn with(self, name: &'n str, instance: Option<&'n str>) -> Self {
        Self { variable: Some((name, instance)), ..self }
    }
}

impl fmt::Display for Label<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.component)?;
        if let Some(instance) = self.instance {
            write!(out, "({instance})")?;
        }
        match (self.evse, self.connector) {
            (Numbers::Absent, _) => {}
            (evse, Numbers::Absent) => write!(out, "[{evse}]")?,
            (evse, connector) => write!(out, "[{evse},{connector}]")?,
        }
        if let Some((name, instance)) = self.variable {
            write!(out, ".{name}")?;
            if let Some(instance) = instance {
                write!(out, "({instance})")?;
            }
        }
        Ok(())
    }
}

/// A member of an object, and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Field<'n> {
    pub(super) name: &'n str,
    pub(super) index: u32,
    pub(super) node: &'n Node<'n>,
}

/// Reads one file.
pub(super) struct Reader<'n, 'f> {
    /// The path that problems name.
    pub(super) file: &'f str,
    /// What problems are about.
    pub(super) label: Label<'n>,
    /// What is wrong so far.
    pub(super) found: &'f mut Vec<Found>,
}

impl<'n> Reader<'n, '_> {
    /// Notes a problem.
    #[cold]
    pub(super) fn report(&mut self, place: &Place<'_>, message: impl Into<String>) {
        self.found.push(Found {
            order: place.order(),
            problem: Problem {
                file: self.file.to_owned(),
                pointer: place.pointer(),
                variable: self.label.to_string(),
                message: message.into(),
            },
        });
    }

    /// Notes a value of the wrong type.
    #[cold]
    fn wrong_type(&mut self, place: &Place<'_>, expected: &str, node: &Node<'_>) {
        self.report(place, format!("expected {expected}, found {}", node.kind()));
    }

    /// The members of an object.
    pub(super) fn object(
        &mut self,
        place: &Place<'_>,
        node: &'n Node<'n>,
    ) -> Option<&'n [Member<'n>]> {
        match node {
            Node::Object(members) => Some(members),
            other => {
                self.wrong_type(place, "an object", other);
                None
            }
        }
    }

    /// The items of an array.
    pub(super) fn list(&mut self, place: &Place<'_>, node: &'n Node<'n>) -> &'n [Node<'n>] {
        match node {
            Node::List(items) => items,
            other => {
                self.wrong_type(place, "an array", other);
                &[]
            }
        }
    }

    /// The members of an object that have these names; others are annotations. `null` is absent.
    pub(super) fn fields<const N: usize>(
        &mut self,
        place: &Place<'_>,
        members: &'n [Member<'n>],
        names: [&'static str; N],
    ) -> [Option<Field<'n>>; N] {
        let mut fields = [None; N];
        for (index, (name, node)) in (0..).zip(members) {
            let Some(slot) = names.iter().position(|known| known == name) else {
                continue;
            };
            if fields[slot].is_some() {
                self.report(&place.member(name, index), "the member stands there twice");
            } else if !matches!(node, Node::Null) {
                fields[slot] = Some(Field { name, index, node });
            }
        }
        fields
    }

    /// A text of at most `most` characters; an empty one is absent.
    pub(super) fn text(
        &mut self,
        place: &Place<'_>,
        field: Option<Field<'n>>,
        most: usize,
    ) -> Option<&'n str> {
        self.any_text(place, field, most).filter(|text| !text.is_empty())
    }

    /// A text of at most `most` characters.
    pub(super) fn any_text(
        &mut self,
        place: &Place<'_>,
        field: Option<Field<'n>>,
        most: usize,
    ) -> Option<&'n str> {
        let field = field?;
        let here = place.member(field.name, field.index);
        let Node::Text(text) = field.node else {
            self.wrong_type(&here, "a string", field.node);
            return None;
        };
        if longer_than(text, most) {
            let length = text.chars().count();
            self.report(&here, format!("{length} characters long, at most {most} are allowed"));
        }
        Some(text)
    }

    /// A name or an instance.
    ///
    /// The characters of an `identifierString` are not insisted on, since files in use have others;
    /// what no terminal shows is refused.
    pub(super) fn identifier(
        &mut self,
        place: &Place<'_>,
        field: Option<Field<'n>>,
    ) -> Option<&'n str> {
        let name = self.text(place, field, MAX_NAME_LENGTH)?;
        if name.chars().any(char::is_control)
            && let Some(field) = field
        {
            self.report(&place.member(field.name, field.index), "has a control character");
        }
        Some(name)
    }

    /// A name that has to be there.
    pub(super) fn required_identifier(
        &mut self,
        place: &Place<'_>,
        field: Option<Field<'n>>,
        name: &str,
    ) -> Option<&'n str> {
        match field {
            None => self.report(place, format!("has no {name}")),
            Some(Field { name, index, node: Node::Text(text) }) if text.is_empty() => {
                self.report(&place.member(name, index), "is empty");
            }
            _ => return self.identifier(place, field),
        }
        None
    }

    /// `true` or `false`.
    pub(super) fn boolean(
        &mut self,
        place: &Place<'_>,
        field: Option<Field<'n>>,
        absent: bool,
    ) -> bool {
        match field {
            None => absent,
            Some(Field { node: Node::Boolean(value), .. }) => *value,
            Some(field) => {
                self.wrong_type(&place.member(field.name, field.index), "a boolean", field.node);
                absent
            }
        }
    }

    /// Any number.
    pub(super) fn number(&mut self, place: &Place<'_>, field: Option<Field<'n>>) -> Option<f64> {
        let field = field?;
        match field.node {
            #[expect(clippy::cast_precision_loss, reason = "limits are doubles")]
            Node::Integer(value) => Some(*value as f64),
            Node::Double(value) => Some(*value),
            other => {
                self.wrong_type(&place.member(field.name, field.index), "a number", other);
                None
            }
        }
    }

    /// A whole number between two others.
    pub(super) fn integer(
        &mut self,
        place: &Place<'_>,
        field: Option<Field<'n>>,
        least: u32,
        most: u32,
    ) -> Option<u32> {
        let field = field?;
        if let Node::Integer(value) = field.node
            && let Ok(value) = u32::try_from(*value)
            && (least..=most).contains(&value)
        {
            return Some(value);
        }
        let here = place.member(field.name, field.index);
        let expected = format!("a whole number from {least} to {most}");
        match field.node {
            Node::Integer(value) => self.report(&here, format!("expected {expected}, not {value}")),
            other => self.wrong_type(&here, &expected, other),
        }
        None
    }

    /// A member of an enumeration.
    pub(super) fn word<T: Copy>(
        &mut self,
        place: &Place<'_>,
        field: Option<Field<'n>>,
        parse: fn(&str) -> Option<T>,
        all: &[T],
        name: fn(T) -> &'static str,
    ) -> Option<T> {
        let field = field?;
        let here = place.member(field.name, field.index);
        let Node::Text(text) = field.node else {
            self.wrong_type(&here, "a string", field.node);
            return None;
        };
        let word = parse(text);
        if word.is_none() {
            let words: Vec<_> = all.iter().map(|word| name(*word)).collect();
            self.report(&here, format!("{text:?} is none of {}", words.join(", ")));
        }
        word
    }
}
