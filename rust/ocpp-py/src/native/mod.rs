//! The native message types. All `unsafe` code of the project lives in this module.
//!
//! Every request, response, datatype and frame is an object of one layout: the Python header and
//! one pointer a member, absent members pointing to `None`. The rules that keep this sound:
//!
//! 1. Everything here runs with the GIL held (the module declares `gil_used`), so registries,
//!    caches and freelists need no locks. Nothing holds a Rust reference to them across a call
//!    that can run Python code.
//!    Functions that the interpreter calls by pointer enter PyO3 with `Python::attach` before they
//!    make or drop anything that PyO3 counts, such as an error.
//! 2. Members are checked against the schema's kind before they are stored, by the parser or by
//!    [`construct`], and never change afterwards. So [`source`] may rely on their exact types.
//! 3. Members cannot be part of a reference cycle: they are strings, numbers, date-times, enum
//!    members, `Json` texts, tuples and other messages, and objects are complete before Python
//!    sees them. So the types take no part in garbage collection, and neither do their tuples.
//! 4. Types are static, made once and never freed; instances hold no reference to their type.

pub(crate) mod bridge;
mod class;
mod construct;
mod convert;
mod enums;
mod json;
mod leaves;
mod memory;
mod methods;
mod readings;
pub(crate) mod registry;
pub(crate) mod serving;
mod sink;
mod source;
pub(crate) mod template;
mod texts;
