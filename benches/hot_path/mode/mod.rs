//! What the command can measure, one file each.

pub(crate) mod memory;
pub(crate) mod paced;
pub(crate) mod reads;
pub(crate) mod send;
pub(crate) mod sizes;
pub(crate) mod start;
