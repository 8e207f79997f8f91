//! A perfect hash over the names of one table, found by the compiler.
//!
//! A name is read as up to three words: its first eight bytes, its last eight and eight from the
//! middle. Without the middle `Energy.Reactive.Import.Interval` and
//! `Energy.Reactive.Export.Interval` would be the same.

use super::tables::Field;

/// Marks an empty place.
pub const EMPTY: u8 = u8::MAX;

/// A table of `N` places, a power of two, in which every name has its own.
#[derive(Debug)]
pub struct PerfectHash<const N: usize> {
    seed: u64,
    table: [u8; N],
}

/// A [`PerfectHash`] of any size.
#[derive(Clone, Copy, Debug)]
pub struct Lookup {
    seed: u64,
    shift: u32,
    table: &'static [u8],
}

impl<const N: usize> PerfectHash<N> {
    const SHIFT: u32 = 64 - N.trailing_zeros();

    /// Searches the seed under which no two of `names` collide.
    #[must_use]
    pub const fn build(names: &[&str]) -> Self {
        assert!(N.is_power_of_two() && N > 1 && names.len() < EMPTY as usize);
        let mut attempt = 1_u64;
        loop {
            let seed = attempt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut table = [EMPTY; N];
            let mut i = 0;
            while i < names.len() {
                let place = place(names[i].as_bytes(), seed, Self::SHIFT);
                if table[place] != EMPTY {
                    break;
                }
                table[place] = i as u8;
                i += 1;
            }
            if i == names.len() {
                return Self { seed, table };
            }
            attempt += 1;
        }
    }

    /// The same over the keys of `fields`.
    #[must_use]
    pub const fn of_fields(fields: &[Field]) -> Self {
        let mut names = [""; 64];
        let mut i = 0;
        while i < fields.len() {
            names[i] = fields[i].key();
            i += 1;
        }
        Self::build(names.split_at(fields.len()).0)
    }

    /// The table without its size in the type.
    #[must_use]
    pub const fn lookup(&'static self) -> Lookup {
        Lookup { seed: self.seed, shift: Self::SHIFT, table: &self.table }
    }
}

impl Lookup {
    /// The only index whose name may equal `name`; the caller compares.
    #[inline]
    #[must_use]
    pub fn candidate(&self, name: &[u8]) -> Option<usize> {
        match self.table[place(name, self.seed, self.shift)] {
            EMPTY => None,
            index => Some(usize::from(index)),
        }
    }
}

#[inline]
const fn place(name: &[u8], seed: u64, shift: u32) -> usize {
    let len = name.len();
    let mut hash = (head(name) ^ len as u64).wrapping_mul(seed);
    if len > 8 {
        hash = (hash.rotate_left(29) ^ word(name, len - 8)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    if len > 16 {
        hash = (hash.rotate_left(31) ^ word(name, len / 2 - 4)).wrapping_mul(0x94d0_49bb_1331_11eb);
    }
    (hash >> shift) as usize
}

/// The first eight bytes, or what there is of them, little endian.
#[inline]
const fn head(name: &[u8]) -> u64 {
    if name.len() >= 8 {
        return word(name, 0);
    }
    let mut value = 0;
    let mut i = 0;
    while i < name.len() {
        value |= (name[i] as u64) << (i * 8);
        i += 1;
    }
    value
}

#[inline]
const fn word(name: &[u8], at: usize) -> u64 {
    match name.split_at(at).1.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &[
        "",
        "L1",
        "L1-N",
        "Voltage",
        "Energy.Reactive.Import.Interval",
        "Energy.Reactive.Export.Interval",
    ];
    static TABLE: PerfectHash<16> = PerfectHash::build(NAMES);

    #[test]
    fn every_name_finds_itself() {
        for (index, name) in NAMES.iter().enumerate() {
            assert_eq!(TABLE.lookup().candidate(name.as_bytes()), Some(index));
        }
    }
}
