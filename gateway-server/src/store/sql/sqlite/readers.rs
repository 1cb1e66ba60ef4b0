//! The connections that read a SQLite file.
//!
//! A connection is a thread, and every exchange with it wakes two. sqlx's pool has one exchange more than
//! asked for: it pings what it is given back, to see that nothing is left over. Nothing can be here,
//! because a reader begins no transaction and its thread ends one statement, whether or not anybody still
//! wants the rows, before it takes the next. So a connection is put back as it is, and one statement is one
//! exchange. A connection that failed by itself is closed; the next to read opens another.

use std::sync::Arc;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Error};
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::super::pool::TURN;

const READERS: u32 = 4;

/// A connection, none before its first use and after it failed.
type Slot = Arc<Mutex<Option<SqliteConnection>>>;

/// A few connections that cannot write. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Readers {
    connect: Arc<SqliteConnectOptions>,
    slots: Arc<[Slot]>,
    /// One permit per slot.
    turns: Arc<Semaphore>,
}

/// One of the connections, until it is dropped.
pub(crate) struct Reader {
    slot: OwnedMutexGuard<Option<SqliteConnection>>,
    /// After the slot, which is free before anybody else gets a turn.
    _turn: OwnedSemaphorePermit,
}

impl Readers {
    /// Opens the first connection, so that a file that cannot be read shows at once.
    pub(in super::super) async fn open(connect: SqliteConnectOptions) -> Result<Self, Error> {
        let readers = Self {
            connect: Arc::new(connect.pragma("query_only", "ON")),
            slots: (0..READERS).map(|_| Slot::default()).collect(),
            turns: Arc::new(Semaphore::new(READERS as usize)),
        };
        readers.take().await?;
        Ok(readers)
    }

    /// Waits for a turn and takes a connection.
    pub(in super::super) async fn take(&self) -> Result<Reader, Error> {
        let taking = timeout(TURN, Arc::clone(&self.turns).acquire_owned());
        let taken = taking.await.map_err(|_| Error::PoolTimedOut)?;
        let turn = taken.map_err(|_| Error::PoolClosed)?;
        // In the same order each time: the first has most of the file in its memory.
        let mut slots = self.slots.iter();
        let free = slots.find_map(|slot| Arc::clone(slot).try_lock_owned().ok());
        let mut slot = free.ok_or(Error::PoolTimedOut)?;
        if slot.is_none() {
            *slot = Some(self.connect.connect().await?);
        }
        Ok(Reader { slot, _turn: turn })
    }

    /// Closes every connection, after those in use are given back.
    pub(in super::super) async fn close(&self) {
        let Ok(_all) = self.turns.acquire_many(READERS).await else {
            return;
        };
        self.turns.close();
        for slot in self.slots.iter() {
            if let Some(connection) = slot.lock().await.take() {
                // What it has to say cannot matter any more.
                let _ = connection.close().await;
            }
        }
    }
}

impl Reader {
    /// The connection.
    ///
    /// # Errors
    /// It has failed before.
    pub(in super::super) fn connection(&mut self) -> Result<&mut SqliteConnection, Error> {
        self.slot.as_mut().ok_or(Error::WorkerCrashed)
    }

    /// Closes the connection if `error` is its own and not a statement's.
    pub(in super::super) fn failed(&mut self, error: &Error) {
        match error {
            Error::WorkerCrashed | Error::Io(_) => *self.slot = None,
            _ => {}
        }
    }
}
