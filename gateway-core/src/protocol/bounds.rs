//! How long the texts of a worker may be.
//!
//! A worker with a valid token is trusted with sessions, not with the gateway's memory: what it says in its
//! own words is kept, shown to tenants and repeated in events. Words that people read are cut, because a state
//! that is not told for the length of its reason is worse; a code that is cut is useless, so it is refused.

/// The most characters that are kept of a reason, an error or anything else that a worker says in its own words.
pub const MAX_WORDS: usize = 512;

/// The most characters of a QR text or a pairing code.
pub const MAX_CODE: usize = 512;

/// The most bytes of a passkey challenge as JSON.
pub const MAX_CHALLENGE: usize = 16 * 1024;

/// The most entries of one list in one call.
pub const MAX_ENTRIES: usize = 1_000;

/// Returns the beginning of a worker's own words, as far as it is kept.
#[must_use]
pub fn words(text: &str) -> String {
    text.chars().take(MAX_WORDS).collect()
}
