//! Short decimals, which is what meters report, written without the general algorithm.

use crate::writer::Block;

/// Largest magnitude whose thousandths a double holds exactly.
const LIMIT: f64 = 9_007_199_254_740.0;

/// The shortest text of a number with at most three decimals; `None` for any other number.
///
/// If `value` is the double nearest to a whole number of thousandths, those digits read back as
/// `value`, and with at most 16 of them no shorter text does.
#[inline]
pub(crate) fn format(value: f64) -> Option<(Block, usize)> {
    let thousandths = value * 1000.0;
    let in_range = value.abs() < LIMIT && (value != 0.0 || value.is_sign_positive());
    if !in_range || thousandths.trunc() != thousandths || thousandths / 1000.0 != value {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
    let thousandths = thousandths as i64;
    let mut text = Block::default();
    let mut at = 0;
    if thousandths < 0 {
        text[0] = b'-';
        at = 1;
    }
    let thousandths = thousandths.unsigned_abs();
    at = put_digits(&mut text, at, thousandths / 1000);
    Some(put_fraction(text, at, thousandths % 1000))
}

#[inline]
fn put_digits(text: &mut Block, at: usize, value: u64) -> usize {
    let mut length = 1;
    let mut limit = 10;
    while value >= limit {
        limit *= 10;
        length += 1;
    }
    let mut rest = value;
    for place in (at..at + length).rev() {
        text[place] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    at + length
}

#[inline]
fn put_fraction(mut text: Block, at: usize, thousandths: u64) -> (Block, usize) {
    let digits = [thousandths / 100, thousandths / 10 % 10, thousandths % 10];
    text[at] = b'.';
    for (place, digit) in digits.into_iter().enumerate() {
        text[at + 1 + place] = b'0' + digit as u8;
    }
    let length = match digits {
        [_, 0, 0] => 1,
        [_, _, 0] => 2,
        _ => 3,
    };
    (text, at + 1 + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: f64) -> Option<String> {
        let (text, length) = format(value)?;
        Some(String::from_utf8_lossy(&text[..length]).into_owned())
    }

    #[test]
    fn short_decimals_are_written_shortest() {
        for (value, expected) in [
            (0.0, "0.0"),
            (231.56, "231.56"),
            (-0.001, "-0.001"),
            (16_777_217.5, "16777217.5"),
            (1_234_567.891, "1234567.891"),
            (100.0, "100.0"),
        ] {
            assert_eq!(text(value).as_deref(), Some(expected));
        }
    }

    #[test]
    fn others_are_left_to_the_general_algorithm() {
        for value in [-0.0, 0.1 + 0.2, 1e-4, 1e16, f64::MAX, f64::MIN_POSITIVE] {
            assert_eq!(text(value), None, "{value}");
        }
    }

    #[test]
    fn agrees_with_the_general_algorithm() {
        for thousandths in (-3_000_000..3_000_000_i64).step_by(7) {
            let value = thousandths as f64 / 1000.0;
            let Some(text) = text(value) else { continue };
            assert_eq!(text, zmij::Buffer::new().format_finite(value), "{value:?}");
        }
    }
}
