//! Structure and values: reading, checked writing.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use smol_str::SmolStr;

use super::definition::{AttributeKind, ComponentDefinition, DataType, Mutability};
use super::monitor::Monitors;
use super::structure::{Address, AttributeId, Structure, Unknown, Variable, VariableId};
use super::value::{ValueFault, parse_number};

/// Where a default comes from.
pub const DEFAULT_SOURCE: &str = "default";

/// What the CSMS has set.
pub const PEER_SOURCE: &str = "csms";

/// Listeners want to know of every change of the variable.
const WATCHED: u8 = 1;
/// Somebody has a say in what the CSMS writes to the variable.
const GUARDED: u8 = 2;
/// The variable has monitors.
const MONITORED: u8 = 4;

/// The device model of one station. Stations with the same components share the structure.
#[derive(Clone, Debug)]
pub struct Model {
    structure: Arc<Structure>,
    /// For each attribute the number of what was written, counted from 1; most hold their default
    /// for ever.
    values: Vec<u32>,
    written: Vec<Slot>,
    flags: Vec<u8>,
    /// Words for where values come from; a slot has the place of its own in it.
    sources: Vec<Box<str>>,
    pub(super) monitors: Monitors,
    sizes: Sizes,
}

/// Longest values in messages, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// `ReportingValueSize`: what is read, reported or told is cut there.
    pub reported: usize,
    /// `ConfigurationValueSize`: what is longer is not taken.
    pub configured: usize,
}

impl Default for Sizes {
    /// What the schemas allow.
    fn default() -> Self {
        Self { reported: MAX_VALUE, configured: MAX_VALUE }
    }
}

/// Longest value of an attribute, in characters.
const MAX_VALUE: usize = 2500;

/// What was set at run time, or replaces the default here.
#[derive(Clone, Debug)]
struct Slot {
    /// Most values are short, and stand in the slot itself.
    text: SmolStr,
    source: u16,
}

/// Why a value is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRead {
    /// B06.FR.06
    UnknownComponent,
    /// B06.FR.07
    UnknownVariable,
    /// B06.FR.08
    NotSupportedAttributeType,
    /// B06.FR.09
    WriteOnly,
}

/// Why a value is not taken.
#[derive(Clone, Debug, PartialEq)]
pub enum NotSet {
    /// B05.FR.04
    UnknownComponent,
    /// B05.FR.05
    UnknownVariable,
    /// B05.FR.06
    NotSupportedAttributeType,
    /// B05.FR.07 to B05.FR.09: a reason code of the appendix and an explanation.
    Rejected(Cow<'static, str>, Cow<'static, str>),
}

/// What a write has changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The variable.
    pub variable: VariableId,
    /// The attribute.
    pub attribute: AttributeId,
    /// The value before, for those who watch.
    pub old: Option<Box<str>>,
    /// Whether listeners want to know.
    pub watched: bool,
}

/// A checked value that is to be set.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The variable.
    pub variable: VariableId,
    /// The attribute.
    pub attribute: AttributeId,
    /// The new value.
    pub value: SmolStr,
}

impl From<Unknown> for NotRead {
    fn from(unknown: Unknown) -> Self {
        match unknown {
            Unknown::Component => Self::UnknownComponent,
            Unknown::Variable => Self::UnknownVariable,
        }
    }
}

impl From<Unknown> for NotSet {
    fn from(unknown: Unknown) -> Self {
        match unknown {
            Unknown::Component => Self::UnknownComponent,
            Unknown::Variable => Self::UnknownVariable,
        }
    }
}

impl From<ValueFault> for NotSet {
    fn from(fault: ValueFault) -> Self {
        Self::Rejected(fault.reason_code().into(), fault.to_string().into())
    }
}

impl Model {
    /// A device model in which every value is its default.
    #[must_use]
    pub fn new(structure: Arc<Structure>) -> Self {
        let mut model = Self {
            structure,
            values: Vec::new(),
            written: Vec::new(),
            flags: Vec::new(),
            sources: vec![DEFAULT_SOURCE.into()],
            monitors: Monitors::default(),
            sizes: Sizes::default(),
        };
        model.make_room();
        model
    }

    fn make_room(&mut self) {
        self.values.resize(self.structure.attribute_count(), 0);
        self.flags.resize(self.structure.variable_count(), 0);
    }

