//! Making and freeing message objects.

use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};

use pyo3::ffi;

use super::class::Class;

/// Most members of one object.
pub(super) const MAX_SLOTS: usize = 65;

/// Most memory that the freelist of one size keeps, in bytes.
const MAX_KEPT: usize = 64 * 1024;

/// A message object: header and members.
#[repr(C)]
pub(super) struct Instance {
    header: ffi::PyObject,
    slots: [*mut ffi::PyObject; 0],
}

impl Instance {
    /// Where the members of `object` begin.
    ///
    /// # Safety
    /// `object` must be a message object.
    #[inline]
    pub(super) unsafe fn slots(object: *mut ffi::PyObject) -> *mut *mut ffi::PyObject {
        // SAFETY: the members follow the header of every message object.
        unsafe { (&raw mut (*object.cast::<Self>()).slots).cast() }
    }
}

/// Freed objects of each number of members, linked through their type field.
struct Freelists {
    heads: [*mut ffi::PyObject; MAX_SLOTS + 1],
    lengths: [usize; MAX_SLOTS + 1],
}

/// A cell that only the holder of the GIL touches.
pub(super) struct GilCell<T>(UnsafeCell<T>);

// SAFETY: rule 1 of this module, access needs the GIL.
unsafe impl<T> Sync for GilCell<T> {}

impl<T> GilCell<T> {
    pub(super) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    pub(super) const fn get(&self) -> *mut T {
        self.0.get()
    }
}

static FREELISTS: GilCell<Freelists> = GilCell::new(Freelists {
    heads: [ptr::null_mut(); MAX_SLOTS + 1],
    lengths: [0; MAX_SLOTS + 1],
});

const fn size_of_instance(slots: usize) -> usize {
    size_of::<Instance>() + slots * size_of::<*mut ffi::PyObject>()
}

/// An object under construction: unset members point to `None` without owning it.
pub(crate) struct Building {
    object: NonNull<ffi::PyObject>,
    slots: usize,
    set: usize,
}

impl Building {
    /// A new object of `class` with every member absent.
    ///
    /// # Safety
    /// The GIL must be held.
    #[inline]
    pub(super) unsafe fn new(class: &'static Class) -> Self {
        let slots = class.slots;
        // SAFETY: the freelist of this size holds objects of exactly this size.
        unsafe {
            let lists = FREELISTS.get();
            let mut object = (*lists).heads[slots];
            if object.is_null() {
                object = ffi::PyObject_Malloc(size_of_instance(slots)).cast();
            } else {
                (*lists).heads[slots] = (*object).ob_type.cast();
                (*lists).lengths[slots] -= 1;
            }
            let Some(object) = NonNull::new(object) else { out_of_memory() };
            object.cast::<isize>().write(1);
            (*object.as_ptr()).ob_type = class.as_type();
            let first = Instance::slots(object.as_ptr());
            let none = ffi::Py_None();
            for index in 0..slots {
                first.add(index).write(none);
            }
            Self { object, slots, set: 0 }
        }
    }

    /// Sets a member that is still absent; takes over the reference.
    #[inline]
    pub(super) fn set(&mut self, index: usize, value: Owned) {
        assert!(index < self.slots, "no such member");
        // SAFETY: the member exists and owns nothing yet.
        unsafe { Instance::slots(self.object.as_ptr()).add(index).write(value.into_ptr()) };
        self.set += 1;
    }

    /// Shares the members of a complete object of the same class, from one on; all of them are
    /// still absent here.
    ///
    /// # Safety
    /// The GIL must be held and `source` must be of the class that this object is made of.
    #[inline]
    pub(super) unsafe fn copy_from(&mut self, source: *mut ffi::PyObject, first: usize) {
        // SAFETY: both objects have that many members.
        unsafe {
            let none = ffi::Py_None();
            let (from, to) = (Instance::slots(source), Instance::slots(self.object.as_ptr()));
            for slot in first..self.slots {
                let member = *from.add(slot);
                if member != none {
                    ffi::Py_INCREF(member);
                    to.add(slot).write(member);
                    self.set += 1;
                }
            }
        }
    }

