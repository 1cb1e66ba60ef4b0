//! Values of the domain that are one column each.
//!
//! What takes several columns, or is checked against others, is written out in its table's declaration.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::audit::FieldChange;
use gateway_core::id::{
    ApiKeyId, AuditId, Epoch, Incarnation, MessageId, SessionId, SessionName, TenantId,
    TokenFamilyId, UserId, WorkerId,
};
use gateway_core::identity::Scope;
use gateway_core::message::{Direction, MessageStatus, WaMessageId};
use gateway_core::session::{Owner, Pairing, Reason, Setbacks};
use gateway_core::tenant::{TenantStatus, TierName};
use gateway_core::time::Timestamp;
use gateway_core::user::{Email, Role};
use gateway_core::worker::{Engine, WorkerReport, WorkerStatus};
use serde_json::Value;
use sqlx::types::Json;

use super::json::JsonText;
use super::types::{Count, Id, Time};

/// A value of the domain that is one column.
pub(super) trait Stored: Sized {
    /// What the column gives.
    type Read: Kept;
    /// The type that sqlx binds for it.
    type Write<'a>
    where
        Self: 'a;

    /// Reads it back.
    ///
    /// # Errors
    /// Why the column makes no sense.
    fn read(read: Self::Read) -> Result<Self, String>;

    /// What is written of it.
    fn write(&self) -> Self::Write<'_>;
}

/// What a column gives when it is read.
pub(super) trait Kept {
    /// Whether it is bytes, which JSON carries as hex.
    const BYTES: bool = false;
}

impl Kept for Id {
    const BYTES: bool = true;
}
impl Kept for Vec<u8> {
    const BYTES: bool = true;
}
impl Kept for Time {}
impl Kept for Count {}
impl Kept for bool {}
impl Kept for String {}
impl<T> Kept for Json<T> {}
impl<T: Kept> Kept for Option<T> {
    const BYTES: bool = T::BYTES;
}

impl<T: Stored> Stored for Option<T> {
    type Read = Option<T::Read>;
    type Write<'a>
        = Option<T::Write<'a>>
    where
        T: 'a;

    fn read(read: Self::Read) -> Result<Self, String> {
        read.map(T::read).transpose()
    }

    fn write(&self) -> Self::Write<'_> {
        self.as_ref().map(T::write)
    }
}

/// The run of a worker that two columns name.
pub(super) fn owner(worker: &str, incarnation: &str) -> Result<Owner, String> {
    Ok(Owner {
        worker: WorkerId::parse(worker).map_err(|why| why.to_string())?,
        incarnation: Incarnation::parse(incarnation).map_err(|why| why.to_string())?,
    })
}

impl Stored for bool {
    type Read = Self;
    type Write<'a> = Self;

    fn read(read: Self) -> Result<Self, String> {
        Ok(read)
    }

    fn write(&self) -> Self {
        *self
    }
}

impl Stored for Timestamp {
    type Read = Time;
    type Write<'a> = Time;

    fn read(read: Time) -> Result<Self, String> {
        Ok(read.0)
    }

    fn write(&self) -> Time {
        Time(*self)
    }
}

/// Stored in whole microseconds.
impl Stored for Duration {
    type Read = Count;
    type Write<'a> = Count;

    fn read(read: Count) -> Result<Self, String> {
        Ok(Self::from_micros(read.0))
    }

    fn write(&self) -> Count {
        Count(u64::try_from(self.as_micros()).unwrap_or(u64::MAX))
    }
}

impl Stored for Epoch {
    type Read = Count;
    type Write<'a> = Count;

    fn read(read: Count) -> Result<Self, String> {
        Ok(Self(read.0))
    }

    fn write(&self) -> Count {
        Count(self.0)
    }
}

impl Stored for String {
    type Read = Self;
    type Write<'a> = &'a str;

    fn read(read: Self) -> Result<Self, String> {
        Ok(read)
    }

