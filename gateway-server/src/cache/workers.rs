//! Workers as requests need them: whose token is good, and where messages go.

use std::sync::Arc;

use gateway_core::id::WorkerId;
use gateway_core::session::{Open, Owner};
use gateway_core::time::Uptime;
use gateway_core::worker::{Worker, WorkerStatus};

use super::shards::{Entry, LiveMark, Shards, Ticket};

const WORKERS: usize = 200_000;

/// A worker, as it is remembered: its present run and where messages go.
#[derive(Debug)]
pub(super) struct KnownWorker {
    live: LiveMark,
    version: u64,
    present: Option<Owner>,
    open: Option<Arc<Open>>,
    read_at: Uptime,
}

impl Entry for KnownWorker {
    fn live(&self) -> &LiveMark {
        &self.live
    }
}

impl KnownWorker {
    /// Returns whether `owner` is the worker's present run, whose token is good.
    pub(super) fn is_present(&self, owner: &Owner) -> bool {
        self.present.as_ref() == Some(owner)
    }

    /// Returns the way for messages of sessions that `owner` holds, if they can be sent now.
    pub(super) fn open(&self, owner: &Owner) -> Option<&Arc<Open>> {
        let open = self.open.as_ref();
        open.filter(|open| open.target.owner == *owner)
    }

    /// Returns when the worker's row was read.
    pub(super) const fn read_at(&self) -> Uptime {
        self.read_at
    }

    /// Returns the present run in shared memory, if it is `owner`.
    pub(super) fn shared(&self, owner: &Owner) -> Option<Owner> {
        self.present.clone().filter(|present| present == owner)
    }
}

/// The cache of workers.
#[derive(Debug)]
pub(super) struct WorkerTable(Shards<WorkerId, KnownWorker>);

impl Default for WorkerTable {
    fn default() -> Self {
        Self(Shards::new(WORKERS))
    }
}

impl WorkerTable {
    pub(super) fn ticket(&self) -> Ticket {
        self.0.ticket()
    }

    /// Returns whether no worker has changed since the ticket was taken.
    pub(super) fn are_untouched(&self, ticket: &Ticket) -> bool {
        self.0.are_untouched(ticket)
    }

    pub(super) fn get(&self, id: &WorkerId) -> Option<Arc<KnownWorker>> {
        self.0.get(id)
    }

    fn entry(&self, row: &Worker, read_at: Uptime) -> Arc<KnownWorker> {
        let before = self.0.get(&row.id);
        let same = before.filter(|before| before.version == row.row_version);
        let open = match same {
            Some(before) => before.open.clone(),
            None => Open::of(row).map(Arc::new),
        };
        let refused = row.status == WorkerStatus::Removed;
        Arc::new(KnownWorker {
            live: LiveMark::default(),
            version: row.row_version,
            present: row.owner().filter(|_| !refused),
            open,
            read_at,
        })
    }

    /// Stores a row that was read at `read_at`, if no newer one is there, and returns the entry.
    pub(super) fn keep(&self, ticket: &Ticket, row: &Worker, read_at: Uptime) -> Arc<KnownWorker> {
        let entry = self.entry(row, read_at);
        let version = entry.version;
        self.0
            .keep(ticket, &row.id, &entry, |there| there.version <= version);
        entry
    }

    /// Replaces entries by changed rows, read at `read_at`.
    pub(super) fn apply(&self, rows: &[Worker], read_at: Uptime) {
        for row in rows {
            let entry = self.entry(row, read_at);
            let version = entry.version;
            self.0
                .replace(&row.id, &entry, |there| there.version < version);
        }
    }

    pub(super) fn forget(&self, id: &WorkerId) {
        self.0.forget(id);
    }

    pub(super) fn clear(&self) {
        self.0.clear();
    }
}
