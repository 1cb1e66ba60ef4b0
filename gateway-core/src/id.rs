//! Identifiers: one type per kind, with a prefix on the wire.
//!
//! A bare 128-bit number fits wherever another one belongs; a `SessionId` does not fit where a
//! `TenantId` belongs. Bodies follow the layout of UUID version 7 (RFC 9562), so ids of one kind sort
//! by creation time and index well; the text form is the prefix and 26 characters of Crockford's
//! base 32, lower case.
//!
//! ```
//! use gateway_core::id::SessionId;
//!
//! let id = SessionId::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
//! assert_eq!(id.to_string(), "ses_01j0000000e008000000000001");
//! assert_eq!("ses_01j0000000e008000000000001".parse(), Ok(id));
//! assert!("ten_01j0000000e008000000000001".parse::<SessionId>().is_err());
//! ```

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{self, Visitor};
use serde::ser;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::entropy::Entropy;
use crate::time::Timestamp;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const BODY: usize = 26;
/// The length of the text form: three letters, an underscore and the body.
const TEXT: usize = 4 + BODY;

/// The place of every byte in the alphabet; 32 where it has none.
const PLACES: [u8; 256] = {
    let mut places = [32; 256];
    let mut place = 0;
    while place < ALPHABET.len() {
        places[ALPHABET[place] as usize] = place as u8;
        place += 1;
    }
    places
};

/// Why a text is not an id of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text has another prefix, or none.
    #[error("expected an id that starts with {expected}_")]
    Prefix {
        /// The prefix of the expected kind, without the underscore.
        expected: &'static str,
    },
    /// The right prefix with an impossible body.
    #[error("expected {prefix}_ and 26 characters of lower-case base 32")]
    Body {
        /// The prefix of the expected kind, without the underscore.
        prefix: &'static str,
    },
}

fn time_ordered(now: Timestamp, entropy: &dyn Entropy) -> u128 {
    let mut random = [0; 10];
    entropy.fill(&mut random);
    let mut bytes = [0; 16];
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&random);
    bytes[6] = 0x70 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    u128::from_be_bytes(bytes)
}

const fn head(prefix: &str) -> [u8; 4] {
    let prefix = prefix.as_bytes();
    [prefix[0], prefix[1], prefix[2], b'_']
}

fn encode(value: u128) -> [u8; BODY] {
    let mut rest = value;
    let mut text = [b'0'; BODY];
    for slot in text.iter_mut().rev() {
        *slot = ALPHABET[(rest & 31) as usize];
        rest >>= 5;
    }
    text
}

fn text(head: [u8; 4], value: u128) -> [u8; TEXT] {
    let mut text = [0; TEXT];
    text[..4].copy_from_slice(&head);
    text[4..].copy_from_slice(&encode(value));
    text
}

fn decode(text: &str) -> Option<u128> {
    if text.len() != BODY || text.as_bytes()[0] > b'7' {
        return None;
    }
    text.bytes().try_fold(0u128, |value, byte| {
        let digit = PLACES[usize::from(byte)];
        (digit < 32).then_some(value << 5 | u128::from(digit))
    })
}

/// Reads an id out of a text, without a copy of it.
struct Texts<T>(PhantomData<T>);

impl<T: FromStr<Err = InvalidId>> Visitor<'_> for Texts<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! ids {
    ($($(#[doc = $doc:literal])* $name:ident = $prefix:literal;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let pattern = concat!("^", $prefix, "_[0-7][0-9a-hjkmnp-tv-z]{25}$");
                openapi::text(concat!($($doc),*), pattern, TEXT)
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}

        impl $name {
            /// What the text form starts with, before the underscore.
            pub const PREFIX: &'static str = $prefix;
            const HEAD: [u8; 4] = head($prefix);

            /// Creates a fresh id: ordered by `now` to the millisecond, random below that.
            #[must_use]
            pub fn generate(now: Timestamp, entropy: &dyn Entropy) -> Self {
                Self(time_ordered(now, entropy))
            }

            /// Returns whether the id has the form of one that says when it was made (UUID version 7).
            #[must_use]
            pub const fn is_time_ordered(self) -> bool {
                (self.0 >> 76) & 0xf == 7 && (self.0 >> 62) & 0b11 == 0b10
            }

            /// Makes an id of the number that a store keeps.
            #[must_use]
            pub const fn from_u128(value: u128) -> Self {
                Self(value)
            }

            /// Returns the number that a store keeps.
            #[must_use]
            pub const fn as_u128(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = text(Self::HEAD, self.0);
                f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let body = text
                    .strip_prefix(concat!($prefix, "_"))
                    .ok_or(InvalidId::Prefix { expected: $prefix })?;
                decode(body).map(Self).ok_or(InvalidId::Body { prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let text = text(Self::HEAD, self.0);
                serializer.serialize_str(std::str::from_utf8(&text).map_err(ser::Error::custom)?)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Texts(PhantomData))
            }
        }
    )*};
}