    fn write(&self) -> &str {
        self
    }
}

impl Stored for Cow<'static, str> {
    type Read = String;
    type Write<'a> = &'a str;

    fn read(read: String) -> Result<Self, String> {
        Ok(Cow::Owned(read))
    }

    fn write(&self) -> &str {
        self
    }
}

/// A SHA-256 digest, stored as its 32 bytes.
impl Stored for [u8; 32] {
    type Read = Vec<u8>;
    type Write<'a> = &'a [u8];

    fn read(read: Vec<u8>) -> Result<Self, String> {
        Self::try_from(read).map_err(|_| "a hash of another length".to_owned())
    }

    fn write(&self) -> &[u8] {
        self
    }
}

macro_rules! ids {
    ($($type:ty),*) => {
        $(impl Stored for $type {
            type Read = Id;
            type Write<'a> = Id;

            fn read(read: Id) -> Result<Self, String> {
                Ok(Self::from_u128(read.0))
            }

            fn write(&self) -> Id {
                Id(self.as_u128())
            }
        })*
    };
}

ids!(
    TenantId,
    UserId,
    ApiKeyId,
    AuditId,
    SessionId,
    MessageId,
    TokenFamilyId
);

macro_rules! numbers {
    ($($type:ty),*) => {
        $(impl Stored for $type {
            type Read = Count;
            type Write<'a> = Count;

            fn read(read: Count) -> Result<Self, String> {
                read.narrow()
            }

            fn write(&self) -> Count {
                Count(u64::from(*self))
            }
        })*
    };
}

numbers!(u8, u32, u64);

/// What is parsed from a text.
macro_rules! texts {
    ($($type:ty),*) => {
        $(impl Stored for $type {
            type Read = String;
            type Write<'a> = &'a str;

            fn read(read: String) -> Result<Self, String> {
                Self::parse(&read).map_err(|why| why.to_string())
            }

            fn write(&self) -> &str {
                self.as_str()
            }
        })*
    };
}

texts!(SessionName, WorkerId, Incarnation, Email, TierName);

/// One of several names.
macro_rules! names {
    ($($type:ty: $what:literal),* $(,)?) => {
        $(impl Stored for $type {
            type Read = String;
            type Write<'a> = &'static str;

            fn read(read: String) -> Result<Self, String> {
                Self::parse(&read).ok_or_else(|| format!("unknown {} {read}", $what))
            }

            fn write(&self) -> &'static str {
                self.name()
            }
        })*
    };
}

names!(
    Role: "role",
    TenantStatus: "status",
    WorkerStatus: "status",
    Direction: "direction",
    MessageStatus: "status",
);

impl Stored for WaMessageId {
    type Read = String;
    type Write<'a> = &'a str;

    fn read(read: String) -> Result<Self, String> {
        Self::parse(&read).ok_or_else(|| "a malformed WhatsApp id".to_owned())
    }

    fn write(&self) -> &str {
        self.as_str()
    }
}

impl Stored for Reason {
    type Read = String;
    type Write<'a> = &'a str;

    fn read(read: String) -> Result<Self, String> {
        Ok(Self::parse(&read))
    }

    fn write(&self) -> &str {
        self.as_str()
    }
}

/// What is kept as JSON.
macro_rules! jsons {
    ($($type:ty),*) => {
        $(impl Stored for $type {
            type Read = Json<Self>;
            type Write<'a> = JsonText;

            fn read(read: Json<Self>) -> Result<Self, String> {
                Ok(read.0)
            }

            fn write(&self) -> JsonText {
                JsonText::of(self)
            }
        })*
    };
}

jsons!(
    Value,
    BTreeMap<String, Value>,
    BTreeMap<String, String>,
    BTreeMap<String, FieldChange>,
    Vec<Scope>,
    Engine,
    Pairing,
    Setbacks,
    WorkerReport
);
