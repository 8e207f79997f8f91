//! JSON numbers, exact to the last bit.

/// A number and how it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Without fraction and exponent, within 64 bits.
    Integer(i64),
    /// Anything else.
    Double(f64),
}

/// Why a text is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberError {
    /// Not the grammar of JSON.
    Syntax,
    /// Larger than the largest double.
    TooLarge,
}

/// Powers of ten that a double holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Digits that always fit in 64 bits.
const SAFE_DIGITS: usize = 18;

impl Number {
    /// The value as a double.
    #[inline]
    #[must_use]
    pub fn as_f64(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "a double is what the schema promises")]
            Self::Integer(value) => value as f64,
            Self::Double(value) => value,
        }
    }

    /// The value as a whole number: `17`, but also `17.0` and `1e2`.
    #[inline]
    #[must_use]
    pub fn as_whole(self) -> Option<i64> {
        const LIMIT: f64 = 9_223_372_036_854_775_808.0;
        match self {
            Self::Integer(value) => Some(value),
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
            Self::Double(value) if value.fract() == 0.0 && value.abs() < LIMIT => {
                Some(value as i64)
            }
            Self::Double(_) => None,
        }
    }
}

/// Reads the number at `from`; `padded` ends in zero bytes. Returns it and where it ends.
#[inline]
pub fn parse(padded: &[u8], from: usize) -> Result<(Number, usize), NumberError> {
    let negative = padded[from] == b'-';
    let start = from + usize::from(negative);
    let (mut mantissa, mut at) = digits(padded, start, 0);
    let whole = at - start;
    if whole == 0 || (whole > 1 && padded[start] == b'0') {
        return Err(NumberError::Syntax);
    }
    let mut decimals = 0;
    let next = padded[at];
    if next == b'.' {
        let point = at + 1;
        (mantissa, at) = digits(padded, point, mantissa);
        decimals = at - point;
        if decimals == 0 {
            return Err(NumberError::Syntax);
        }
    } else if next | 0x20 != b'e' && whole <= SAFE_DIGITS {
        let value = mantissa.cast_signed();
        return Ok((Number::Integer(if negative { -value } else { value }), at));
    }
    if padded[at] | 0x20 != b'e' && whole + decimals <= SAFE_DIGITS && mantissa >> 53 == 0 {
        // Both factors are exact, so the one rounding of the division is the right one.
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        let value = mantissa as f64 / EXACT_POWERS[decimals];
        return Ok((Number::Double(if negative { -value } else { value }), at));
    }
    general(padded, from, at)
}

/// Appends the digits at `from` to `value`, wrapping when there are too many.
#[inline]
fn digits(padded: &[u8], from: usize, mut value: u64) -> (u64, usize) {
    let mut at = from;
    loop {
        let Some(chunk) = padded.get(at..).and_then(|rest| rest.first_chunk()) else {
            return (value, at);
        };
        let word = u64::from_le_bytes(*chunk);
        let count = leading_digits(word);
        if count > 0 {
            value = value.wrapping_mul(POWERS[count]).wrapping_add(value_of(word, count));
        }
        at += count;
        if count < 8 {
            return (value, at);
        }
    }
}

const POWERS: [u64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// How many of the eight bytes, from the first on, are digits.
#[inline]
fn leading_digits(word: u64) -> usize {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let from_zero = word ^ 0x3030_3030_3030_3030;
    let above_nine = (from_zero & !HIGH).wrapping_add(0x7676_7676_7676_7676) | from_zero;
    ((above_nine & HIGH).trailing_zeros() / 8) as usize
}

/// The value of the first `count` (1 to 8) bytes, which are digits: pairs, then fours, then all.
#[inline]
fn value_of(word: u64, count: usize) -> u64 {
    let digits = (word << (64 - 8 * count)) & 0x0f0f_0f0f_0f0f_0f0f;
    let pairs = digits.wrapping_mul(2561) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(6_553_601) >> 16 & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(42_949_672_960_001) >> 32
}

/// Exponents, long mantissas and integers beyond 18 digits.
#[cold]
fn general(padded: &[u8], from: usize, mut at: usize) -> Result<(Number, usize), NumberError> {
    let fractional = padded[from..at].contains(&b'.');
    let exponent = padded[at] | 0x20 == b'e';
    if exponent {
        at += 1;
        at += usize::from(matches!(padded[at], b'+' | b'-'));
        let start = at;
        at = digits(padded, start, 0).1;
        if at == start {
            return Err(NumberError::Syntax);
        }
    }
    let text = str::from_utf8(&padded[from..at]).map_err(|_| NumberError::Syntax)?;
    if !fractional
        && !exponent
        && let Ok(value) = text.parse()
    {
        return Ok((Number::Integer(value), at));
    }
    let value: f64 = text.parse().map_err(|_| NumberError::Syntax)?;
    if value.is_finite() { Ok((Number::Double(value), at)) } else { Err(NumberError::TooLarge) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Number, NumberError> {
        let mut padded = text.as_bytes().to_vec();
        padded.extend([0; 64]);
        let (number, end) = parse(&padded, 0)?;
        if end == text.len() { Ok(number) } else { Err(NumberError::Syntax) }
    }

    #[test]
    fn integers_stay_integers() {
        for value in [0, 7, -1, 999_999_999_999_999_999, i64::MAX, i64::MIN] {
            assert_eq!(read(&value.to_string()), Ok(Number::Integer(value)));
        }
        assert_eq!(read("-0"), Ok(Number::Integer(0)));
    }

    #[test]
    fn doubles_are_the_nearest_ones() {
        for text in [
            "231.56",
            "0.1",
            "-0.0",
            "1e2",
            "1E-7",
            "2.2250738585072014e-308",
            "16777217.5",
            "123456789012345678.9",
            "9007199254740993.0",
            "0.30000000000000004",
            "1.7976931348623157e308",
            "92233720368547758080",
        ] {
            assert_eq!(read(text), Ok(Number::Double(text.parse().unwrap())), "{text}");
        }
    }

    #[test]
    fn every_count_of_digits_is_read() {
        for digits in 1..=18 {
            let text = &"123456789012345678"[..digits];
            assert_eq!(read(text), Ok(Number::Integer(text.parse().unwrap())));
            let decimal = format!("0.{text}");
            assert_eq!(read(&decimal), Ok(Number::Double(decimal.parse().unwrap())), "{decimal}");
        }
        for byte in 0..=u8::MAX {
            let word = u64::from_le_bytes([b'7', byte, b'0', b'0', b'0', b'0', b'0', b'0']);
            assert_eq!(leading_digits(word), if byte.is_ascii_digit() { 8 } else { 1 }, "{byte}");
        }
    }

    #[test]
    fn refuses_what_json_refuses() {
        for text in ["", "-", "01", "+1", ".5", "1.", "1e", "1e+", "0x1", "1_0", "--1", "NaN"] {
            assert_eq!(read(text), Err(NumberError::Syntax), "{text}");
        }
        assert_eq!(read("1e400"), Err(NumberError::TooLarge));
    }

    #[test]
    fn whole_numbers_may_be_written_as_decimals() {
        assert_eq!(read("17.0").unwrap().as_whole(), Some(17));
        assert_eq!(read("1e2").unwrap().as_whole(), Some(100));
        assert_eq!(read("1.5").unwrap().as_whole(), None);
        assert_eq!(read("9223372036854775808").unwrap().as_whole(), None);
        assert_eq!(read("-9223372036854775809").unwrap().as_whole(), None);
    }
}
