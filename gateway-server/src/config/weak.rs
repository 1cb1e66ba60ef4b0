//! What makes a secret easy to guess.
//!
//! A secret is judged by what a guesser tries first: texts out of examples, words, repetitions and rows of keys.
//! One that was drawn at random passes.

use std::collections::BTreeSet;

const SHORTEST: usize = 32;
/// The fewest different bytes in a secret: below this, a text is a repetition.
const FEWEST_DIFFERENT: usize = 8;
/// What stands in examples and what people type; a random text of the shortest length has one of these less than
/// once in 100,000 times.
const WELL_KNOWN: [&str; 18] = [
    "changeme",
    "change-",
    "change_",
    "your-",
    "your_",
    "example",
    "insecure",
    "password",
    "default",
    "secret",
    "sample",
    "placeholder",
    "replace",
    "development",
    "letmein",
    "qwerty",
    "123456",
    "abcdef",
];

/// Returns what is wrong with a secret, if anything is.
pub(super) fn weakness(text: &str) -> Option<&'static str> {
    if text.len() < SHORTEST {
        return Some("is shorter than 32 characters");
    }
    let lower = text.to_ascii_lowercase();
    let different: BTreeSet<u8> = lower.bytes().collect();
    let is_known = WELL_KNOWN.iter().any(|known| lower.contains(known));
    let guessed = is_known
        || different.len() < FEWEST_DIFFERENT
        || repeats(lower.as_bytes())
        || is_row(lower.as_bytes());
    guessed.then_some("is taken from an example or easy to guess")
}

/// Returns whether the text is one part over and over again.
fn repeats(text: &[u8]) -> bool {
    let is_period = |part: usize| text.iter().zip(&text[part..]).all(|(a, b)| a == b);
    (1..=text.len() / 2).any(is_period)
}

/// Returns whether most characters follow the one before them in the alphabet, or go before it, or are the same.
fn is_row(text: &[u8]) -> bool {
    let near = text
        .windows(2)
        .filter(|pair| pair[0].abs_diff(pair[1]) <= 1);
    2 * near.count() > text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_guesser_tries_first_is_weak() {
        for text in [
            "",
            "secret",
            "changeme",
            "0sXkq3v9Jw7mZr5tYb1nLp8dHf2gAc6",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "tokentokentokentokentokentokentoken",
            "0sXkq3v9Jw7mZr5t0sXkq3v9Jw7mZr5t",
            "ghijklmnopqrstuvwxyzghijklmnopqr",
            "9876543210987654321098765432109876",
            "your-super-secret-jwt-key-change-in-production",
            "my-very-long-and-quite-secret-text-000",
            "Replace-This-With-Something-Of-Your-Own",
        ] {
            assert!(weakness(text).is_some(), "{text}");
        }
    }

    #[test]
    fn what_was_drawn_at_random_is_not() {
        for text in [
            "0sXkq3v9Jw7mZr5tYb1nLp8dHf2gAc6e",
            "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA",
            "5f4dcc3b5aa765d61d8327deb882cf99",
            "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
        ] {
            assert_eq!(weakness(text), None, "{text}");
        }
    }
}
