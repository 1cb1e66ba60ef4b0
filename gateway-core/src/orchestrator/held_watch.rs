//! What workers say they hold, compared with the rows.
//!
//! Everything a worker holds without right is dropped at once. The other direction needs care: a heartbeat may
//! have been written before the worker has heard of a session, and one that knows nothing of a session might
//! still receive an order to start it. So a session counts as not held only if a full list, which came after
//! the worker was told to drop the session, does not name it; or, as long as nobody wants it dropped, if two
//! full lists in a row do not.
//!
//! This is memory of one replica. What is forgotten is found again with the next heartbeats.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{Epoch, SessionId};
use crate::protocol::HeldSession;
use crate::session::Owner;
use crate::worker::{HeldPhase, HeldRow};

type Held = (SessionId, Epoch);

/// What is remembered of the heartbeats of workers.
#[derive(Debug, Default)]
pub(super) struct HeldWatch(BTreeMap<Owner, Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// What the worker was told to drop in answer to its last heartbeat.
    told: BTreeSet<Held>,
    /// What its last full list did not name although it should.
    missing: BTreeSet<Held>,
}

/// What follows from a heartbeat.
#[derive(Debug, Default)]
pub(super) struct Differences {
    /// The sessions that the worker certainly does not hold.
    pub(super) not_held: Vec<Held>,
    /// Whether another full list is needed to be certain of others.
    pub(super) unsure: bool,
}

impl HeldWatch {
    /// Compares the rows of what `owner` holds with its full list, if it has sent one. The answer to the
    /// heartbeat must tell it to drop what the rows say it is to stop.
    pub(super) fn compare(
        &mut self,
        owner: &Owner,
        rows: &[HeldRow],
        held: Option<&[HeldSession]>,
    ) -> Differences {
        let former = self.0.remove(owner).unwrap_or_default();
        let stopping = rows.iter().filter(|row| row.phase == HeldPhase::Stopping);
        let told = stopping.map(|row| (row.session, row.epoch)).collect();
        let Some(held) = held else {
            self.keep(owner, told, former.missing);
            return Differences::default();
        };
        let named: BTreeSet<Held> = held
            .iter()
            .map(|held| (held.session_id, held.epoch))
            .collect();
        let (mut missing, mut not_held) = (BTreeSet::new(), Vec::new());
        for row in rows {
            let key = (row.session, row.epoch);
            let heard = match row.phase {
                HeldPhase::Starting => continue,
                HeldPhase::Active => &former.missing,
                HeldPhase::Stopping => &former.told,
            };
            if named.contains(&key) {
                continue;
            }
            if heard.contains(&key) {
                not_held.push(key);
            }
            if row.phase == HeldPhase::Active {
                missing.insert(key);
            }
        }
        let unsure = !missing.is_empty();
        self.keep(owner, told, missing);
        Differences { not_held, unsure }
    }

    fn keep(&mut self, owner: &Owner, told: BTreeSet<Held>, missing: BTreeSet<Held>) {
        if !told.is_empty() || !missing.is_empty() {
            self.0.insert(owner.clone(), Seen { told, missing });
        }
    }

    /// Forgets the workers for which `is_there` says no.
    pub(super) fn retain(&mut self, is_there: impl Fn(&Owner) -> bool) {
        self.0.retain(|owner, _| is_there(owner));
    }
}
