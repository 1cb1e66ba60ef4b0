//! Sending a message: one sequence, every way it can end.
//!
//! A place in the log is taken before the worker is asked; the outcome is durable before the answer is
//! given. The caller must see [`Sender::send`] through to its end, also when the client's connection ends
//! before: from the first byte to the worker until the commit, dropping the future would erase a message
//! that has gone out from the history.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::kind::body_hash;
use super::log::{Fact, LogError, LogFull, MessageLog, Outgoing, Recorded};
use super::person::Party;
use super::target::{QUOTED, Targets};
use super::{
    ChatId, ChatKind, Content, Message, MessageError, MessageIds, MessageStatus, Timeline,
    WaMessageId,
};
use crate::entropy::Entropy;
use crate::id::{MessageId, SessionId, TenantId};
use crate::protocol::{SendMessage, Sent};
use crate::session::{Owner, Route, Routes, SessionRef, Standing};
use crate::store::StoreError;
use crate::time::Clock;
use crate::worker::{LinkError, WorkerLink};

/// A send that a tenant asks for, validated.
#[derive(Clone, Debug, PartialEq)]
pub struct SendRequest {
    pub tenant: TenantId,
    pub session: SessionRef,
    pub to: ChatId,
    pub content: Content,
    /// The quoted message and mentions, passed on unchanged.
    pub context: Map<String, Value>,
    /// The `Idempotency-Key` of the request.
    pub idempotency_key: Option<String>,
}

/// The time limits of a send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendLimits {
    /// How long the worker may take to answer.
    pub worker: Duration,
}

impl Default for SendLimits {
    fn default() -> Self {
        Self {
            worker: Duration::from_secs(20),
        }
    }
}

/// The result of a send that succeeded, now or before.
#[derive(Clone, Debug, PartialEq)]
pub struct SendOutcome {
    /// The message as it stands in the log.
    pub message: Message,
    /// Whether an earlier send with the same key had this outcome.
    pub repeated: bool,
}

/// Why a send did not succeed. Each variant says whether the message may have gone out.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The tenant has no such session.
    #[error("no such session")]
    UnknownSession,
    /// Not sent: the tenant does not want the session connected, or it waits for a person.
    #[error("the session is not connected ({reason})")]
    NotConnected {
        /// Why the session is not connected, as a slug.
        reason: String,
        /// What a person has to do, as a slug.
        action_required: Option<String>,
    },
    /// Not sent: the session is on its way back; try again soon.
    #[error("the session is not available at the moment")]
    SessionUnavailable,
    /// Not sent: the engine of the session's worker has no such messages.
    #[error("{capability} is not supported by the session's worker")]
    NotSupported {
        /// The type of message.
        capability: &'static str,
    },
    /// Not sent: there is no such message in the chat that this one could be about.
    #[error("there is no such message in this chat; give the id of one that is listed there")]
    UnknownTarget {
        /// The field of the request that names it.
        field: &'static str,
    },
    /// Not sent: the log is full or the store is away.
    #[error(transparent)]
    LogFull(#[from] LogFull),
    /// Not sent: the store is away.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Not sent: the worker refused for good; recorded as `failed`.
    #[error("the worker refused the message: {message}")]
    Refused {
        id: MessageId,
        /// The HTTP status of the worker's answer.
        status: u16,
        /// The worker's machine-readable code.
        code: String,
        message: String,
    },
    /// May have gone out: the worker's answer makes no sense; recorded as `unknown`.
    #[error("the worker's answer makes no sense; the message may have been sent")]
    WorkerError { id: MessageId },
    /// May have gone out: no answer in time; recorded as `unknown`.
    #[error("the outcome is not known; the message may have been sent")]
    OutcomeUnknown { id: MessageId },
    /// Went out, but is not known to be recorded.
    #[error("the message was sent but could not be recorded in time")]
    NotRecorded {
        id: MessageId,
        #[source]
        source: LogError,
    },
    /// Not sent: the key was used with another body.
    #[error("the Idempotency-Key was used with another request body")]
    IdempotencyMismatch {
        /// The message of the first use.
        id: MessageId,
    },
}

