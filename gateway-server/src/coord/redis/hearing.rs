//! Hints over a channel of Redis.
//!
//! A replica hears its own hints without the way through Redis: they are told here at once, and the echo is
//! recognised by its sender. Streams end whenever something may have been missed: the connection was lost,
//! does not answer, or fell behind; and once more when the subscription stands again.

use std::sync::Arc;

use fred::clients::Client;
use fred::interfaces::{EventInterface, PubsubInterface};
use fred::types::{Message, Value};
use gateway_core::coord::Notice;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use super::super::hints::Hints;

/// A notice as it is published, with the replica that sent it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Said {
    from: String,
    #[serde(flatten)]
    notice: Notice,
}

/// The listening end of one replica.
#[derive(Debug)]
pub(super) struct Hearing {
    pub(super) hints: Hints,
    channel: String,
    own: String,
    subscribed: watch::Sender<bool>,
}

impl Hearing {
    pub(super) fn new(hints: Hints, channel: String, own: String) -> Self {
        Self {
            hints,
            channel,
            own,
            subscribed: watch::Sender::new(false),
        }
    }

    /// Returns the channel and the text to publish for a notice of this replica.
    pub(super) fn say(&self, notice: &Notice) -> (String, String) {
        let said = Said {
            from: self.own.clone(),
            notice: notice.clone(),
        };
        // A struct of plain values always serialises.
        let text = serde_json::to_string(&said).unwrap_or_default();
        (self.channel.clone(), text)
    }

    /// Ends every stream and notes that the subscription is gone: notices may be missed from now on.
    pub(super) fn lose(&self) {
        if self.subscribed.send_replace(false) {
            self.hints.cut();
        }
    }

    /// Waits until the subscription stands, which [`listen`] brings about as soon as there is a
    /// connection.
    pub(super) async fn stood(&self) {
        // The sender is here, so it cannot go away.
        let _ = self.subscribed.subscribe().wait_for(|stands| *stands).await;
    }

    /// Subscribes to the channel unless it is subscribed to. If that fails, the task that watches the
    /// connection tries again.
    pub(super) async fn stand(&self, client: &Client) {
        if *self.subscribed.borrow() {
            return;
        }
        let subscribed = client.subscribe(self.channel.as_str()).await;
        if subscribed.is_ok() && !self.subscribed.send_replace(true) {
            self.hints.cut();
        }
    }

    fn hear(&self, message: &Message) {
        let said = match &message.value {
            Value::String(text) => serde_json::from_str::<Said>(text).ok(),
            Value::Bytes(bytes) => serde_json::from_slice(bytes).ok(),
            _ => None,
        };
        // One that is not understood comes from a newer replica; it is a hint only.
        if let Some(said) = said.filter(|said| said.from != self.own) {
            self.hints.tell(said.notice);
        }
    }
}

/// Passes on the notices of other replicas until aborted. Call it before the client connects.
pub(super) fn listen(hearing: Arc<Hearing>, client: &Client) -> impl Future<Output = ()> + use<> {
    let client = client.clone();
    let mut messages = client.message_rx();
    let mut connected = client.reconnect_rx();
    let mut errors = client.error_rx();
    async move {
        loop {
            // In this order: what was heard before the loss is told before the cut.
            tokio::select! {
                biased;
                message = messages.recv() => match message {
                    Ok(message) => hearing.hear(&message),
                    Err(RecvError::Lagged(_)) => hearing.hints.cut(),
                    Err(RecvError::Closed) => return,
                },
                error = errors.recv() => match error {
                    Ok(_) | Err(RecvError::Lagged(_)) => hearing.lose(),
                    Err(RecvError::Closed) => return,
                },
                server = connected.recv() => match server {
                    Ok(_) | Err(RecvError::Lagged(_)) => {
                        hearing.lose();
                        hearing.stand(&client).await;
                    }
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};
    use gateway_core::id::SessionId;

    use super::*;

    fn hearing(own: &str) -> Hearing {
        Hearing::new(Hints::new(8), "c".to_owned(), own.to_owned())
    }

    #[test]
    fn a_hint_travels_as_json_with_its_sender() {
        let session = SessionId::from_u128(3);
        let (channel, text) = hearing("a").say(&Notice::Session { session });
        assert_eq!(channel, "c");
        let expected = serde_json::json!({
            "from": "a", "notice": "session", "session": session.to_string(),
        });
        let sent: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(sent, expected);
    }

    #[test]
    fn an_echo_and_rubbish_are_not_heard() {
        let here = hearing("a");
        let mut heard = here.hints.listen();
        let unknown = r#"{"from":"b","notice":"later"}"#.to_owned();
        let echo = here.say(&Notice::Due).1;
        let other = hearing("b").say(&Notice::Outbox).1;
        for text in [unknown, "{".to_owned(), echo, other] {
            here.hear(&Message {
                channel: "c".into(),
                value: Value::from(text),
                kind: fred::types::MessageKind::Message,
                server: fred::types::config::Server::new("h", 1),
            });
        }
        assert_eq!(heard.next().now_or_never(), Some(Some(Notice::Outbox)));
        assert_eq!(heard.next().now_or_never(), None);
    }

    #[test]
    fn losing_what_did_not_stand_cuts_nobody_off() {
        let here = hearing("a");
        let mut heard = here.hints.listen();
        here.lose();
        assert_eq!(heard.next().now_or_never(), None, "still there");
        here.subscribed.send_replace(true);
        here.lose();
        assert_eq!(heard.next().now_or_never(), Some(None), "ended");
    }
}
