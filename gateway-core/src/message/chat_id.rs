//! Chat ids: many dialects in, one canonical form out, never guessed by length (R-60).

use std::fmt;

use serde::{Serialize, Serializer};

/// The kinds of chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChatKind {
    /// A person, by phone number: `…@s.whatsapp.net`.
    Phone,
    Group,
    /// A person, by hidden id: `…@lid`.
    Lid,
    Newsletter,
}

impl ChatKind {
    const fn server(self) -> &'static str {
        match self {
            Self::Phone => "s.whatsapp.net",
            Self::Group => "g.us",
            Self::Lid => "lid",
            Self::Newsletter => "newsletter",
        }
    }
}

/// The id of a chat, in canonical form.
///
/// ```
/// use gateway_core::message::ChatId;
///
/// for dialect in ["+49 170 1234567", "491701234567", "491701234567@c.us"] {
///     let chat: ChatId = dialect.parse()?;
///     assert_eq!(chat.to_string(), "491701234567@s.whatsapp.net");
/// }
/// # Ok::<(), gateway_core::message::InvalidChatId>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChatId(String);

/// Why a text is not a chat id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChatId {
    /// Neither a number nor an id with a server.
    #[error(
        "must be a phone number such as +491701234567 or an id that ends in @c.us, \
         @s.whatsapp.net, @g.us, @lid or @newsletter"
    )]
    Form,
    /// A phone number of impossible length.
    #[error("a phone number has 5 to 15 digits, with country code and without a leading zero")]
    Number,
    /// An unknown part after the `@`.
    #[error("unknown chat server; use @c.us, @s.whatsapp.net, @g.us, @lid or @newsletter")]
    Server,
}

impl ChatId {
    /// Returns what kind of chat it is.
    #[must_use]
    pub fn kind(&self) -> ChatKind {
        let server = self.0.split_once('@').map_or("", |(_, server)| server);
        [ChatKind::Group, ChatKind::Lid, ChatKind::Newsletter]
            .into_iter()
            .find(|kind| kind.server() == server)
            .unwrap_or(ChatKind::Phone)
    }

    /// Returns the id in canonical form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for ChatId {
    type Err = InvalidChatId;

    fn from_str(text: &str) -> Result<Self, InvalidChatId> {
        let text = text.trim();
        let Some((user, server)) = text.split_once('@') else {
            return phone(text);
        };
        let kind = match server.to_ascii_lowercase().as_str() {
            "c.us" | "s.whatsapp.net" => return phone(without_device(user)),
            "g.us" => ChatKind::Group,
            "lid" => ChatKind::Lid,
            "newsletter" => ChatKind::Newsletter,
            _ => return Err(InvalidChatId::Server),
        };
        let user = without_device(user);
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        // Old groups are named `<creator>-<time>`, new ones by one number.
        let valid = user.len() <= 40
            && match (kind, user.split_once('-')) {
                (ChatKind::Group, Some((creator, time))) => digits(creator) && digits(time),
                (_, Some(_)) => false,
                (_, None) => digits(user),
            };
        if !valid {
            return Err(InvalidChatId::Form);
        }
        Ok(Self(format!("{user}@{}", kind.server())))
    }
}

/// Removes the device from a user part: reports name devices (`49170…:3@…`), and a chat has none.
fn without_device(user: &str) -> &str {
    user.split_once(':').map_or(user, |(user, _)| user)
}

fn phone(text: &str) -> Result<ChatId, InvalidChatId> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let separator = |c: char| matches!(c, ' ' | '-' | '(' | ')' | '.');
    let digits: String = text.chars().filter(|c| !separator(*c)).collect();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(InvalidChatId::Form);
    }
    if !(5..=15).contains(&digits.len()) || digits.starts_with('0') {
        return Err(InvalidChatId::Number);
    }
    Ok(ChatId(format!("{digits}@{}", ChatKind::Phone.server())))
}

impl fmt::Display for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChatId([redacted])")
    }
}

impl Serialize for ChatId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Result<String, InvalidChatId> {
        text.parse::<ChatId>().map(|chat| chat.to_string())
    }

    #[test]
    fn every_dialect_has_one_form() {
        for (text, expected) in [
            ("+49 (170) 123-4567", "491701234567@s.whatsapp.net"),
            (
                "491701234567:12@s.whatsapp.net",
                "491701234567@s.whatsapp.net",
            ),
            ("491701234567@C.US", "491701234567@s.whatsapp.net"),
            ("120363001234567890@g.us", "120363001234567890@g.us"),
            (
                "491701234567-1500000000@g.us",
                "491701234567-1500000000@g.us",
            ),
            ("123456789012345@lid", "123456789012345@lid"),
            (
                "120363001234567890@newsletter",
                "120363001234567890@newsletter",
            ),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
            assert_eq!(
                canonical(expected).as_deref(),
                Ok(expected),
                "canonical stays itself"
            );
        }
    }

    #[test]
    fn nothing_is_guessed() {
        assert_eq!(
            canonical("120363001234567890"),
            Err(InvalidChatId::Number),
            "a group's digits"
        );
        assert_eq!(canonical("0170123456"), Err(InvalidChatId::Number));
        assert_eq!(canonical("someone@example.com"), Err(InvalidChatId::Server));
        for bad in [
            "",
            "hello",
            "@g.us",
            "1-2-3@g.us",
            "12-34@lid",
            "\u{0}49170",
        ] {
            assert_eq!(canonical(bad), Err(InvalidChatId::Form), "{bad:?}");
        }
    }
}
