//! The message log: facts about messages, written in groups with their events.
//!
//! - [`ledger`]: what a group needs of a database, as a small port of its own;
//! - [`grouped`]: the facts of a group, folded in memory before any statement;
//! - `writer`: who collects groups, writes them, and writes them again;
//! - `reader`: look-ups by id, collected in the same way;
//! - [`group_log`]: the port that a send talks to.

pub mod group_log;
pub mod grouped;
pub mod ledger;
mod reader;
mod writer;

pub use group_log::{GroupLog, GroupOptions, GroupTask};
pub use ledger::Ledger;

#[cfg(test)]
mod tests;
