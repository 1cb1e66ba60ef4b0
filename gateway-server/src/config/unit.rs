//! Durations and sizes as people write them.
//!
//! A bare number in a configuration says nothing about its unit, and `TIMEOUT=30` has meant seconds in
//! one program and milliseconds in the next. So options are written with their unit and are typed from
//! here on; a bare number is seconds or bytes.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

const UNITS_OF_TIME: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];
const UNITS_OF_SIZE: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Why a text is no duration or size: it is neither a number nor a number with a known unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub(super) struct InvalidUnit(&'static str);

fn parse(text: &str, bare: u64, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let factor = match text[digits..].trim() {
        "" => bare,
        unit => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    number.checked_mul(factor)
}

fn print(value: u64, units: &[(&str, u64)], gap: &str) -> String {
    let fits = units
        .iter()
        .find(|(_, factor)| value > 0 && value.is_multiple_of(*factor));
    let (unit, factor) = fits.copied().unwrap_or(("", 1));
    let gap = if unit.is_empty() { "" } else { gap };
    format!("{}{gap}{unit}", value / factor)
}

/// Parses `250ms`, `30s`, `15m`, `1h`, `30d`, or a number of seconds.
///
/// # Errors
/// Any other text.
pub(super) fn parse_duration(text: &str) -> Result<Duration, InvalidUnit> {
    parse(text, 1_000, &UNITS_OF_TIME)
        .map(Duration::from_millis)
        .ok_or(InvalidUnit("a duration such as 250ms, 30s, 15m, 1h or 30d"))
}

fn print_duration(value: Duration) -> String {
    print(
        u64::try_from(value.as_millis()).unwrap_or(u64::MAX),
        &UNITS_OF_TIME,
        "",
    )
}

fn parse_size(text: &str) -> Result<usize, InvalidUnit> {
    parse(text, 1, &UNITS_OF_SIZE)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .ok_or(InvalidUnit("a size such as 512 KiB, 1 MiB or 1048576"))
}

/// Reads and writes a duration with its unit, for `#[serde(with = "duration")]`.
pub(super) mod duration {
    use super::{Duration, parse_duration, print_duration};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&print_duration(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        parse_duration(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// Reads and writes a duration that may be left out, for `#[serde(with = "optional_duration")]`. An empty text
/// means that it is not set.
pub(super) mod optional_duration {
    use super::{Duration, parse_duration, print_duration};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&value.map(print_duration).unwrap_or_default())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        match String::deserialize(from)?.trim() {
            "" => Ok(None),
            text => parse_duration(text).map(Some).map_err(D::Error::custom),
        }
    }
}

/// Reads and writes a size in bytes with its unit, for `#[serde(with = "size")]`.
pub(super) mod size {
    use super::{UNITS_OF_SIZE, parse_size, print};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(value: &usize, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&print(*value as u64, &UNITS_OF_SIZE, " "))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
        parse_size(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// Reads one of several names, for `#[serde(deserialize_with = "choice")]`. The error for an unknown name
/// lists the known ones.
pub(super) fn choice<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: serde::de::DeserializeOwned,
    D: serde::Deserializer<'de>,
{
    use serde::de::IntoDeserializer;
    let text = <String as serde::Deserialize>::deserialize(from)?;
    T::deserialize(text.into_deserializer())
}

/// Reads an optional value, for `#[serde(with = "optional")]`. An empty text means that it is not set.
pub(super) mod optional {
    use super::{Display, FromStr};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(crate) fn serialize<T: Serialize, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(to),
            None => to.serialize_str(""),
        }
    }

    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(from)?;
        match text.trim() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_unit() {
        for (text, millis) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("15m", 900_000),
            ("900", 900_000),
            ("1 h", 3_600_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for bad in [
            "",
            "m",
            "-1s",
            "1.5h",
            "1w",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_are_printed_in_their_largest_whole_unit() {
        for text in ["250ms", "90s", "15m", "30d", "0"] {
            assert_eq!(
                parse_duration(text).map(print_duration).as_deref(),
                Ok(text)
            );
        }
        let size = |text| parse_size(text).map(|size| print(size as u64, &UNITS_OF_SIZE, " "));
        assert_eq!(size("1048576").as_deref(), Ok("1 MiB"));
        assert_eq!(size("1000").as_deref(), Ok("1000 B"));
        assert!(size("1 MB").is_err(), "decimal units are not known");
    }
}
