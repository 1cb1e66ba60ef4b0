//! What PostgreSQL alone has: a server that may be away or say nothing, and connections to it that are kept.

pub(super) mod lane;
pub(super) mod reach;
pub(super) mod silence;
