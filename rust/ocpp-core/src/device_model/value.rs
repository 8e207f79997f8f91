//! Whether a text is a value of a variable (B05.FR.07, B05.FR.08).

use std::fmt;

use super::definition::{Characteristics, DataType};
use crate::datetime::DateTime;
use crate::number::{self, Number};

/// Longest value in characters, whatever the characteristics say (`VariableAttributeType.value`).
pub const MAX_VALUE_LENGTH: usize = 2500;

/// Why a text is no value of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueFault {
    /// Not of the data type.
    Format,
    /// A number below the lower limit.
    TooLow,
    /// A number above the upper limit.
    TooHigh,
    /// More characters than the upper limit, or than any value may have.
    TooLong,
    /// Fewer characters than the lower limit.
    TooShort,
    /// Not, or not only, members of the values list.
    NotListed,
    /// A member of a set that stands there twice.
    Repeated,
    /// More members than the list may have.
    TooMany,
}

impl ValueFault {
    /// The `reasonCode` that says so (appendix on standardized reason codes).
    #[must_use]
    pub const fn reason_code(self) -> &'static str {
        match self {
            Self::Format | Self::NotListed | Self::Repeated => "InvalidValue",
            Self::TooLow => "ValueTooLow",
            Self::TooHigh => "ValueTooHigh",
            Self::TooLong => "TooLargeElement",
            Self::TooShort => "ValueOutOfRange",
            Self::TooMany => "TooManyElements",
        }
    }
}

impl fmt::Display for ValueFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Format => "not of the variable's data type",
            Self::TooLow => "below minLimit",
            Self::TooHigh => "above maxLimit",
            Self::TooLong => "too long",
            Self::TooShort => "too short",
            Self::NotListed => "not in valuesList",
            Self::Repeated => "a member stands there twice",
            Self::TooMany => "more than maxElements members",
        })
    }
}

impl Characteristics {
    /// Whether `value` is a value of this variable.
    ///
    /// `within_limits = false` lets numbers through that are outside the limits: a measured value
    /// is reported as it is (Part 1, section 3.3). Limits of a text or a list are lengths in
    /// characters (`VariableCharacteristicsType.maxLimit`) and always hold. An empty text is an
    /// empty list, and no value of an option list, number, boolean or date-time. A list without
    /// `values_list` takes any text.
    pub fn check(&self, value: &str, within_limits: bool) -> Result<(), ValueFault> {
        if longer_than(value, MAX_VALUE_LENGTH) {
            return Err(ValueFault::TooLong);
        }
        match self.data_type {
            DataType::Boolean => parse_boolean(value).map(drop).ok_or(ValueFault::Format),
            DataType::DateTime => {
                if is_date_time(value) {
                    Ok(())
                } else {
                    Err(ValueFault::Format)
                }
            }
            DataType::Decimal => {
                let number = parse_number(value).ok_or(ValueFault::Format)?;
                if within_limits { self.check_range(number) } else { Ok(()) }
            }
            DataType::Integer => {
                let number = parse_integer(value).ok_or(ValueFault::Format)?;
                #[expect(clippy::cast_precision_loss, reason = "limits are doubles")]
                let number = number as f64;
                if within_limits { self.check_range(number) } else { Ok(()) }
            }
            DataType::String => self.check_length(value),
            DataType::OptionList | DataType::SequenceList | DataType::MemberList => {
                self.check_length(value)?;
                self.check_members(value)
            }
        }
    }

    /// Whether a number is within the limits (B05.FR.08, N04.FR.06).
    pub fn check_range(&self, number: f64) -> Result<(), ValueFault> {
        if self.min_limit.is_some_and(|limit| number < limit) {
            return Err(ValueFault::TooLow);
        }
        if self.max_limit.is_some_and(|limit| number > limit) {
            return Err(ValueFault::TooHigh);
        }
        Ok(())
    }

