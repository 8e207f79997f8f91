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
    let product = value * 1000.0;
    #[expect(clippy::cast_possible_truncation, reason = "compared with the product below")]
    let thousandths = product as i64;
    #[expect(clippy::cast_precision_loss, reason = "compared with the product itself")]
    let is_whole = thousandths as f64 == product;
    let in_range = value.abs() < LIMIT && (thousandths != 0 || value.to_bits() == 0);
    if !is_whole || !in_range || product / 1000.0 != value {
        return None;
    }
    Some(write(thousandths.unsigned_abs(), thousandths < 0))
}

/// Where the decimal point stands while the digits are written to both sides of it.
const POINT: usize = 24;

#[inline]
fn write(thousandths: u64, negative: bool) -> (Block, usize) {
    let mut text = [b'0'; 64];
    let fraction = (thousandths % 1000) as usize;
    text[POINT] = b'.';
    text[POINT + 1] = b'0' + (fraction / 100) as u8;
    [text[POINT + 2], text[POINT + 3]] = PAIRS[fraction % 100];
    let decimals = match (fraction % 100, fraction % 10) {
        (0, _) => 1,
        (_, 0) => 2,
        _ => 3,
    };
    let mut rest = thousandths / 1000;
    let mut start = POINT;
    while rest >= 10 {
        start -= 2;
        [text[start], text[start + 1]] = PAIRS[(rest % 100) as usize];
        rest /= 100;
    }
    if rest > 0 || start == POINT {
        start -= 1;
        text[start] = b'0' + rest as u8;
    }
    if negative {
        start -= 1;
        text[start] = b'-';
    }
    let block = text[start..].first_chunk().copied().unwrap_or_default();
    (block, POINT + 1 + decimals - start)
}

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
        value += 1;
    }
    pairs
};

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
