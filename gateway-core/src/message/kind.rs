//! The types of message: what a tenant may write, checked field by field.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::ChatId;
use super::glyph::{is_blank, is_one_emoji};

/// The longest text of a message in characters.
pub const MAX_TEXT_CHARS: usize = 65_536;
const MAX_CAPTION_CHARS: usize = 4_096;
const MAX_LABEL_CHARS: usize = 1_024;
const MAX_URL_CHARS: usize = 2_048;
const MAX_CONTACTS: usize = 100;

/// A field of a message that cannot be accepted, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidContent {
    /// The path of the field, as in `contacts[0].name`.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// The content of an outbound message, by type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(
    tag = "type",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
pub enum Content {
    Text {
        /// 1 to 65,536 characters.
        text: String,
        /// Whether to show a preview of the first link.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preview_url: Option<bool>,
    },
    Image {
        media: Media,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caption: Option<String>,
    },
    Video {
        media: Media,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caption: Option<String>,
        /// Whether to loop it without sound.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gif: Option<bool>,
    },
    Audio {
        media: Media,
        /// Whether it is a voice message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        voice: Option<bool>,
    },
    Document {
        media: Media,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caption: Option<String>,
    },
    Sticker {
        media: Media,
    },
    /// A place on the map.
    Location {
        /// Degrees, -90 to 90.
        latitude: f64,
        /// Degrees, -180 to 180.
        longitude: f64,
        /// What it is called.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<String>,
    },
    Contact {
        /// 1 to 100 of them.
        contacts: Vec<Contact>,
    },
    Poll {
        question: String,
        /// 2 to 12 different answers.
        options: Vec<String>,
        /// How many answers one may choose; 1 if absent.
        #[serde(default = "one")]
        selectable_count: u32,
    },
    /// A reaction to a message.
    Reaction {
        /// The gateway's id of the message it is about; either this or `waMessageId`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message_id: Option<String>,
        /// The id at WhatsApp of the message it is about; either this or `messageId`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wa_message_id: Option<String>,
        /// The emoji; empty takes the reaction back.
        emoji: String,
    },
}

const fn one() -> u32 {
    1
}

/// A media file, by address or by upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Media {
    /// An http(s) URL; either this or `mediaId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The id of an uploaded file; either this or `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_id: Option<String>,
    /// The MIME type of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// The file name that the recipient sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
}

/// A contact card in a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    /// In one line.
    pub name: String,
    /// A phone number with country code, as in `to` of a send.
    pub phone_number: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
}

impl Content {
    /// The names of all types, in the order of the variants.
    pub const KINDS: [&'static str; 10] = [
        "text", "image", "video", "audio", "document", "sticker", "location", "contact", "poll",
        "reaction",
    ];

    /// Returns the name of the type.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Image { .. } => "image",
            Self::Video { .. } => "video",
            Self::Audio { .. } => "audio",
            Self::Document { .. } => "document",
            Self::Sticker { .. } => "sticker",
            Self::Location { .. } => "location",
            Self::Contact { .. } => "contact",
            Self::Poll { .. } => "poll",
            Self::Reaction { .. } => "reaction",
        }
    }

    /// Returns whether the type carries a media file, which this release cannot send.
    #[must_use]
    pub const fn needs_media(&self) -> bool {
        match self {
            Self::Image { .. }
            | Self::Video { .. }
            | Self::Audio { .. }
            | Self::Document { .. }
            | Self::Sticker { .. } => true,
            Self::Text { .. }
            | Self::Location { .. }
            | Self::Contact { .. }
            | Self::Poll { .. }
            | Self::Reaction { .. } => false,
        }
    }

    /// Returns everything that is wrong with the content; an empty list means that it can be sent.
    #[must_use]
    pub fn problems(&self) -> Vec<InvalidContent> {
        let mut check = Check::default();
        match self {
            Self::Text {
                text,
                preview_url: _,
            } => check.visible("text", text, MAX_TEXT_CHARS),
            Self::Image { media, caption } | Self::Document { media, caption } => {
                check.media(media);
                check.optional("caption", caption.as_deref(), MAX_CAPTION_CHARS);
            }
            Self::Video {
                media,
                caption,
                gif: _,
            } => {
                check.media(media);
                check.optional("caption", caption.as_deref(), MAX_CAPTION_CHARS);
            }
            Self::Audio { media, voice: _ } | Self::Sticker { media } => check.media(media),
            Self::Location {
                latitude,
                longitude,
                name,
                address,
            } => {
                check.degrees("latitude", *latitude, 90.0);
                check.degrees("longitude", *longitude, 180.0);
                check.optional("name", name.as_deref(), MAX_LABEL_CHARS);
                check.optional("address", address.as_deref(), MAX_LABEL_CHARS);
            }
            Self::Contact { contacts } => check.contacts(contacts),
            Self::Poll {
                question,
                options,
                selectable_count,
            } => {
                check.poll(question, options, *selectable_count);
            }
            Self::Reaction {
                message_id,
                wa_message_id,
                emoji,
            } => {
                if message_id.is_some() == wa_message_id.is_some() {
                    check.fail("messageId", "give either messageId or waMessageId");
                }
                check.optional("messageId", message_id.as_deref(), 128);
                check.optional("waMessageId", wa_message_id.as_deref(), 128);
                check.emoji(emoji);
            }
        }
        check.problems
    }

    /// Returns the content as it goes to the worker and into the history: numbers on contact cards are digits with
    /// country code, however they were written.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        if let Self::Contact { contacts } = &mut self {
            for contact in contacts {
                let chat = contact.phone_number.parse::<ChatId>().ok();
                if let Some(digits) = chat.as_ref().and_then(ChatId::phone_digits) {
                    digits.clone_into(&mut contact.phone_number);
                }
            }
        }
        self
    }

    /// Returns the content as JSON fields, with the name of the type as `type`.
    #[must_use]
    pub fn tagged(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) | Err(_) => Map::new(),
        }
    }
}

