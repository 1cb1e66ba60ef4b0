//! A program with one loop: it pumps its driver when the driver says, or when something has happened, and at no
//! other time. Its workers report through it every other second.

use std::sync::Arc;
use std::time::Duration;

use futures_executor::block_on;
use gateway_core::id::{SessionId, SessionName, TenantId, WorkerId};
use gateway_core::identity::Origin;
use gateway_core::orchestrator::{Driver, Join, NewCard, Orchestrator, Policy, Registration};
use gateway_core::protocol::{Beat, Register, SessionReport, StartSessionMode};
use gateway_core::session::{Command, Owner, Pairing, Session};
use gateway_core::store::Store;
use gateway_core::time::{Clock, Uptime};
use gateway_core::worker::{AllowedHost, Death, WorkerView};
use gateway_testkit::clock::ManualClock;
use gateway_testkit::gateway::memory_ports;

use super::link::Queue;

pub(crate) const TENANT: TenantId = TenantId::from_u128(1);

const HEARTBEAT: Duration = Duration::from_secs(2);

pub(crate) struct Program {
    pub(crate) driver: Driver,
    clock: Arc<ManualClock>,
    store: Arc<dyn Store>,
    link: Arc<Queue>,
    pub(crate) living: Vec<Owner>,
    /// How each session was started, in order.
    pub(crate) modes: Vec<StartSessionMode>,
    /// The number that workers report with `CONNECTED`.
    pub(crate) phone_number: Option<&'static str>,
    wake_at: Uptime,
    beat_at: Uptime,
    pub(crate) pumps: usize,
    reports: u64,
}

impl Program {
    pub(crate) fn new(seed: u64) -> Self {
        let manual = Arc::new(ManualClock::default());
        let clock: Arc<dyn Clock> = manual.clone();
        let link = Arc::new(Queue::default());
        let ports = memory_ports(&clock, link.clone(), seed);
        let store = Arc::clone(&ports.store);
        let orchestrator = Orchestrator::new(ports, Policy::default());
        let now = clock.uptime();
        Self {
            driver: Driver::new(Arc::new(orchestrator)),
            clock: manual,
            store,
            link,
            living: Vec::new(),
            modes: Vec::new(),
            phone_number: None,
            wake_at: now,
            beat_at: now,
            pumps: 0,
            reports: 0,
        }
    }

    /// A worker that holds so many sessions registers.
    pub(crate) fn join(&mut self, name: &str, max_sessions: u32) -> Owner {
        let (run, endpoint) = (format!("run-{name}-0000"), format!("http://{name}.test"));
        let body = Register::new(name, &run, &endpoint, max_sessions);
        let registration = Registration::of(body, &[AllowedHost::Any]).expect("all is right");
        let origin = Origin::default();
        let registering = self
            .orchestrator()
            .register(&origin, Join::Bootstrap, &registration);
        let member = self.driver.keep(block_on(registering).expect("let in"));
        self.living.push(member.owner.clone());
        self.wake_at = self.clock.uptime();
        member.owner
    }

    pub(crate) fn orchestrator(&self) -> &Orchestrator {
        self.driver.orchestrator()
    }

    /// A session of that name that its tenant wants connected.
    pub(crate) fn session(&mut self, name: &str) -> SessionId {
        let card = NewCard::new(TENANT, SessionName::parse(name).expect("a slug"));
        let created = block_on(self.orchestrator().create(card)).expect("a new name");
        self.connect(created.id);
        created.id
    }

    pub(crate) fn connect(&mut self, session: SessionId) {
        let (pairing, priority) = (Pairing::Qr, 1);
        self.command(session, Command::Connect { pairing, priority });
    }

    /// Gives a command, which may be refused.
    pub(crate) fn command(&mut self, session: SessionId, command: Command) {
        let commanded = self.orchestrator().command(TENANT, session, command);
        if let Ok(done) = block_on(commanded) {
            self.driver.keep(done);
            self.wake_at = self.clock.uptime();
        }
    }

    /// The process of a worker ends, and nobody says so.
    pub(crate) fn crash(&mut self, run: &Owner) {
        self.living.retain(|owner| owner != run);
        self.link.cut_off(run);
    }

    /// The process of a worker ends, and whoever started it knows.
    pub(crate) fn bury(&mut self, run: &Owner) {
        self.crash(run);
        let death = Death::process_gone(run.clone());
        let fenced = block_on(self.orchestrator().fence(&death)).expect("the store answers");
        assert!(self.driver.keep(fenced), "it was not dead yet");
        self.wake_at = self.clock.uptime();
    }

    /// Loses every effect that waits.
    pub(crate) fn lose_effects(&self) {
        while let Some(turn) = self.driver.take() {
            drop(turn);
        }
    }

    /// Lives through so many seconds.
    pub(crate) fn live(&mut self, seconds: u64) {
        let end = self.clock.uptime().plus(Duration::from_secs(seconds));
        loop {
            self.do_what_is_due();
            let next = self.wake_at.min(self.beat_at).min(end);
            if self.clock.uptime() >= end {
                return;
            }
            self.clock.advance(next.since(self.clock.uptime()));
        }
    }

    /// Does everything that is due now, to the end. Time stands still.
    pub(crate) fn do_what_is_due(&mut self) {
        let now = self.clock.uptime();
        if self.beat_at <= now {
            self.beat_at = now.plus(HEARTBEAT);
            self.beat();
        }
        while self.wake_at <= now {
            let pumped = block_on(self.driver.pump()).expect("the store answers");
            self.pumps += 1;
            self.wake_at = now.plus(pumped.next);
            self.run_workers();
        }
    }

    fn beat(&self) {
        for run in &self.living {
            let beat = block_on(self.orchestrator().heartbeat(run, &Beat::default()));
            self.driver.keep(beat.expect("it is alive"));
        }
    }

    /// Every worker does what it was told, and reports it.
    fn run_workers(&mut self) {
        while let Some((run, order)) = self.link.next_start() {
            self.modes.push(order.mode);
            for status in ["CONNECTING", "CONNECTED"] {
                self.reports += 1;
                let mut report = SessionReport::new(order.session_id, order.epoch, status);
                report.report_seq = Some(self.reports);
                report.phone_number = self.phone_number.map(str::to_owned);
                // An order may be out of date by the time it is obeyed.
                if let Ok(done) = block_on(self.orchestrator().report(&run, &report)) {
                    self.driver.keep(done);
                }
            }
            self.wake_at = self.clock.uptime();
        }
    }

    pub(crate) fn row(&self, session: SessionId) -> Session {
        let found = block_on(async { self.store.read().await?.session(session).await });
        found.expect("the store answers").expect("it is there")
    }

    pub(crate) fn workers(&self) -> Vec<WorkerView> {
        let found = block_on(async { self.store.read().await?.workers().await });
        found.expect("the store answers")
    }

    /// The worker that holds the session.
    pub(crate) fn holder(&self, session: SessionId) -> Option<WorkerId> {
        self.row(session).owner().map(|owner| owner.worker.clone())
    }
}
