//! The body of a send, field by field, as the one type of R-60 that it names.
//!
//! The wire struct is flat: so a wrong field is named, whatever the type; which fields a type needs is
//! said here, what may stand in them by [`Content::problems`].

use garde::Validate;
use gateway_core::id::MessageId;
use gateway_core::message::{ChatId, ChatKind, Contact, Content, Media, SendRequest, WaMessageId};
use gateway_core::session::{Route, SessionRef};
use gateway_core::time::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::http::problem::{ApiResult, Detail, Problem};
use crate::identity::Caller;

/// The most mentions of one message.
const MENTIONS: usize = 1_024;

/// The types of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum MessageType {
    Text,
    Image,
    Video,
    Audio,
    Document,
    Sticker,
    Location,
    Contact,
    Poll,
    Reaction,
}

/// A message to be sent: `to`, `type`, and the fields of that type.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub(super) struct SendMessage {
    /// A phone number with country code, or a chat id (`…@s.whatsapp.net`, `…@g.us`, `…@lid`, …).
    to: String,
    #[serde(rename = "type")]
    kind: MessageType,
    /// Our id of the message this one answers; WhatsApp's, too, if it came in at a chat of two. It must be a message
    /// of the same chat.
    #[serde(default)]
    quoted_message_id: Option<String>,
    /// The people that the text mentions: numbers or ids, as in `to`.
    #[serde(default)]
    mentions: Vec<String>,
    /// When to send it; not supported yet.
    #[serde(default)]
    send_at: Option<Timestamp>,
    /// `text`: 1 to 65,536 characters.
    #[serde(default)]
    text: Option<String>,
    /// `text`: whether to show a preview of the first link.
    #[serde(default)]
    preview_url: Option<bool>,
    /// `image`, `video`, `audio`, `document`, `sticker`: where it is.
    #[serde(default)]
    media: Option<SendMedia>,
    /// `image`, `video`, `document`: text below it.
    #[serde(default)]
    caption: Option<String>,
    /// `audio`: whether it is a voice message.
    #[serde(default)]
    voice: Option<bool>,
    /// `video`: whether to loop it without sound.
    #[serde(default)]
    gif: Option<bool>,
    /// `location`: degrees, -90 to 90.
    #[serde(default)]
    latitude: Option<f64>,
    /// `location`: degrees, -180 to 180.
    #[serde(default)]
    longitude: Option<f64>,
    /// `location`: what it is called.
    #[serde(default)]
    name: Option<String>,
    /// `location`: its address.
    #[serde(default)]
    address: Option<String>,
    /// `contact`: 1 to 100 cards.
    #[serde(default)]
    contacts: Option<Vec<SendContact>>,
    /// `poll`: what is asked.
    #[serde(default)]
    question: Option<String>,
    /// `poll`: 2 to 12 different answers.
    #[serde(default)]
    options: Option<Vec<String>>,
    /// `poll`: how many answers one may choose; 1 if absent.
    #[serde(default)]
    selectable_count: Option<u32>,
    /// `reaction`: our id of a message of the same chat; either this or `waMessageId`.
    #[serde(default)]
    message_id: Option<String>,
    /// `reaction`: its id at WhatsApp.
    #[serde(default)]
    wa_message_id: Option<String>,
    /// `reaction`: one emoji; empty takes the reaction back.
    #[serde(default)]
    emoji: Option<String>,
}

/// A media file, by address or by upload.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SendMedia {
    /// An http(s) URL; either this or `mediaId`.
    #[serde(default)]
    url: Option<String>,
    /// The id of an uploaded file; either this or `url`.
    #[serde(default)]
    media_id: Option<String>,
    /// The MIME type of the file.
    #[serde(default)]
    mime_type: Option<String>,
    /// The file name that the recipient sees.
    #[serde(default)]
    file_name: Option<String>,
}

impl From<SendMedia> for Media {
    fn from(media: SendMedia) -> Self {
        Self {
            url: media.url,
            media_id: media.media_id,
            mime_type: media.mime_type,
            file_name: media.file_name,
        }
    }
}

/// A contact card.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SendContact {
    name: String,
    phone_number: String,
    #[serde(default)]
    organization: Option<String>,
}

impl From<SendContact> for Contact {
    fn from(contact: SendContact) -> Self {
        Self {
            name: contact.name,
            phone_number: contact.phone_number,
            organization: contact.organization,
        }
    }
}

/// A checked body: the recipient, the content and the options of a message.
#[derive(Debug, PartialEq)]
pub(super) struct Letter {
    pub(super) to: ChatId,
    pub(super) content: Content,
    pub(super) context: Map<String, Value>,
}

