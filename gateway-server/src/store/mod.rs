//! Where everything durable is kept.
//!
//! - [`replica`]: the right to be the only gateway on a PostgreSQL database
//! - [`sql`]: SQLite and PostgreSQL behind the store ports, from the same statements

pub mod replica;
pub mod sql;
