//! Chat ids: many dialects in, one canonical form out, never guessed by length (R-60).

use std::fmt;

use serde::{Serialize, Serializer};

use super::glyph::is_format;

/// The longest id of a chat of another kind that is kept, in characters.
const MAX_OTHER: usize = 128;

/// The kinds of chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChatKind {
    /// A person, by phone number: `…@s.whatsapp.net`.
    Phone,
    Group,
    /// A person, by hidden id: `…@lid`.
    Lid,
    Newsletter,
    /// Anything else that messages come from, such as `status@broadcast` or `…@bot`, by its raw id.
    Other,
}

/// What stands after the `@` in ids of chats of another kind that are known to exist.
const OTHER_SERVERS: [&str; 6] = [
    "broadcast",
    "bot",
    "hosted",
    "hosted.lid",
    "interop",
    "msgr",
];

impl ChatKind {
    const fn server(self) -> &'static str {
        match self {
            Self::Phone => "s.whatsapp.net",
            Self::Group => "g.us",
            Self::Lid => "lid",
            Self::Newsletter => "newsletter",
            Self::Other => "",
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
pub struct ChatId {
    text: String,
    kind: ChatKind,
}

/// Why a text is not a chat id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChatId {
    /// Neither a number nor an id with a server.
    #[error(
        "must be a phone number such as +491701234567 or an id that ends in @c.us, \
         @s.whatsapp.net, @g.us, @lid or @newsletter"
    )]
    Form,
    /// A phone number with something in it that is neither a digit nor commonly written between digits.
    #[error(
        "a phone number cannot contain '{}' (U+{:04X}); write it such as +491701234567",
        .0.escape_default(), u32::from(*.0)
    )]
    Character(char),
    /// A phone number of impossible length.
    #[error("a phone number has 5 to 15 digits, with country code and without a leading zero")]
    Number,
    /// A zero after the country code that is dialled inside the country only.
    #[error(
        "leave out the 0 after the country code, which is dialled inside the country only: \
         +44 7911 123456, not +44 (0)7911 123456"
    )]
    TrunkZero,
    /// An unknown part after the `@`.
    #[error("unknown chat server; use @c.us, @s.whatsapp.net, @g.us, @lid or @newsletter")]
    Server,
}

impl ChatId {
    /// Reads an id that a worker reports, which is WhatsApp's and never refused: what has no canonical form is
    /// kept as it is, as [`ChatKind::Other`]. Returns `None` if it is neither a number nor of the form `…@…`.
    #[must_use]
    pub fn reported(text: &str) -> Option<Self> {
        if let Ok(chat) = read(text, false) {
            return Some(chat);
        }
        let plain = |c: &char| !c.is_control() && !c.is_whitespace() && !is_format(*c);
        let text: String = text.chars().filter(plain).take(MAX_OTHER).collect();
        let kind = ChatKind::Other;
        text.contains('@').then_some(Self { text, kind })
    }

    /// Returns what kind of chat it is.
    #[must_use]
    pub const fn kind(&self) -> ChatKind {
        self.kind
    }

    /// Returns the id in canonical form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the part after the `@`.
    #[must_use]
    pub fn server(&self) -> &str {
        self.text.split_once('@').map_or("", |(_, server)| server)
    }

    /// Returns the digits of a person's phone number; none for any other chat.
    #[must_use]
    pub fn phone_digits(&self) -> Option<&str> {
        match self.kind {
            ChatKind::Phone => self.text.split_once('@').map(|(digits, _)| digits),
            ChatKind::Group | ChatKind::Lid | ChatKind::Newsletter | ChatKind::Other => None,
        }
    }

    /// Returns whether the id stands for one person, by number or by hidden id.
    #[must_use]
    pub const fn is_person(&self) -> bool {
        matches!(self.kind, ChatKind::Phone | ChatKind::Lid)
    }
}

impl std::str::FromStr for ChatId {
    type Err = InvalidChatId;

    /// Reads what a person or a program writes to say whom a message is for.
    fn from_str(text: &str) -> Result<Self, InvalidChatId> {
        read(text, true)
    }
}

/// Reads an id in any dialect; `typed` says that a person may have written its digits.
fn read(text: &str, typed: bool) -> Result<ChatId, InvalidChatId> {
    // Marks that come along when a number is copied: nobody sees them.
    let seen: String = text.chars().filter(|c| !is_format(*c)).collect();
    let text = seen.trim();
    let Some((user, server)) = text.split_once('@') else {
        return phone(text, typed);
    };
    let server = server.to_ascii_lowercase();
    let kind = match server.as_str() {
        "c.us" | "s.whatsapp.net" => return phone(without_device(user), typed),
        "g.us" => ChatKind::Group,
        "lid" => ChatKind::Lid,
        "newsletter" => ChatKind::Newsletter,
        other if OTHER_SERVERS.contains(&other) => return other_kind(user, other),
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
    let text = format!("{user}@{}", kind.server());
    Ok(ChatId { text, kind })
}

/// Removes the device from a user part: reports name devices (`49170…:3@…`), and a chat has none.
fn without_device(user: &str) -> &str {
    user.split_once(':').map_or(user, |(user, _)| user)
}

fn other_kind(user: &str, server: &str) -> Result<ChatId, InvalidChatId> {
    let user = without_device(user);
    if !(1..=40).contains(&user.len()) || !user.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(InvalidChatId::Form);
    }
    let (text, kind) = (format!("{user}@{server}"), ChatKind::Other);
    Ok(ChatId { text, kind })
}