impl Letter {
    /// Converts the letter into the core's request.
    pub(super) fn request(
        self,
        caller: &Caller,
        route: &Route,
        idempotency_key: Option<String>,
    ) -> SendRequest {
        SendRequest {
            tenant: caller.tenant,
            session: SessionRef::Id(route.session),
            to: self.to,
            content: self.content,
            context: self.context,
            idempotency_key,
        }
    }
}

impl SendMessage {
    /// Checks all fields, and refuses what this release cannot do.
    ///
    /// # Errors
    /// Fields that cannot be accepted, all at once; or 501 with the name of what is missing.
    pub(super) fn letter(self) -> ApiResult<Letter> {
        let mut wrong = Vec::new();
        let to = chat("to", &self.to, &mut wrong);
        let context = self.context(&mut wrong);
        let scheduled = self.send_at.is_some();
        let content = self.content(&mut wrong);
        if let Some(content) = &content {
            let problems = content.problems().into_iter();
            wrong.extend(problems.map(|problem| Detail {
                field: problem.field,
                message: problem.message,
            }));
        }
        let (Some(to), Some(content), true) = (to, content, wrong.is_empty()) else {
            return Err(Problem::invalid(wrong));
        };
        if scheduled {
            return Err(Problem::not_supported("sendAt"));
        }
        if to.kind() == ChatKind::Other {
            return Err(Problem::not_supported(to.server()));
        }
        if content.needs_media() {
            return Err(Problem::not_supported(content.kind()));
        }
        Ok(Letter {
            to,
            content: content.canonical(),
            context,
        })
    }

    fn context(&self, wrong: &mut Vec<Detail>) -> Map<String, Value> {
        let mut context = Map::new();
        if let Some(quoted) = &self.quoted_message_id {
            if quoted.parse::<MessageId>().is_err() && WaMessageId::parse(quoted).is_none() {
                fail(wrong, "quotedMessageId", "must be the id of a message");
            }
            context.insert("quotedMessageId".to_owned(), Value::from(quoted.as_str()));
        }
        if self.mentions.len() > MENTIONS {
            fail(
                wrong,
                "mentions",
                &format!("must have at most {MENTIONS} entries"),
            );
        }
        let all = self.mentions.iter().take(MENTIONS).enumerate();
        let mentions: Vec<Value> = all
            .filter_map(|(index, text)| chat(&format!("mentions[{index}]"), text, wrong))
            .map(|chat| Value::from(chat.as_str()))
            .collect();
        if !mentions.is_empty() {
            context.insert("mentions".to_owned(), Value::from(mentions));
        }
        context
    }

    fn content(self, wrong: &mut Vec<Detail>) -> Option<Content> {
        let content = match self.kind {
            MessageType::Text => Content::Text {
                text: need(wrong, "text", self.text)?,
                preview_url: self.preview_url,
            },
            MessageType::Image => Content::Image {
                media: need(wrong, "media", self.media)?.into(),
                caption: self.caption,
            },
            MessageType::Video => Content::Video {
                media: need(wrong, "media", self.media)?.into(),
                caption: self.caption,
                gif: self.gif,
            },
            MessageType::Audio => Content::Audio {
                media: need(wrong, "media", self.media)?.into(),
                voice: self.voice,
            },
            MessageType::Document => Content::Document {
                media: need(wrong, "media", self.media)?.into(),
                caption: self.caption,
            },
            MessageType::Sticker => Content::Sticker {
                media: need(wrong, "media", self.media)?.into(),
            },
            MessageType::Location => {
                let latitude = need(wrong, "latitude", self.latitude);
                let longitude = need(wrong, "longitude", self.longitude);
                Content::Location {
                    latitude: latitude?,
                    longitude: longitude?,
                    name: self.name,
                    address: self.address,
                }
            }
            MessageType::Contact => {
                let contacts = need(wrong, "contacts", self.contacts)?;
                Content::Contact {
                    contacts: contacts.into_iter().map(Contact::from).collect(),
                }
            }
            MessageType::Poll => {
                let question = need(wrong, "question", self.question);
                let options = need(wrong, "options", self.options);
                Content::Poll {
                    question: question?,
                    options: options?,
                    selectable_count: self.selectable_count.unwrap_or(1),
                }
            }
            MessageType::Reaction => Content::Reaction {
                message_id: self.message_id,
                wa_message_id: self.wa_message_id,
                emoji: need(wrong, "emoji", self.emoji)?,
            },
        };
        Some(content)
    }
}

