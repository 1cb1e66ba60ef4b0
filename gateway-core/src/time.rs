//! Points in time, and the clock as a port.
//!
//! Everything that is stored uses the *store's* clock and is a [`Timestamp`]. A [`Clock`] serves only
//! what never reaches a row: time limits, caches, the worker-side gate and the watch on lease
//! renewals. Those need a clock that runs during suspend and never steps, which is why [`Uptime`] is a
//! type of its own: it cannot be stored by mistake.

use std::fmt;
use std::time::Duration;

use serde::ser;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point in time in microseconds since the Unix epoch, UTC.
///
/// Serialises as RFC 3339 with milliseconds; equal values compare equal on every store because all
/// of them keep whole microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, format = DateTime))]
pub struct Timestamp(i64);

impl Timestamp {
    /// The last moment that RFC 3339 can write (end of year 9999).
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// Makes a timestamp of microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Returns microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Returns milliseconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// The first moment that RFC 3339 can write (start of year 0).
    pub const MIN: Self = Self(-62_167_219_200_000_000);

    /// Returns the moment `span` later, at most [`Timestamp::MAX`].
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros)).min(Self::MAX)
    }

    /// Returns the moment `span` earlier, at least [`Timestamp::MIN`].
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros)).max(Self::MIN)
    }

    /// Returns the time that has passed since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Returns the start of the clock hour (UTC) that contains this moment.
    #[must_use]
    pub const fn start_of_hour(self) -> Self {
        Self(self.0.div_euclid(3_600_000_000) * 3_600_000_000)
    }

    /// Writes the moment as RFC 3339; `None` outside the years 0 to 9999. Written by hand, because it
    /// stands in every answer and event, and interpreting a format costs ten times as much.
    fn text(self) -> Option<[u8; 24]> {
        let moment = OffsetDateTime::from_unix_timestamp(self.0.div_euclid(1_000_000)).ok()?;
        let (year, month, day) = moment.to_calendar_date();
        let (hour, minute, second) = moment.to_hms();
        let year = u32::try_from(year).ok().filter(|year| *year < 10_000)?;
        let millis = self.as_millis().rem_euclid(1_000);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        write_digits(&mut text[0..4], year);
        write_digits(&mut text[5..7], u8::from(month).into());
        write_digits(&mut text[8..10], day.into());
        write_digits(&mut text[11..13], hour.into());
        write_digits(&mut text[14..16], minute.into());
        write_digits(&mut text[17..19], second.into());
        write_digits(&mut text[20..23], u32::try_from(millis).ok()?);
        Some(text)
    }

    /// Parses RFC 3339 with any offset.
    ///
    /// # Errors
    /// The text is not RFC 3339, or its offset moves it out of the years 0 to 9999, where it could not be
    /// written any more.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        let parsed = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTimestamp)?;
        let micros = parsed.unix_timestamp_nanos().div_euclid(1_000);
        let moment = i64::try_from(micros).map(Self);
        let written = moment
            .ok()
            .filter(|at| (Self::MIN..=Self::MAX).contains(at));
        written.ok_or(InvalidTimestamp)
    }
}

const OUTSIDE: &str = "a time outside the years 0 to 9999";

/// Writes the last `text.len()` decimal digits of a number.
fn write_digits(text: &mut [u8], number: u32) {
    let mut rest = number;
    for slot in text.iter_mut().rev() {
        *slot = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// The error of a text that is not an RFC 3339 time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an RFC 3339 time such as 2026-01-31T12:00:00.000Z, in the years 0 to 9999")]
pub struct InvalidTimestamp;

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text().ok_or(fmt::Error)?;
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.text().ok_or_else(|| ser::Error::custom(OUTSIDE))?;
        serializer.serialize_str(std::str::from_utf8(&text).map_err(ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Time since some fixed moment before the process started, on a clock that runs during suspend.
///
/// Only differences mean anything, and only within one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uptime(pub Duration);

impl Uptime {
    /// Returns the reading `span` later, saturating.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// Returns the time that has passed since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// The clocks of this process, as a port. `gateway_worker::system::SystemClock` are those of the machine.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns the wall clock's time. It may step: never the basis of a lease, and never compared with a
    /// stored time.
    fn now(&self) -> Timestamp;

    /// Returns the reading of the suspend-proof clock (`CLOCK_BOOTTIME` on Linux). It never steps.
    fn uptime(&self) -> Uptime;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_milliseconds_in_utc() {
        let at = Timestamp::from_micros(1_700_000_000_123_456);
        assert_eq!(at.to_string(), "2023-11-14T22:13:20.123Z");
        let leap = Timestamp::from_micros(951_782_399_999_999);
        assert_eq!(leap.to_string(), "2000-02-28T23:59:59.999Z");
        assert_eq!(
            Timestamp::from_micros(-1).to_string(),
            "1969-12-31T23:59:59.999Z"
        );
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn parses_any_offset() {
        let at = Timestamp::parse("2023-11-14T23:13:20.5+01:00");
        assert_eq!(at, Ok(Timestamp::from_micros(1_700_000_000_500_000)));
        assert_eq!(Timestamp::parse("yesterday"), Err(InvalidTimestamp));
        let last = Timestamp::parse("9999-12-31T23:59:59.999999Z");
        assert_eq!(last, Ok(Timestamp::MAX));
        let first = Timestamp::parse("0000-01-01T00:00:00Z");
        assert_eq!(first, Ok(Timestamp::MIN));
        for outside in ["9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+00:01"] {
            assert_eq!(
                Timestamp::parse(outside),
                Err(InvalidTimestamp),
                "{outside}"
            );
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let start = Timestamp::from_micros(5);
        assert_eq!(start.since(Timestamp::from_micros(9)), Duration::ZERO);
        assert_eq!(
            start.minus(Duration::MAX).plus(Duration::ZERO),
            start.minus(Duration::MAX)
        );
        assert_eq!(
            Timestamp::from_micros(3_600_000_001).start_of_hour(),
            Timestamp::from_micros(3_600_000_000)
        );
    }
}
