//! The device model of a station: components, variables, values, monitors, reports.
//!
//! [`files`] reads component files into a [`structure`]; a [`model`] adds the values of one
//! station; [`serve`] answers GetVariables and SetVariables, [`report`] writes NotifyReports,
//! [`monitor`] says what a write has triggered.

pub mod definition;
pub mod files;
pub mod model;
pub mod monitor;
pub mod names;
pub mod report;
pub mod required;
pub mod serve;
pub mod structure;
mod texts;
pub mod value;
