//! The other side of WhatsApp: linked devices, what recipients see, and what waits for a session.
//!
//! One network is shared by all simulated workers, as there is one WhatsApp. It shows a message once
//! per session and id at WhatsApp, however often it arrives (the assumption of R-63 about real clients),
//! and counts both, so a test can tell "sent twice under one id" from "shown twice". Receipts and
//! incoming messages wait here until the gateway has acknowledged them, whoever holds the session by
//! then: a worker's crash loses none, and delivers some twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway_core::id::{MessageId, SessionId};
use gateway_core::message::WaMessageId;
use gateway_core::protocol::MessageTarget;
use gateway_core::time::Uptime;
use serde_json::{Map, Value};

/// A message as a recipient sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownMessage {
    pub session: SessionId,
    /// The message's id at WhatsApp.
    pub wa_message_id: WaMessageId,
    /// The gateway's id, as the worker got it.
    pub message_id: MessageId,
    pub to: String,
    pub kind: String,
    pub content: Map<String, Value>,
    /// How often the message arrived; it is shown once all the same.
    pub arrivals: u32,
}

/// Something that waits for a session.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mail {
    Receipt {
        message_id: MessageId,
        wa_message_id: WaMessageId,
        status: &'static str,
        error: Option<String>,
    },
    Text {
        chat: String,
        text: String,
        wa_message_id: String,
    },
}

/// Names a piece of mail: when it is due, and its number.
pub(super) type MailKey = (Uptime, u64);

#[derive(Debug)]
struct Waiting {
    mail: Mail,
    handed_out: bool,
    offline: bool,
}

#[derive(Debug, Default)]
struct Inner {
    shown: BTreeMap<(SessionId, WaMessageId), ShownMessage>,
    order: VecDeque<(SessionId, WaMessageId)>,
    linked: BTreeMap<SessionId, u64>,
    unlinked: BTreeSet<(SessionId, u64)>,
    boxes: BTreeMap<SessionId, BTreeMap<MailKey, Waiting>>,
    /// Messages that were written to a session, by their id at WhatsApp and their chat.
    written: BTreeSet<(SessionId, String, String)>,
    written_order: VecDeque<(SessionId, String, String)>,
    fresh: BTreeSet<SessionId>,
    serial: u64,
}

/// All phones, and the network between them. Shared by the workers of a fleet.
#[derive(Debug)]
pub struct PhoneNetwork {
    inner: Mutex<Inner>,
    remembered: usize,
}

impl Default for PhoneNetwork {
    fn default() -> Self {
        Self::remembering(usize::MAX)
    }
}

impl PhoneNetwork {
    /// Makes a network that forgets the oldest shown messages beyond `remembered`, for long runs.
    #[must_use]
    pub fn remembering(remembered: usize) -> Self {
        Self {
            inner: Mutex::default(),
            remembered,
        }
    }

    /// Returns what recipients see of a session's messages, in order of the ids at WhatsApp.
    #[must_use]
    pub fn shown(&self, session: SessionId) -> Vec<ShownMessage> {
        let inner = self.lock();
        let of_session = |message: &&ShownMessage| message.session == session;
        inner.shown.values().filter(of_session).cloned().collect()
    }

    /// Returns how often recipients see the gateway's message: 1, unless it was sent under several ids.
    #[must_use]
    pub fn times_shown(&self, message: MessageId) -> usize {
        let inner = self.lock();
        let is_it = |shown: &&ShownMessage| shown.message_id == message;
        inner.shown.values().filter(is_it).count()
    }

    /// Returns how many messages recipients see in all.
    #[must_use]
    pub fn shown_in_all(&self) -> usize {
        self.lock().shown.len()
    }

    /// Returns whether there is such a message in a chat of the session: one that recipients see, or one that was
    /// written to it.
    pub(super) fn knows(&self, session: SessionId, target: &MessageTarget) -> bool {
        let inner = self.lock();
        let id = &target.wa_message_id;
        let wa = WaMessageId::parse(id);
        let shown = wa.and_then(|wa| inner.shown.get(&(session, wa)));
        let chats = [Some(&target.chat), target.chat_alt.as_ref()];
        let mut chats = chats.into_iter().flatten();
        chats.any(|chat| {
            shown.is_some_and(|message| message.to == *chat)
                || inner.written.contains(&(session, id.clone(), chat.clone()))
        })
    }

    /// Writes a message to the session's account. It waits until the session is connected.
    pub fn write(&self, session: SessionId, chat: &str, text: &str) {
        let mut inner = self.lock();
        inner.fresh.insert(session);
        inner.post_text(session, Uptime::default(), (chat, text), self.remembered);
    }

    /// Removes the linked device on the phone: stored credentials are worth nothing afterwards.
    pub fn unlink(&self, session: SessionId) {
        let mut inner = self.lock();
        if let Some(device) = inner.linked.remove(&session) {
            inner.unlinked.insert((session, device));
        }
    }