/// Sends messages through the workers that hold the sessions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Finds the worker of a session.
    pub routes: Arc<dyn Routes>,
    /// Sends the command to the worker.
    pub link: Arc<dyn WorkerLink>,
    pub log: Arc<dyn MessageLog>,
    pub ids: MessageIds,
    /// Gives the time in the ids of sends without a key.
    pub clock: Arc<dyn Clock>,
    /// Gives the random part of the ids of sends without a key.
    pub entropy: Arc<dyn Entropy>,
    pub limits: SendLimits,
}

/// A message that is ready to go out, the same for every attempt.
struct PreparedMessage {
    id: MessageId,
    wa_id: WaMessageId,
    tenant: TenantId,
    to: ChatId,
    kind: &'static str,
    fields: Map<String, Value>,
    /// The chat in which it stands.
    chat: Party,
    /// The messages that it is about, as the worker is told of them.
    about: Map<String, Value>,
    hash: [u8; 32],
}

impl Sender {
    /// Sends one message and records what became of it.
    ///
    /// Must not be dropped once it was polled; the module page says why.
    ///
    /// # Errors
    /// The message was not sent, or it is not known whether it was, or it could not be recorded; each
    /// error says which.
    pub async fn send(&self, request: &SendRequest) -> Result<SendOutcome, SendError> {
        let route = self.route(request, false).await?;
        let key = request.idempotency_key.as_deref();
        let id = self.message_id(request.tenant, route.session, key);
        self.send_along(id, request, route).await
    }

    /// Returns the id that a send will have: derived from the key if there is one, else a fresh one.
    #[must_use]
    pub fn message_id(&self, tenant: TenantId, session: SessionId, key: Option<&str>) -> MessageId {
        match key {
            Some(key) => self.ids.keyed(tenant, session, key),
            None => MessageIds::random(self.clock.now(), &*self.entropy),
        }
    }

    /// Does what [`Sender::send`] does, for a caller who knows the route and has to name the message before
    /// its outcome is known; `id` is from [`Sender::message_id`].
    ///
    /// # Errors
    /// As for [`Sender::send`].
    pub async fn send_along(
        &self,
        id: MessageId,
        request: &SendRequest,
        route: Route,
    ) -> Result<SendOutcome, SendError> {
        let mut prepared = prepare(&self.ids, request, id);
        if request.idempotency_key.is_some()
            && let Some(outcome) = self.earlier(&prepared).await?
        {
            return outcome.conclude(true);
        }
        if request.to.kind() == ChatKind::Lid {
            // Nothing is read for a number, which is the chat already.
            let of = (request.tenant, route.session);
            let recalled = prepared.chat.recall(&*self.log, of).await;
            recalled.map_err(|_| LogFull)?;
        }
        prepared.about = self.targets(request, &route).fields().await?;
        let place = self.log.reserve()?;
        let (route, answer) = match self.attempt(&prepared, &route).await? {
            Err(stale) if is_stale(&stale) => {
                let route = self.route(request, true).await?;
                let answer = self.attempt(&prepared, &route).await?;
                (route, answer)
            }
            answer => (route, answer),
        };
        let (status, error) = outcome_of(&prepared, answer)?;
        let fact = prepared.fact(&route, status, error.as_ref());
        let recorded = match self.log.record(place, Fact::Outgoing(fact)).await {
            Ok(recorded) => recorded,
            Err(source) => return Err(SendError::NotRecorded { id, source }),
        };
        match error {
            None => recorded.conclude(false),
            Some(failure) => Err(failure.into_error(id)),
        }
    }

    fn targets<'s>(&'s self, request: &'s SendRequest, route: &Route) -> Targets<'s> {
        Targets {
            log: &*self.log,
            ids: &self.ids,
            request,
            session: route.session,
        }
    }

