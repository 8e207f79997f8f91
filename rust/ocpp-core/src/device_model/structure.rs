//! What a device model consists of, without the values that were set at run time.

use hashbrown::HashTable;

use super::definition::{
    AttributeDefinition, AttributeKind, Characteristics, ComponentDefinition, ComponentKey,
    Mutability, VariableDefinition,
};
use super::names::{Names, mix};
use super::report;
use super::value::zero_means_off;

/// Number of a component.
pub type ComponentId = u32;
/// Number of a variable, counted over all components.
pub type VariableId = u32;
/// Number of an attribute, counted over all variables.
pub type AttributeId = usize;

/// Components, variables, characteristics and defaults.
///
/// Only ever grows, so numbers stay what they are.
#[derive(Clone, Debug, Default)]
pub struct Structure {
    /// All names and instances.
    pub names: Names,
    components: Vec<Component>,
    component_index: HashTable<ComponentId>,
    variables: Vec<Variable>,
    variable_index: HashTable<VariableId>,
    attributes: Vec<Attribute>,
    /// All defaults, one after the other.
    defaults: String,
    characteristics: Vec<Characteristics>,
    /// The same as JSON.
    characteristics_texts: Vec<Box<str>>,
}

/// A component; absent ids are 0.
#[derive(Clone, Debug)]
pub struct Component {
    /// Number of its name.
    pub name: u32,
    /// Number of its instance.
    pub instance: u32,
    /// Its EVSE.
    pub evse_id: u32,
    /// Its connector.
    pub connector_id: u32,
    /// Its variables, in the order of their definition.
    pub variables: Vec<VariableId>,
}

/// A variable of a component.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Number of its name.
    pub name: u32,
    /// Number of its instance.
    pub instance: u32,
    /// Its component.
    pub component: ComponentId,
    /// Number of the integrator's word for its owner.
    pub source: u32,
    characteristics: u32,
    first_attribute: u32,
    attributes: u8,
    zero_means_off: bool,
}

/// An attribute of a variable.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// Where the value starts that holds as long as nothing was set at run time.
    default_start: u32,
    /// Its length; `NONE` if there is none.
    default_length: u32,
    /// Which one.
    pub kind: AttributeKind,
    /// What the CSMS may do.
    pub mutability: Mutability,
    /// Whether it survives a restart.
    pub persistent: bool,
    /// Whether it never changes.
    pub constant: bool,
}

/// Component, name and instance of a variable, as numbers.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    component: ComponentId,
    name: u32,
    instance: u32,
}

/// Why there is no such variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// No such component.
    Component,
    /// The component has no such variable.
    Variable,
}

/// Names of a component and a variable as a message or a program gives them; empty for an absent
/// instance. A component without `evse_id` belongs to the station.
#[derive(Clone, Copy, Debug, Default)]
pub struct Address<'a> {
    /// Name of the component.
    pub component: &'a [u8],
    /// Instance of the component.
    pub component_instance: &'a [u8],
    /// EVSE of the component.
    pub evse_id: Option<i64>,
    /// Connector of the component.
    pub connector_id: Option<i64>,
    /// Name of the variable.
    pub variable: &'a [u8],
    /// Instance of the variable.
    pub variable_instance: &'a [u8],
}

impl Structure {
    /// Adds a component with all its variables; false, and nothing added, if it is there already.
    pub fn add(&mut self, definition: &ComponentDefinition) -> bool {
        let ComponentKey { name, instance, evse_id, connector_id } = &definition.key;
        let component = Component {
            name: self.names.add(name),
            instance: self.names.add(instance.as_deref().unwrap_or_default()),
            evse_id: evse_id.unwrap_or_default(),
            connector_id: connector_id.unwrap_or_default(),
            variables: Vec::with_capacity(definition.variables.len()),
        };
        let hash = component.hash();
        let same = |id: &ComponentId| self.components[*id as usize].is_same(&component);
        if self.component_index.find(hash, same).is_some() {
            return false;
        }
        let id = self.components.len() as ComponentId;
        self.components.push(component);
        let components = &self.components;
        self.component_index.insert_unique(hash, id, |id| components[*id as usize].hash());
        for variable in &definition.variables {
            self.add_variable(id, variable);
        }
        true
    }

