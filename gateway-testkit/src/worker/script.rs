//! What a simulated worker does, as data: every delay, every fault, every curve.
//!
//! One struct with defaults instead of code in tests, so that the same script drives a unit test, a
//! simulation with virtual time and a `sim-worker` process that reads it from its flags. Delays that
//! belong to WhatsApp (a QR code's life, a login, a receipt) are written in *its* milliseconds and pass
//! `time_scale` times faster; delays that belong to the worker (latency, windows) are real.

use std::time::Duration;

use serde::Deserialize;

/// A worker's script. The default is a well-behaved worker whose QR codes nobody scans.
///
/// ```
/// use gateway_testkit::worker::Script;
///
/// let script = Script::default().auto_scan(2_000).echo(500).time_scale(10.0);
/// assert_eq!(script.scaled(2_000).as_millis(), 200);
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Script {
    /// How many times faster WhatsApp's time passes than real time.
    pub time_scale: f64,
    /// How long every answer to a command takes, in real milliseconds. Over HTTP only.
    pub latency_ms: u64,
    /// How long a login with stored credentials takes.
    pub login_ms: u64,
    /// From the scan until the credentials are there.
    pub pairing_ms: u64,
    /// From the credentials until the account's data has been read.
    pub sync_ms: u64,
    /// How long after the first code somebody scans it; `None`: nobody does.
    pub auto_scan_ms: Option<u64>,
    /// Whether the account asks for a passkey after the scan.
    pub passkey: bool,
    /// What becomes of a message that was sent.
    pub receipts: Receipts,
    /// What comes in by itself.
    pub inbound: InboundTraffic,
    /// Sends that the worker refuses at once.
    pub refused: Vec<RefusedSend>,
    /// Sends that the worker accepts and WhatsApp then refuses.
    pub rejected: Vec<RejectedSend>,
    pub faults: Faults,
    /// Share of CPU in use.
    pub cpu: Curve,
    /// Share of memory in use.
    pub memory: Curve,
    /// Cipher counters stored ahead in one journal entry; a send beyond them waits for the next block.
    pub counter_block: u64,
    /// Journal entries after which a new snapshot replaces them.
    pub compact_after: u32,
    /// Results of sends that are remembered for repetitions.
    pub remembered_sends: usize,
}

/// When the receipts of a message come, each counted from the send; `None`: never.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Receipts {
    /// WhatsApp's server has it. If never, the worker reports `unknown` after 30 s.
    pub sent_ms: Option<u64>,
    /// A device of the recipient has it.
    pub delivered_ms: Option<u64>,
    /// The recipient has read it.
    pub read_ms: Option<u64>,
}

/// Messages that come in by themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct InboundTraffic {
    /// The recipient answers each message after so long.
    pub echo_ms: Option<u64>,
    /// Somebody writes to every connected session this often.
    pub every_ms: Option<u64>,
}

/// Sends to `to` are refused by the worker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusedSend {
    /// The chat, canonical; `*` for all.
    pub to: String,
    pub status: u16,
    pub code: String,
}

/// Sends to `to` are accepted and later reported as `failed`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RejectedSend {
    /// The chat, canonical; `*` for all.
    pub to: String,
    /// The code in the report.
    pub code: String,
}

/// The faults of a worker, its calls and its process; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Faults {
    /// Every nth call to the gateway is lost on the way.
    pub lost_report_every: Option<u64>,
    /// The answer to every nth call to the gateway is lost, after the gateway has acted.
    pub lost_answer_every: Option<u64>,
    /// Every nth command is executed and answered with something that is not the protocol.
    pub rubbish_every: Option<u64>,
    /// Every nth command is executed and never answered.
    pub silent_every: Option<u64>,
    /// Which commands `rubbish_every` and `silent_every` count.
    pub scope: FaultScope,
    /// When the process dies, if it does.
    pub crash: Option<Crash>,
    /// The process is stopped for a while (SIGSTOP).
    pub freeze: Option<Window>,
    /// The gateway cannot be reached for a while, nor can it reach the worker.
    pub partition: Option<Window>,
    /// What a restart brings back.
    pub restart: Restart,
}

/// Which commands a fault counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultScope {
    /// Sends only.
    #[default]
    Sends,
    /// Every command but the health check.
    All,
}

/// The process dies at its nth send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crash {
    /// At which send, from 1, over the life of the process.
    pub at_send: u64,
    /// Before or after the message went out; in neither case is there an answer.
    pub point: CrashPoint,
}

/// Where in a send the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrashPoint {
    /// Before anything went out.
    BeforeSending,
    /// After the message went out, before the answer.
    BeforeAnswering,
}

/// A span of real time, counted from the start of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// When the window begins.
    pub after_ms: u64,
    /// How long it lasts.
    pub for_ms: u64,
}

impl Window {
    /// Returns whether a process of this age is inside the window.
    #[must_use]
    pub fn contains(&self, age: Duration) -> bool {
        let begin = Duration::from_millis(self.after_ms);
        age >= begin && age < begin.saturating_add(Duration::from_millis(self.for_ms))
    }
}

/// What a restart brings back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Nothing: a new process with a new incarnation.
    #[default]
    Empty,
    /// The process image of before, as a resumed virtual machine does: the old incarnation with its
    /// sessions at their old epochs.
    OldEpochs,
}

/// A share between 0 and 1 that depends on what the worker holds and on time.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Curve {
    /// The share without any session.
    pub base: f64,
    /// The addition for each session held.
    pub per_session: f64,
    /// The height of a triangle wave on top.
    pub wave: f64,
    /// The length of that wave in real milliseconds.
    pub period_ms: u64,
}