    async fn route(&self, request: &SendRequest, fresh: bool) -> Result<Route, SendError> {
        let route = self
            .routes
            .route(request.tenant, &request.session, fresh)
            .await?;
        route.ok_or(SendError::UnknownSession)
    }

    /// Returns the result of an earlier send with the same key; none if this one has to go out.
    async fn earlier(&self, prepared: &PreparedMessage) -> Result<Option<Recorded>, SendError> {
        let found = self.log.find(prepared.tenant, prepared.id).await;
        let Some(message) = found.map_err(|_| LogFull)? else {
            return Ok(None);
        };
        let mismatch = message.body_hash.is_some_and(|hash| hash != prepared.hash);
        let answered = message.timeline.sending.is_some();
        let unknown = message.status == MessageStatus::Unknown && !answered;
        let unresolved = message.is_stub() || unknown;
        if unresolved && !mismatch {
            return Ok(None);
        }
        Ok(Some(Recorded {
            before: Some(message.status),
            message,
            mismatch,
        }))
    }

    async fn attempt(
        &self,
        prepared: &PreparedMessage,
        route: &Route,
    ) -> Result<Result<Sent, LinkError>, SendError> {
        let open = match &route.standing {
            Standing::Open(open) => open,
            Standing::Returning => return Err(SendError::SessionUnavailable),
            Standing::Closed {
                reason,
                action_required,
            } => {
                return Err(SendError::NotConnected {
                    reason: reason.clone(),
                    action_required: action_required.clone(),
                });
            }
        };
        if !open.takes(prepared.kind) {
            return Err(SendError::NotSupported {
                capability: prepared.kind,
            });
        }
        let target = &open.target;
        let body = prepared.command(route, &target.owner);
        Ok(self
            .link
            .send(target, route.session, &body, self.limits.worker)
            .await)
    }
}

fn prepare(ids: &MessageIds, request: &SendRequest, id: MessageId) -> PreparedMessage {
    let mut body = request.content.tagged();
    body.extend(request.context.clone());
    body.insert("to".to_owned(), Value::from(request.to.as_str()));
    let hash = body_hash(&body);
    let mut fields = body;
    fields.remove("to");
    fields.remove("type");
    PreparedMessage {
        id,
        wa_id: ids.wa(id),
        tenant: request.tenant,
        to: request.to.clone(),
        kind: request.content.kind(),
        fields,
        chat: Party::new(request.to.clone(), None),
        about: Map::new(),
        hash,
    }
}

impl PreparedMessage {
    fn command(&self, route: &Route, owner: &Owner) -> SendMessage {
        let mut hash = [0; 64];
        // It fits.
        let _ = hex::encode_to_slice(self.hash, &mut hash);
        SendMessage {
            message_id: self.id,
            wa_message_id: self.wa_id.clone(),
            body_hash: String::from_utf8_lossy(&hash).into_owned(),
            epoch: route.epoch,
            incarnation: owner.incarnation.clone(),
            to: self.to.to_string(),
            kind: self.kind.to_owned(),
            content: self.wire_fields(),
        }
    }

    /// Returns the fields of the type beside those of the command. The command has ids of its own, so other messages
    /// stand in fields of their own instead of the ids that the tenant gave.
    fn wire_fields(&self) -> Map<String, Value> {
        let mut fields = self.fields.clone();
        if self.about.is_empty() {
            return fields;
        }
        for name in ["messageId", "waMessageId", QUOTED] {
            fields.remove(name);
        }
        fields.extend(self.about.clone());
        fields
    }

    fn fact(self, route: &Route, status: MessageStatus, failure: Option<&Failure>) -> Outgoing {
        Outgoing {
            id: self.id,
            tenant: self.tenant,
            session: route.session,
            epoch: route.epoch,
            wa_message_id: self.wa_id,
            chat_id: self.chat.id().to_owned(),
            alias: self.chat.alias().map(str::to_owned),
            kind: self.kind.to_owned(),
            content: Value::Object(self.fields),
            body_hash: self.hash,
            status,
            error: failure.map(Failure::note),
            refused_status: failure.and_then(Failure::refused_status),
        }
    }
}

