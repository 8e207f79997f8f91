//! The Python enumerations, made when first needed.

use ocpp_core::schema::EnumType;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// Places of the table from member to index; no enumeration has more than 56 values.
const PLACES: usize = 256;

/// A `StrEnum` and its members, kept for ever.
pub(crate) struct EnumClass {
    /// The class.
    pub(crate) class: *mut ffi::PyObject,
    /// Its members, in the order of the schema.
    pub(crate) members: Box<[*mut ffi::PyObject]>,
    indexes: [u8; PLACES],
}

impl EnumClass {
    /// Creates the class in `module`.
    pub(super) fn make(py: Python<'_>, module: &str, schema: &EnumType) -> PyResult<Self> {
        let pairs: Vec<_> =
            schema.members.iter().copied().zip(schema.values.iter().map(|v| v.text())).collect();
        let class = py.import("ocpp_fast.messages._enums")?.getattr("make_enum")?.call1((
            module,
            schema.name,
            PyList::new(py, pairs)?,
        ))?;
        let mut members = Vec::with_capacity(schema.members.len());
        for name in schema.members {
            members.push(class.getattr(*name)?.unbind().into_ptr());
        }
        let mut indexes = [0; PLACES];
        for (index, member) in members.iter().enumerate() {
            indexes[place(*member)] = index as u8;
        }
        Ok(Self { class: class.unbind().into_ptr(), members: members.into(), indexes })
    }

    /// Index of a member.
    #[inline]
    pub(super) fn index_of(&self, member: *mut ffi::PyObject) -> Option<usize> {
        let guess = usize::from(self.indexes[place(member)]);
        if self.members[guess] == member {
            return Some(guess);
        }
        self.members.iter().position(|other| *other == member)
    }
}

/// Two members in one place are told apart by looking at all of them.
#[inline]
fn place(member: *mut ffi::PyObject) -> usize {
    (member as usize).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (usize::BITS - PLACES.trailing_zeros())
}
