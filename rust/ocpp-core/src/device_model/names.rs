//! Names and instances as numbers, told apart without regard to ASCII case (`identifierString`).

use hashbrown::HashTable;

/// The number of an absent instance.
pub const ABSENT: u32 = 0;

/// Every name and instance that a device model uses, once.
#[derive(Clone, Debug)]
pub struct Names {
    texts: Vec<Box<str>>,
    index: HashTable<u32>,
}

impl Default for Names {
    fn default() -> Self {
        Self { texts: vec!["".into()], index: HashTable::new() }
    }
}

impl Names {
    /// The number of a name; an empty one is [`ABSENT`] (B06.FR.15).
    #[inline]
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<u32> {
        if name.is_empty() {
            return Some(ABSENT);
        }
        let same = |id: &u32| {
            let known = self.texts[*id as usize].as_bytes();
            // Nearly always the spelling is the same, which is found out sooner.
            known == name || known.eq_ignore_ascii_case(name)
        };
        self.index.find(hash(name), same).copied()
    }

    /// The number of a name, which may be new; the first spelling is kept.
    pub fn add(&mut self, name: &str) -> u32 {
        if let Some(id) = self.find(name.as_bytes()) {
            return id;
        }
        let id = self.texts.len() as u32;
        self.texts.push(name.into());
        let texts = &self.texts;
        let rehash = |id: &u32| hash(texts[*id as usize].as_bytes());
        self.index.insert_unique(hash(name.as_bytes()), id, rehash);
        id
    }

    /// The name of a number; empty for [`ABSENT`].
    #[must_use]
    pub fn text(&self, id: u32) -> &str {
        &self.texts[id as usize]
    }

    /// How many there are, [`ABSENT`] included.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Memory in use, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let texts: usize = self.texts.iter().map(|text| text.len()).sum();
        texts + self.texts.capacity() * size_of::<Box<str>>() + self.index.allocation_size()
    }
}

/// Equal for names that differ in ASCII case only.
#[inline]
fn hash(name: &[u8]) -> u64 {
    // Setting bit 5 folds letters; what else it folds is told apart by the comparison.
    const FOLD: u64 = 0x2020_2020_2020_2020;
    let (words, rest) = name.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let start = name.len() as u64;
    let state = words.iter().chain([&last]).fold(start, |state, word| {
        (state.rotate_left(23) ^ (u64::from_le_bytes(*word) | FOLD)).wrapping_mul(ODD)
    });
    state ^ (state >> 32)
}

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads the bits of a number over all of the result.
#[inline]
#[must_use]
pub fn mix(value: u64) -> u64 {
    let product = u128::from(value ^ ODD) * u128::from(ODD);
    (product ^ (product >> 64)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_matter_and_the_first_spelling_stays() {
        let mut names = Names::default();
        let id = names.add("OCPPCommCtrlr");
        assert_eq!(names.add("ocppcommctrlr"), id);
        assert_eq!(names.find(b"OCPPCOMMCTRLR"), Some(id));
        assert_eq!(names.text(id), "OCPPCommCtrlr");
    }

    #[test]
    fn an_empty_name_is_absent() {
        let mut names = Names::default();
        assert_eq!(names.find(b""), Some(ABSENT));
        assert_eq!(names.add(""), ABSENT);
    }

    #[test]
    fn only_letters_are_folded() {
        let mut names = Names::default();
        let id = names.add("a@b");
        assert_ne!(names.add("a`b"), id);
        assert_eq!(names.find(b"a\0b"), None);
    }

    #[test]
    fn many_names_are_told_apart() {
        let mut names = Names::default();
        let ids: Vec<_> = (0..5_000).map(|n| names.add(&format!("Variable{n}"))).collect();
        for (n, id) in ids.iter().enumerate() {
            assert_eq!(names.find(format!("vARIABLE{n}").as_bytes()), Some(*id));
        }
    }
}
