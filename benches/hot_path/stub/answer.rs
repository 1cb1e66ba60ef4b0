//! What the stub says.
//!
//! Ids are found by their names: our own client writes them without spaces, and a stub that parsed the
//! whole command would be a visible part of what is measured.

use bytes::Bytes;
use gateway_core::protocol::{Accepted, StartSession};

/// Returns the answer to a send: the ids of the command, or made-up ones for a command without any (a
/// plain proxy passes on what the client sent).
pub(super) fn sent(command: &[u8]) -> Bytes {
    let id = value_of(command, b"\"messageId\":\"").unwrap_or(b"msg_01j0000000e008000000000001");
    let wa = value_of(command, b"\"waMessageId\":\"").unwrap_or(b"3EB0000000000000000000");
    let parts: [&[u8]; 5] = [
        b"{\"messageId\":\"",
        id,
        b"\",\"waMessageId\":\"",
        wa,
        b"\",\"status\":\"accepted\"}",
    ];
    Bytes::from(parts.concat())
}

/// Returns the answer to a start, and what was to be started.
pub(super) fn started(command: &[u8]) -> Option<(StartSession, Bytes)> {
    let start: StartSession = serde_json::from_slice(command).ok()?;
    let answer = serde_json::to_vec(&Accepted::of(&start)).ok()?;
    Some((start, answer.into()))
}

fn value_of<'a>(json: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let at = json.windows(name.len()).position(|window| window == name)? + name.len();
    let rest = &json[at..];
    let end = rest.iter().position(|byte| *byte == b'"')?;
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_names_the_ids_of_the_command() {
        let command = br#"{"messageId":"msg_1","waMessageId":"3EB0","bodyHash":"x"}"#;
        let answer = r#"{"messageId":"msg_1","waMessageId":"3EB0","status":"accepted"}"#;
        assert_eq!(sent(command), answer);
    }

    #[test]
    fn a_command_without_ids_is_answered_too() {
        let answer = sent(br#"{"to":"+491701234567"}"#);
        assert!(serde_json::from_slice::<serde_json::Value>(&answer).is_ok());
    }
}