/// The outcome of a send that is recorded although it did not succeed.
enum Failure {
    Refused {
        status: u16,
        code: String,
        message: String,
    },
    Rubbish,
    Silent,
}

impl Failure {
    fn note(&self) -> MessageError {
        let (code, message) = match self {
            Self::Refused { code, message, .. } => (code.as_str(), Some(message.clone())),
            Self::Rubbish => ("worker_error", None),
            Self::Silent => ("outcome_unknown", None),
        };
        MessageError {
            code: code.to_owned(),
            message,
        }
    }

    const fn refused_status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Rubbish | Self::Silent => None,
        }
    }

    fn into_error(self, id: MessageId) -> SendError {
        match self {
            Self::Refused {
                status,
                code,
                message,
            } => SendError::Refused {
                id,
                status,
                code,
                message,
            },
            Self::Rubbish => SendError::WorkerError { id },
            Self::Silent => SendError::OutcomeUnknown { id },
        }
    }
}

fn is_stale(error: &LinkError) -> bool {
    matches!(
        error,
        LinkError::StaleEpoch { .. }
            | LinkError::WrongIncarnation { .. }
            | LinkError::UnknownSession
    )
}

/// Returns what to record of a worker's answer, or the error of a send that certainly did not go out.
fn outcome_of(
    prepared: &PreparedMessage,
    answer: Result<Sent, LinkError>,
) -> Result<(MessageStatus, Option<Failure>), SendError> {
    let failed = |failure| Ok((MessageStatus::Failed, Some(failure)));
    let unknown = |failure| Ok((MessageStatus::Unknown, Some(failure)));
    match answer {
        Ok(sent) if sent.message_id == prepared.id => Ok((MessageStatus::Sending, None)),
        Ok(_) | Err(LinkError::Rubbish) => unknown(Failure::Rubbish),
        Err(LinkError::Unknown) => unknown(Failure::Silent),
        Err(
            LinkError::NotSent
            | LinkError::NotConnected
            | LinkError::Busy { .. }
            | LinkError::BreakerOpen { .. }
            | LinkError::UnknownSession
            | LinkError::StaleEpoch { .. }
            | LinkError::WrongIncarnation { .. },
        ) => Err(SendError::SessionUnavailable),
        Err(LinkError::BodyMismatch) => Err(SendError::IdempotencyMismatch { id: prepared.id }),
        Err(LinkError::Refused {
            status,
            code,
            message,
        }) => failed(Failure::Refused {
            status,
            code,
            message,
        }),
    }
}

impl Recorded {
    fn conclude(self, repeated: bool) -> Result<SendOutcome, SendError> {
        let id = self.message.id;
        if self.mismatch {
            return Err(SendError::IdempotencyMismatch { id });
        }
        if !repeated {
            return Ok(SendOutcome {
                message: self.message,
                repeated,
            });
        }
        first_answer(self.message).map(|message| SendOutcome { message, repeated })
    }
}

/// Returns what the first send with the key was told, whatever became of the message since.
fn first_answer(message: Message) -> Result<Message, SendError> {
    if message.timeline.sending.is_some() {
        return Ok(Message {
            status: MessageStatus::Sending,
            error: None,
            timeline: Timeline {
                sending: message.timeline.sending,
                ..Timeline::default()
            },
            ..message
        });
    }
    if message.status != MessageStatus::Failed {
        return Ok(message);
    }
    let error = message.error.map(|error| (error.code, error.message));
    let (code, words) = error.unwrap_or_else(|| ("failed".to_owned(), None));
    Err(SendError::Refused {
        id: message.id,
        status: message.refused_status.unwrap_or(422),
        message: words.unwrap_or_else(|| code.clone()),
        code,
    })
}
