//! Sixteen bytes at a time: where a JSON string ends, and which bytes have to be escaped.

use wide::u8x16;

/// Bytes that must be readable behind every position that is scanned.
pub const PADDING: usize = 64;

const LANES: usize = 16;

/// One bit for each of sixteen bytes that ends or interrupts plain string contents: a quote, a
/// backslash, a control character.
#[inline]
fn interruptions(chunk: [u8; LANES]) -> u32 {
    let bytes = u8x16::new(chunk);
    let control = u8x16::splat(0x1f);
    let special = bytes.simd_eq(u8x16::splat(b'"'))
        | bytes.simd_eq(u8x16::splat(b'\\'))
        | bytes.max(control).simd_eq(control);
    special.to_bitmask()
}

/// Index of the first quote, backslash or control character at or behind `from`.
///
/// `padded` ends in [`PADDING`] zero bytes, which are control characters, so there is always one.
#[inline]
#[must_use]
pub fn string_end(padded: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(chunk) = padded.get(at..).and_then(|rest| rest.first_chunk()) {
        let mask = interruptions(*chunk);
        if mask != 0 {
            return at + mask.trailing_zeros() as usize;
        }
        at += LANES;
    }
    padded.len()
}

/// How many bytes at the start of `text` can be copied into a JSON string as they are.
#[inline]
#[must_use]
pub fn plain_prefix(text: &[u8]) -> usize {
    let (chunks, tail) = text.as_chunks::<LANES>();
    for (index, chunk) in chunks.iter().enumerate() {
        let mask = interruptions(*chunk);
        if mask != 0 {
            return index * LANES + mask.trailing_zeros() as usize;
        }
    }
    let needs_escape = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    text.len() - tail.len() + tail.iter().position(needs_escape).unwrap_or(tail.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_end_at_every_distance() {
        for length in 0..70 {
            for end in [b'"', b'\\', 0, 0x1f] {
                let mut text = vec![b'a'; length];
                text.push(end);
                assert_eq!(plain_prefix(&text), length);
                assert_eq!(plain_prefix(&text[..length]), length);
                text.resize(text.len() + PADDING, 0);
                assert_eq!(string_end(&text, 0), length);
            }
        }
    }

    #[test]
    fn high_bytes_are_plain() {
        let text = "é€😀 \u{7f}".repeat(5);
        assert_eq!(plain_prefix(text.as_bytes()), text.len());
    }
}
