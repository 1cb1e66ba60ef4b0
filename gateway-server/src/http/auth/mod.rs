//! Who is let in: the only place that decides it.
//!
//! What credentials are and whom they belong to is [`crate::identity`]'s. In reading order: `address`
//! (strangers), `guard` (the layer in front of every route), `slow_body` (what it leaves open),
//! `own_session` and `operator` (what handlers learn), `actor` (who the audit log says did it).

mod actor;
mod address;
mod guard;
mod operator;
mod own_session;
mod slow_body;

pub use actor::{Acting, RequestOrigin};
pub use address::ClientAddress;
pub(crate) use address::FORWARDED_FOR;
pub use operator::AsOperator;
pub use own_session::OwnSession;

pub(crate) use guard::{Gate, GateParts, guard};
pub(crate) use operator::has_metrics_token;
pub(crate) use own_session::session_of;
pub(crate) use slow_body::NotKnownAnyMore;
