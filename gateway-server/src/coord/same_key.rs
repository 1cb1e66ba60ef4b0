//! Whether all replicas derive message ids under the same key.
//!
//! An `Idempotency-Key` sends once because every replica gives it the same message id. One with another
//! secret would send it again, and nothing else would show it. So replicas show each other one id that no
//! message has; who would be the odd one out does not start.

use gateway_core::coord::Live;
use gateway_core::id::{SessionId, TenantId};
use gateway_core::message::MessageIds;

use super::in_common::{self, MESSAGE_IDS};

/// Others have another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the replicas that run already have another GATEWAY_AUTH_MESSAGE_ID_KEY: give all of them the same secrets, or repeated requests are sent twice"
)]
pub struct OtherKey;

/// The half of a keyed hash: says nothing of the key.
fn sample(ids: &MessageIds) -> u64 {
    let (nobody, nowhere) = (TenantId::from_u128(0), SessionId::from_u128(0));
    let id = ids.keyed(nobody, nowhere, MESSAGE_IDS).as_u128();
    u64::try_from(id >> 64).unwrap_or_default()
}

/// Notes the key in what this replica shows.
pub fn show(live: &mut Live, ids: &MessageIds) {
    in_common::show(live, MESSAGE_IDS, sample(ids));
}

/// That nobody shows another key.
///
/// # Errors
/// Somebody does.
pub fn check(others: &[Live], ids: &MessageIds) -> Result<(), OtherKey> {
    let shared = in_common::is_shared(others, MESSAGE_IDS, sample(ids));
    shared.then_some(()).ok_or(OtherKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_know_each_other_by_their_key() {
        let (ours, theirs) = (MessageIds::new(b"ours"), MessageIds::new(b"theirs"));
        let mut live = Live {
            replica: "a".to_owned(),
            numbers: [].into(),
        };
        assert_eq!(check(&[live.clone()], &ours), Ok(()), "shows nothing yet");
        show(&mut live, &ours);
        assert_eq!(check(&[live.clone()], &ours), Ok(()));
        assert_eq!(check(&[live.clone()], &theirs), Err(OtherKey));
    }
}
