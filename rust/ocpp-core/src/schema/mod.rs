//! What the OCPP JSON schemas demand, compiled into tables.

pub mod hash;
pub mod tables;
pub mod v201;
pub mod v21;

pub use tables::{Action, Direction, EnumType, Field, Kind, ObjectType, Schema, Secrecy};
