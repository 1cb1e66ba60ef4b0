//! Reading texts that are broken, for reports that must not be refused for them.
//!
//! People cut emoji in half, and old devices send bytes that are no UTF-8. A worker cannot mend that and may not
//! drop the message, so what cannot be read becomes U+FFFD and the rest is kept.

use std::borrow::Cow;

/// What stands for a character that cannot be read.
const REPLACEMENT: &[u8] = b"\\ufffd";

/// Returns the JSON body with every half of a surrogate pair and every byte that is no UTF-8 replaced.
pub(super) fn mended(body: &[u8]) -> Vec<u8> {
    let text: Cow<'_, str> = String::from_utf8_lossy(body);
    let bytes = text.as_bytes();
    let mut mended = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let length = match (byte, surrogate(bytes, at)) {
            (_, Some(0xd800..=0xdbff)) => {
                let paired = matches!(surrogate(bytes, at + 6), Some(0xdc00..=0xdfff));
                if paired { 12 } else { 0 }
            }
            (_, Some(_)) => 0,
            // An escaped backslash begins no escape.
            (b'\\', None) => 2,
            (_, None) => 1,
        };
        if length == 0 {
            mended.extend_from_slice(REPLACEMENT);
            at += 6;
            continue;
        }
        let end = bytes.len().min(at + length);
        mended.extend_from_slice(&bytes[at..end]);
        at = end;
    }
    mended
}

/// Returns the half of a surrogate pair whose escape begins at `at`.
fn surrogate(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok()?;
    let unit = u16::from_str_radix(digits, 16).ok()?;
    (0xd800..=0xdfff).contains(&unit).then_some(unit)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn read(body: &[u8]) -> String {
        let value: Value = serde_json::from_slice(&mended(body)).expect("JSON");
        value["t"].as_str().expect("a text").to_owned()
    }

    #[test]
    fn what_cannot_be_read_is_replaced_and_the_rest_is_kept() {
        for (body, text) in [
            (&br#"{"t":"hi \ud83d"}"#[..], "hi \u{fffd}"),
            (br#"{"t":"\ude00 hi"}"#, "\u{fffd} hi"),
            (br#"{"t":"\ud83d\ud83d\ude00"}"#, "\u{fffd}\u{1f600}"),
            (br#"{"t":"\uD83Dx\u00e9"}"#, "\u{fffd}x\u{e9}"),
            (br#"{"t":"\\ud83d"}"#, "\\ud83d"),
            (br#"{"t":"\\\ud83d"}"#, "\\\u{fffd}"),
            (b"{\"t\":\"ol\xe1!\"}", "ol\u{fffd}!"),
            (br#"{"t":"\ud83d\ude00 \n"}"#, "\u{1f600} \n"),
        ] {
            assert_eq!(read(body), text, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn a_body_that_ends_anywhere_is_no_reason_to_fail() {
        let body = br#"{"t":"\ud83d\ude00\\"}"#;
        for end in 0..body.len() {
            let _ = mended(&body[..end]);
        }
    }
}
