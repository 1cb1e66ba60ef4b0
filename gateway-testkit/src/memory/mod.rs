//! Every port in memory, with the behaviour of the real thing.
//!
//! A fake that is kinder than the database hides the defects that matter, so [`MemoryStore`] keeps
//! exactly READ COMMITTED: what a transaction writes only it sees; what others commit shows up between
//! any two calls; a row that is written or locked stays locked until its transaction ends, and another
//! one that wants it waits and then evaluates its condition again on what was committed. A conditional
//! write whose condition is false on the committed row fails without waiting, as it does in PostgreSQL.
//!
//! Waiting needs no runtime: a statement that meets a lock leaves its waker with the transaction that
//! holds it. A circle of waiting transactions is [`gateway_core::store::StoreError::Conflict`] for the
//! one that would close it; after any error but that of a condition (`false`, none) drop the
//! transaction. Unique values are checked by the statement, and a row that another transaction is just
//! about to make or to unmake is waited for.

mod audit;
mod cards;
mod changes;
mod channel;
mod coord;
mod events;
mod keys;
mod leaders;
mod leases;
mod log;
mod logins;
mod messages;
mod retention;
mod sessions;
mod state;
mod store;
mod table;
mod tenants;
mod tx;
mod users;
mod workers;
mod world;

pub use coord::MemoryCoordinator;
pub use log::{LogMode, MemoryLog};
pub use state::MemoryState;
pub use store::MemoryStore;
pub use tx::MemoryTx;
