//! What SQLite alone has: a file that one process may use, and rows that are bound one by one.

pub(super) mod lock;
pub(super) mod readers;
pub(super) mod rows;
