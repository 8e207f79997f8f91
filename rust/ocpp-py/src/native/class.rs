//! The Python types of the messages, made when first needed.

use std::cell::Cell;
use std::ffi::{CString, c_char};
use std::ptr;

use ocpp_core::schema::ObjectType;
use pyo3::ffi;

use super::construct;
use super::memory::{Instance, MAX_SLOTS, deallocate};
use super::methods;
use super::registry::Version;

/// A Python type and what is needed to serve it. The type object comes first, so that a pointer to
/// one is a pointer to the other.
#[repr(C)]
pub(crate) struct Class {
    type_object: ffi::PyTypeObject,
    /// Where the type comes from.
    pub(crate) shape: Shape,
    /// Number of members.
    pub(crate) slots: usize,
    /// Interned names of the members.
    pub(super) names: Box<[*mut ffi::PyObject]>,
    /// The last tuple of keyword names that the constructor saw (owned), and the members they name.
    pub(super) keywords: Cell<*mut ffi::PyObject>,
    pub(super) keyword_slots: Cell<[u8; MAX_SLOTS]>,
    members: Vec<ffi::PyMemberDef>,
    name: CString,
}

// SAFETY: rule 1 of the module, access needs the GIL.
unsafe impl Sync for Class {}

/// What a type stands for.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// An object type of a schema.
    Message {
        /// Its version.
        version: &'static Version,
        /// Its index there.
        id: u16,
    },
    /// A frame or another record of the codec's own.
    Record {
        /// Type name.
        name: &'static str,
        /// Member names.
        members: &'static [&'static str],
    },
}

impl Shape {
    /// The schema's view, for messages.
    pub(crate) fn object_type(&self) -> Option<&'static ObjectType> {
        match *self {
            Self::Message { version, id } => Some(&version.schema.objects[usize::from(id)]),
            Self::Record { .. } => None,
        }
    }

    fn member_names(&self) -> Vec<&'static str> {
        match *self {
            Self::Record { members, .. } => members.to_vec(),
            Self::Message { version, id } => {
                let object_type = &version.schema.objects[usize::from(id)];
                let mut names: Vec<_> = object_type.fields.iter().map(|f| f.name).collect();
                if object_type.open {
                    names.push("extra");
                }
                names
            }
        }
    }

    fn qualified_name(&self) -> String {
        match *self {
            Self::Record { name, .. } => format!("ocpp_fast._core.{name}"),
            Self::Message { version, id } => {
                let name = version.schema.objects[usize::from(id)].name;
                format!("{}.{name}", version.schema.module)
            }
        }
    }
}