    fn check_length(&self, value: &str) -> Result<(), ValueFault> {
        if self.min_limit.is_none() && self.max_limit.is_none() {
            return Ok(());
        }
        #[expect(clippy::cast_precision_loss, reason = "at most 2500")]
        match self.check_range(value.chars().count() as f64) {
            Err(ValueFault::TooLow) => Err(ValueFault::TooShort),
            Err(_) => Err(ValueFault::TooLong),
            Ok(()) => Ok(()),
        }
    }

    fn check_members(&self, value: &str) -> Result<(), ValueFault> {
        let Some(list) = self.values_list.as_deref() else {
            return Ok(());
        };
        if self.data_type == DataType::OptionList {
            let listed = list.split(',').any(|member| member.trim() == value);
            return if listed { Ok(()) } else { Err(ValueFault::NotListed) };
        }
        let mut count = 0;
        for member in members(value) {
            if !members(list).any(|listed| listed == member) {
                return Err(ValueFault::NotListed);
            }
            count += 1;
        }
        if self.max_elements.is_some_and(|most| count > most) {
            return Err(ValueFault::TooMany);
        }
        if has_repetition(value) {
            return Err(ValueFault::Repeated);
        }
        Ok(())
    }
}

/// Whether a text is an RFC 3339 date-time. Messages may leave out the offset, as some peers do; a
/// value, which others read as it is, may not.
fn is_date_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let has_offset = match bytes {
        [.., b'Z' | b'z'] => true,
        _ => bytes.iter().rev().nth(5).is_some_and(|sign| matches!(sign, b'+' | b'-')),
    };
    has_offset && DateTime::parse(bytes).is_some()
}

/// The members of a comma-separated list, without the spaces around them; an empty text has none.
pub fn members(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|_| !list.is_empty())
}

fn has_repetition(list: &str) -> bool {
    members(list).enumerate().any(|(index, member)| members(list).take(index).any(|m| m == member))
}

