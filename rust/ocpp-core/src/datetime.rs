//! RFC 3339 date-times, read from any offset and written in UTC.

use crate::writer::Block;

/// A moment in UTC, as calendar fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime {
    /// 1 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 to 999; OCPP carries no more (2.1.4, primitive datatypes: three decimals).
    pub millisecond: u16,
}

impl DateTime {
    /// Reads `2019-04-12T23:20:50.52Z` and its like.
    ///
    /// A missing offset means UTC, as real CSMSs send it; digits beyond milliseconds are dropped.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (head, tail) = text.split_first_chunk::<19>()?;
        if head[4] != b'-' || head[7] != b'-' || head[10] | 0x20 != b't' {
            return None;
        }
        if head[13] != b':' || head[16] != b':' {
            return None;
        }
        let (millisecond, offset) = fraction(tail)?;
        let moment = Self {
            year: u16::from(two(head, 0)?) * 100 + u16::from(two(head, 2)?),
            month: two(head, 5)?,
            day: two(head, 8)?,
            hour: two(head, 11)?,
            minute: two(head, 14)?,
            second: two(head, 17)?,
            millisecond,
        };
        if !moment.is_real() {
            return None;
        }
        match offset {
            [] | [b'Z' | b'z'] => Some(moment),
            _ => moment.minus_minutes(offset_minutes(offset)?),
        }
    }

    fn is_real(&self) -> bool {
        self.year >= 1
            && self.month.wrapping_sub(1) < 12
            && self.day >= 1
            && self.day <= days_in_month(self.year, self.month)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60
    }

    /// Writes the moment between quotes, with `Z` and without a fraction that is zero. Returns the
    /// number of bytes.
    pub fn write(&self, out: &mut Block) -> usize {
        *out = *b"\"0000-00-00T00:00:00.000Z\"\0\0\0\0\0\0";
        put_two(out, 1, (self.year / 100) as u8);
        put_two(out, 3, (self.year % 100) as u8);
        put_two(out, 6, self.month);
        put_two(out, 9, self.day);
        put_two(out, 12, self.hour);
        put_two(out, 15, self.minute);
        put_two(out, 18, self.second);
        if self.millisecond == 0 {
            out[20] = b'Z';
            out[21] = b'"';
            return 22;
        }
        out[21] = b'0' + (self.millisecond / 100) as u8;
        put_two(out, 22, (self.millisecond % 100) as u8);
        26
    }

    /// The moment `minutes` earlier, unless that leaves the years 1 to 9999.
    fn minus_minutes(self, minutes: i32) -> Option<Self> {
        let of_day = i32::from(self.hour) * 60 + i32::from(self.minute) - minutes;
        let days = days_from_civil(self.year, self.month, self.day) + of_day.div_euclid(1440);
        let (year, month, day) = civil_from_days(days);
        let of_day = of_day.rem_euclid(1440);
        Some(Self {
            year: u16::try_from(year).ok().filter(|year| (1..=9999).contains(year))?,
            month,
            day,
            hour: (of_day / 60) as u8,
            minute: (of_day % 60) as u8,
            ..self
        })
    }
}

/// Splits `.52Z` into milliseconds and the offset.
#[inline]
fn fraction(tail: &[u8]) -> Option<(u16, &[u8])> {
    let Some((b'.', digits)) = tail.split_first() else {
        return Some((0, tail));
    };
    let mut millisecond = 0;
    let mut unit = 100;
    let mut length = 0;
    while let Some(digit) = digits.get(length).map(|byte| byte.wrapping_sub(b'0'))
        && digit < 10
    {
        millisecond += u16::from(digit) * unit;
        unit /= 10;
        length += 1;
    }
    (length > 0).then(|| (millisecond, &digits[length..]))
}

/// Minutes east of Greenwich, from `+01:00`.
fn offset_minutes(offset: &[u8]) -> Option<i32> {
    let &[sign, _, _, b':', _, _] = offset else {
        return None;
    };
    let (hours, minutes) = (two(offset, 1)?, two(offset, 4)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let total = i32::from(hours) * 60 + i32::from(minutes);
    match sign {
        b'+' => Some(total),
        b'-' => Some(-total),
        _ => None,
    }
}

#[inline]
fn two(text: &[u8], at: usize) -> Option<u8> {
    let (tens, ones) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| tens * 10 + ones)
}

#[inline]
fn put_two(out: &mut Block, at: usize, value: u8) {
    out[at] = b'0' + value / 10;
    out[at + 1] = b'0' + value % 10;
}

#[inline]
fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

/// Days since 0000-03-01 of the proleptic Gregorian calendar; years begin in March here, so that
/// the leap day is the last one.
fn days_from_civil(year: u16, month: u8, day: u8) -> i32 {
    let (month, year) = if month > 2 {
        (i32::from(month) - 3, i32::from(year))
    } else {
        (i32::from(month) + 9, i32::from(year) - 1)
    };
    365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + i32::from(day)
        - 1
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i32) -> (i32, u8, u8) {
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = year_of_era + era * 400 + i32::from(month >= 10);
    (year, if month < 10 { month + 3 } else { month - 9 } as u8, day as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str) -> Option<String> {
        let mut out = Block::default();
        let length = DateTime::parse(text.as_bytes())?.write(&mut out);
        assert_eq!((out[0], out[length - 1]), (b'"', b'"'));
        Some(String::from_utf8_lossy(&out[1..length - 1]).into_owned())
    }

    #[test]
    fn reads_every_offset_and_writes_utc() {
        for (text, expected) in [
            ("2019-04-12T23:20:50.52Z", "2019-04-12T23:20:50.520Z"),
            ("2019-12-19T16:39:57+01:00", "2019-12-19T15:39:57Z"),
            ("2019-12-31T23:30:00-01:00", "2020-01-01T00:30:00Z"),
            ("2020-03-01T00:30:00+01:00", "2020-02-29T23:30:00Z"),
            ("2000-02-29t23:59:59.999999z", "2000-02-29T23:59:59.999Z"),
            ("2024-08-27T12:30:40", "2024-08-27T12:30:40Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.9999999999Z", "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(round(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_moment() {
        for text in [
            "",
            "2019-04-12",
            "2019-04-12 23:20:50Z",
            "2019-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2019-13-01T00:00:00Z",
            "2019-00-01T00:00:00Z",
            "2019-01-00T00:00:00Z",
            "2019-01-01T24:00:00Z",
            "2019-01-01T00:60:00Z",
            "2019-01-01T00:00:60Z",
            "2019-01-01T00:00:00.Z",
            "2019-01-01T00:00:00+1:00",
            "2019-01-01T00:00:00+24:00",
            "2019-01-01T00:00:00Z ",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "2O19-01-01T00:00:00Z",
        ] {
            assert_eq!(round(text), None, "{text}");
        }
    }

    #[test]
    fn calendar_is_its_own_inverse() {
        for days in 0..=3_652_425 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year as u16, month, day), days);
        }
    }
}
