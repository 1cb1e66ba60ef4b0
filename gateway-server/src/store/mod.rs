//! Where everything durable is kept.
//!
//! - [`sql`]: SQLite and PostgreSQL behind the store ports, from the same statements

pub mod sql;
