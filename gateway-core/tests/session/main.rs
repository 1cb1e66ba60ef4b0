//! The life of a session against its contract: every pair of phase and input, the table of deadlines,
//! linking, and properties over adversarial sequences.

mod adversary;
mod brake;
mod cases;
mod deadlines;
mod invariants;
mod linking;
mod reports;
mod sequences;
mod setbacks;
mod silence;
mod stopping;
mod table;

use std::time::Duration;

use gateway_core::id::{Epoch, Incarnation, SessionId, SessionName, TenantId, WorkerId};
use gateway_core::session::{
    Challenge, ChallengeKind, Command, Decision, Desired, Effect, Input, Observation, Observed,
    Owner, Pairing, Phase, Reason, Report, Session, SessionPolicy, Stage, Status, decide,
};
use gateway_core::time::Timestamp;

/// The moment at which the rows of these tests entered their phase.
const START: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// `count` seconds after [`START`].
fn at(count: u64) -> Timestamp {
    START.plus(seconds(count))
}

fn owner(number: u32) -> Owner {
    run_of(number, 1)
}

/// Run `run` of worker `number`.
fn run_of(number: u32, run: u32) -> Owner {
    Owner {
        worker: WorkerId::parse(&format!("worker-{number}")).expect("a slug"),
        incarnation: Incarnation::parse(&format!("incarnation-{run}")).expect("a token"),
    }
}

/// A fresh card.
fn card() -> Session {
    let name = SessionName::parse("sales").expect("a slug");
    Session::new(SessionId::from_u128(7), TenantId::from_u128(1), name, START)
}

const fn connect() -> Command {
    Command::Connect {
        pairing: Pairing::Qr,
        priority: 1,
    }
}

fn placed_on(owner: &Owner) -> Input {
    Input::Placed {
        owner: owner.clone(),
        state_format: Some("sim/1".to_owned()),
    }
}

fn report(observation: Observation) -> Report {
    Report {
        seq: None,
        observation,
        retry_at: None,
        phone_number: None,
    }
}

fn says(observed: Observed) -> Input {
    Input::Reported(report(Observation::Live(observed)))
}

/// A report that names the linked account.
fn linked(observed: Observed) -> Input {
    Input::Reported(Report {
        phone_number: Some("491701234567".to_owned()),
        ..report(Observation::Live(observed))
    })
}

const fn stage(stage: Stage) -> Observed {
    Observed::Connecting { stage }
}

fn reconnecting(reason: &str) -> Observed {
    Observed::Reconnecting {
        reason: Some(reason.into()),
        since: START,
    }
}

const fn code(kind: ChallengeKind, index: u32, expires_at: Timestamp) -> Observed {
    Observed::QrRequired {
        challenge: Challenge {
            kind,
            index,
            expires_at,
        },
    }
}

/// A row and the clock, driven by hand.
#[derive(Clone, Debug)]
struct Life {
    policy: SessionPolicy,
    row: Session,
    now: Timestamp,
    effects: Vec<Effect>,
    events: Vec<String>,
}

impl Life {
    fn new(row: Session) -> Self {
        Self {
            policy: SessionPolicy::default(),
            row,
            now: START,
            effects: Vec::new(),
            events: Vec::new(),
        }
    }

    /// A card that was connected and placed on worker 1 at [`START`].
    fn started() -> Self {
        let mut life = Self::new(card());
        life.take(&Input::Command(connect()));
        life.take(&placed_on(&owner(1)));
        life
    }

    /// The same, linked and connected.
    fn connected() -> Self {
        let mut life = Self::started();
        life.take(&linked(Observed::Connected));
        life
    }

    /// Applies an input that is taken, and keeps what followed from it.
    fn take(&mut self, input: &Input) -> &mut Self {
        let decision = self.decide(input);
        self.row = decision.row.expect("the row is kept");
        self.effects = decision.effects;
        let names = decision.events.iter().map(|event| event.name().to_owned());
        self.events = names.collect();
        self
    }

    fn decide(&self, input: &Input) -> Decision {
        decide(&self.policy, &self.row, input, self.now)
            .unwrap_or_else(|refused| panic!("{refused}"))
    }

    fn at(&mut self, count: u64) -> &mut Self {
        self.now = at(count);
        self
    }

    /// Claims the row if it is due, as a tick does, and decides.
    fn tick(&mut self) -> &mut Self {
        self.effects.clear();
        self.events.clear();
        if self.row.due_at.is_some_and(|due| due <= self.now) {
            claim(&mut self.row, &self.policy, self.now);
            self.take(&Input::Due);
        }
        self
    }

    /// Moves to the time at which the row falls due, and ticks.
    fn tick_when_due(&mut self) -> &mut Self {
        self.now = self.row.due_at.expect("a row that falls due").max(self.now);
        self.tick()
    }

    fn status(&self) -> Status {
        self.row.status().status
    }

    fn reason(&self) -> Option<String> {
        let reason = self.row.status().reason;
        reason.map(|reason| reason.to_string())
    }

    fn due_in(&self) -> Option<Duration> {
        self.row.due_at.map(|due| due.since(self.now))
    }

    fn deadline_in(&self) -> Option<Duration> {
        self.row.deadline.map(|end| end.since(self.now))
    }
}

/// What a store's claim does to a due row.
fn claim(row: &mut Session, policy: &SessionPolicy, now: Timestamp) {
    let until = now.plus(policy.repeat_order);
    let deadline = row.deadline.filter(|end| *end > now && *end < until);
    row.due_at = Some(deadline.unwrap_or(until));
}