ids! {
    /// A tenant: the customer who owns sessions, keys and usage.
    TenantId = "ten";
    /// A person who logs in.
    UserId = "usr";
    /// A session: one WhatsApp account of a tenant.
    SessionId = "ses";
    /// A message, outbound or inbound.
    MessageId = "msg";
    /// An event, the same wherever it is read.
    EventId = "evt";
    /// An API key (the public part; the secret is never an id).
    ApiKeyId = "key";
    /// A family of refresh tokens: everything that descends from one login.
    TokenFamilyId = "fam";
    /// One run of one server process.
    ReplicaId = "rep";
    /// An entry of the audit log.
    AuditId = "aud";
}

impl AuditId {
    /// Returns the smallest id that an entry of that millisecond can have, so that a span of time is a
    /// span of ids.
    #[must_use]
    pub fn first_of(at: Timestamp) -> Self {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        Self(u128::from(millis) << 80)
    }
}

impl EventId {
    /// Creates an id that is ordered by `at` to the millisecond and, below that, by `group` (its twelve low
    /// bits) and `number` (its 62 low bits), which together are unique.
    #[must_use]
    pub(crate) fn numbered(at: Timestamp, group: u16, number: u64) -> Self {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        let head = millis << 16 | 0x7000 | u64::from(group & 0x0fff);
        let tail = 1 << 63 | number & (u64::MAX >> 2);
        Self(u128::from(head) << 64 | u128::from(tail))
    }
}

/// Why a text cannot become a slug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSlug {
    /// Nothing is left after normalisation.
    #[error("must contain at least one letter or digit (a-z, 0-9)")]
    Empty,
    /// Longer than allowed after normalisation.
    #[error("must be at most {max} characters")]
    TooLong {
        /// The limit in characters.
        max: usize,
    },
}

/// Normalises as R-26 says: trim, lower-case, spaces and `_` → `-`, drop what is not `[a-z0-9-]`,
/// collapse and trim hyphens.
fn slug(text: &str, max: usize) -> Result<Arc<str>, InvalidSlug> {
    let mut out = String::with_capacity(text.len().min(max));
    for c in text.trim().chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => out.push(c),
            '-' | '_' | ' ' if !out.is_empty() && !out.ends_with('-') => out.push('-'),
            _ => {}
        }
    }
    let out = out.trim_end_matches('-');
    match out.len() {
        0 => Err(InvalidSlug::Empty),
        length if length > max => Err(InvalidSlug::TooLong { max }),
        _ => Ok(out.into()),
    }
}

macro_rules! slugs {
    ($($(#[doc = $doc:literal])* $name:ident <= $max:literal;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                openapi::text(concat!($($doc),*), "^[a-z0-9]+(-[a-z0-9]+)*$", $max)
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}

        impl $name {
            /// Normalises `text` (R-26).
            ///
            /// # Errors
            /// Nothing is left, or more than the limit.
            pub fn parse(text: &str) -> Result<Self, InvalidSlug> {
                slug(text, $max).map(Self)
            }

            /// Returns the normalised text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    )*};
}

slugs! {
    /// The id of a worker slot, stable over restarts: 1 to 50 characters, normalised (R-26).
    WorkerId <= 50;
    /// The name of a session, unique within its tenant: 1 to 64 characters, normalised (R-26).
    SessionName <= 64;
}

impl SessionName {
    /// The most characters of a name.
    const MAX: usize = 64;

    /// Returns what comes of a text that a person typed: its slug, cut to length, or none if nothing is left.
    #[must_use]
    pub fn made_of(text: &str) -> Option<Self> {
        let whole = slug(text, usize::MAX).ok()?;
        let end = whole.len().min(Self::MAX);
        Self::parse(&whole[..end]).ok()
    }

    /// Returns this name with a number at its end, for when the name itself is taken.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        let tail = format!("-{number}");
        let end = self.0.len().min(Self::MAX - tail.len());
        let head = self.0[..end].trim_end_matches('-');
        Self(format!("{head}{tail}").into())
    }
}

impl SessionId {
    /// Returns a name for a session that has none which could be written in a name.
    #[must_use]
    pub fn as_name(self) -> SessionName {
        let text = self.to_string();
        SessionName(format!("session-{}", &text[TEXT - 8..]).into())
    }
}

/// The random id of one run of a worker process (R-36), chosen by the worker and never used again.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String, pattern = "^[A-Za-z0-9_-]{8,64}$"))]
pub struct Incarnation(Arc<str>);

/// The error of a text that is not an incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 8 to 64 characters of A-Z, a-z, 0-9, - and _")]
pub struct InvalidIncarnation;

impl Incarnation {
    /// Checks the form: 8 to 64 characters of `A-Z a-z 0-9 - _`.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, InvalidIncarnation> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !(8..=64).contains(&text.len()) || !text.bytes().all(known) {
            return Err(InvalidIncarnation);
        }
        Ok(Self(text.into()))
    }

    /// Creates a fresh incarnation of 128 random bits, for workers written in Rust.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let value = u128::from(entropy.next_u64()) << 64 | u128::from(entropy.next_u64());
        let body = encode(value);
        Self(String::from_utf8_lossy(&body).into())
    }

    /// Creates a fresh incarnation like [`Incarnation::generate`] that begins with `mark`, by which whoever made it
    /// knows it again.
    ///
    /// # Errors
    /// The mark is longer than 32 characters, or has others than `A-Z a-z 0-9 - _`.
    pub fn marked(mark: &str, entropy: &dyn Entropy) -> Result<Self, InvalidIncarnation> {
        Self::parse(&format!("{mark}{}", Self::generate(entropy).as_str()))
    }

    /// Returns the text as the worker sent it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Incarnation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Incarnation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The fencing token of a session: grows by one with every new assignment and never goes back (R-36).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// Accepts only numbers that every store can keep.