    /// Whether a member is still absent.
    pub(super) fn is_absent(&self, index: usize) -> bool {
        assert!(index < self.slots, "no such member");
        // SAFETY: the member exists.
        unsafe { *Instance::slots(self.object.as_ptr()).add(index) == ffi::Py_None() }
    }

    /// The finished object.
    #[inline]
    pub(super) fn finish(self) -> Owned {
        // SAFETY: the unset members now own their `None`.
        unsafe { add_references_to_none(self.slots.cast_signed() - self.set.cast_signed()) };
        let object = Owned(self.object);
        std::mem::forget(self);
        object
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        // SAFETY: set members are owned, unset ones are not; nobody else has seen the object.
        unsafe {
            let none = ffi::Py_None();
            let first = Instance::slots(self.object.as_ptr());
            for index in 0..self.slots {
                let member = *first.add(index);
                if member != none {
                    ffi::Py_DECREF(member);
                }
            }
            release(self.object.as_ptr(), self.slots);
        }
    }
}

/// `tp_dealloc` of every message type.
pub(super) unsafe extern "C" fn deallocate(object: *mut ffi::PyObject) {
    // SAFETY: only message objects have this destructor, and nobody refers to this one any more.
    unsafe {
        let slots = Class::of(object).slots;
        let none = ffi::Py_None();
        let first = Instance::slots(object);
        let mut absent = 0;
        for index in 0..slots {
            let member = *first.add(index);
            if member == none {
                absent += 1;
            } else {
                ffi::Py_DECREF(member);
            }
        }
        add_references_to_none(-absent);
        release(object, slots);
    }
}

/// Gives back the memory of an object whose members are gone.
unsafe fn release(object: *mut ffi::PyObject, slots: usize) {
    // SAFETY: as in `Building::new`; the type field of a freed object is the link.
    unsafe {
        let lists = FREELISTS.get();
        if (*lists).lengths[slots] >= MAX_KEPT / size_of_instance(slots) {
            ffi::PyObject_Free(object.cast());
            return;
        }
        (*object).ob_type = (*lists).heads[slots].cast();
        (*lists).heads[slots] = object;
        (*lists).lengths[slots] += 1;
    }
}

/// Adjusts the reference count of `None`, which is immortal since Python 3.12.
#[inline]
unsafe fn add_references_to_none(count: isize) {
    #[cfg(not(Py_3_12))]
    // SAFETY: the count is the first field of every object.
    unsafe {
        *ffi::Py_None().cast::<isize>() += count;
    }
    #[cfg(Py_3_12)]
    let _ = count;
}

/// A reference that is given back when dropped.
pub(crate) struct Owned(NonNull<ffi::PyObject>);

impl Owned {
    /// Takes over a new reference; null means that memory ran out.
    ///
    /// # Safety
    /// `object` must be null or a new reference.
    #[inline]
    pub(crate) unsafe fn new(object: *mut ffi::PyObject) -> Self {
        match NonNull::new(object) {
            Some(object) => Self(object),
            None => out_of_memory(),
        }
    }

    /// Takes another reference.
    ///
    /// # Safety
    /// `object` must be alive.
    #[inline]
    pub(crate) unsafe fn borrow(object: *mut ffi::PyObject) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self::new(ffi::Py_NewRef(object)) }
    }

    /// The object, still owned by `self`.
    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut ffi::PyObject {
        self.0.as_ptr()
    }

    /// The reference, for somebody else to give back.
    #[inline]
    pub(crate) fn into_ptr(self) -> *mut ffi::PyObject {
        let object = self.0.as_ptr();
        std::mem::forget(self);
        object
    }
}

impl Drop for Owned {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: `self` owns the reference.
        unsafe { ffi::Py_DECREF(self.0.as_ptr()) };
    }
}

/// Small objects can no longer be made: nothing sensible can run after that, as in Rust itself.
#[cold]
fn out_of_memory() -> ! {
    std::alloc::handle_alloc_error(std::alloc::Layout::new::<Instance>())
}