    /// Components, variables and characteristics.
    #[inline]
    #[must_use]
    pub fn structure(&self) -> &Structure {
        &self.structure
    }

    /// Adds a component; false, and nothing added, if it is there already.
    pub fn add(&mut self, definition: &ComponentDefinition) -> bool {
        let added = Arc::make_mut(&mut self.structure).add(definition);
        self.make_room();
        added
    }

    /// The value of an attribute, whoever may see it.
    #[inline]
    #[must_use]
    pub fn value(&self, attribute: AttributeId) -> Option<&str> {
        match self.slot(attribute) {
            Some(slot) => Some(&slot.text),
            None => self.structure.default_value(attribute),
        }
    }

    #[inline]
    fn slot(&self, attribute: AttributeId) -> Option<&Slot> {
        match self.values[attribute.slot as usize] {
            0 => None,
            number => self.written.get(number as usize - 1),
        }
    }

    /// The Actual value of a variable, whoever may see it.
    #[must_use]
    pub fn actual(&self, variable: &Variable) -> Option<&str> {
        self.value(self.structure.find_attribute(variable, AttributeKind::Actual)?)
    }

    /// Where the value of an attribute comes from.
    #[must_use]
    pub fn source(&self, attribute: AttributeId) -> &str {
        &self.sources[usize::from(self.source_of(attribute))]
    }

    fn source_of(&self, attribute: AttributeId) -> u16 {
        self.slot(attribute).map_or(0, |slot| slot.source)
    }

    fn put(&mut self, attribute: AttributeId, text: SmolStr, source: u16) {
        let number = &mut self.values[attribute.slot as usize];
        if *number == 0 {
            self.written.push(Slot { text, source });
            *number = self.written.len() as u32;
        } else {
            self.written[*number as usize - 1] = Slot { text, source };
        }
    }

    /// What the CSMS may read: the values, empty where there is none (B06.FR.13).
    ///
    /// In stages: what one look-up waits for in memory then overlaps with what the next one waits
    /// for, which is most of the time in a large model.
    pub fn read(&self, asked: &[(Address<'_>, AttributeKind)]) -> Vec<Result<&str, NotRead>> {
        let structure = self.structure();
        let keys: Vec<_> = asked.iter().map(|(address, _)| structure.key(address)).collect();
        let variables: Vec<_> = keys.iter().map(|key| structure.find_key(&(*key)?)).collect();
        let attributes = variables.iter().zip(asked).map(|(variable, (_, kind))| {
            let variable = variable.as_ref().map_err(|unknown| *unknown)?;
            self.readable(variable, *kind)
        });
        let attributes: Vec<_> = attributes.collect();
        let values = attributes.iter().map(|attribute| {
            let value = self.value((*attribute)?).unwrap_or_default();
            // Asks for the text now, so that it is there when the answer is made.
            std::hint::black_box(value.as_bytes().first());
            Ok(value)
        });
        let mut values: Vec<_> = values.collect();
        for value in values.iter_mut().flatten() {
            *value = self.reported(value);
        }
        values
    }

    /// The attribute of a variable, if the CSMS may read it.
    #[inline]
    fn readable(&self, variable: &Variable, kind: AttributeKind) -> Result<AttributeId, NotRead> {
        let attribute = self
            .structure
            .find_attribute(variable, kind)
            .ok_or(NotRead::NotSupportedAttributeType)?;
        if self.structure.attribute(attribute).mutability == Mutability::WriteOnly {
            return Err(NotRead::WriteOnly);
        }
        Ok(attribute)
    }

    /// Limits the length of values in messages.
    pub fn set_sizes(&mut self, sizes: Sizes) {
        self.sizes = sizes;
    }

    /// As much of a value as messages may hold.
    #[inline]
    #[must_use]
    pub fn reported<'a>(&self, value: &'a str) -> &'a str {
        let most = self.sizes.reported;
        if value.len() <= most {
            return value;
        }
        value.char_indices().nth(most).map_or(value, |(end, _)| &value[..end])
    }

