//! Values that must not show up in logs, in `Debug` output or in `check-config`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const MASK: &str = "***";

/// A secret text. `Debug`, `Display` and serialisation show a mask; only [`Secret::expose`] shows the
/// text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps the text as it is.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text itself, for the one place that signs, sends or compares it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(text))
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(MASK)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self)
    }
}

/// The address of a database or of Redis, whose password is masked.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceUrl(String);

/// Why a text is no service address: it has no `scheme://host` in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address such as postgres://user:password@host/name or redis://host")]
pub struct InvalidServiceUrl;

impl ServiceUrl {
    /// Returns the address with its password, for the driver.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns what stands before `://`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.0.split("://").next().unwrap_or_default()
    }
}

impl ServiceUrl {
    /// Returns the names of the parameters after `?`.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        let query = self.0.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| pair.split('=').next().unwrap_or_default())
    }
}

impl FromStr for ServiceUrl {
    type Err = InvalidServiceUrl;

    fn from_str(text: &str) -> Result<Self, InvalidServiceUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidServiceUrl)?;
        match scheme.is_empty() || rest.is_empty() {
            true => Err(InvalidServiceUrl),
            false => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for ServiceUrl {
    /// Masks the password, and leaves out what follows `?`: drivers take passwords there, too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.0.split('?').next().unwrap_or_default();
        let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
        match rest.rsplit_once('@') {
            None => write!(f, "{scheme}://{rest}"),
            Some((login, place)) => {
                let user = login.split(':').next().unwrap_or_default();
                write!(f, "{scheme}://{user}:{MASK}@{place}")
            }
        }
    }
}

impl fmt::Debug for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ServiceUrl {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_show_a_mask() {
        let secret = Secret::new("tell nobody");
        let shown = format!("{secret} {secret:?} {}", serde_json::json!(secret));
        assert_eq!(shown, r#"*** *** "***""#);
    }

    #[test]
    fn addresses_keep_everything_but_the_password() {
        let shown = |text: &str| text.parse::<ServiceUrl>().map(|url| url.to_string());
        for (text, expected) in [
            (
                "postgres://me:p@ss@db:5432/x?password=y",
                "postgres://me:***@db:5432/x",
            ),
            ("redis://:secret@cache", "redis://:***@cache"),
            ("redis://cache:6379/1", "redis://cache:6379/1"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(expected));
        }
        assert_eq!(shown("localhost"), Err(InvalidServiceUrl));
    }
}
