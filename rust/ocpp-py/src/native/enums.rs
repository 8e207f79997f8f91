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
    multiplier: usize,
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
        let (multiplier, indexes) = index(&members);
        let class = class.unbind().into_ptr();
        Ok(Self { class, members: members.into(), multiplier, indexes })
    }

    /// Index of a member.
    #[inline]
    pub(super) fn index_of(&self, member: *mut ffi::PyObject) -> Option<usize> {
        let guess = usize::from(self.indexes[place(member, self.multiplier)]);
        if self.members[guess] == member {
            return Some(guess);
        }
        self.members.iter().position(|other| *other == member)
    }
}

/// A multiplier that gives every member a place of its own, if one is soon found, and the table.
/// Members that share a place are told apart by looking at all of them.
fn index(members: &[*mut ffi::PyObject]) -> (usize, [u8; PLACES]) {
    let mut multiplier = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..64 {
        let mut taken = [false; PLACES];
        let mut is_free = |member| !std::mem::replace(&mut taken[place(member, multiplier)], true);
        if members.iter().copied().all(&mut is_free) {
            break;
        }
        multiplier = multiplier.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    let mut indexes = [0; PLACES];
    for (index, member) in members.iter().enumerate() {
        indexes[place(*member, multiplier)] = index as u8;
    }
    (multiplier, indexes)
}

#[inline]
fn place(member: *mut ffi::PyObject, multiplier: usize) -> usize {
    (member as usize).wrapping_mul(multiplier) >> (usize::BITS - PLACES.trailing_zeros())
}