    /// Whether the CSMS may write that value; `earlier` are settings that will be in force by then.
    pub fn check(
        &self,
        address: &Address<'_>,
        kind: AttributeKind,
        value: &str,
        earlier: &[Setting],
    ) -> Result<Setting, NotSet> {
        let variable = &self.structure.find(address)?;
        let attribute = self
            .structure
            .find_attribute(variable, kind)
            .ok_or(NotSet::NotSupportedAttributeType)?;
        let definition = self.structure.attribute(attribute);
        if definition.mutability == Mutability::ReadOnly || definition.constant {
            return Err(NotSet::Rejected("ReadOnly".into(), "".into()));
        }
        if value.len() > self.sizes.configured && value.chars().count() > self.sizes.configured {
            return Err(NotSet::Rejected(
                "TooLargeElement".into(),
                "ConfigurationValueSize".into(),
            ));
        }
        self.check_limits(variable, value)?;
        self.check_set_range(variable, kind, value, earlier)?;
        Ok(Setting { variable: variable.id, attribute, value: value.into() })
    }

    /// Format and limits, of which an interval of 0 that turns something off needs to keep none.
    fn check_limits(&self, variable: &Variable, value: &str) -> Result<(), ValueFault> {
        let characteristics = self.structure.characteristics(variable);
        let zero = variable.zero_means_off && parse_number(value) == Some(0.0);
        characteristics.check(value, !zero)
    }

    /// Whether a setting still holds when only `earlier` ones come before it.
    pub(super) fn check_again(&self, setting: &Setting, earlier: &[Setting]) -> Result<(), NotSet> {
        let variable = &self.structure.variable(setting.variable);
        let kind = self.structure.attribute(setting.attribute).kind;
        self.check_set_range(variable, kind, &setting.value, earlier)
    }

    /// MinSet and MaxSet bound Actual and Target, and each other (B05, remark 8; Part 1, 3.3).
    fn check_set_range(
        &self,
        variable: &Variable,
        kind: AttributeKind,
        value: &str,
        earlier: &[Setting],
    ) -> Result<(), NotSet> {
        let is_number = self.structure.characteristics(variable).data_type.is_number();
        if !is_number || self.structure.attributes(variable).len() == 1 {
            return Ok(());
        }
        let bound = |kind| {
            let attribute = self.structure.find_attribute(variable, kind)?;
            let pending = earlier.iter().rfind(|setting| setting.attribute == attribute);
            let text = pending.map_or_else(|| self.value(attribute), |s| Some(&s.value))?;
            parse_number(text)
        };
        let Some(number) = parse_number(value) else { return Ok(()) };
        if kind != AttributeKind::MinSet
            && let Some(low) = bound(AttributeKind::MinSet)
            && number < low
        {
            return Err(NotSet::Rejected("ValueTooLow".into(), format!("MinSet is {low}").into()));
        }
        if kind != AttributeKind::MaxSet
            && let Some(high) = bound(AttributeKind::MaxSet)
            && number > high
        {
            return Err(NotSet::Rejected(
                "ValueTooHigh".into(),
                format!("MaxSet is {high}").into(),
            ));
        }
        Ok(())
    }

    /// A write of the station itself or its integrator, whatever the CSMS may do: only the format
    /// is checked, as measured values may leave their range (Part 1, 3.3). `None` if nothing has
    /// changed.
    pub fn write(
        &mut self,
        variable: VariableId,
        attribute: AttributeId,
        value: &str,
        source: &str,
    ) -> Result<Option<Change>, ValueFault> {
        self.check_format(variable, value)?;
        Ok(self.set(variable, attribute, value.into(), source))
    }

    /// Whether the station may write that value.
    pub fn check_format(&self, variable: VariableId, value: &str) -> Result<(), ValueFault> {
        self.structure.characteristics(&self.structure.variable(variable)).check(value, false)
    }

    /// Sets a checked value and evaluates the monitors of its variable.
    pub fn set(
        &mut self,
        variable: VariableId,
        attribute: AttributeId,
        value: SmolStr,
        source: &str,
    ) -> Option<Change> {
        let changed = self.value(attribute) != Some(&value);
        let source = self.source_number(source);
        if !changed && self.source_of(attribute) == source {
            return None;
        }
        let watched = changed && self.is_watched(variable);
        let old = if watched { self.value(attribute).map(Box::from) } else { None };
        self.put(attribute, value, source);
        if changed && self.flags[variable as usize] & MONITORED != 0 {
            self.evaluate(variable);
        }
        Some(Change { variable, attribute, old, watched })
    }

