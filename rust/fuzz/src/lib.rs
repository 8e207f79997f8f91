//! The bodies of the fuzz targets.

pub mod bodies;
pub mod components;
pub mod tree;