impl Default for Curve {
    fn default() -> Self {
        Self {
            base: 0.05,
            per_session: 0.001,
            wave: 0.0,
            period_ms: 60_000,
        }
    }
}

impl Curve {
    /// Returns the share for a worker of this age with so many sessions.
    #[must_use]
    pub fn at(&self, age: Duration, sessions: usize) -> f64 {
        let period = Duration::from_millis(self.period_ms.max(1)).as_secs_f64();
        let phase = (age.as_secs_f64() / period).fract();
        let triangle = 1.0 - (2.0 * phase - 1.0).abs();
        let sessions = u32::try_from(sessions).unwrap_or(u32::MAX);
        let share = self.base + self.per_session * f64::from(sessions) + self.wave * triangle;
        share.clamp(0.0, 1.0)
    }
}

impl Default for Receipts {
    fn default() -> Self {
        Self {
            sent_ms: Some(100),
            delivered_ms: Some(400),
            read_ms: None,
        }
    }
}

impl Default for Script {
    fn default() -> Self {
        Self {
            time_scale: 1.0,
            latency_ms: 0,
            login_ms: 300,
            pairing_ms: 500,
            sync_ms: 500,
            auto_scan_ms: None,
            passkey: false,
            receipts: Receipts::default(),
            inbound: InboundTraffic::default(),
            refused: Vec::new(),
            rejected: Vec::new(),
            faults: Faults::default(),
            cpu: Curve::default(),
            memory: Curve::default(),
            counter_block: 64,
            compact_after: 64,
            remembered_sends: 10_000,
        }
    }
}

impl Script {
    /// Converts WhatsApp's `millis` into real time.
    #[must_use]
    pub fn scaled(&self, millis: u64) -> Duration {
        let scale = if self.time_scale > 0.0 {
            self.time_scale
        } else {
            1.0
        };
        let micros = Duration::from_millis(millis).as_secs_f64() / scale;
        Duration::try_from_secs_f64(micros).unwrap_or(Duration::MAX)
    }

    /// Lets WhatsApp's time pass `factor` times faster.
    #[must_use]
    pub fn time_scale(mut self, factor: f64) -> Self {
        self.time_scale = factor;
        self
    }

    /// Lets somebody scan the first code after `millis`.
    #[must_use]
    pub fn auto_scan(mut self, millis: u64) -> Self {
        self.auto_scan_ms = Some(millis);
        self
    }

    /// Makes the account ask for a passkey after the scan.
    #[must_use]
    pub fn passkey(mut self) -> Self {
        self.passkey = true;
        self
    }

    /// Sets after how many milliseconds receipts come, or that they never do.
    #[must_use]
    pub fn receipts(
        mut self,
        sent_ms: Option<u64>,
        delivered_ms: Option<u64>,
        read_ms: Option<u64>,
    ) -> Self {
        self.receipts = Receipts {
            sent_ms,
            delivered_ms,
            read_ms,
        };
        self
    }

    /// Lets the recipient answer each message after `millis`.
    #[must_use]
    pub fn echo(mut self, millis: u64) -> Self {
        self.inbound.echo_ms = Some(millis);
        self
    }

    /// Makes the worker refuse sends to `to` with this status and code.
    #[must_use]
    pub fn refuse(mut self, to: &str, status: u16, code: &str) -> Self {
        self.refused.push(RefusedSend {
            to: to.to_owned(),
            status,
            code: code.to_owned(),
        });
        self
    }

    /// Makes the worker accept sends to `to`, which then fail with this code.
    #[must_use]
    pub fn reject(mut self, to: &str, code: &str) -> Self {
        self.rejected.push(RejectedSend {
            to: to.to_owned(),
            code: code.to_owned(),
        });
        self
    }

    /// Lets the process die at its nth send.
    #[must_use]
    pub fn crash_at_send(mut self, at_send: u64, point: CrashPoint) -> Self {
        self.faults.crash = Some(Crash { at_send, point });
        self
    }

    pub(super) fn refusal(&self, to: &str) -> Option<&RefusedSend> {
        let hit = |rule: &&RefusedSend| rule.to == "*" || rule.to == to;
        self.refused.iter().find(hit)
    }

    pub(super) fn rejection(&self, to: &str) -> Option<&RejectedSend> {
        let hit = |rule: &&RejectedSend| rule.to == "*" || rule.to == to;
        self.rejected.iter().find(hit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_reads_from_json_with_defaults() {
        let script: Script = serde_json::from_str(
            r#"{"auto_scan_ms": 5, "faults": {"crash": {"at_send": 3, "point": "before_answering"}}}"#,
        )
        .expect("the script is valid");
        let expected = Script::default()
            .auto_scan(5)
            .crash_at_send(3, CrashPoint::BeforeAnswering);
        assert_eq!(script, expected);
        assert!(serde_json::from_str::<Script>(r#"{"auto_scam_ms": 5}"#).is_err());
    }

    #[test]
    fn curves_stay_between_nothing_and_everything() {
        let curve = Curve {
            base: 0.2,
            per_session: 0.01,
            wave: 0.4,
            period_ms: 1_000,
        };
        let at = |millis, sessions| curve.at(Duration::from_millis(millis), sessions);
        assert!((at(0, 0) - 0.2).abs() < 1e-9);
        assert!((at(500, 10) - 0.7).abs() < 1e-9);
        assert!((at(500, 1_000) - 1.0).abs() < 1e-9);
    }
}
