//! Many short texts, side by side, equal ones once.

use hashbrown::HashTable;

use super::names::mix;

/// Texts by number, some of them absent.
#[derive(Clone, Debug, Default)]
pub(super) struct Texts {
    /// Where each begins in the bytes.
    starts: Vec<u32>,
    /// Each text behind its length, two bytes.
    bytes: Vec<u8>,
    /// Finds equal texts while many are added.
    known: HashTable<u32>,
}

/// Stands for an absent text.
const ABSENT: u32 = u32::MAX;
const LENGTH: usize = 2;

impl Texts {
    /// Adds a text of at most 65,535 bytes.
    pub(super) fn push(&mut self, text: Option<&str>) {
        let start = text.map_or(ABSENT, |text| self.keep(text.as_bytes()));
        self.starts.push(start);
    }

    fn keep(&mut self, text: &[u8]) -> u32 {
        let (bytes, hash) = (&self.bytes, hash(text));
        if let Some(start) = self.known.find(hash, |start| stored(bytes, *start) == text) {
            return *start;
        }
        let start = self.bytes.len() as u32;
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(&text[..usize::from(length)]);
        let bytes = &self.bytes;
        let rehash = |start: &u32| self::hash(stored(bytes, *start));
        self.known.insert_unique(hash, start, rehash);
        start
    }

    /// A text by its number.
    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&str> {
        let start = self.starts[number as usize];
        if start == ABSENT {
            return None;
        }
        std::str::from_utf8(stored(&self.bytes, start)).ok()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Gives back memory that was reserved for more.
    pub(super) fn shrink(&mut self) {
        self.starts.shrink_to_fit();
        self.bytes.shrink_to_fit();
        self.known = HashTable::new();
    }

    /// Memory in use, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.starts.capacity() * size_of::<u32>()
            + self.bytes.capacity()
            + self.known.allocation_size()
    }
}

#[inline]
fn stored(bytes: &[u8], start: u32) -> &[u8] {
    let text = &bytes[start as usize..];
    let length = u16::from_le_bytes([text[0], text[1]]);
    &text[LENGTH..LENGTH + usize::from(length)]
}

fn hash(text: &[u8]) -> u64 {
    text.chunks(8).fold(text.len() as u64, |state, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mix(state ^ u64::from_le_bytes(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_and_equal_ones_are_kept_once() {
        let mut texts = Texts::default();
        let long = "x".repeat(10_000);
        for text in [Some("true"), None, Some(""), Some("äöü"), Some("true"), Some(&*long)] {
            texts.push(text);
        }
        let size = texts.bytes.len();
        texts.push(Some("äöü"));
        assert_eq!(texts.bytes.len(), size);
        texts.shrink();
        texts.push(Some("true"));
        let found: Vec<_> = (0..texts.len() as u32).map(|number| texts.get(number)).collect();
        let expected = [
            Some("true"),
            None,
            Some(""),
            Some("äöü"),
            Some("true"),
            Some(&*long),
            Some("äöü"),
            Some("true"),
        ];
        assert_eq!(found, expected);
    }
}
