//! A gateway of some replicas and a fleet, with time that moves to whatever is due next.
//!
//! Everything is drawn from one seed: the order of effects, the balancer's ties, incarnations, codes.
//! What is due now is done to the end before time moves, so a test says what happens between two
//! moments and never waits.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use gateway_core::entropy::Entropy;
use gateway_core::id::{SessionId, SessionName, TenantId, WorkerId};
use gateway_core::message::{Content, MessageLog, SendRequest};
use gateway_core::orchestrator::NewCard;
use gateway_core::session::{Command, Desired, Owner, Pairing, Session, SessionRef, Status};
use gateway_core::store::Store;
use gateway_core::time::{Clock, Uptime};
use gateway_core::worker::{Worker, WorkerLink};
use gateway_testkit::clock::ManualClock;
use gateway_testkit::entropy::SeededEntropy;
use gateway_testkit::memory::{MemoryCoordinator, MemoryLog, MemoryState, MemoryStore};
use gateway_testkit::worker::{Script, SimFleet, sim_card};

use super::block_on;
use super::gateway::{Gateway, Shared, TICK};

pub(crate) const TENANT: TenantId = TenantId::from_u128(1);

/// Rounds without a move of the clock after which something must be going in circles.
const MOST_ROUNDS: usize = 2_000;

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) shared: Shared,
    pub(crate) memory_log: MemoryLog,
    pub(crate) fleet: SimFleet,
    pub(crate) gateways: Vec<Gateway>,
    /// Effects of these are lost instead of performed.
    pub(crate) loses_effects: Cell<bool>,
    dice: SeededEntropy,
    ticks: Vec<Cell<Uptime>>,
    turn: Cell<usize>,
    started: Cell<u64>,
}

