//! Any bytes as a frame; the allowed outcomes stand in `bodies.rs`.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use ocpp_core_fuzz::bodies::Fuzz;

thread_local! {
    static FUZZ: RefCell<Fuzz> = RefCell::default();
}

fuzz_target!(|bytes: &[u8]| FUZZ.with_borrow_mut(|fuzz| fuzz.frame(bytes)));
