//! The calls of a worker to the gateway, as values.

use gateway_core::id::{Epoch, SessionId};
use gateway_core::protocol::state::JournalGroup;
use gateway_core::protocol::{
    AssignedSession, Beat, BeatAnswer, InboundMessage, MessageReport, RecoveryReport, Register,
    Registered, SessionReport,
};
use gateway_core::state::StoredState;
use gateway_core::time::{Timestamp, Uptime};

use crate::gateway::{Caller, GatewayApi, GatewayError};

/// One call that a worker wants to make.
#[derive(Clone, Debug)]
pub enum Call {
    /// [`GatewayApi::register`]
    Register(Box<Register>),
    /// [`GatewayApi::heartbeat`]
    Heartbeat(Box<Beat>),
    /// [`GatewayApi::goodbye`]
    Goodbye,
    /// [`GatewayApi::assigned`]
    Assigned,
    /// [`GatewayApi::recovery_status`]
    Recovery(RecoveryReport),
    /// [`GatewayApi::session_report`]
    Session(Box<SessionReport>),
    /// [`GatewayApi::message_reports`]
    Messages(Vec<MessageReport>),
    /// [`GatewayApi::inbound`]
    Inbound(Vec<InboundMessage>),
    /// [`GatewayApi::state`]
    ReadState {
        session: SessionId,
        /// The epoch that the state is sealed to.
        epoch: Epoch,
    },
    /// [`GatewayApi::put_state`]
    PutState {
        session: SessionId,
        epoch: Epoch,
        /// The sequence it follows.
        after: u64,
        snapshot: Vec<u8>,
    },
    /// [`GatewayApi::append_state`]
    AppendState {
        session: SessionId,
        epoch: Epoch,
        /// The sequence they follow.
        after: u64,
        entries: Vec<Vec<u8>>,
    },
    /// [`GatewayApi::append_states`]
    AppendStates(Vec<JournalGroup>),
}

impl Call {
    /// Notes in a report that this attempt to deliver it is made at `now`, so that the gateway can read its
    /// other times as distances from that.
    pub(crate) fn stamp(&mut self, now: Timestamp) {
        let sent_at = Some(now);
        match self {
            Self::Heartbeat(beat) => beat.sent_at = sent_at,
            Self::Recovery(report) => report.sent_at = sent_at,
            Self::Session(report) => report.sent_at = sent_at,
            Self::Messages(reports) => {
                for report in reports {
                    report.sent_at = sent_at;
                }
            }
            Self::Inbound(messages) => {
                for message in messages {
                    message.sent_at = sent_at;
                }
            }
            Self::Register(_)
            | Self::Goodbye
            | Self::Assigned
            | Self::ReadState { .. }
            | Self::PutState { .. }
            | Self::AppendState { .. }
            | Self::AppendStates(_) => {}
        }
    }
}

/// What the gateway answered.
#[derive(Clone, Debug)]
pub enum Answer {
    Registered(Registered),
    Beat(BeatAnswer),
    /// The sessions that the worker should hold.
    Assigned(Vec<AssignedSession>),
    /// The stored state that was asked for.
    State(StoredState),
    /// The newest sequence after a write of state.
    Written(u64),
    /// The same for each session of a call that wrote those of several.
    WrittenEach(Vec<Result<u64, GatewayError>>),
    /// The call was executed, and the answer says nothing more.
    Done,
}

/// A call on its way out.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// The number by which [`Worker::answered`](crate::Worker::answered) knows the call.
    pub id: u64,
    pub caller: Caller,
    /// When it was handed out; a lease counts from here.
    pub sent_at: Uptime,
    pub call: Call,
}

impl Outbound {
    /// Makes the call.
    ///
    /// # Errors
    /// What the gateway answered, or that it did not.
    pub async fn perform(&self, api: &dyn GatewayApi) -> Result<Answer, GatewayError> {
        let caller = &self.caller;
        Ok(match &self.call {
            Call::Register(body) => Answer::Registered(api.register(body).await?),
            Call::Heartbeat(body) => Answer::Beat(api.heartbeat(caller, body).await?),
            Call::Assigned => Answer::Assigned(api.assigned(caller).await?),
            Call::Goodbye => done(api.goodbye(caller).await?),
            Call::Recovery(body) => done(api.recovery_status(caller, body).await?),
            Call::Session(body) => done(api.session_report(caller, body).await?),
            Call::Messages(body) => done(api.message_reports(caller, body).await?),
            Call::Inbound(body) => done(api.inbound(caller, body).await?),
            Call::ReadState { session, epoch } => {
                Answer::State(api.state(caller, *session, *epoch).await?)
            }
            Call::PutState {
                session,
                epoch,
                after,
                snapshot,
            } => {
                let written = api.put_state(caller, *session, *epoch, *after, snapshot);
                Answer::Written(written.await?)
            }
            Call::AppendState {
                session,
                epoch,
                after,
                entries,
            } => {
                let written = api.append_state(caller, *session, *epoch, *after, entries);
                Answer::Written(written.await?)
            }
            Call::AppendStates(groups) => {
                Answer::WrittenEach(api.append_states(caller, groups).await?)
            }
        })
    }
}

const fn done((): ()) -> Answer {
    Answer::Done
}
