//! OCPP 2.0.1 and 2.1 messages between bytes and values.
//!
//! [`frame::Decoder`] parses, validates and builds in one pass; [`encode::Encoder`] writes in one
//! pass. Both are generic over where the values live ([`sink`]), so that this crate needs no
//! Python, no clock and no I/O, and runs under plain `cargo test`, a fuzzer or Miri.
#![forbid(unsafe_code)]

pub mod datetime;
mod decimal;
pub mod device_model;
pub mod encode;
pub mod frame;
mod guess;
mod json;
pub mod number;
mod parse;
mod scalar;
pub mod scan;
pub mod schema;
pub mod sink;
pub mod violation;
pub mod writer;

pub use json::MAX_DEPTH;
pub use parse::Deviation;
