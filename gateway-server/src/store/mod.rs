//! Where everything durable is kept.
//!
//! - [`open`]: the store that the configuration names
//! - [`folder`]: the id of the folder of the files
//! - [`replica`]: the right to be the only gateway on a PostgreSQL database
//! - [`state`]: session state, encrypted by [`cipher`], its snapshots in [`blob`]
//! - [`sql`]: SQLite and PostgreSQL behind the store ports, from the same statements

pub mod blob;
pub mod cipher;
pub mod folder;
pub mod open;
pub mod replica;
pub mod sql;
pub mod state;
