//! The fuzz targets' bodies over a bounded, deterministic loop of mutations of their seeds.
//!
//! The same on every machine; `rust/fuzz` searches further with cargo-fuzz where that is installed.
#![allow(missing_docs, unreachable_pub, reason = "modules shared with the fuzz crate")]

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../../fuzz/src/bodies.rs"]
mod bodies;
#[path = "../../fuzz/src/components.rs"]
mod components;
#[path = "../../fuzz/src/tree.rs"]
mod tree;

use bodies::Fuzz;

/// Mutated inputs for each target: about five seconds in a debug build.
const ROUNDS: usize = 40_000;

/// What a fuzzer's dictionary would hold.
const SPICE: [&[u8]; 24] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\0",
    b"\n",
    b"null",
    b"true",
    b"-",
    b"1e999",
    b"17.0",
    b"\\u0041",
    b"\\ud83d\\udd0c",
    b"\\ud800",
    b"\xff",
    b"\xf0\x9f\x94\x8c",
    b"[]",
    b"\"x\":1,",
    b"{\"vendorId\":\"v\"}",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

/// A small generator of numbers (splitmix64): reproducible, no dependency.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap_or(0)
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    assert!(paths.len() > 20, "{folder:?} has too few seeds");
    paths.iter().map(|path| fs::read(path).unwrap_or_default()).collect()
}

/// Changes a few places of `input`.
fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], numbers: &mut Numbers) {
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(input.len() + 1);
        match numbers.below(7) {
            0 | 1 => {
                let spice = SPICE[numbers.below(SPICE.len())];
                input.splice(at..at, spice.iter().copied());
            }
            2 => {
                let end = (at + 1 + numbers.below(12)).min(input.len());
                input.drain(at.min(end)..end);
            }
            3 if at < input.len() => input[at] ^= 1 << numbers.below(8),
            4 => {
                let end = (at + 1 + numbers.below(60)).min(input.len());
                let piece = input[at.min(end)..end].to_vec();
                let to = numbers.below(input.len() + 1);
                input.splice(to..to, piece);
            }
            5 => {
                let other = &seeds[numbers.below(seeds.len())];
                let from = numbers.below(other.len());
                let end = (from + 1 + numbers.below(80)).min(other.len());
                input.splice(at..at, other[from..end].iter().copied());
            }
            _ => input.truncate(at),
        }
    }
}

fn run(target: &str, rounds: usize, mut body: impl FnMut(&[u8])) {
    let seeds = seeds(target);
    for seed in &seeds {
        body(seed);
        for end in 0..seed.len().min(600) {
            body(&seed[..end]);
        }
    }
    let mut numbers = Numbers(0x0c99);
    for _ in 0..rounds {
        let mut input = seeds[numbers.below(seeds.len())].clone();
        mutate(&mut input, &seeds, &mut numbers);
        body(&input);
    }
}

#[test]
fn frame() {
    let mut fuzz = Fuzz::default();
    run("frame", ROUNDS, |bytes| fuzz.frame(bytes));
}

#[test]
fn schema() {
    let mut fuzz = Fuzz::default();
    run("schema", ROUNDS, |bytes| fuzz.schema(bytes));
}

#[test]
fn component() {
    run("component", ROUNDS / 5, components::component);
}