fn phone(text: &str, typed: bool) -> Result<ChatId, InvalidChatId> {
    if !text.chars().any(|c| c.is_ascii_digit()) {
        return Err(InvalidChatId::Form);
    }
    let number = text.strip_prefix(['+', '\u{ff0b}']);
    let rest = number.unwrap_or(text);
    let mut digits = String::with_capacity(15);
    for c in rest.chars().filter(|c| !is_separator(*c)) {
        if !c.is_ascii_digit() {
            return Err(InvalidChatId::Character(c));
        }
        digits.push(c);
    }
    if !(5..=15).contains(&digits.len()) || digits.starts_with('0') {
        return Err(InvalidChatId::Number);
    }
    if typed && (has_zero_in_brackets(rest) || number.is_some_and(has_zero_after_country)) {
        return Err(InvalidChatId::TrunkZero);
    }
    let (text, kind) = (
        format!("{digits}@{}", ChatKind::Phone.server()),
        ChatKind::Phone,
    );
    Ok(ChatId { text, kind })
}

/// Returns whether people write the character between the digits of a number.
fn is_separator(c: char) -> bool {
    let dash = matches!(
        c,
        '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
    );
    dash || c.is_whitespace()
        || c == '.'
        || is_opening(c)
        || matches!(c, ')' | ']' | '\u{ff09}' | '\u{ff3d}')
}

const fn is_opening(c: char) -> bool {
    matches!(c, '(' | '[' | '\u{ff08}' | '\u{ff3b}')
}

/// Returns whether brackets begin with a zero, as in `+44 (0)7911 123456`.
fn has_zero_in_brackets(text: &str) -> bool {
    text.split(is_opening)
        .skip(1)
        .any(|inside| inside.trim_start().starts_with('0'))
}

/// Returns whether a zero follows a country code that is set apart, as in `+44 07911 123456`. Of the codes with
/// one or two digits only Italy's has numbers that begin with a zero.
fn has_zero_after_country(text: &str) -> bool {
    let Some((code, rest)) = text.trim_start().split_once(is_separator) else {
        return false;
    };
    let rest = rest.trim_start_matches(is_separator);
    (1..=2).contains(&code.len()) && code != "39" && rest.starts_with('0')
}

impl fmt::Display for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChatId([redacted])")
    }
}

impl Serialize for ChatId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
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
            ("status@broadcast", "status@broadcast"),
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
        for bad in ["", "hello", "@g.us", "1-2-3@g.us", "12-34@lid"] {
            assert_eq!(canonical(bad), Err(InvalidChatId::Form), "{bad:?}");
        }
    }

    #[test]
    fn what_a_number_cannot_contain_is_named() {
        for (bad, c) in [
            ("\u{0}49170", '\u{0}'),
            ("tel:+491701234567", 't'),
            ("+49 170 1234567 ext. 5", 'e'),
            ("+49/170/1234567", '/'),
            ("49170123456O", 'O'),
            ("49\u{661}701234567", '\u{661}'),
            ("49 170+1234567", '+'),
        ] {
            assert_eq!(canonical(bad), Err(InvalidChatId::Character(c)), "{bad:?}");
        }
        let told = InvalidChatId::Character('\u{661}').to_string();
        assert!(told.contains("U+0661"), "{told}");
    }

    #[test]
    fn marks_that_nobody_sees_and_what_is_written_between_digits_do_not_count() {
        for text in [
            "\u{202a}+491701234567\u{202c}",
            "\u{2066}+491701234567\u{2069}",
            "\u{feff}+49\u{200b}1701234567",
            "+49 170\u{2011}1234567",
            "+49\u{a0}170\u{202f}1234567",
            "+49\t170 1234567",
            "\u{ff0b}49 [170] 123.4567",
            "+49\u{2013}170\u{2212}1234567",
            " \u{200e}491701234567@c.us\u{200f} ",
        ] {
            let expected = Ok("491701234567@s.whatsapp.net");
            assert_eq!(canonical(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_zero_that_is_dialled_inside_the_country_only_is_refused() {
        for text in [
            "+44 (0)7911 123456",
            "+44(0)7911123456",
            "0044 (0)7911 123456",
            "44 ( 0 ) 7911 123456",
            "+49 [0] 170 1234567",
            "+49 (0170) 1234567",
            "+49\u{ff08}0\u{ff09}1701234567",
            "+44 07911 123456",
            "+44-0-7911-123456",
            "+44 (0)7911 123456@c.us",
        ] {
            let error = canonical(text).expect_err(text);
            let leading = error == InvalidChatId::Number && text.starts_with('0');
            assert!(
                leading || error == InvalidChatId::TrunkZero,
                "{text}: {error}"
            );
        }
        for (text, expected) in [
            ("+39 06 69812345", "390669812345@s.whatsapp.net"),
            ("+1 (201) 555-0123", "12015550123@s.whatsapp.net"),
            ("+229 01 97 12 34 56", "2290197123456@s.whatsapp.net"),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_a_worker_reports_is_never_refused() {
        for raw in [
            "0@s.whatsapp.net",
            "1234@s.whatsapp.net",
            "1234567890123456@s.whatsapp.net",
            "x@call",
            "867051314767696@bot",
            "123456789012345@hosted.lid",
            "120363@temp",
        ] {
            let chat = ChatId::reported(raw).expect(raw);
            assert_eq!((chat.as_str(), chat.kind()), (raw, ChatKind::Other));
        }
        let known = ChatId::reported("491701234567:3@s.whatsapp.net").expect("a number");
        assert_eq!(known.phone_digits(), Some("491701234567"));
        for none in ["", " \u{0}\u{200b}", "somebody"] {
            assert_eq!(ChatId::reported(none), None, "{none:?}");
        }
        let long = ChatId::reported(&format!("{}@x", "@".repeat(10_000))).expect("something");
        assert_eq!(long.as_str().len(), MAX_OTHER);
    }
}
