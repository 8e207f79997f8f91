//! Any bytes as a component file; the allowed outcomes stand in `components.rs`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocpp_core_fuzz::components::component;

fuzz_target!(|bytes: &[u8]| component(bytes));