fn need<T>(wrong: &mut Vec<Detail>, field: &str, value: Option<T>) -> Option<T> {
    if value.is_none() {
        fail(wrong, field, "is required");
    }
    value
}

fn chat(field: &str, text: &str, wrong: &mut Vec<Detail>) -> Option<ChatId> {
    match text.parse() {
        Ok(chat) => Some(chat),
        Err(error) => {
            let error: gateway_core::message::InvalidChatId = error;
            fail(wrong, field, &error.to_string());
            None
        }
    }
}

fn fail(wrong: &mut Vec<Detail>, field: &str, message: &str) {
    wrong.push(Detail {
        field: field.to_owned(),
        message: message.to_owned(),
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::problem::Kind;

    fn letter(body: Value) -> ApiResult<Letter> {
        let body: SendMessage = serde_json::from_value(body).expect("right types");
        body.letter()
    }

    #[test]
    fn every_type_can_be_written() {
        for (body, kind) in [
            (
                json!({"type": "text", "text": "hi", "previewUrl": true}),
                "text",
            ),
            (
                json!({"type": "location", "latitude": 1.5, "longitude": -2}),
                "location",
            ),
            (
                json!({"type": "contact", "contacts": [{"name": "A", "phoneNumber": "+4912345"}]}),
                "contact",
            ),
            (
                json!({"type": "poll", "question": "?", "options": ["a", "b"]}),
                "poll",
            ),
            (
                json!({"type": "reaction", "waMessageId": "3EB0", "emoji": ""}),
                "reaction",
            ),
        ] {
            let mut body = body;
            body["to"] = json!("+49 170 1234567");
            let letter = letter(body).expect(kind);
            assert_eq!(letter.content.kind(), kind);
            assert_eq!(letter.to.as_str(), "491701234567@s.whatsapp.net");
        }
    }

    #[test]
    fn what_cannot_be_done_yet_is_checked_and_then_named() {
        let media = json!({"url": "https://example.org/a.png"});
        for kind in ["image", "video", "audio", "document", "sticker"] {
            let whole = json!({"to": "49170123456", "type": kind, "media": media});
            assert_eq!(letter(whole).expect_err(kind).kind(), Kind::NotSupported);
            let bare = json!({"to": "49170123456", "type": kind});
            assert_eq!(letter(bare).expect_err(kind).kind(), Kind::ValidationError);
        }
        let later = json!({
            "to": "49170123456", "type": "text", "text": "x", "sendAt": "2030-01-01T00:00:00Z",
        });
        assert_eq!(letter(later).expect_err("later").kind(), Kind::NotSupported);
    }

    #[test]
    fn what_no_engine_can_address_is_named() {
        for (to, capability) in [
            ("status@broadcast", "broadcast"),
            ("867051314767696@bot", "bot"),
            ("491701234567@hosted", "hosted"),
        ] {
            let body = json!({"to": to, "type": "text", "text": "x"});
            let problem = letter(body).expect_err(to);
            assert_eq!(problem.kind(), Kind::NotSupported);
            let told = format!("{problem:?}");
            assert!(told.contains(capability), "{told}");
        }
    }

    #[test]
    fn a_contact_card_has_the_digits_of_its_number() {
        let body = json!({
            "to": "49170123456", "type": "contact",
            "contacts": [{"name": "Ann", "phoneNumber": "+49 (170) 123-4567"}],
        });
        let Content::Contact { contacts } = letter(body).expect("a letter").content else {
            panic!("a contact")
        };
        assert_eq!(contacts[0].phone_number, "491701234567");
    }

    #[test]
    fn quotes_and_mentions_travel_in_canonical_form() {
        let body = json!({
            "to": "1-2@g.us", "type": "text", "text": "hi @49170123456",
            "quotedMessageId": "3EB0ABC", "mentions": ["+49170123456"],
        });
        let context = letter(body).expect("a letter").context;
        let expected = json!({
            "quotedMessageId": "3EB0ABC", "mentions": ["49170123456@s.whatsapp.net"],
        });
        assert_eq!(Value::Object(context), expected);
    }

    #[test]
    fn all_wrong_fields_are_named_at_once() {
        let body =
            json!({"to": "nobody", "type": "text", "mentions": ["x"], "quotedMessageId": ""});
        let problem = letter(body).expect_err("wrong");
        let text = format!("{problem:?}");
        for field in [
            "\"to\"",
            "\"text\"",
            "\"mentions[0]\"",
            "\"quotedMessageId\"",
        ] {
            assert!(text.contains(field), "{field} in {text}");
        }
    }
}
