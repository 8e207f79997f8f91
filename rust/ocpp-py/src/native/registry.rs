//! Everything made so far: one table for each version.

use std::cell::{Cell, OnceCell, RefCell};
use std::ptr;

use ocpp_core::encode::Fragments;
use ocpp_core::frame::Decoder;
use ocpp_core::schema::{Schema, v21, v201};
use ocpp_core::writer::Writer;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;

use super::class::{Class, Shape, intern};
use super::enums::EnumClass;
use super::leaves::Leaves;
use super::memory::{GilCell, MAX_SLOTS, Owned};
use super::methods;
use super::readings::Readings;
use super::texts::Texts;

/// The types of one version.
pub(crate) struct Version {
    /// Its schema.
    pub(crate) schema: &'static Schema,
    classes: Box<[OnceCell<&'static Class>]>,
    enums: Box<[OnceCell<&'static EnumClass>]>,
    /// Interned names of the actions.
    actions: Box<[*mut ffi::PyObject]>,
    /// What each object type is for.
    roles: Box<[Role]>,
    /// Short texts seen before.
    pub(super) texts: RefCell<Texts>,
    /// Readings seen before.
    pub(super) readings: RefCell<Readings>,
    /// Small objects seen before.
    pub(super) leaves: RefCell<Leaves>,
    /// Room for the items of arrays that are not finished, while nobody uses it.
    pub(super) items: Cell<Vec<Owned>>,
    /// The decoder, while nobody uses it.
    decoder: Cell<Option<Box<Decoder>>>,
    /// Ready pieces of text for encoding.
    fragments: OnceCell<Fragments>,
    /// The writer, while nobody uses it.
    writer: Cell<Option<Box<Writer>>>,
}

// SAFETY: rule 1 of the module, access needs the GIL.
unsafe impl Sync for Version {}

/// What an object type is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// Payload of a CALL of the action with this index.
    Request(u8),
    /// Payload of a SEND of the action with this index.
    Send(u8),
    /// Payload of a CALLRESULT.
    Response,
    /// A part of other types.
    Datatype,
}

fn roles(schema: &Schema) -> Box<[Role]> {
    let mut roles = vec![Role::Datatype; schema.objects.len()];
    for (index, action) in schema.actions.iter().enumerate() {
        let index = index as u8;
        roles[usize::from(action.request)] = match action.response {
            Some(response) => {
                roles[usize::from(response)] = Role::Response;
                Role::Request(index)
            }
            None => Role::Send(index),
        };
    }
    roles.into()
}

/// The frames and other records.
pub(crate) struct Records {
    /// CALL.
    pub(crate) call: &'static Class,
    /// SEND.
    pub(crate) send: &'static Class,
    /// CALLRESULT.
    pub(crate) call_result: &'static Class,
    /// CALLERROR.
    pub(crate) call_error: &'static Class,
    /// CALLRESULTERROR.
    pub(crate) call_result_error: &'static Class,
    /// A frame that cannot be accepted.
    pub(crate) invalid_frame: &'static Class,
    /// Something that tolerant mode let pass.
    pub(crate) deviation: &'static Class,
}

impl Records {
    /// All of them.
    pub(crate) fn all(&self) -> [&'static Class; 7] {
        [
            self.call,
            self.send,
            self.call_result,
            self.call_error,
            self.call_result_error,
            self.invalid_frame,
            self.deviation,
        ]
    }
}

struct Registry {
    versions: [Version; 2],
    records: Records,
    base: *mut ffi::PyTypeObject,
}

static REGISTRY: GilCell<Option<Registry>> = GilCell::new(None);

/// Builds the tables; once, when the module is imported.
pub(crate) fn initialise(_py: Python<'_>) -> PyResult<()> {
    // SAFETY: the GIL is held and the registry is set once, before any other use.
    unsafe {
        ffi::PyDateTime_IMPORT();
        let base = methods::make_base_type().map_err(|()| PyErr::fetch(_py))?;
        let records = make_records(base).map_err(|()| PyErr::fetch(_py))?;
        let versions = [Version::new(&v201::SCHEMA), Version::new(&v21::SCHEMA)];
        *REGISTRY.get() = Some(Registry { versions, records, base });
    }
    Ok(())
}

fn registry(_py: Python<'_>) -> &'static Registry {
    // SAFETY: set at import and never changed again.
    match unsafe { &*REGISTRY.get() } {
        Some(registry) => registry,
        None => unreachable!("the module initialises the registry first"),
    }
}

/// The version with that name.
pub(crate) fn version(py: Python<'_>, name: &str) -> Option<&'static Version> {
    registry(py).versions.iter().find(|version| version.schema.version == name)
}

/// The frames.
#[inline]
pub(crate) fn records(py: Python<'_>) -> &'static Records {
    &registry(py).records
}

/// Type `Message`, the base of all others.
pub(crate) fn base_type(py: Python<'_>) -> *mut ffi::PyTypeObject {
    registry(py).base
}

unsafe fn make_records(base: *mut ffi::PyTypeObject) -> Result<Records, ()> {
    const REQUEST: &[&str] = &["message_id", "action", "payload", "deviations"];
    const ERROR: &[&str] = &["message_id", "code", "description", "details"];
    const INVALID: &[&str] = &["message_type", "message_id", "action", "code", "pointer", "cause"];
    let make = |name, members: &'static [&'static str]| {
        assert!(members.len() <= MAX_SLOTS);
        // SAFETY: called once for each record, with the GIL held.
        unsafe { Class::make(Shape::Record { name, members }, base) }
    };
    Ok(Records {
        call: make("Call", REQUEST)?,
        send: make("Send", REQUEST)?,
        call_result: make("CallResult", &["message_id", "payload", "deviations"])?,
        call_error: make("CallError", ERROR)?,
        call_result_error: make("CallResultError", ERROR)?,
        invalid_frame: make("InvalidFrame", INVALID)?,
        deviation: make("Deviation", &["pointer", "code", "cause", "value"])?,
    })
}

impl Version {
    /// # Safety
    /// The GIL must be held.
    unsafe fn new(schema: &'static Schema) -> Self {
        Self {
            schema,
            classes: (0..schema.objects.len()).map(|_| OnceCell::new()).collect(),
            enums: (0..schema.enums.len()).map(|_| OnceCell::new()).collect(),
            // SAFETY: the caller's promise.
            actions: schema.actions.iter().map(|a| unsafe { intern(a.name) }).collect(),
            texts: RefCell::default(),
            readings: RefCell::default(),
            leaves: RefCell::default(),
            roles: roles(schema),
            items: Cell::default(),
            decoder: Cell::new(None),
            fragments: OnceCell::new(),
            writer: Cell::new(None),
        }
    }

    /// The class of an object type, made when first asked for.
    ///
    /// # Safety
    /// The GIL must be held.
    #[inline]
    pub(crate) unsafe fn class(&'static self, id: u16) -> Result<&'static Class, ()> {
        match self.classes[usize::from(id)].get() {
            Some(class) => Ok(class),
            // SAFETY: the caller's promise.
            None => unsafe { self.make_class(id) },
        }
    }

    #[cold]
    unsafe fn make_class(&'static self, id: u16) -> Result<&'static Class, ()> {
        // SAFETY: the GIL is held, the registry is complete.
        let base = unsafe { registry(Python::assume_attached()).base };
        // SAFETY: as above; the cell is empty, so this is the first time.
        let class = unsafe { Class::make(Shape::Message { version: self, id }, base)? };
        Ok(self.classes[usize::from(id)].get_or_init(|| class))
    }

    /// An enumeration, made when first asked for; on failure a Python error is set.
    ///
    /// # Safety
    /// The GIL must be held.
    #[inline]
    pub(crate) unsafe fn enumeration(&'static self, id: u16) -> Result<&'static EnumClass, ()> {
        match self.enums[usize::from(id)].get() {
            Some(class) => Ok(class),
            // SAFETY: the caller's promise.
            None => unsafe { self.make_enumeration(id) },
        }
    }

    #[cold]
    unsafe fn make_enumeration(&'static self, id: u16) -> Result<&'static EnumClass, ()> {
        let schema = &self.schema.enums[usize::from(id)];
        let class = Python::attach(|py| {
            EnumClass::make(py, self.schema.module, schema).map_err(|error| error.restore(py))
        })?;
        // Making it ran Python code, which may have asked for the same enumeration.
        Ok(self.enums[usize::from(id)].get_or_init(|| Box::leak(Box::new(class))))
    }

    /// Name of the action with that index (borrowed).
    #[inline]
    pub(super) fn action_name(&self, index: usize) -> *mut ffi::PyObject {
        self.actions[index]
    }

    /// Object type of the response to an action.
    #[inline]
    pub(super) fn response_of(&self, action: &str) -> Option<u16> {
        let index = self.schema.action_lookup.candidate(action.as_bytes())?;
        let known = &self.schema.actions[index];
        if known.name == action { known.response } else { None }
    }

    /// What an object type is for.
    #[inline]
    pub(super) fn role(&self, id: u16) -> Role {
        self.roles[usize::from(id)]
    }

    /// Runs `work` with the decoder. Decoding can run Python code (the garbage collector calls
    /// finalisers), so a decoder in use is absent and a nested one is made for the moment.
    #[inline]
    pub(crate) fn with_decoder<T>(&self, work: impl FnOnce(&mut Decoder) -> T) -> T {
        let mut decoder =
            self.decoder.take().unwrap_or_else(|| Box::new(Decoder::new(self.schema)));
        let result = work(&mut decoder);
        self.decoder.set(Some(decoder));
        result
    }

    /// Ready pieces of text for encoding.
    #[inline]
    pub(super) fn fragments(&self) -> &Fragments {
        self.fragments.get_or_init(|| Fragments::new(self.schema))
    }

    /// Runs `work` with the writer, as [`Version::with_decoder`].
    #[inline]
    pub(super) fn with_writer<T>(&self, work: impl FnOnce(&mut Writer) -> T) -> T {
        let mut writer = self.writer.take().unwrap_or_default();
        let result = work(&mut writer);
        self.writer.set(Some(writer));
        result
    }
}

/// A type by its name; `None` if the version has no such type.
pub(crate) fn type_by_name(
    py: Python<'_>,
    version: &'static Version,
    name: &str,
) -> PyResult<Option<*mut ffi::PyObject>> {
    let schema = version.schema;
    let mut found = ptr::null_mut();
    if let Some(id) = schema.objects.iter().position(|object| object.name == name) {
        // SAFETY: the GIL is held.
        let class = unsafe { version.class(id as u16) }.map_err(|()| PyErr::fetch(py))?;
        found = class.as_type().cast();
    } else if let Some(id) = schema.enums.iter().position(|object| object.name == name) {
        // SAFETY: the GIL is held.
        let class = unsafe { version.enumeration(id as u16) }.map_err(|()| PyErr::fetch(py))?;
        found = class.class;
    }
    Ok((!found.is_null()).then_some(found))
}

/// The class of a message or, for version "", of a record.
pub(super) fn class_by_name(
    py: Python<'_>,
    version_name: &str,
    name: &str,
) -> PyResult<&'static Class> {
    let unknown = || PyTypeError::new_err(format!("no message type {version_name} {name}"));
    if version_name.is_empty() {
        let records = records(py).all();
        return records.into_iter().find(|class| class.short_name() == name).ok_or_else(unknown);
    }
    let version = version(py, version_name).ok_or_else(unknown)?;
    let type_object = type_by_name(py, version, name)?.ok_or_else(unknown)?;
    // SAFETY: the name is that of a type; enumerations are not ours.
    unsafe { Class::of_type(type_object.cast()) }.ok_or_else(unknown)
}