/// Returns SHA-256 over the canonical JSON of a request: object keys sorted, no white space.
#[must_use]
pub fn body_hash(body: &impl Serialize) -> [u8; 32] {
    // serde_json keeps objects in key order, so equal bodies have equal texts. Writing values into memory
    // does not fail.
    let text = serde_json::to_vec(body).unwrap_or_default();
    Sha256::digest(text).into()
}

#[derive(Default)]
struct Check {
    problems: Vec<InvalidContent>,
}

impl Check {
    fn fail(&mut self, field: &str, message: &str) {
        self.problems.push(InvalidContent {
            field: field.to_owned(),
            message: message.to_owned(),
        });
    }

    fn text(&mut self, field: &str, text: &str, min: usize, max: usize) {
        let length = text.chars().count();
        if length < min || length > max {
            self.fail(field, &format!("must have {min} to {max} characters"));
        }
        if text.contains('\0') {
            self.fail(field, "must not contain the character U+0000");
        }
    }

    /// A text in which something can be seen.
    fn visible(&mut self, field: &str, text: &str, max: usize) {
        let known = self.problems.len();
        self.text(field, text, 1, max);
        if self.problems.len() == known && is_blank(text) {
            self.fail(field, "must contain something that can be seen");
        }
    }

    /// A visible text in one line: on a contact card, each line says something else.
    fn line(&mut self, field: &str, text: &str, max: usize) {
        self.visible(field, text, max);
        self.no_line_break(field, text);
    }

    fn no_line_break(&mut self, field: &str, text: &str) {
        let breaks =
            |c: char| c != '\0' && (c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
        if text.contains(breaks) {
            self.fail(field, "must not contain line breaks or control characters");
        }
    }

    fn emoji(&mut self, emoji: &str) {
        if !emoji.is_empty() && !is_one_emoji(emoji) {
            self.fail(
                "emoji",
                "must be one emoji, or empty to take the reaction back",
            );
        }
    }

    fn optional(&mut self, field: &str, text: Option<&str>, max: usize) {
        if let Some(text) = text {
            self.text(field, text, 0, max);
        }
    }

    fn media(&mut self, media: &Media) {
        if media.url.is_some() == media.media_id.is_some() {
            self.fail("media", "give either url or mediaId");
        }
        if let Some(url) = &media.url {
            self.text("media.url", url, 1, MAX_URL_CHARS);
            if !url.starts_with("https://") && !url.starts_with("http://") {
                self.fail("media.url", "must be an http or https URL");
            }
        }
        self.optional("media.mediaId", media.media_id.as_deref(), 128);
        self.optional("media.mimeType", media.mime_type.as_deref(), 255);
        self.optional("media.fileName", media.file_name.as_deref(), 255);
    }

    fn degrees(&mut self, field: &str, value: f64, limit: f64) {
        if !value.is_finite() || value.abs() > limit {
            self.fail(field, &format!("must be a number from -{limit} to {limit}"));
        }
    }

    fn contacts(&mut self, contacts: &[Contact]) {
        if contacts.is_empty() || contacts.len() > MAX_CONTACTS {
            self.fail(
                "contacts",
                &format!("must have 1 to {MAX_CONTACTS} entries"),
            );
        }
        for (index, contact) in contacts.iter().enumerate().take(MAX_CONTACTS) {
            let field = |name: &str| format!("contacts[{index}].{name}");
            self.line(&field("name"), &contact.name, MAX_LABEL_CHARS);
            self.phone(&field("phoneNumber"), &contact.phone_number);
            if let Some(organization) = &contact.organization {
                let field = field("organization");
                self.text(&field, organization, 0, MAX_LABEL_CHARS);
                self.no_line_break(&field, organization);
            }
        }
    }

    /// A number as in `to`.
    fn phone(&mut self, field: &str, text: &str) {
        match text.parse::<ChatId>() {
            Err(error) => self.fail(field, &error.to_string()),
            Ok(chat) if chat.phone_digits().is_none() => {
                self.fail(field, "must be a phone number such as +491701234567");
            }
            Ok(_) => {}
        }
    }

    fn poll(&mut self, question: &str, options: &[String], selectable: u32) {
        self.visible("question", question, 255);
        if !(2..=12).contains(&options.len()) {
            self.fail("options", "must have 2 to 12 entries");
        }
        for (index, option) in options.iter().enumerate().take(12) {
            self.visible(&format!("options[{index}]"), option, 100);
            if options[..index].contains(option) {
                self.fail(
                    &format!("options[{index}]"),
                    "must differ from the other options",
                );
            }
        }
        if selectable == 0 || selectable as usize > options.len().max(1) {
            self.fail(
                "selectableCount",
                "must be between 1 and the number of options",
            );
        }
    }
}