    /// Returns the number of the account behind a session.
    #[must_use]
    pub fn phone_number(session: SessionId) -> String {
        format!("49{:010}", session.as_u128() % 10_000_000_000)
    }

    pub(super) fn link(&self, session: SessionId) -> u64 {
        let mut inner = self.lock();
        inner.serial += 1;
        let device = inner.serial;
        inner.linked.insert(session, device);
        inner.boxes.remove(&session);
        device
    }

    pub(super) fn is_unlinked(&self, session: SessionId, device: u64) -> bool {
        self.lock().unlinked.contains(&(session, device))
    }

    /// Delivers a message to its recipient. Returns whether it arrives for the first time.
    pub(super) fn arrive(&self, message: ShownMessage) -> bool {
        let mut inner = self.lock();
        let key = (message.session, message.wa_message_id.clone());
        if let Some(known) = inner.shown.get_mut(&key) {
            known.arrivals += 1;
            return false;
        }
        if self.remembered != usize::MAX {
            inner.order.push_back(key.clone());
            while inner.order.len() > self.remembered {
                if let Some(oldest) = inner.order.pop_front() {
                    inner.shown.remove(&oldest);
                }
            }
        }
        inner.shown.insert(key, message);
        true
    }

    pub(super) fn post(&self, session: SessionId, due: Uptime, mail: Mail) {
        self.lock().post(session, due, mail);
    }

    pub(super) fn post_text(&self, session: SessionId, due: Uptime, chat: &str, text: &str) {
        let written = (chat, text);
        self.lock()
            .post_text(session, due, written, self.remembered);
    }

    /// Notes that the session has been connected: mail that was not acknowledged is handed out again.
    pub(super) fn attach(&self, session: SessionId, now: Uptime) {
        let mut inner = self.lock();
        for (key, waiting) in inner.boxes.entry(session).or_default() {
            waiting.handed_out = false;
            waiting.offline = key.0 <= now;
        }
    }

    /// Hands out the mail that is due for a connected session and not handed out yet, each with whether
    /// it had to wait for the connection.
    pub(super) fn collect(&self, session: SessionId, now: Uptime) -> Vec<(MailKey, Mail, bool)> {
        let mut inner = self.lock();
        let Some(waiting) = inner.boxes.get_mut(&session) else {
            return Vec::new();
        };
        let until = (now, u64::MAX);
        let due = waiting.range_mut(..=until).filter(|(_, w)| !w.handed_out);
        due.map(|(key, waiting)| {
            waiting.handed_out = true;
            (*key, waiting.mail.clone(), waiting.offline)
        })
        .collect()
    }

    /// Returns when the next piece of mail for the session is due.
    pub(super) fn next_due(&self, session: SessionId) -> Option<Uptime> {
        let inner = self.lock();
        let mut waiting = inner.boxes.get(&session)?.iter();
        waiting.find(|(_, w)| !w.handed_out).map(|(key, _)| key.0)
    }

    /// Forgets a piece of mail, which the gateway has for good.
    pub(super) fn acknowledge(&self, session: SessionId, key: MailKey) {
        if let Some(waiting) = self.lock().boxes.get_mut(&session) {
            waiting.remove(&key);
        }
    }

    /// Returns the sessions of `held` that somebody wrote to from outside since the last call.
    pub(super) fn take_fresh(&self, held: impl Fn(&SessionId) -> bool) -> Vec<SessionId> {
        let mut inner = self.lock();
        let fresh: Vec<_> = inner.fresh.iter().filter(|s| held(s)).copied().collect();
        for session in &fresh {
            inner.fresh.remove(session);
        }
        fresh
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn post(&mut self, session: SessionId, due: Uptime, mail: Mail) {
        self.serial += 1;
        let waiting = Waiting {
            mail,
            handed_out: false,
            offline: false,
        };
        let key = (due, self.serial);
        self.boxes.entry(session).or_default().insert(key, waiting);
    }

    fn post_text(
        &mut self,
        session: SessionId,
        due: Uptime,
        (chat, text): (&str, &str),
        remembered: usize,
    ) {
        let wa_message_id = format!("SIM{:017X}", self.serial + 1);
        let key = (session, wa_message_id.clone(), chat.to_owned());
        self.written.insert(key.clone());
        self.written_order.push_back(key);
        while self.written_order.len() > remembered {
            if let Some(oldest) = self.written_order.pop_front() {
                self.written.remove(&oldest);
            }
        }
        let mail = Mail::Text {
            chat: chat.to_owned(),
            text: text.to_owned(),
            wa_message_id,
        };
        self.post(session, due, mail);
    }
}

/// Returns the other form of a personal chat's address: phone number and LID stand for each other.
pub(super) fn other_form(chat: &str) -> Option<String> {
    let digits = chat.strip_suffix("@s.whatsapp.net")?;
    Some(format!("9{digits}@lid"))
}

/// How long a worker waits for the server's acknowledgement of a message.
pub(super) const ACK_LIMIT: Duration = Duration::from_secs(30);
