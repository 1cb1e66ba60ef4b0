//! Credentials, and who is let in: the only place that decides either.
//!
//! In reading order: `credential` (what is shown), `jwt`, `password`, `address` (strangers), `guard`
//! (the layer in front of every route), `slow_body` (what it leaves open), `caller` (what handlers learn),
//! `last_used`.

mod address;
mod caller;
mod credential;
mod guard;
mod jwt;
mod last_used;
mod password;
mod slow_body;

pub use address::ClientAddress;
pub(crate) use address::FORWARDED_FOR;
pub use caller::{Caller, Joiner, OwnSession, Person, WorkerCaller};
pub use credential::TICKET_PREFIX;
pub use jwt::AccessTokens;
pub use password::{PasswordError, Passwords};

pub(crate) use credential::Verifiers;
pub(crate) use guard::{Gate, active_tenant, guard};
pub(crate) use jwt::Claims;
pub(crate) use last_used::LastUsed;
pub(crate) use slow_body::{NotKnownAnyMore, WhileKnown};
