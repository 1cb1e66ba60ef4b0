//! What a WhatsApp client must do to be run by this crate.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::{SendMessage, SessionState, StartSession};
use gateway_core::state::StoredState;
use gateway_core::time::Timestamp;
use gateway_core::worker::Capabilities;
use serde_json::{Map, Value};

use crate::progress::Ending;
use crate::refusal::Refusal;
use crate::session::Session;

/// What an engine says of itself at registration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineInfo {
    /// The name of the engine.
    pub name: String,
    /// The version of the engine.
    pub version: String,
    /// The format of the state it stores. A session whose state has another format is never placed on a
    /// worker with this engine, so change it whenever older versions cannot read what this one writes.
    pub state_format: String,
    /// What it can do; everything, if left empty.
    pub capabilities: Capabilities,
}

/// How busy the machine is, for placement; none where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// The share of CPU in use, 0 to 1.
    pub cpu: Option<f64>,
    /// The share of memory in use, 0 to 1.
    pub memory: Option<f64>,
}

/// An order to run a session.
#[derive(Clone, Debug)]
pub struct Start {
    /// The way back to the runtime: reports, messages, state. Keep it as long as the session runs.
    pub session: Session,
    /// How to link or restore, and with which settings.
    pub order: StartSession,
    /// What earlier owners stored, sealed for this one: nobody else can write to it any more.
    pub stored: StoredState,
}

/// What the person at the phone answers to a passkey challenge.
#[derive(Clone, Debug, PartialEq)]
pub enum PasskeyAnswer {
    /// The assertion, as the browser made it.
    Assertion(Value),
    /// The person has confirmed on the phone.
    Confirmation,
}

