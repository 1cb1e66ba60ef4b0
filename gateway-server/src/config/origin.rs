//! Origins of browsers, as options name them.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Where a page comes from, written as browsers send it (RFC 6454, section 6.2): `https://app.example`,
/// in small letters, without the usual port and without a path. Or `*`, which is every origin.
///
/// A browser compares byte by byte, so whatever cannot be brought into that form would never match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

/// The text can be no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no origin: expected *, or scheme, host and perhaps a port as in https://app.example, several separated by commas"
)]
pub struct InvalidOrigin(String);

impl Origin {
    /// Returns whether every origin is meant.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0 == "*"
    }

    /// Returns the text as browsers send it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let text = text.trim();
        if text == "*" {
            return Ok(Self(text.to_owned()));
        }
        let written = text.trim_end_matches('/').to_ascii_lowercase();
        canonical(&written)
            .map(Self)
            .ok_or_else(|| InvalidOrigin(text.to_owned()))
    }
}

/// Returns an origin without its usual port, or `None` if the text is more or less than an origin.
fn canonical(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    let host = authority.host();
    // A path, a user or a pattern.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
    if authority.as_str() != rest || host.is_empty() || !rest.chars().all(plain) {
        return None;
    }
    Some(match authority.port_u16() {
        None if rest != host => return None,
        Some(port) if port != usual => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    })
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_brought_into_the_form_that_browsers_send() {
        for (written, sent) in [
            ("https://app.example", "https://app.example"),
            ("https://app.example/", "https://app.example"),
            ("https://App.Example:443", "https://app.example"),
            ("HTTP://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:5173", "http://[::1]:5173"),
            (" * ", "*"),
        ] {
            let origin: Origin = written.parse().expect(written);
            assert_eq!(origin.as_str(), sent);
        }
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        for text in [
            "app.example",
            "https://*.example",
            "https://a.example;https://b.example",
            "https://a.example https://b.example",
            "https://app.example/path",
            "https://user@app.example",
            "https://app.example:x",
            "https://app.example:",
            "https://",
            "ftp://app.example",
            "true",
            "null",
            "",
        ] {
            let refused = text.parse::<Origin>();
            assert!(refused.is_err(), "{text}: {refused:?}");
        }
    }
}
