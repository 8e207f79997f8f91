//! What a device model consists of, without the values that were set at run time.
//!
//! Components of one kind, the EVSEs of a station, have the same variables: their [`Shape`] is kept
//! once, and a variable is a place in its component. So what a look-up touches stays small and near,
//! however many EVSEs there are.

use std::ops::Range;

use hashbrown::HashTable;

use super::definition::{
    AttributeDefinition, AttributeKind, Characteristics, ComponentDefinition, ComponentKey,
    Mutability, VariableDefinition,
};
use super::names::{Names, mix};
use super::report;
use super::texts::Texts;
use super::value::zero_means_off;

/// Number of a component.
pub type ComponentId = u32;
/// Number of a variable, counted over all components.
pub type VariableId = u32;

/// An attribute of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttributeId {
    /// Counted over the attributes of all variables: where its value is.
    pub slot: u32,
    /// Counted over the attributes of all shapes: where its definition is.
    definition: u32,
}

/// Components, variables, characteristics and defaults.
///
/// Only ever grows, so numbers stay what they are.
#[derive(Clone, Debug, Default)]
pub struct Structure {
    /// All names and instances.
    pub names: Names,
    components: Vec<Component>,
    component_index: HashTable<ComponentId>,
    /// The component of each variable.
    owners: Vec<ComponentId>,
    shapes: Vec<Shape>,
    /// The variables of all shapes.
    members: Vec<Member>,
    member_index: HashTable<u32>,
    /// The attributes of all shapes.
    attributes: Vec<Attribute>,
    /// Defaults by slot.
    defaults: Texts,
    characteristics: Vec<Characteristics>,
    /// The same as JSON.
    characteristics_texts: Vec<Box<str>>,
}

/// A component; absent ids are 0.
#[derive(Clone, Copy, Debug)]
pub struct Component {
    /// Number of its name.
    pub name: u32,
    /// Number of its instance.
    pub instance: u32,
    /// Its EVSE.
    pub evse_id: u32,
    /// Its connector.
    pub connector_id: u32,
    shape: u32,
    first_variable: VariableId,
    first_slot: u32,
}

/// The variables that components of one kind have.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// Number of the name of these components.
    component: u32,
    first_member: u32,
    members: u32,
    first_attribute: u32,
}

/// A variable of a shape.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Member {
    shape: u32,
    name: u32,
    instance: u32,
    source: u32,
    characteristics: u32,
    first_attribute: u32,
    attributes: u8,
    zero_means_off: bool,
}

/// A variable of a component.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its number.
    pub id: VariableId,
    /// Number of its name.
    pub name: u32,
    /// Number of its instance.
    pub instance: u32,
    /// Its component.
    pub component: ComponentId,
    /// Number of the integrator's word for its owner.
    pub source: u32,
    /// Whether 0 is allowed below the lower limit, where it turns something off.
    pub zero_means_off: bool,
    characteristics: u32,
    attributes: u8,
    first: AttributeId,
}

