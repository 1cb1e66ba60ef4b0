//! Where sessions are: by id, and by name.
//!
//! An entry says who holds a session, not where that is: the address is the worker's, so a worker that is
//! suspect or comes back as another run is one entry to change, whatever the number of its sessions. An
//! entry changes only to a higher version of its row. A name leads to an id, and counts only if that
//! session still has it: a renamed session needs no second removal.

use std::sync::Arc;

use gateway_core::id::{Epoch, SessionId, SessionName, TenantId};
use gateway_core::session::{Observed, Owner, Phase, Route, Session, SessionRef, Standing};
use gateway_core::time::Uptime;

use super::shards::{Entry, LiveMark, Shards, Ticket};
use super::workers::WorkerTable;

/// The most routes that are remembered. Each takes less than 600 bytes, with its name and an owner of its
/// own (measured at a million).
const ROUTES: usize = 2_000_000;

/// What is remembered of a session: its place, and the version of the row that says so.
#[derive(Debug)]
struct KnownRoute {
    live: LiveMark,
    tenant: TenantId,
    name: SessionName,
    version: u64,
    epoch: Epoch,
    place: KnownPlace,
    read_at: Uptime,
}

#[derive(Debug)]
enum KnownPlace {
    Held(Owner),
    /// Not connected: messages cannot go out.
    Nowhere(Standing),
}

/// The session that a name leads to.
#[derive(Debug)]
struct Named {
    live: LiveMark,
    session: SessionId,
}

impl Entry for KnownRoute {
    fn live(&self) -> &LiveMark {
        &self.live
    }
}

impl Entry for Named {
    fn live(&self) -> &LiveMark {
        &self.live
    }
}

/// The state of both maps before a fill.
#[derive(Debug)]
pub(super) struct SessionTickets {
    sessions: Ticket,
    names: Ticket,
}

/// The cache of routes, by session id and by name.
#[derive(Debug)]
pub(super) struct RouteTable {
    sessions: Shards<SessionId, KnownRoute>,
    names: Shards<(TenantId, SessionName), Named>,
}

impl Default for RouteTable {
    fn default() -> Self {
        Self {
            sessions: Shards::new(ROUTES),
            names: Shards::new(ROUTES),
        }
    }
}

fn place(session: &Session, workers: &WorkerTable) -> KnownPlace {
    if let Phase::Active {
        owner,
        observed: Observed::Connected,
    } = &session.phase
    {
        // The texts of a worker's run are shared by all its sessions.
        let known = workers.get(&owner.worker);
        let shared = known.and_then(|known| known.shared(owner));
        return KnownPlace::Held(shared.unwrap_or_else(|| owner.clone()));
    }
    KnownPlace::Nowhere(Route::of(session, None).standing)
}

impl RouteTable {
    pub(super) fn tickets(&self) -> SessionTickets {
        SessionTickets {
            sessions: self.sessions.ticket(),
            names: self.names.ticket(),
        }
    }

    /// Returns whether nothing that a read of that session could depend on has changed since the tickets
    /// were taken. Which session has a name shows only when it is read.
    pub(super) fn is_untouched(
        &self,
        tickets: &SessionTickets,
        tenant: TenantId,
        reference: &SessionRef,
    ) -> bool {
        match reference {
            SessionRef::Id(id) => self.sessions.is_untouched(&tickets.sessions, id),
            SessionRef::Name(name) => {
                let key = (tenant, name.clone());
                self.sessions.are_untouched(&tickets.sessions)
                    && self.names.is_untouched(&tickets.names, &key)
            }
        }
    }

    fn find(
        &self,
        tenant: TenantId,
        reference: &SessionRef,
    ) -> Option<(SessionId, Arc<KnownRoute>)> {
        let id = match reference {
            SessionRef::Id(id) => *id,
            SessionRef::Name(name) => self.names.get(&(tenant, name.clone()))?.session,
        };
        let known = self.sessions.get(&id)?;
        let meant = match reference {
            SessionRef::Id(_) => true,
            SessionRef::Name(name) => known.name == *name,
        };
        (meant && known.tenant == tenant).then_some((id, known))
    }

    /// Returns the route of a tenant's session, and when the oldest part of it was read. Returns `None`
    /// if any part of it is not known.
    pub(super) fn get(
        &self,
        tenant: TenantId,
        reference: &SessionRef,
        workers: &WorkerTable,
    ) -> Option<(Route, Uptime)> {
        let (session, known) = self.find(tenant, reference)?;
        let (standing, read_at) = match &known.place {
            KnownPlace::Nowhere(standing) => (standing.clone(), known.read_at),
            KnownPlace::Held(owner) => {
                let worker = workers.get(&owner.worker)?;
                let open = worker.open(owner).map(Arc::clone);
                let standing = open.map_or(Standing::Returning, Standing::Open);
                (standing, known.read_at.min(worker.read_at()))
            }
        };
        let route = Route {
            session,
            tenant,
            version: known.version,
            epoch: known.epoch,
            standing,
        };
        Some((route, read_at))
    }

    fn entry(session: &Session, workers: &WorkerTable, read_at: Uptime) -> Arc<KnownRoute> {
        Arc::new(KnownRoute {
            live: LiveMark::default(),
            tenant: session.tenant,
            name: session.name.clone(),
            version: session.version,
            epoch: session.epoch,
            place: place(session, workers),
            read_at,
        })
    }

    /// Stores a row that was read at `read_at`, if nothing changed since the tickets were taken. The
    /// worker that holds the session, if any, should be stored first.
    pub(super) fn keep(
        &self,
        tickets: &SessionTickets,
        session: &Session,
        by_name: bool,
        workers: &WorkerTable,
        read_at: Uptime,
    ) {
        let entry = Self::entry(session, workers, read_at);
        let newer = |there: &KnownRoute| there.version <= session.version;
        let kept = self
            .sessions
            .keep(&tickets.sessions, &session.id, &entry, newer);
        if !kept {
            let newer = |there: &KnownRoute| there.version >= session.version;
            self.sessions.forget_unless(&session.id, newer);
        }
        if by_name {
            let named = Arc::new(Named {
                live: LiveMark::default(),
                session: session.id,
            });
            let key = (session.tenant, session.name.clone());
            self.names.keep(&tickets.names, &key, &named, |_| true);
        }
    }

    /// Returns which of the changed sessions are remembered in an older version. The others are ended for
    /// fills that are on their way.
    pub(super) fn outdated(&self, changed: &[(SessionId, u64)]) -> Vec<SessionId> {
        let outdated = |(id, version): &(SessionId, u64)| match self.sessions.get(id) {
            Some(known) => (known.version < *version).then_some(*id),
            None => {
                self.sessions
                    .forget_unless(id, |known| known.version >= *version);
                None
            }
        };
        changed.iter().filter_map(outdated).collect()
    }

    /// Replaces entries by newer rows, read at `read_at`.
    pub(super) fn apply(&self, rows: &[Session], workers: &WorkerTable, read_at: Uptime) {
        for row in rows {
            let entry = Self::entry(row, workers, read_at);
            self.sessions
                .replace(&row.id, &entry, |there| there.version < row.version);
        }
    }

    pub(super) fn forget(&self, id: SessionId) {
        self.sessions.forget(&id);
    }

    pub(super) fn clear(&self) {
        self.sessions.clear();
        self.names.clear();
    }

    /// Returns how many sessions are remembered.
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }
}