/// A WhatsApp client that can run many sessions.
///
/// # What the runtime takes off your hands
/// Epochs, incarnations, the lease, tombstones, repeated commands, the order and the repetition of
/// reports, and the registration with the gateway. An engine sees each session at one epoch at a time,
/// and only commands that are allowed.
///
/// # What an engine must keep
/// 1. **Ask before every frame.** Call [`Session::is_open`] with the machine's uptime immediately before
///    anything goes out to WhatsApp for a session, also a reconnect. When it returns `false` the session
///    belongs, or will soon belong, to another worker: send nothing, close the socket, forget the session.
/// 2. **Store before you send.** What a frame uses up (cipher counters, keys) must be stored, that is the
///    ticket of [`Session::append`] or [`Session::put_snapshot`] must be settled with success, before the
///    frame goes out. Store ahead in blocks to keep sends from waiting.
/// 3. **Acknowledge late.** Tell WhatsApp that a message arrived only when the ticket of
///    [`Session::submit_inbound`] is settled: until then the gateway may never have seen it.
///
/// # Calling conventions
/// [`start`](Self::start) and [`abandon`](Self::abandon) must return promptly: hand over to the session's
/// own task, do not wait for the network. The runtime calls them in order, one at a time. The `async`
/// methods may wait for WhatsApp, and run concurrently, also for one session; each should end by itself
/// within about ten seconds, because the gateway does not wait longer.
///
/// # Panics
/// A panic in a method that does not wait ([`load`](Self::load), [`start`](Self::start),
/// [`abandon`](Self::abandon)) is the end of the worker: nothing that the engine holds can be relied on any more, so
/// the sessions are given up, the gateway is told goodbye and the process ends with an error. A panic in an `async`
/// method fails that command alone. An engine whose own tasks end calls [`Worker::fail`](crate::Worker::fail).
///
/// # Cancellation
/// Over HTTP, the runtime drives every method to its end, even if the gateway has hung up. Only the end of
/// the process, or an embedder that drops the future, interrupts one. A future that is dropped must leave
/// no half of a frame behind: either the frame was handed to the socket, or it never will be.
///
/// # Example
/// `examples/my_engine.rs` in the workspace is a complete engine.
#[async_trait]
pub trait Engine: Debug + Send + Sync + 'static {
    /// Says what the engine is. Asked once, when the worker is made.
    fn info(&self) -> EngineInfo;

    /// Says how busy the machine is. Asked for each heartbeat, so it must not block; `uptime` is the age of
    /// the worker and `sessions` the number that it holds.
    fn load(&self, uptime: Duration, sessions: usize) -> Load {
        let _ = (uptime, sessions);
        Load::default()
    }

    /// Begins to run a session: links a device ([`StartSessionMode::Qr`](gateway_core::protocol::StartSessionMode),
    /// `PairingCode`) or logs in with what is stored (`Restore`).
    ///
    /// Returns as soon as the stored state has been understood; everything after that is told through
    /// [`Session::report`] and [`Session::end`]. If the engine still runs the session at a lower epoch, it
    /// ends that one first, as [`abandon`](Self::abandon) does, and connects only after the old client is
    /// gone: two clients on one set of credentials throw each other out.
    ///
    /// # Errors
    /// Why the session cannot be run at all: no credentials to restore, or state that cannot be read. The
    /// runtime reports it; the engine must have kept nothing.
    fn start(&self, start: Start) -> Result<(), Ending>;

    /// Cuts a session off, because it is no longer ours: the lease is over, or the gateway has moved it.
    ///
    /// Closes the socket without logging out, without flushing and without a report. A session that the
    /// engine does not run at exactly this epoch is left alone.
    fn abandon(&self, session: SessionId, epoch: Epoch);

    /// Says how the session is right now: asks the client, and does not repeat the last report.
    async fn state(&self, session: SessionId) -> SessionState;

    /// Sends a message under [`SendMessage::wa_message_id`], and returns when it was written to the socket.
    ///
    /// WhatsApp's acknowledgement and what follows are told with [`Session::submit_receipt`]: `sent`,
    /// `delivered`, `read`, `failed`; `unknown` when no acknowledgement came within 30 s. The runtime calls
    /// this once per message id: a repetition gets the first result, which it remembers.
    ///
    /// # Errors
    /// [`Refusal::NotConnected`], [`Refusal::Busy`] or [`Refusal::Final`], each only if nothing went out
    /// and nothing will. When the outcome is not known, return success and report it as a receipt.
    async fn send(&self, session: SessionId, message: &SendMessage) -> Result<Timestamp, Refusal>;

    /// Does something else by name: marks a chat as read, checks a number, reads a profile.
    ///
    /// # Errors
    /// As for [`send`](Self::send); 501 `not_supported` for a name the engine does not know, which is what
    /// happens unless this is implemented.
    async fn call(
        &self,
        session: SessionId,
        name: &str,
        arguments: &Map<String, Value>,
    ) -> Result<Value, Refusal> {
        let _ = (session, name, arguments);
        Err(Refusal::Final {
            status: 501,
            code: "not_supported".to_owned(),
        })
    }

    /// Stops a session and keeps its credentials, so that another worker can go on with them.
    ///
    /// When it returns, the socket is closed and everything that the next owner needs is stored: await the
    /// last ticket. A worker that leaves waits for WhatsApp's acknowledgements before it asks for this. The login at WhatsApp stays valid. Calling it again, or for a session that has ended,
    /// changes nothing. Like the two methods below, it leaves alone a session that the engine runs at another
    /// epoch: that one was started after this order was given.
    async fn release(&self, session: SessionId, epoch: Epoch);

    /// Unlinks the device and stops the session. Returns whether WhatsApp was told; without a connection
    /// it cannot be, and the person has to remove the device on the phone.
    ///
    /// When it returns, the socket is closed. Calling it again changes nothing.
    async fn logout(&self, session: SessionId, epoch: Epoch) -> bool;

    /// Unlinks the device if it is linked, stops the session and erases what the engine keeps of it
    /// outside of the gateway (caches, files). Returns whether WhatsApp was told.
    ///
    /// When it returns, nothing is left. Calling it again changes nothing.
    async fn forget(&self, session: SessionId, epoch: Epoch) -> bool {
        self.logout(session, epoch).await
    }

    /// Takes the answer to a passkey challenge that was reported: first the assertion, then the
    /// confirmation. What becomes of the linking is told through [`Session::report`].
    ///
    /// # Errors
    /// [`Refusal::conflict`] with `no_passkey_challenge` if none is open, which is what happens unless this
    /// is implemented, or with `passkey_not_asserted` if the confirmation came first.
    async fn passkey(&self, session: SessionId, answer: PasskeyAnswer) -> Result<(), Refusal> {
        let _ = (session, answer);
        Err(Refusal::conflict("no_passkey_challenge"))
    }
}
