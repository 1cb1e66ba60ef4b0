//! All sessions that one simulated engine runs, and its time.

use std::collections::{BTreeMap, BTreeSet};
#[cfg(feature = "http")]
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::{SessionState, StartSessionMode};
use gateway_core::time::Uptime;
use gateway_worker::{Ending, Moment, Progress, Start, Ticket};

use super::client::{SimClient, Stage};
use super::counters::{Counters, read_state};
use crate::worker::environment::SimEnvironment;
use crate::worker::phone::MailKey;
use crate::worker::script::Script;

#[derive(Debug)]
pub(super) struct Clients {
    pub(super) script: Script,
    pub(super) environment: SimEnvironment,
    pub(super) now: Moment,
    pub(super) live: BTreeMap<SessionId, SimClient>,
    timers: BTreeSet<(Uptime, SessionId)>,
    /// Sessions with a write of state on its way.
    pub(super) writing: BTreeSet<SessionId>,
    /// Mail that the gateway has not acknowledged.
    pub(super) unsettled: Vec<(SessionId, MailKey, Ticket<()>)>,
}

impl Clients {
    pub(super) const fn new(script: Script, environment: SimEnvironment, now: Moment) -> Self {
        Self {
            script,
            environment,
            now,
            live: BTreeMap::new(),
            timers: BTreeSet::new(),
            writing: BTreeSet::new(),
            unsettled: Vec::new(),
        }
    }

    pub(super) fn start(&mut self, start: Start) -> Result<(), Ending> {
        let session = start.session.id();
        self.remove(session);
        let entries = u32::try_from(start.stored.journal.len()).unwrap_or(u32::MAX);
        let counters = Counters::after(entries);
        let mode = start.order.mode;
        let mut client = SimClient::new(start.session, start.order, counters);
        if mode != StartSessionMode::Restore {
            self.live.insert(session, client);
            self.begin_linking(session);
            return Ok(());
        }
        let (device, phone_number, used) = read_state(&start.stored)?;
        if self.environment.network.is_unlinked(session, device) {
            return Err(Ending::logged_out("device_removed"));
        }
        client.device = Some(device);
        client.phone_number = Some(phone_number);
        client.counters.resume(used);
        client.enter(Stage::Reserving, None);
        self.live.insert(session, client);
        self.reserve_counters(session);
        Ok(())
    }

    /// Forgets a session, unless it runs at another epoch. Returns whether it was connected.
    pub(super) fn abandon(&mut self, session: SessionId, epoch: Epoch) -> bool {
        let client = self.live.get(&session);
        client.is_some_and(|client| client.session.epoch() == epoch) && self.remove(session)
    }

    /// Forgets a session. Returns whether it was connected.
    pub(super) fn remove(&mut self, session: SessionId) -> bool {
        let Some(client) = self.live.remove(&session) else {
            return false;
        };
        if let Some(timer) = client.timer {
            self.timers.remove(&(timer, session));
        }
        self.writing.remove(&session);
        client.is_connected()
    }

    /// Removes the device if the session is connected at this epoch, so that WhatsApp can be told. Returns
    /// whether it was.
    pub(super) fn unlink(&mut self, session: SessionId, epoch: Epoch) -> bool {
        let online = self.abandon(session, epoch);
        if online {
            self.environment.network.unlink(session);
        }
        online
    }

    /// Ends a session by itself.
    pub(super) fn end(&mut self, session: SessionId, ending: &Ending) {
        let handle = self.live.get(&session).map(|client| client.session.clone());
        self.remove(session);
        if let Some(handle) = handle {
            handle.end(ending);
        }
    }

    pub(super) fn say(&self, session: SessionId) -> SessionState {
        let client = self.live.get(&session);
        client
            .map(|client| client.say(self.now))
            .unwrap_or_default()
    }

    /// Reports what a session is doing now.
    pub(super) fn report(&self, session: SessionId) {
        let Some(client) = self.live.get(&session) else {
            return;
        };
        let retry_at = match &client.stage {
            Stage::Reconnecting { retry_at, .. } => Some(*retry_at),
            _ => None,
        };
        client.session.report(Progress {
            state: client.say(self.now),
            retry_at,
        });
    }

    pub(super) fn advance(&mut self, now: Moment) {
        self.now = now;
        self.settle();
        let live = &self.live;
        for session in self
            .environment
            .network
            .take_fresh(|s| live.contains_key(s))
        {
            self.reschedule(session);
        }
        while let Some((at, session)) = self.timers.first().copied() {
            if at > now.uptime {
                return;
            }
            self.timers.pop_first();
            if let Some(client) = self.live.get_mut(&session) {
                client.timer = None;
                self.fire(session);
            }
        }
    }

    /// Takes note of what the gateway has stored and acknowledged.
    fn settle(&mut self) {
        let writing: Vec<_> = self.writing.iter().copied().collect();
        for session in writing {
            self.settle_write(session);
        }
        let network = &self.environment.network;
        self.unsettled.retain(|(session, key, ticket)| {
            let settled = ticket.outcome().is_some();
            if settled {
                network.acknowledge(*session, *key);
            }
            !settled
        });
    }

    /// Ready once the gateway has answered something that [`Self::advance`] has not seen.
    #[cfg(feature = "http")]
    pub(super) fn poll_settled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        for session in &self.writing {
            let ticket = self.next_block(*session);
            if ticket.is_some_and(|mut ticket| Pin::new(&mut ticket).poll(context).is_ready()) {
                return Poll::Ready(());
            }
        }
        for (_, _, ticket) in &mut self.unsettled {
            if Pin::new(ticket).poll(context).is_ready() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    pub(super) fn next_due(&self) -> Option<Uptime> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Puts the session where it belongs in the timers.
    pub(super) fn reschedule(&mut self, session: SessionId) {
        let Some(client) = self.live.get_mut(&session) else {
            return;
        };
        if let Some(old) = client.timer.take() {
            self.timers.remove(&(old, session));
        }
        let mut next = [client.due, client.scan_at, None, None];
        if client.is_connected() {
            next[2] = client.written_to_at;
            next[3] = self.environment.network.next_due(session);
        }
        client.timer = next.into_iter().flatten().min();
        if let Some(timer) = client.timer {
            self.timers.insert((timer, session));
        }
    }
}