/// An attribute of a variable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attribute {
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
        let mut component = Component {
            name: self.names.add(name),
            instance: self.names.add(instance.as_deref().unwrap_or_default()),
            evse_id: evse_id.unwrap_or_default(),
            connector_id: connector_id.unwrap_or_default(),
            shape: 0,
            first_variable: self.owners.len() as VariableId,
            first_slot: self.defaults.len() as u32,
        };
        let hash = component.hash();
        let same = |id: &ComponentId| self.components[*id as usize].is_same(&component);
        if self.component_index.find(hash, same).is_some() {
            return false;
        }
        component.shape = self.shape_of(component.name, name, &definition.variables);
        let id = self.components.len() as ComponentId;
        self.components.push(component);
        let components = &self.components;
        self.component_index.insert_unique(hash, id, |id| components[*id as usize].hash());
        self.owners.extend(definition.variables.iter().map(|_| id));
        for attribute in definition.variables.iter().flat_map(|variable| &variable.attributes) {
            self.defaults.push(attribute.value.as_deref());
        }
        true
    }

    /// The shape of these variables, which another component of that name may have already.
    fn shape_of(&mut self, component: u32, name: &str, variables: &[VariableDefinition]) -> u32 {
        let (first_member, first_attribute) = (self.members.len(), self.attributes.len());
        let number = self.shapes.len() as u32;
        for variable in variables {
            let member = Member {
                shape: number,
                name: self.names.add(&variable.name),
                instance: self.names.add(variable.instance.as_deref().unwrap_or_default()),
                source: self.names.add(variable.source.as_deref().unwrap_or_default()),
                characteristics: self.intern(&variable.characteristics),
                first_attribute: self.attributes.len() as u32,
                attributes: variable.attributes.len() as u8,
                zero_means_off: zero_means_off(name, &variable.name),
            };
            self.members.push(member);
            self.attributes.extend(variable.attributes.iter().map(Attribute::new));
        }
        let shape = Shape {
            component,
            first_member: first_member as u32,
            members: variables.len() as u32,
            first_attribute: first_attribute as u32,
        };
        if let Some(known) = self.shapes.iter().position(|known| self.is_alike(known, &shape)) {
            self.members.truncate(first_member);
            self.attributes.truncate(first_attribute);
            return known as u32;
        }
        self.shapes.push(shape);
        for member in shape.first_member..self.members.len() as u32 {
            let members = &self.members;
            let rehash = |member: &u32| members[*member as usize].hash();
            self.member_index.insert_unique(rehash(&member), member, rehash);
        }
        number
    }

    /// Whether two shapes, the other one the last, are the same but for where they stand.
    fn is_alike(&self, known: &Shape, other: &Shape) -> bool {
        if known.component != other.component || known.members != other.members {
            return false;
        }
        let moved = other.first_attribute - known.first_attribute;
        let known_members = &self.members[known.first_member as usize..][..known.members as usize];
        let members = &self.members[other.first_member as usize..];
        let alike = known_members.iter().zip(members).all(|(known, member)| {
            let first_attribute = known.first_attribute + moved;
            Member { shape: member.shape, first_attribute, ..*known } == *member
        });
        let attributes = &self.attributes[other.first_attribute as usize..];
        let known_attributes = &self.attributes[known.first_attribute as usize..];
        alike && known_attributes.starts_with(attributes)
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
        self.owners.shrink_to_fit();
        self.members.shrink_to_fit();
        self.attributes.shrink_to_fit();
        self.defaults.shrink();
        self.characteristics.shrink_to_fit();
        self.characteristics_texts.shrink_to_fit();
    }

    /// The variable of that address.
    #[inline]
    pub fn find(&self, address: &Address<'_>) -> Result<Variable, Unknown> {
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
    pub fn find_key(&self, key: &Key) -> Result<Variable, Unknown> {
        let shape = self.components[key.component as usize].shape;
        let same = |member: &u32| {
            let member = &self.members[*member as usize];
            member.name == key.name && member.shape == shape && member.instance == key.instance
        };
        let hash = member_hash(shape, key.name, key.instance);
        let member = self.member_index.find(hash, same).ok_or(Unknown::Variable)?;
        Ok(self.placed(key.component, *member))
    }

    /// A variable of the shape as that of a component.
    #[inline]
    fn placed(&self, component: ComponentId, member: u32) -> Variable {
        let of = &self.components[component as usize];
        let shape = &self.shapes[of.shape as usize];
        let Member { name, instance, source, characteristics, .. } = self.members[member as usize];
        let Member { first_attribute, attributes, zero_means_off, .. } =
            self.members[member as usize];
        Variable {
            id: of.first_variable + (member - shape.first_member),
            name,
            instance,
            component,
            source,
            zero_means_off,
            characteristics,
            attributes,
            first: AttributeId {
                slot: of.first_slot + (first_attribute - shape.first_attribute),
                definition: first_attribute,
            },
        }
    }

    #[inline]
    fn find_component(&self, address: &Address<'_>) -> Option<ComponentId> {
        let key = Component {
            name: self.names.find(address.component)?,
            instance: self.names.find(address.component_instance)?,
            evse_id: place(address.evse_id)?,
            connector_id: place(address.connector_id)?,
            shape: 0,
            first_variable: 0,
            first_slot: 0,
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

    /// Numbers of the variables of a component, in the order of their definition.
    #[must_use]
    pub fn variables_of(&self, component: &Component) -> Range<VariableId> {
        let members = self.shapes[component.shape as usize].members;
        component.first_variable..component.first_variable + members
    }

    /// How many variables there are.
    #[must_use]
    pub fn variable_count(&self) -> usize {
        self.owners.len()
    }

    /// How many attributes there are.
    #[must_use]
    pub fn attribute_count(&self) -> usize {
        self.defaults.len()
    }

    /// A variable by its number.
    #[inline]
    #[must_use]
    pub fn variable(&self, id: VariableId) -> Variable {
        let owner = self.owners[id as usize];
        let component = &self.components[owner as usize];
        let shape = &self.shapes[component.shape as usize];
        self.placed(owner, shape.first_member + (id - component.first_variable))
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

    /// The attributes of a variable.
    #[inline]
    pub fn attributes(
        &self,
        variable: &Variable,
    ) -> impl ExactSizeIterator<Item = AttributeId> + use<> {
        let AttributeId { slot, definition } = variable.first;
        (0..u16::from(variable.attributes)).map(move |number| {
            let number = u32::from(number);
            AttributeId { slot: slot + number, definition: definition + number }
        })
    }

    /// What an attribute is.
    #[inline]
    #[must_use]
    pub fn attribute(&self, id: AttributeId) -> &Attribute {
        &self.attributes[id.definition as usize]
    }

    /// The value of an attribute as long as nothing was set at run time.
    #[inline]
    #[must_use]
    pub fn default_value(&self, id: AttributeId) -> Option<&str> {
        self.defaults.get(id.slot)
    }

    /// The attribute of that kind.
    #[inline]
    #[must_use]
    pub fn find_attribute(&self, variable: &Variable, kind: AttributeKind) -> Option<AttributeId> {
        self.attributes(variable).find(|id| self.attribute(*id).kind == kind)
    }

    /// Memory in use, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.names.memory()
            + self.components.capacity() * size_of::<Component>()
            + self.component_index.allocation_size()
            + self.owners.capacity() * size_of::<ComponentId>()
            + self.shapes.capacity() * size_of::<Shape>()
            + self.members.capacity() * size_of::<Member>()
            + self.member_index.allocation_size()
            + self.attributes.capacity() * size_of::<Attribute>()
            + self.defaults.memory()
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
fn member_hash(shape: u32, name: u32, instance: u32) -> u64 {
    mix(u64::from(shape) << 32 | u64::from(name)) ^ mix(u64::from(instance))
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

impl Member {
    #[inline]
    fn hash(&self) -> u64 {
        member_hash(self.shape, self.name, self.instance)
    }
}

impl Attribute {
    fn new(definition: &AttributeDefinition) -> Self {
        Self {
            kind: definition.kind,
            mutability: definition.mutability,
            persistent: definition.persistent,
            constant: definition.constant,
        }
    }

    /// Whether values set at run time survive a restart. Constants are what the component files say
    /// at each start, so what a program has set in their place is not kept.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.persistent && !self.constant
    }
}