impl<'de> Deserialize<'de> for Epoch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        storable(deserializer).map(Self)
    }
}

/// Reads a number that every store can keep: they have signed integers, so it is below 2^63.
pub(crate) fn storable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = u64::deserialize(deserializer)?;
    match i64::try_from(number) {
        Ok(_) => Ok(number),
        Err(_) => Err(serde::de::Error::custom("must be less than 2^63")),
    }
}

impl Epoch {
    /// Returns the epoch of the next assignment.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(feature = "openapi")]
pub(crate) mod openapi {
    use utoipa::openapi::RefOr;
    use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

    /// Describes a text of at most `max` characters.
    pub(crate) fn text(about: &str, pattern: &str, max: usize) -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(about.trim()))
            .pattern(Some(pattern))
            .max_length(Some(max))
            .into()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_wrong_prefix_names_the_expected_one() {
        assert_eq!(
            "usr_01j0000000e008000000000001".parse::<SessionId>(),
            Err(InvalidId::Prefix { expected: "ses" })
        );
        for bad in [
            "ses_",
            "ses_8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "ses_01J0000000E008000000000001",
        ] {
            assert_eq!(
                bad.parse::<SessionId>(),
                Err(InvalidId::Body { prefix: "ses" }),
                "{bad}"
            );
        }
    }

    #[test]
    fn every_number_survives_its_text() {
        for value in [0, 1, u128::MAX, 0x0190_0000_0000_7000_8000_0000_0000_0001] {
            let id = MessageId::from_u128(value);
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn a_numbered_id_has_its_time_and_no_other_number_has_it() {
        let at = Timestamp::from_micros(1_700_000_000_123_999);
        let id = |group, number| EventId::numbered(at, group, number);
        assert_eq!(
            id(3, 9).as_u128(),
            0x018b_cfe5_687b_7003_8000_0000_0000_0009
        );
        assert_ne!(id(0, 1), id(0, 2));
        assert_ne!(id(0, 1), id(1, 1));
        let later = EventId::numbered(at.plus(Duration::from_millis(1)), 0, 1);
        assert!(id(0, 1) < id(0, 2) && id(4_095, u64::MAX) < later);
    }

    #[test]
    fn names_are_normalised() {
        let slug = |text| SessionName::parse(text).map(|name| name.as_str().to_owned());
        assert_eq!(slug("  Müller & Söhne_2 "), Ok("mller-shne-2".to_owned()));
        assert_eq!(slug("--a---b--"), Ok("a-b".to_owned()));
        assert_eq!(slug(" _-_ "), Err(InvalidSlug::Empty));
        assert_eq!(slug(&"x".repeat(65)), Err(InvalidSlug::TooLong { max: 64 }));
        assert_eq!(
            WorkerId::parse("Worker_001").map(|id| id.to_string()),
            Ok("worker-001".into())
        );
    }

    #[test]
    fn a_name_is_made_of_what_a_person_typed() {
        let made = |text: &str| SessionName::made_of(text).map(|name| name.to_string());
        assert_eq!(made("São Paulo").as_deref(), Some("so-paulo"));
        assert_eq!(made("日本"), None);
        assert_eq!(made(&"x".repeat(300)).map(|name| name.len()), Some(64));
        let name = SessionName::parse("sales").expect("a name");
        assert_eq!(name.numbered(12).as_str(), "sales-12");
        let long = SessionName::made_of(&"x".repeat(300)).expect("a name");
        assert_eq!(long.numbered(2).as_str().len(), 64);
        let own = SessionId::from_u128(7).as_name();
        assert_eq!(SessionName::parse(own.as_str()), Ok(own));
    }

    #[test]
    fn incarnations_are_plain_tokens() {
        assert!(Incarnation::parse("0192-abcdef_Z").is_ok());
        for bad in ["short", "with space!", "ünïcode-text", &"x".repeat(65)] {
            assert_eq!(Incarnation::parse(bad), Err(InvalidIncarnation), "{bad}");
        }
    }
}