    fn add_variable(&mut self, component: ComponentId, definition: &VariableDefinition) {
        let component_name = self.names.text(self.components[component as usize].name);
        let variable = Variable {
            zero_means_off: zero_means_off(component_name, &definition.name),
            name: self.names.add(&definition.name),
            instance: self.names.add(definition.instance.as_deref().unwrap_or_default()),
            component,
            source: self.names.add(definition.source.as_deref().unwrap_or_default()),
            characteristics: self.intern(&definition.characteristics),
            first_attribute: self.attributes.len() as u32,
            attributes: definition.attributes.len() as u8,
        };
        let defaults = &mut self.defaults;
        let attributes = definition.attributes.iter().map(|one| Attribute::new(one, defaults));
        self.attributes.extend(attributes);
        let id = self.variables.len() as VariableId;
        self.variables.push(variable);
        let variables = &self.variables;
        let rehash = |id: &VariableId| variables[*id as usize].hash();
        self.variable_index.insert_unique(variable.hash(), id, rehash);
        self.components[component as usize].variables.push(id);
    }

    /// Many variables are of one kind; looked for from the end, where the same file stands.
    fn intern(&mut self, characteristics: &Characteristics) -> u32 {
        const NEAR: usize = 64;
        let near = self.characteristics.len().saturating_sub(NEAR);
        let found = self.characteristics[near..].iter().position(|known| known == characteristics);
        let index = found.map_or(self.characteristics.len(), |position| near + position);
        if found.is_none() {
            self.characteristics.push(characteristics.clone());
            self.characteristics_texts.push(report::characteristics_text(characteristics));
        }
        index as u32
    }

    /// Gives back memory that was reserved for more.
    pub fn shrink(&mut self) {
        self.components.shrink_to_fit();
        self.variables.shrink_to_fit();
        self.attributes.shrink_to_fit();
        self.defaults.shrink_to_fit();
        self.characteristics.shrink_to_fit();
        self.characteristics_texts.shrink_to_fit();
    }

    /// The variable of that address.
    #[inline]
    pub fn find(&self, address: &Address<'_>) -> Result<VariableId, Unknown> {
        self.find_key(&self.key(address)?)
    }

    /// The numbers in an address.
    #[inline]
    pub fn key(&self, address: &Address<'_>) -> Result<Key, Unknown> {
        Ok(Key {
            component: self.find_component(address).ok_or(Unknown::Component)?,
            name: self.names.find(address.variable).ok_or(Unknown::Variable)?,
            instance: self.names.find(address.variable_instance).ok_or(Unknown::Variable)?,
        })
    }

    /// The variable of these numbers.
    #[inline]
    pub fn find_key(&self, key: &Key) -> Result<VariableId, Unknown> {
        let same = |id: &VariableId| {
            let variable = &self.variables[*id as usize];
            variable.name == key.name
                && variable.component == key.component
                && variable.instance == key.instance
        };
        let hash = variable_hash(key.component, key.name, key.instance);
        self.variable_index.find(hash, same).copied().ok_or(Unknown::Variable)
    }

    #[inline]
    fn find_component(&self, address: &Address<'_>) -> Option<ComponentId> {
        let key = Component {
            name: self.names.find(address.component)?,
            instance: self.names.find(address.component_instance)?,
            evse_id: place(address.evse_id)?,
            connector_id: place(address.connector_id)?,
            variables: Vec::new(),
        };
        let same = |id: &ComponentId| self.components[*id as usize].is_same(&key);
        self.component_index.find(key.hash(), same).copied()
    }

    /// All components, in the order in which they were added.
    #[must_use]
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// A component by its number.
    #[must_use]
    pub fn component(&self, id: ComponentId) -> &Component {
        &self.components[id as usize]
    }

    /// How many variables there are.
    #[must_use]
    pub fn variable_count(&self) -> usize {
        self.variables.len()
    }

    /// How many attributes there are.
    #[must_use]
    pub fn attribute_count(&self) -> usize {
        self.attributes.len()
    }

