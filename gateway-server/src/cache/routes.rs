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

use super::shards::{Entry, Live, Shards, Ticket};
use super::workers::Workers;

/// Entries of less than 600 bytes each, with their name and an owner of their own (measured at a million).
const ROUTES: usize = 2_000_000;

/// A session's place.
#[derive(Debug)]
struct KnownRoute {
    live: Live,
    tenant: TenantId,
    name: SessionName,
    version: u64,
    epoch: Epoch,
    place: Place,
    read_at: Uptime,
}

#[derive(Debug)]
enum Place {
    /// Connected there.
    Held(Owner),
    /// Nowhere that messages could go.
    Nowhere(Standing),
}

/// Where a name leads.
#[derive(Debug)]
struct Named {
    live: Live,
    session: SessionId,
}

impl Entry for KnownRoute {
    fn live(&self) -> &Live {
        &self.live
    }
}

impl Entry for Named {
    fn live(&self) -> &Live {
        &self.live
    }
}

/// The moment before a fill.
#[derive(Debug)]
pub(super) struct Tickets {
    sessions: Ticket,
    names: Ticket,
}

/// The route table.
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

fn place(session: &Session, workers: &Workers) -> Place {
    if let Phase::Active {
        owner,
        observed: Observed::Connected,
    } = &session.phase
    {
        // The texts of a worker's run are shared by all its sessions.
        let known = workers.get(&owner.worker);
        let shared = known.and_then(|known| known.shared(owner));
        return Place::Held(shared.unwrap_or_else(|| owner.clone()));
    }
    Place::Nowhere(Route::of(session, None).standing)
}

impl RouteTable {
    pub(super) fn tickets(&self) -> Tickets {
        Tickets {
            sessions: self.sessions.ticket(),
            names: self.names.ticket(),
        }
    }

    /// Whether nothing has changed since the tickets that a read of that session could depend on. Which one
    /// has a name shows only when it is read.
    pub(super) fn is_untouched(
        &self,
        tickets: &Tickets,
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

    /// The route of a tenant's session, and when the oldest part of it was read; none if anything about it
    /// is not known.
    pub(super) fn get(
        &self,
        tenant: TenantId,
        reference: &SessionRef,
        workers: &Workers,
    ) -> Option<(Route, Uptime)> {
        let (session, known) = self.find(tenant, reference)?;
        let (standing, read_at) = match &known.place {
            Place::Nowhere(standing) => (standing.clone(), known.read_at),
            Place::Held(owner) => {
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

    fn entry(session: &Session, workers: &Workers, read_at: Uptime) -> Arc<KnownRoute> {
        Arc::new(KnownRoute {
            live: Live::default(),
            tenant: session.tenant,
            name: session.name.clone(),
            version: session.version,
            epoch: session.epoch,
            place: place(session, workers),
            read_at,
        })
    }

    /// Keeps a row that was read at `read_at`, if nothing changed meanwhile. The worker that holds it, if
    /// any, should be kept first.
    pub(super) fn keep(
        &self,
        tickets: &Tickets,
        session: &Session,
        by_name: bool,
        workers: &Workers,
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
                live: Live::default(),
                session: session.id,
            });
            let key = (session.tenant, session.name.clone());
            self.names.keep(&tickets.names, &key, &named, |_| true);
        }
    }

    /// Which of the sessions that changed are known in an older version. Those that are not known at all
    /// are taken from whoever is about to keep them.
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

    /// Takes newer rows over.
    pub(super) fn apply(&self, rows: &[Session], workers: &Workers, read_at: Uptime) {
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

    /// How many sessions are known.
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }
}