impl Class {
    /// The class of a message object.
    ///
    /// # Safety
    /// `object` must be a message object.
    #[inline]
    pub(crate) unsafe fn of(object: *mut ffi::PyObject) -> &'static Self {
        // SAFETY: the type of a message object is the head of a leaked `Class`.
        unsafe { &*ffi::Py_TYPE(object).cast::<Self>() }
    }

    /// The class behind a Python type, if it is one of ours.
    ///
    /// # Safety
    /// `type_object` must be a type.
    pub(crate) unsafe fn of_type(type_object: *mut ffi::PyTypeObject) -> Option<&'static Self> {
        // SAFETY: only our types have this destructor.
        unsafe {
            let ours = (*type_object)
                .tp_dealloc
                .is_some_and(|f| ptr::fn_addr_eq(f, deallocate as ffi::destructor));
            ours.then(|| &*type_object.cast::<Self>())
        }
    }

    /// The class of any object, if it is a message object.
    ///
    /// # Safety
    /// `object` must be alive.
    pub(crate) unsafe fn of_any(object: *mut ffi::PyObject) -> Option<&'static Self> {
        // SAFETY: every object has a type.
        unsafe { Self::of_type(ffi::Py_TYPE(object)) }
    }

    /// The Python type.
    #[inline]
    pub(crate) fn as_type(&'static self) -> *mut ffi::PyTypeObject {
        (&raw const self.type_object).cast_mut()
    }

    /// A member of an object of this class, borrowed.
    ///
    /// # Safety
    /// `object` must be of this class and `index` below [`Class::slots`].
    #[inline]
    pub(super) unsafe fn member(
        &self,
        object: *mut ffi::PyObject,
        index: usize,
    ) -> *mut ffi::PyObject {
        debug_assert!(index < self.slots);
        // SAFETY: the caller's promise.
        unsafe { *Instance::slots(object).add(index) }
    }

    /// The member with that name.
    pub(super) fn slot_named(&self, name: &str) -> Option<usize> {
        self.shape.member_names().iter().position(|known| *known == name)
    }

    /// The type's own name.
    pub(super) fn short_name(&self) -> &str {
        match self.shape {
            Shape::Record { name, .. } => name,
            Shape::Message { version, id } => version.schema.objects[usize::from(id)].name,
        }
    }

    /// Makes the Python type of `shape`, for ever.
    ///
    /// # Safety
    /// The GIL must be held; at most once a shape.
    pub(super) unsafe fn make(
        shape: Shape,
        base: *mut ffi::PyTypeObject,
    ) -> Result<&'static Self, ()> {
        let member_names = shape.member_names();
        let slots = member_names.len();
        assert!(slots <= MAX_SLOTS);
        let class = Box::leak(Box::new(Self {
            // SAFETY: a zeroed type object is what C programs start from.
            type_object: unsafe { std::mem::zeroed() },
            shape,
            slots,
            // SAFETY: the GIL is held.
            names: member_names.iter().map(|name| unsafe { intern(name) }).collect(),
            keywords: Cell::new(ptr::null_mut()),
            keyword_slots: Cell::new([0; MAX_SLOTS]),
            members: member_definitions(&member_names),
            name: CString::new(shape.qualified_name()).unwrap_or_default(),
        }));
        let name = class.name.as_ptr();
        let members = class.members.as_mut_ptr();
        let type_object = &mut class.type_object;
        prepare(type_object, name, slots, base);
        type_object.tp_members = members;
        type_object.tp_dealloc = Some(deallocate);
        type_object.tp_vectorcall = Some(construct::vectorcall);
        type_object.tp_new = Some(construct::new);
        type_object.tp_repr = Some(methods::repr);
        type_object.tp_hash = Some(methods::hash);
        type_object.tp_richcompare = Some(methods::compare);
        // SAFETY: the type object is complete and never moves.
        if unsafe { ffi::PyType_Ready(type_object) } < 0 {
            return Err(());
        }
        Ok(class)
    }
}

/// The fields that all types of this module share.
pub(super) fn prepare(
    type_object: &mut ffi::PyTypeObject,
    name: *const c_char,
    slots: usize,
    base: *mut ffi::PyTypeObject,
) {
    // SAFETY: static types start with one reference, which is never given back.
    unsafe { (&raw mut type_object.ob_base).cast::<isize>().write(1) };
    type_object.tp_name = name;
    type_object.tp_basicsize = (size_of::<Instance>() + slots * size_of::<usize>()).cast_signed();
    type_object.tp_flags = ffi::Py_TPFLAGS_DEFAULT;
    type_object.tp_base = base;
}

/// Read-only members, in the form that the interpreter's fast path for slots knows.
fn member_definitions(names: &[&'static str]) -> Vec<ffi::PyMemberDef> {
    let mut definitions = Vec::with_capacity(names.len() + 1);
    for (index, name) in names.iter().enumerate() {
        let name = CString::new(*name).unwrap_or_default();
        definitions.push(ffi::PyMemberDef {
            name: name.into_raw(),
            type_code: ffi::Py_T_OBJECT_EX,
            offset: (size_of::<Instance>() + index * size_of::<usize>()).cast_signed(),
            flags: ffi::Py_READONLY,
            doc: ptr::null(),
        });
    }
    definitions.push(ffi::PyMemberDef {
        name: ptr::null(),
        type_code: 0,
        offset: 0,
        flags: 0,
        doc: ptr::null(),
    });
    definitions
}

/// An interned Python string, kept for ever.
///
/// # Safety
/// The GIL must be held.
pub(super) unsafe fn intern(text: &str) -> *mut ffi::PyObject {
    // SAFETY: the text is UTF-8 of the given length.
    unsafe {
        let mut string =
            ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), text.len().cast_signed());
        ffi::PyUnicode_InternInPlace(&raw mut string);
        string
    }
}
