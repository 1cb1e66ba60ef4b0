//! Which characters a text may have.

use memchr::memchr3_iter;
use serde_json::Value;

use super::problem::{Detail, Problem};

/// Returns whether a character neither prints nor spaces. Line breaks and tabs are text.
fn is_odd(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\r' | '\t')
}

pub(super) fn is_plain(text: &str) -> bool {
    !text.chars().any(is_odd)
}

pub(super) fn refused(field: &str) -> Detail {
    Detail {
        field: field.to_owned(),
        message: "must not contain control characters".to_owned(),
    }
}

/// Checks a name, which stands in one line: no control characters at all, and not only space.
///
/// Use as `#[garde(custom(one_line))]`.
///
/// # Errors
/// A rule's error if the text is not such a name.
pub fn one_line(text: &str, (): &()) -> Result<(), garde::Error> {
    if text.chars().any(char::is_control) {
        return Err(garde::Error::new(
            "must not contain control characters or line breaks",
        ));
    }
    if text.trim().is_empty() {
        return Err(garde::Error::new("must not be empty"));
    }
    Ok(())
}

/// Refuses control characters anywhere in a JSON body. Broken JSON is left to the parser.
pub(super) fn check_json(body: &[u8]) -> Result<(), Problem> {
    if !may_be_odd(body) {
        return Ok(());
    }
    let Ok(value) = serde_json::from_slice(body) else {
        return Ok(());
    };
    let mut details = Vec::new();
    walk("", &value, &mut details);
    if details.is_empty() {
        return Ok(());
    }
    Err(Problem::invalid(details))
}

/// Returns whether a body may contain control characters and must be looked at closely: JSON has them as
/// `\u00…` or `\b`, `\f`, or raw from DEL on.
fn may_be_odd(body: &[u8]) -> bool {
    memchr3_iter(b'\\', 0x7f, 0xc2, body).any(|at| match body[at] {
        b'\\' => matches!(body.get(at + 1), Some(b'u' | b'b' | b'f')),
        _ => true,
    })
}

fn walk(path: &str, value: &Value, details: &mut Vec<Detail>) {
    match value {
        Value::String(text) if !is_plain(text) => details.push(refused(path)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(&format!("{path}[{index}]"), item, details);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                let inner = format!("{path}{dot}{}", name.escape_debug());
                if !is_plain(name) {
                    details.push(refused(&inner));
                }
                walk(&inner, field, details);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_found_wherever_they_are() {
        for (body, field) in [
            (r#"{"a":"x\u0000"}"#, "a"),
            (r#"{"a":["ok","\u001b"]}"#, "a[1]"),
            (r#"{"a":{"b":"\b"}}"#, "a.b"),
            ("{\"a\":\"\u{7f}\"}", "a"),
            ("{\"a\":\"\u{85}\"}", "a"),
            (r#"{"k\u0000":1}"#, "k\\0"),
        ] {
            let problem = check_json(body.as_bytes()).expect_err(body);
            assert_eq!(problem.render("r").details[0].field, field, "{body}");
        }
    }

    #[test]
    fn text_may_have_lines_and_tabs_and_any_language() {
        for body in [r#"{"a":"x\n\ty\u00e9 \u2028 ü 🎉"}"#, "{}", "{", ""] {
            assert!(check_json(body.as_bytes()).is_ok(), "{body}");
        }
    }
}
