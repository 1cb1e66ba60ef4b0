//! Several simulated workers in one process, and what can be done to them.
//!
//! No runtime: [`SimFleet::step`] lets every worker do what is due by the fleet's clock and delivers
//! it. A lock is held only while a worker thinks, never while the gateway answers, so an orchestrator
//! may send commands to the fleet from within a report.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gateway_core::id::{SessionId, WorkerId};
use gateway_core::session::Owner;
use gateway_core::time::{Clock, Uptime};
use gateway_worker::{GatewayApi, Moment, WorkerCard};

use super::engine::Upstream;
use super::environment::SimEnvironment;
use super::faults::{Loss, SimCall};
use super::phone::PhoneNetwork;
use super::recorder::Recorder;
use super::script::Script;
use super::sim::{SimWorker, sim_card};
use crate::entropy::SeededEntropy;

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) worker: SimWorker,
    pub(super) frozen: bool,
    pub(super) partitioned: bool,
}

/// A fleet of simulated workers.
///
/// Clones are the same fleet.
#[derive(Clone, Debug)]
pub struct SimFleet {
    slots: Arc<Mutex<BTreeMap<WorkerId, Slot>>>,
    environment: SimEnvironment,
    clock: Arc<dyn Clock>,
}

/// The rounds of [`SimFleet::settle`] after which something must be going in circles.
const MOST_ROUNDS: usize = 10_000;

impl SimFleet {
    /// Makes an empty fleet. The same seed gives the same incarnations and codes.
    #[must_use]
    pub fn new(seed: u64, clock: Arc<dyn Clock>) -> Self {
        Self {
            slots: Arc::default(),
            environment: SimEnvironment::new(Arc::new(SeededEntropy::new(seed))),
            clock,
        }
    }

    /// Starts a worker for 100 sessions; an id that is known is started anew.
    pub fn add(&self, id: &WorkerId, script: Script) {
        self.add_card(sim_card(id.clone()), script);
    }

    /// Starts a worker with this card; an id that is known is started anew.
    pub fn add_card(&self, card: WorkerCard, script: Script) {
        let id = card.id.clone();
        let worker = SimWorker::new(card, script, self.environment.clone(), self.now());
        let slot = Slot {
            worker,
            frozen: false,
            partitioned: false,
        };
        self.slots().insert(id, slot);
    }

    /// Kills the worker's process (SIGKILL).
    pub fn crash(&self, id: &WorkerId) {
        let now = self.now();
        self.with(id, |slot| slot.worker.crash(now));
    }

    /// Starts the worker's process again: as a new one or, by its script, as the image of before.
    pub fn restart(&self, id: &WorkerId) {
        let now = self.now();
        self.with(id, |slot| {
            if slot.worker.is_resumed() {
                return slot.worker.resurrect(now);
            }
            if !slot.worker.has_crashed() {
                slot.worker.crash(now);
            }
            slot.worker = slot.worker.started_anew(now);
        });
    }

    /// Stops the worker's process (SIGSTOP): it does nothing and answers nothing.
    pub fn freeze(&self, id: &WorkerId) {
        self.with(id, |slot| slot.frozen = true);
    }

    /// Lets the worker's process go on (SIGCONT).
    pub fn thaw(&self, id: &WorkerId) {
        self.with(id, |slot| slot.frozen = false);
    }

    /// Cuts the worker off from the gateway, in both directions. WhatsApp can still be reached.
    pub fn partition(&self, id: &WorkerId) {
        self.with(id, |slot| slot.partitioned = true);
    }

    /// Ends [`SimFleet::partition`]: the worker and the gateway can reach each other again.
    pub fn heal(&self, id: &WorkerId) {
        self.with(id, |slot| slot.partitioned = false);
    }

    /// Sends SIGTERM to the worker's process: it closes its sessions and says goodbye.
    pub fn stop(&self, id: &WorkerId) {
        let now = self.now();
        self.with(id, |slot| slot.worker.stop(now));
    }

    /// Changes a worker's script while it runs.
    pub fn change_script(&self, id: &WorkerId, change: impl FnOnce(&mut Script)) {
        self.with(id, |slot| slot.worker.change_script(change));
    }

    /// Calls `look` with a worker. Returns `None` if there is none with this id.
    pub fn look<T>(&self, id: &WorkerId, look: impl FnOnce(&SimWorker) -> T) -> Option<T> {
        self.with(id, |slot| look(&slot.worker))
    }

    /// Scans the code of a session, wherever it is shown.
    pub fn scan(&self, session: SessionId) {
        let now = self.now();
        for slot in self.slots().values_mut().filter(|slot| slot.is_up(now)) {
            slot.worker.scan(session, now);
        }
    }

    /// Lets WhatsApp do something to a session, wherever it is held.
    pub fn upstream(&self, session: SessionId, event: Upstream) {
        let now = self.now();
        for slot in self.slots().values_mut().filter(|slot| slot.is_up(now)) {
            slot.worker.upstream(session, event, now);
        }
    }

    /// Returns the present run of a worker.
    #[must_use]
    pub fn owner(&self, id: &WorkerId) -> Option<Owner> {
        self.look(id, SimWorker::owner)
    }

    /// Returns the network of all phones.
    #[must_use]
    pub fn network(&self) -> &PhoneNetwork {
        &self.environment.network
    }

    /// Returns the recorder of what the workers did.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.environment.recorder
    }

    /// Delivers the calls that are due now, once. Returns how many they were.
    pub async fn step(&self, api: &dyn GatewayApi) -> usize {
        let due = self.due();
        let calls = due.len();
        for (id, call) in due {
            let result = call.perform(api).await;
            let now = self.now();
            self.with(&id, |slot| {
                if !slot.frozen {
                    slot.worker.answered(call.outbound.id, now, result);
                }
            });
        }
        calls
    }

    /// Steps until nothing is due at the present time.
    pub async fn settle(&self, api: &dyn GatewayApi) {
        for _ in 0..MOST_ROUNDS {
            if self.step(api).await == 0 {
                return;
            }
        }
        tracing::error!("the fleet does not come to rest: is the clock standing still on purpose?");
    }

    /// Returns when some worker next has something to do; simulations move their clock there.
    #[must_use]
    pub fn next_due(&self) -> Option<Uptime> {
        let now = self.now();
        let slots = self.slots();
        let running = slots.values().filter(|slot| !slot.frozen);
        let next = running.filter_map(|slot| {
            let thaws_at = slot.worker.thaws_at(now);
            thaws_at.or_else(|| slot.worker.next_due())
        });
        next.min()
    }

    pub(super) fn now(&self) -> Moment {
        Moment::of(&*self.clock)
    }

    pub(super) fn with<T>(&self, id: &WorkerId, act: impl FnOnce(&mut Slot) -> T) -> Option<T> {
        self.slots().get_mut(id).map(act)
    }

    fn due(&self) -> Vec<(WorkerId, SimCall)> {
        let now = self.now();
        let mut due = Vec::new();
        for (id, slot) in self.slots().iter_mut().filter(|(_, slot)| !slot.frozen) {
            for mut call in slot.worker.advance(now) {
                if slot.partitioned {
                    call.loss = Loss::Request;
                }
                due.push((id.clone(), call));
            }
        }
        due
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<WorkerId, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    pub(super) fn is_up(&self, now: Moment) -> bool {
        !self.frozen && !self.worker.has_crashed() && !self.worker.is_frozen(now)
    }
}
