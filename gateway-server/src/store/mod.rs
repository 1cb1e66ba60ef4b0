//! Where everything durable is kept.
//!
//! - [`open`]: the store that the configuration names
//! - [`replica`]: the right to be the only gateway on a PostgreSQL database
//! - [`sql`]: SQLite and PostgreSQL behind the store ports, from the same statements

pub mod open;
pub mod replica;
pub mod sql;
