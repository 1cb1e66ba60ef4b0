//! Why a case ended early: an error with the line of the case that met it.

use std::error::Error;
use std::fmt;
use std::panic::Location;

/// An error that a case did not expect, with its causes and where it was met.
///
/// Everything that is an error becomes one with `?`; it is no error itself, because it is the end.
pub struct Failure(String);

impl Failure {
    /// Makes a failure with this text and the line of the caller.
    #[track_caller]
    #[must_use]
    pub fn new(why: impl fmt::Display) -> Self {
        Self(format!("{why} ({})", Location::caller()))
    }
}

impl<E: Error> From<E> for Failure {
    #[track_caller]
    fn from(error: E) -> Self {
        let mut why = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            why = format!("{why}: {error}");
            cause = error.source();
        }
        Self::new(why)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
