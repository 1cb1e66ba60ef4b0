//! An error with its causes, on one line.

use std::error::Error;
use std::fmt;

/// Shows an error and everything that caused it. Errors do not repeat their cause's text, so this is
/// how they are shown to a person or written to the log, once, where they are handled. Some drivers'
/// errors do end with their cause's text; it is said once.
#[derive(Clone, Copy, Debug)]
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'a));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !said.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the store")]
    struct Outer(#[source] std::num::ParseIntError);

    #[test]
    fn causes_follow_on_the_same_line() {
        let cause = "x".parse::<u8>().expect_err("not a number");
        let shown = ErrorChain(&Outer(cause)).to_string();
        assert_eq!(
            shown,
            "cannot open the store: invalid digit found in string"
        );
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the driver says: {0}")]
    struct Repeating(#[source] std::num::ParseIntError);

    #[test]
    fn a_cause_that_was_said_already_is_not_said_again() {
        let cause = "x".parse::<u8>().expect_err("not a number");
        let shown = ErrorChain(&Repeating(cause)).to_string();
        assert_eq!(shown, "the driver says: invalid digit found in string");
    }
}