    /// A variable by its number.
    #[inline]
    #[must_use]
    pub fn variable(&self, id: VariableId) -> &Variable {
        &self.variables[id as usize]
    }

    /// The characteristics of a variable.
    #[inline]
    #[must_use]
    pub fn characteristics(&self, variable: &Variable) -> &Characteristics {
        &self.characteristics[variable.characteristics as usize]
    }

    /// The characteristics of a variable as JSON.
    #[inline]
    #[must_use]
    pub fn characteristics_text(&self, variable: &Variable) -> &str {
        &self.characteristics_texts[variable.characteristics as usize]
    }

    /// Numbers of the attributes of a variable.
    #[inline]
    #[must_use]
    pub fn attributes(&self, variable: &Variable) -> std::ops::Range<AttributeId> {
        let first = variable.first_attribute as usize;
        first..first + usize::from(variable.attributes)
    }

    /// An attribute by its number.
    #[inline]
    #[must_use]
    pub fn attribute(&self, id: AttributeId) -> &Attribute {
        &self.attributes[id]
    }

    /// The value of an attribute as long as nothing was set at run time.
    #[inline]
    #[must_use]
    pub fn default_value(&self, attribute: &Attribute) -> Option<&str> {
        if attribute.default_length == NONE {
            return None;
        }
        let start = attribute.default_start as usize;
        self.defaults.get(start..start + attribute.default_length as usize)
    }

    /// The attribute of that kind.
    #[inline]
    #[must_use]
    pub fn find_attribute(&self, variable: &Variable, kind: AttributeKind) -> Option<AttributeId> {
        self.attributes(variable).find(|id| self.attributes[*id].kind == kind)
    }

    /// Memory in use, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let defaults = self.defaults.capacity();
        let lists: usize =
            self.components.iter().map(|one| one.variables.capacity() * size_of::<u32>()).sum();
        self.names.memory()
            + self.components.capacity() * size_of::<Component>()
            + lists
            + self.component_index.allocation_size()
            + self.variables.capacity() * size_of::<Variable>()
            + self.variable_index.allocation_size()
            + self.attributes.capacity() * size_of::<Attribute>()
            + defaults
            + self.characteristics.capacity() * size_of::<Characteristics>()
            + self.characteristics_texts.iter().map(|text| text.len() + 16).sum::<usize>()
    }
}

/// The id as a component keeps it; `None` for one that no component can have.
#[inline]
fn place(id: Option<i64>) -> Option<u32> {
    match id {
        None => Some(0),
        Some(id) => u32::try_from(id).ok().filter(|id| *id > 0),
    }
}

#[inline]
fn variable_hash(component: ComponentId, name: u32, instance: u32) -> u64 {
    mix(u64::from(component) << 32 | u64::from(name)) ^ mix(u64::from(instance))
}

impl Component {
    #[inline]
    fn hash(&self) -> u64 {
        let name = u64::from(self.name) << 32 | u64::from(self.instance);
        let place = u64::from(self.evse_id) << 32 | u64::from(self.connector_id);
        mix(mix(name) ^ place)
    }

    #[inline]
    fn is_same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.evse_id == other.evse_id
            && self.connector_id == other.connector_id
            && self.instance == other.instance
    }
}

impl Variable {
    #[inline]
    fn hash(&self) -> u64 {
        variable_hash(self.component, self.name, self.instance)
    }

    /// Whether 0 is allowed below the lower limit, where it turns something off.
    #[must_use]
    pub fn zero_means_off(&self) -> bool {
        self.zero_means_off
    }
}

impl Attribute {
    /// Whether values set at run time survive a restart. Constants are what the component files say
    /// at each start, so what a program has set in their place is not kept.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.persistent && !self.constant
    }

    fn new(definition: &AttributeDefinition, defaults: &mut String) -> Self {
        let default_start = defaults.len() as u32;
        defaults.push_str(definition.value.as_deref().unwrap_or_default());
        Self {
            default_start,
            default_length: definition.value.as_ref().map_or(NONE, |value| value.len() as u32),
            kind: definition.kind,
            mutability: definition.mutability,
            persistent: definition.persistent,
            constant: definition.constant,
        }
    }
}

const NONE: u32 = u32::MAX;