    fn source_number(&mut self, source: &str) -> u16 {
        let known = self.sources.iter().position(|known| **known == *source);
        let number = known.unwrap_or(self.sources.len());
        if known.is_none() && number < usize::from(u16::MAX) {
            self.sources.push(source.into());
        }
        number.min(self.sources.len() - 1) as u16
    }

    /// Replaces the value that holds as long as nothing was set at run time. Limits are not
    /// checked: it is the station's maker who says so.
    pub fn set_default(
        &mut self,
        variable: VariableId,
        attribute: AttributeId,
        value: &str,
    ) -> Result<(), ValueFault> {
        let characteristics = self.structure.characteristics(&self.structure.variable(variable));
        match characteristics.check(value, false) {
            Ok(()) | Err(ValueFault::TooShort | ValueFault::TooLong) => {}
            Err(fault) => return Err(fault),
        }
        // In the slot of this station alone: stations share the structure.
        if self.source_of(attribute) == 0 {
            self.put(attribute, value.into(), 0);
        }
        Ok(())
    }

    /// Sets a value of an earlier run, unless it does not fit the variable any more.
    pub fn restore(
        &mut self,
        address: &Address<'_>,
        kind: AttributeKind,
        value: &str,
        source: &str,
    ) -> bool {
        let Ok(variable) = self.structure.find(address) else { return false };
        let Some(attribute) = self.structure.find_attribute(&variable, kind) else { return false };
        // Measured values may be beyond the limits, what the CSMS has set may not.
        let checked = if source == PEER_SOURCE {
            self.check_limits(&variable, value)
        } else {
            self.check_format(variable.id, value)
        };
        if self.structure.attribute(attribute).constant || checked.is_err() {
            return false;
        }
        let source = self.source_number(source);
        self.put(attribute, value.into(), source);
        true
    }

    /// How many connectors each EVSE has, by the components of the three tiers.
    #[must_use]
    pub fn connectors(&self) -> HashMap<u32, u32> {
        let names = &self.structure.names;
        let mut counts = HashMap::new();
        for component in self.structure.components() {
            let name = names.text(component.name);
            if component.instance != 0 || component.evse_id == 0 {
                continue;
            }
            if name.eq_ignore_ascii_case("EVSE") && component.connector_id == 0 {
                counts.entry(component.evse_id).or_insert(0);
            } else if name.eq_ignore_ascii_case("Connector") && component.connector_id != 0 {
                *counts.entry(component.evse_id).or_insert(0) += 1;
            }
        }
        counts
    }

    /// Whether a value may leave the station: of a credential it never does.
    #[must_use]
    pub fn is_secret(&self, attribute: AttributeId) -> bool {
        self.structure.attribute(attribute).mutability == Mutability::WriteOnly
    }

    /// Whether a variable's values are numbers.
    #[must_use]
    pub fn data_type(&self, variable: &Variable) -> DataType {
        self.structure.characteristics(variable).data_type
    }

    /// Marks a variable for [`Change::watched`].
    pub fn watch(&mut self, variable: VariableId, on: bool) {
        self.flag(variable, WATCHED, on);
    }

    /// Marks a variable in whose external writes somebody has a say.
    pub fn guard(&mut self, variable: VariableId, on: bool) {
        self.flag(variable, GUARDED, on);
    }

    /// Marks a variable that has monitors.
    pub(super) fn set_monitored(&mut self, variable: VariableId, on: bool) {
        self.flag(variable, MONITORED, on);
    }

    fn flag(&mut self, variable: VariableId, flag: u8, on: bool) {
        let flags = &mut self.flags[variable as usize];
        if on { *flags |= flag } else { *flags &= !flag }
    }

    /// See [`Model::watch`].
    #[must_use]
    pub fn is_watched(&self, variable: VariableId) -> bool {
        self.flags[variable as usize] & WATCHED != 0
    }

    /// See [`Model::guard`].
    #[must_use]
    pub fn is_guarded(&self, variable: VariableId) -> bool {
        self.flags[variable as usize] & GUARDED != 0
    }

    /// Memory in use, in bytes; what stations share is counted in full.
    #[must_use]
    pub fn memory(&self) -> usize {
        let texts: usize = self.written.iter().map(|slot| slot.text.len()).sum();
        self.structure.memory()
            + self.values.capacity() * size_of::<u32>()
            + self.written.capacity() * size_of::<Slot>()
            + texts
            + self.flags.capacity()
    }
}