/// `true` or `false`, spelled exactly so.
#[must_use]
pub fn parse_boolean(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A number as JSON writes it, and no larger than the largest double.
#[must_use]
pub fn parse_number(text: &str) -> Option<f64> {
    parse(text).map(Number::as_f64)
}

/// A whole number within 64 bits: an optional minus and digits, no leading zeros.
#[must_use]
pub fn parse_integer(text: &str) -> Option<i64> {
    match parse(text)? {
        Number::Integer(number) => Some(number),
        Number::Double(_) => None,
    }
}

fn parse(text: &str) -> Option<Number> {
    const ROOM: usize = 48;
    const PADDING: usize = 16;
    let text = text.as_bytes();
    let (number, end) = if text.len() <= ROOM {
        let mut padded = [0; ROOM + PADDING];
        padded[..text.len()].copy_from_slice(text);
        number::parse(&padded, 0)
    } else {
        let mut padded = text.to_vec();
        padded.resize(text.len() + PADDING, 0);
        number::parse(&padded, 0)
    }
    .ok()?;
    (end == text.len()).then_some(number)
}

/// Whether 0 switches this interval off and is a value even if `minLimit` is above it (Part 2,
/// block J, sections 2.1 and 2.2).
#[must_use]
pub fn zero_means_off(component: &str, variable: &str) -> bool {
    const INTERVALS: [(&str, &str); 4] = [
        ("AlignedDataCtrlr", "Interval"),
        ("AlignedDataCtrlr", "TxEndedInterval"),
        ("SampledDataCtrlr", "TxUpdatedInterval"),
        ("SampledDataCtrlr", "TxEndedInterval"),
    ];
    INTERVALS.iter().any(|(owner, name)| {
        variable.eq_ignore_ascii_case(name) && component.eq_ignore_ascii_case(owner)
    })
}

/// Whether a text has more than `most` characters.
pub(super) fn longer_than(text: &str, most: usize) -> bool {
    text.len() > most && text.chars().count() > most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(data_type: DataType) -> Characteristics {
        Characteristics {
            data_type,
            unit: None,
            min_limit: None,
            max_limit: None,
            max_elements: None,
            values_list: None,
            supports_monitoring: false,
        }
    }

    fn within(data_type: DataType, min_limit: f64, max_limit: f64) -> Characteristics {
        Characteristics { min_limit: Some(min_limit), max_limit: Some(max_limit), ..of(data_type) }
    }

    fn listing(data_type: DataType, list: &str) -> Characteristics {
        Characteristics { values_list: Some(list.into()), ..of(data_type) }
    }

    #[track_caller]
    fn assert_all(about: &Characteristics, verdict: Result<(), ValueFault>, values: &[&str]) {
        for value in values {
            assert_eq!(
                about.check(value, true),
                verdict,
                "{value:?} as {}",
                about.data_type.name()
            );
        }
    }

    #[test]
    fn numbers_are_those_of_json() {
        let format = Err(ValueFault::Format);
        let bad = ["", " 1", "1 ", "+1", "01", "-", ".5", "1.", "1e", "0x1", "NaN", "inf", "1,5"];
        let integer = of(DataType::Integer);
        assert_all(&integer, Ok(()), &["0", "-0", "7", "-12", "9223372036854775807"]);
        assert_all(&integer, Ok(()), &["-9223372036854775808"]);
        assert_all(&integer, format, &bad);
        assert_all(&integer, format, &["1.0", "1e3", "9223372036854775808", "١", "1\0"]);
        let decimal = of(DataType::Decimal);
        assert_all(&decimal, Ok(()), &["0", "-0.0", "1e3", "22000", "9223372036854775808"]);
        assert_all(&decimal, format, &bad);
        assert_all(&decimal, format, &["1e400", "-1e999"]);
        let long = format!("0.{}1", "0".repeat(100));
        assert_all(&decimal, Ok(()), &[&long]);
        assert_eq!(parse_number(&long), Some(1e-101));
        assert_eq!(parse_number("-2.5"), Some(-2.5));
        assert_eq!(parse_integer("-25"), Some(-25));
    }

    #[test]
    fn limits_of_numbers_hold_for_configured_values_only() {
        for data_type in [DataType::Integer, DataType::Decimal] {
            let about = within(data_type, -5.0, 10.0);
            assert_all(&about, Ok(()), &["-5", "0", "10"]);
            assert_all(&about, Err(ValueFault::TooLow), &["-6", "-9223372036854775808"]);
            assert_all(&about, Err(ValueFault::TooHigh), &["11", "9223372036854775807"]);
            assert_eq!(about.check("11", false), Ok(()));
            assert_eq!(about.check("-6", false), Ok(()));
            assert_eq!(about.check("eleven", false), Err(ValueFault::Format));
        }
        let about = within(DataType::Decimal, 0.5, 0.75);
        assert_all(&about, Ok(()), &["0.5", "0.75"]);
        assert_all(&about, Err(ValueFault::TooLow), &["0.499999"]);
        assert_all(&about, Err(ValueFault::TooHigh), &["0.750001"]);
    }

    #[test]
    fn limits_of_texts_are_lengths_in_characters() {
        let about = within(DataType::String, 2.0, 4.0);
        assert_all(&about, Ok(()), &["ab", "abcd", "äöüß", "a\n"]);
        assert_all(&about, Err(ValueFault::TooShort), &["", "ä"]);
        assert_all(&about, Err(ValueFault::TooLong), &["abcde", "äöüßÄ"]);
        assert_eq!(about.check("", false), Err(ValueFault::TooShort));
        assert_eq!(about.check("abcde", false), Err(ValueFault::TooLong));
        assert_all(&of(DataType::String), Ok(()), &["", "anything"]);
    }

    #[test]
    fn no_value_is_longer_than_a_message_takes() {
        let longest = "ä".repeat(MAX_VALUE_LENGTH);
        let longer = format!("{longest}a");
        for data_type in DataType::ALL {
            assert_all(&of(*data_type), Err(ValueFault::TooLong), &[&longer]);
        }
        assert_all(&of(DataType::String), Ok(()), &[&longest]);
        let unlimited = Characteristics { max_limit: Some(9999.0), ..of(DataType::String) };
        assert_all(&unlimited, Err(ValueFault::TooLong), &[&longer]);
    }

    #[test]
    fn booleans_are_spelled_exactly() {
        let about = of(DataType::Boolean);
        assert_all(&about, Ok(()), &["true", "false"]);
        assert_all(&about, Err(ValueFault::Format), &["", "True", "FALSE", "1", "0", "true "]);
    }

    #[test]
    fn date_times_are_those_of_rfc_3339() {
        let about = of(DataType::DateTime);
        assert_all(&about, Ok(()), &["2024-08-27T12:30:40Z", "2024-08-27T12:30:40.123+02:00"]);
        assert_all(&about, Err(ValueFault::Format), &["", "2024-08-27", "2024-02-30T00:00:00Z"]);
        assert_all(
            &about,
            Err(ValueFault::Format),
            &["2024-08-27T12:30:40", "2024-08-27T12:30:40.5"],
        );
    }

    #[test]
    fn an_option_is_one_of_the_list() {
        let about = listing(DataType::OptionList, "Never, Sometimes,Always");
        assert_all(&about, Ok(()), &["Never", "Sometimes", "Always"]);
        let unlisted = ["", "never", "Never,Always", "Alway", " Never", ","];
        assert_all(&about, Err(ValueFault::NotListed), &unlisted);
        assert_all(&of(DataType::OptionList), Ok(()), &["", "what,ever"]);
        let none = listing(DataType::OptionList, "");
        assert_all(&none, Ok(()), &[""]);
        assert_all(&none, Err(ValueFault::NotListed), &["x"]);
    }

    #[test]
    fn lists_have_members_of_the_list() {
        for data_type in [DataType::MemberList, DataType::SequenceList] {
            let about = listing(data_type, "NTP,GPS, Heartbeat");
            assert_all(&about, Ok(()), &["", "GPS", "GPS,NTP", "Heartbeat, NTP"]);
            let unlisted = ["ntp", "NTP,", ",", "NTP,,GPS", "NTP;GPS", " "];
            assert_all(&about, Err(ValueFault::NotListed), &unlisted);
            assert_all(&of(data_type), Ok(()), &["", "what,ever,ever"]);
            let short = Characteristics { max_limit: Some(5.0), ..about.clone() };
            assert_all(&short, Err(ValueFault::TooLong), &["GPS,NTP"]);
            let single = Characteristics { max_elements: Some(1), ..about };
            assert_all(&single, Ok(()), &["", "GPS"]);
            assert_all(&single, Err(ValueFault::TooMany), &["GPS,NTP"]);
        }
        let none = listing(DataType::SequenceList, "");
        assert_all(&none, Ok(()), &[""]);
        assert_all(&none, Err(ValueFault::NotListed), &["x", ","]);
        for data_type in [DataType::MemberList, DataType::SequenceList] {
            let about = listing(data_type, "NTP,GPS");
            assert_all(&about, Err(ValueFault::Repeated), &["NTP,GPS,NTP"]);
        }
    }

    #[test]
    fn faults_have_standard_reason_codes() {
        for fault in [
            ValueFault::Format,
            ValueFault::TooLow,
            ValueFault::TooHigh,
            ValueFault::TooLong,
            ValueFault::TooShort,
            ValueFault::NotListed,
            ValueFault::Repeated,
            ValueFault::TooMany,
        ] {
            assert!(fault.reason_code().len() <= 20);
            assert!(!fault.to_string().is_empty());
        }
    }

    #[test]
    fn four_intervals_are_switched_off_by_zero() {
        assert!(zero_means_off("AlignedDataCtrlr", "Interval"));
        assert!(zero_means_off("sampleddatactrlr", "txupdatedinterval"));
        assert!(!zero_means_off("SampledDataCtrlr", "Interval"));
        assert!(!zero_means_off("OCPPCommCtrlr", "HeartbeatInterval"));
    }
}
