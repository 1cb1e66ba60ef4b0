//! The address by which clients know this server.

use std::str::FromStr;

use http::Uri;
use serde::Serialize;

/// An http(s) address without a query, and without a slash at its end: what stands before every path when
/// clients come through a proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PublicUrl(String);

/// The error of a text that is no such address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address such as https://gateway.example or https://example.com/whatsapp")]
pub struct InvalidPublicUrl;

impl PublicUrl {
    /// Returns the address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether clients come over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, InvalidPublicUrl> {
        let uri: Uri = text.parse().map_err(|_| InvalidPublicUrl)?;
        let authority = uri.authority().ok_or(InvalidPublicUrl)?;
        let plain = uri.query().is_none() && !text.contains(['#', '@']);
        match uri.scheme_str() {
            Some(scheme @ ("http" | "https")) if plain => {
                let path = uri.path().trim_end_matches('/');
                Ok(Self(format!("{scheme}://{authority}{path}")))
            }
            _ => Err(InvalidPublicUrl),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_without_the_slash_at_its_end() {
        for (text, kept) in [
            ("https://gateway.example", "https://gateway.example"),
            ("HTTPS://gateway.example/", "https://gateway.example"),
            ("http://example.com:8080/wa//", "http://example.com:8080/wa"),
        ] {
            let url: PublicUrl = text.parse().expect(text);
            assert_eq!(url.as_str(), kept);
            assert_eq!(url.is_https(), kept.starts_with("https"));
        }
        for bad in [
            "gateway.example",
            "/wa",
            "ftp://gateway.example",
            "https://",
            "https://gateway.example/?a=b",
            "https://gateway.example/#top",
            "https://user:word@gateway.example",
        ] {
            assert_eq!(bad.parse::<PublicUrl>(), Err(InvalidPublicUrl), "{bad}");
        }
    }
}