pub(crate) fn worker(number: u32) -> WorkerId {
    WorkerId::parse(&format!("worker-{number}")).expect("a slug")
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

impl World {
    /// One replica, no worker.
    pub(crate) fn new(seed: u64) -> Self {
        Self::with_replicas(seed, 1)
    }

    pub(crate) fn with_replicas(seed: u64, replicas: usize) -> Self {
        let clock = Arc::new(ManualClock::default());
        let store = MemoryStore::new(Arc::clone(&clock) as _);
        Self::over(seed, replicas, clock, store)
    }

    /// Whose transactions meet one another, as the seed has it.
    pub(crate) fn interleaved(seed: u64, replicas: usize) -> Self {
        let clock = Arc::new(ManualClock::default());
        let turns = Arc::new(SeededEntropy::new(seed ^ 0x7a5e));
        let store = MemoryStore::interleaved(Arc::clone(&clock) as _, turns);
        Self::over(seed, replicas, clock, store)
    }

    fn over(seed: u64, replicas: usize, clock: Arc<ManualClock>, store: MemoryStore) -> Self {
        let fleet = SimFleet::new(seed, Arc::clone(&clock) as _);
        let memory_log = MemoryLog::new(&store);
        let shared = Shared {
            coord: Arc::new(MemoryCoordinator::new(Arc::clone(&clock) as _)),
            state: Arc::new(MemoryState::default()),
            log: Arc::new(memory_log.clone()) as Arc<dyn MessageLog>,
            link: Arc::new(fleet.clone()) as Arc<dyn WorkerLink>,
            clock: Arc::clone(&clock) as _,
            store,
        };
        let mut world = Self {
            clock,
            shared,
            memory_log,
            fleet,
            gateways: Vec::new(),
            loses_effects: Cell::new(false),
            dice: SeededEntropy::new(seed),
            ticks: Vec::new(),
            turn: Cell::new(0),
            started: Cell::new(seed << 8),
        };
        for _ in 0..replicas {
            world.start_gateway();
        }
        world
    }

    /// A replica starts, knowing nothing.
    pub(crate) fn start_gateway(&mut self) {
        self.started.set(self.started.get() + 1);
        self.gateways
            .push(Gateway::new(&self.shared, self.started.get()));
        self.ticks.push(Cell::new(self.clock.uptime()));
    }

    /// All replicas die and as many start again: what they knew and were about to do is lost.
    pub(crate) fn restart_gateways(&mut self) {
        let count = self.gateways.len();
        self.gateways.clear();
        self.ticks.clear();
        for _ in 0..count {
            self.start_gateway();
        }
    }

    /// The replica that is asked next; they take turns.
    pub(crate) fn gateway(&self) -> &Gateway {
        let turn = self.turn.get();
        self.turn.set(turn + 1);
        &self.gateways[turn % self.gateways.len()]
    }

    /// Starts workers that hold so many sessions each.
    pub(crate) fn with_workers(self, numbers: std::ops::RangeInclusive<u32>, room: u32) -> Self {
        let script = Script::default().receipts(Some(100), Some(400), None);
        for number in numbers {
            self.add_worker(number, room, script.clone());
        }
        self.settle();
        self
    }

    pub(crate) fn add_worker(&self, number: u32, room: u32, script: Script) {
        let mut card = sim_card(worker(number));
        card.max_sessions = room;
        self.fleet.add_card(card, script);
    }

    /// Does everything that is due now, to the end. Time stands still.
    pub(crate) fn settle(&self) {
        for _ in 0..MOST_ROUNDS {
            let effects = self.perform_all();
            let mut calls = 0;
            if !self.gateways.is_empty() {
                calls = block_on(self.fleet.step(&self.gateway().local));
            }
            if effects + calls == 0 {
                return;
            }
        }
        panic!("going in circles at one moment");
    }

    fn perform_all(&self) -> usize {
        let mut count = 0;
        for gateway in &self.gateways {
            let mut effects = gateway.local.take_effects();
            count += effects.len();
            if self.loses_effects.get() {
                continue;
            }
            while !effects.is_empty() {
                let pick = self.dice.below(effects.len() as u64) as usize;
                let effect = effects.swap_remove(pick);
                let followed = block_on(gateway.orchestrator.perform(effect));
                gateway.local.carry_out(followed.unwrap_or_default());
            }
        }
        count
    }

    /// Lets every replica tick whose time has come.
    pub(crate) fn tick(&self) {
        for (gateway, next) in self.gateways.iter().zip(&self.ticks) {
            while next.get() <= self.clock.uptime() {
                let Ok(tick) = block_on(gateway.orchestrator.tick()) else {
                    next.set(self.clock.uptime().plus(TICK));
                    continue;
                };
                gateway.local.carry_out(tick.effects);
                let wait = tick.next.min(TICK);
                // The memory clock stands still between two ticks at one moment.
                next.set(self.clock.uptime().plus(wait.max(Duration::from_micros(1))));
            }
        }
    }

    /// Lives through `span`: whatever falls due is done when it falls due.
    pub(crate) fn run(&self, span: Duration) {
        let end = self.clock.uptime().plus(span);
        loop {
            self.tick();
            self.settle();
            let now = self.clock.uptime();
            if now >= end {
                return;
            }
            let ticks = self.ticks.iter().map(Cell::get);
            let next = ticks.chain(self.fleet.next_due()).min().unwrap_or(end);
            let step = next.min(end).since(now).max(Duration::from_micros(1));
            self.clock.advance(step);
        }
    }

    /// Lives until `reached`, for at most `limit`; how long it took.
    pub(crate) fn run_until(&self, limit: Duration, reached: impl Fn(&Self) -> bool) -> Duration {
        let start = self.clock.uptime();
        self.settle();
        while !reached(self) {
            let passed = self.clock.uptime().since(start);
            assert!(passed < limit, "not reached within {limit:?}");
            self.run(Duration::from_millis(100));
        }
        self.clock.uptime().since(start)
    }

    /// A card of that name, not connected.
    pub(crate) fn card(&self, name: &str) -> SessionId {
        let card = NewCard::new(TENANT, SessionName::parse(name).expect("a slug"));
        let created = block_on(self.gateway().orchestrator.create(card));
        created.expect("a new name").id
    }

    /// Gives a command that is taken, without performing what follows.
    pub(crate) fn ask(&self, session: SessionId, command: Command) {
        let gateway = self.gateway();
        let done = block_on(gateway.orchestrator.command(TENANT, session, command));
        gateway.keep(done.expect("the command is taken"));
    }

    pub(crate) fn connect(&self, session: SessionId) {
        let command = Command::Connect {
            pairing: Pairing::Qr,
            priority: 1,
        };
        self.ask(session, command);
    }

    /// A session of that name, linked and connected.
    pub(crate) fn connected(&self, name: &str) -> SessionId {
        let session = self.card(name);
        self.connect(session);
        self.run_until(seconds(30), |world| {
            world.status(session) == Status::QrRequired
        });
        self.fleet.scan(session);
        self.run_until(seconds(30), |world| {
            world.status(session) == Status::Connected
        });
        // The worker stores the credentials before they can be restored elsewhere.
        self.run(seconds(2));
        session
    }

    pub(crate) fn find(&self, session: SessionId) -> Option<Session> {
        block_on(async {
            let mut tx = self.shared.store.begin().await.expect("the store is there");
            tx.session(session).await.expect("the store answers")
        })
    }

    pub(crate) fn row(&self, session: SessionId) -> Session {
        self.find(session).expect("the session exists")
    }

    pub(crate) fn status(&self, session: SessionId) -> Status {
        self.row(session).status().status
    }

    pub(crate) fn owner(&self, session: SessionId) -> Option<Owner> {
        self.row(session).owner().cloned()
    }

    pub(crate) fn worker(&self, number: u32) -> Worker {
        let found = block_on(async {
            let mut tx = self.shared.store.begin().await.expect("the store is there");
            tx.worker(&worker(number)).await.expect("the store answers")
        });
        found.expect("the worker has registered")
    }

    /// The number of the worker that holds the session.
    pub(crate) fn holder(&self, session: SessionId) -> u32 {
        let owner = self.owner(session).expect("somebody holds it");
        let (_, number) = owner.worker.as_str().split_once('-').expect("worker-1");
        number.parse().expect("a number")
    }

    pub(crate) fn text(&self, session: SessionId, key: Option<&str>) -> SendRequest {
        SendRequest {
            tenant: TENANT,
            session: SessionRef::Id(session),
            to: "+491701234567".parse().expect("a number"),
            content: Content::Text {
                text: "hello".to_owned(),
                preview_url: None,
            },
            context: serde_json::Map::new(),
            idempotency_key: key.map(str::to_owned),
        }
    }

    /// What must hold at every moment of every test.
    pub(crate) fn assert_safe(&self) {
        let recorder = self.fleet.recorder();
        assert_eq!(recorder.live_twice(), [], "a session was live twice");
        assert_eq!(recorder.stale_frames(), [], "a former owner sent something");
    }

    /// Rows and counts fit together: every session that names an owner has one of its places.
    pub(crate) fn assert_counted(
        &self,
        workers: std::ops::RangeInclusive<u32>,
        sessions: &[SessionId],
    ) {
        for number in workers {
            let row = self.worker(number);
            let held = sessions
                .iter()
                .filter_map(|session| self.find(*session))
                .filter(|session| session.owner().is_some_and(|owner| owner.worker == row.id))
                .count();
            assert_eq!(row.assigned as usize, held, "{}", row.id);
            assert!(row.assigned <= row.max_sessions, "{} is overfull", row.id);
        }
    }

    pub(crate) fn wants(&self, session: SessionId) -> Desired {
        self.row(session).desired
    }
}

impl World {
    pub(crate) fn clock_now(&self) -> Uptime {
        self.clock.uptime()
    }

    /// Every replica claims what is due, without a look at leases and fleet.
    pub(crate) fn claim_now(&self) {
        for gateway in &self.gateways {
            let claim = block_on(gateway.orchestrator.claim_due()).expect("claims");
            gateway.local.carry_out(claim.effects);
        }
    }

    /// A nudge: every replica ticks now.
    pub(crate) fn tick_now(&self) {
        for next in &self.ticks {
            next.set(self.clock.uptime());
        }
        self.tick();
    }
}
