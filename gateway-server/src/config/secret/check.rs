//! Check values: how secrets are compared without being shown.
//!
//! Data outlives the configuration. A server that starts beside data with another secret than the one that
//! this was written under cannot read the state of any session, or sends a repeated request a second time; and
//! nothing would show it before the first session moves. So the database keeps a check value of each secret that
//! data depends on, and replicas show each other those of all secrets.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{SecretError, Secrets};

type HmacSha256 = Hmac<Sha256>;

const STATE_KEYS: &str = "state_keys";
const MESSAGE_ID_KEY: &str = "message_id_key";
const JWT: &str = "jwt";
const WORKER_TOKEN_KEY: &str = "worker_token_key";
const WORKER_BOOTSTRAP: &str = "worker_bootstrap";

/// Secrets that stored data depends on, with the option of each.
const LASTING: [(&str, &str); 2] = [
    (
        STATE_KEYS,
        "storage.state_keys (GATEWAY_STORAGE_STATE_KEYS)",
    ),
    (
        MESSAGE_ID_KEY,
        "auth.message_id_key (GATEWAY_AUTH_MESSAGE_ID_KEY)",
    ),
];

/// What stands for a secret: 64 bits of a keyed hash, which two secrets practically never share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretCheck {
    /// Which secret it is.
    pub secret: String,
    /// The number of the key, where a secret is a list of numbered keys; else its place in the list.
    pub number: u64,
    /// The hash.
    pub value: u64,
}

impl SecretCheck {
    fn of(secret: &str, number: u64, key: &[u8]) -> Self {
        // An HMAC takes a key of any length.
        let value = HmacSha256::new_from_slice(key).map(|mut mac| {
            mac.update(b"gateway secret check\0");
            mac.update(secret.as_bytes());
            let bytes = mac.finalize().into_bytes().into_iter().take(8);
            bytes.fold(0, |number, byte| number << 8 | u64::from(byte))
        });
        Self {
            secret: secret.to_owned(),
            number,
            value: value.unwrap_or_default(),
        }
    }

    /// Returns the variable that sets the secret.
    #[must_use]
    pub fn variable(&self) -> &'static str {
        match &*self.secret {
            STATE_KEYS => "GATEWAY_STORAGE_STATE_KEYS",
            MESSAGE_ID_KEY => "GATEWAY_AUTH_MESSAGE_ID_KEY",
            WORKER_TOKEN_KEY => "GATEWAY_AUTH_WORKER_TOKEN_KEY",
            WORKER_BOOTSTRAP => "WORKER_AUTH_TOKEN",
            _ => "JWT_SECRET",
        }
    }

    fn is_of_same_key(&self, other: &Self) -> bool {
        self.secret == other.secret && self.number == other.number
    }
}

impl Secrets {
    /// Returns the check values of the secrets that stored data depends on.
    #[must_use]
    pub fn lasting_checks(&self) -> Vec<SecretCheck> {
        let state = self.state_keys.iter();
        let mut checks: Vec<SecretCheck> = state
            .map(|key| SecretCheck::of(STATE_KEYS, key.id.into(), &key.key))
            .collect();
        let ids = self.message_id_key.expose().as_bytes();
        checks.push(SecretCheck::of(MESSAGE_ID_KEY, 0, ids));
        checks
    }

    /// Returns the check values of all secrets that replicas share, several of a list.
    #[must_use]
    pub fn shared_checks(&self) -> Vec<SecretCheck> {
        let mut checks = self.lasting_checks();
        let jwt = (0..).zip(&self.jwt);
        checks.extend(jwt.map(|(place, key)| SecretCheck::of(JWT, place, key.expose().as_bytes())));
        for (name, key) in [
            (WORKER_TOKEN_KEY, &self.worker_token_key),
            (WORKER_BOOTSTRAP, &self.worker_bootstrap),
        ] {
            checks.push(SecretCheck::of(name, 0, key.expose().as_bytes()));
        }
        checks
    }

    /// Compares with what the database keeps of former starts: of each secret one key must be among those,
    /// and none may have the number of another key.
    ///
    /// # Errors
    /// [`SecretError::Changed`]: existing data needs another secret.
    pub fn compare_with_kept(&self, kept: &[SecretCheck]) -> Result<(), SecretError> {
        let own = self.lasting_checks();
        for (secret, option) in LASTING {
            let of_former: Vec<_> = kept.iter().filter(|check| check.secret == secret).collect();
            let mut own = own.iter().filter(|check| check.secret == secret);
            let is_other = |own: &&SecretCheck| {
                let mut same = of_former.iter().filter(|former| former.is_of_same_key(own));
                same.any(|former| former.value != own.value)
            };
            let is_known = own.clone().any(|own| of_former.contains(&own));
            if own.any(|own| is_other(&own)) || !(is_known || of_former.is_empty()) {
                return Err(SecretError::Changed { option });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Secret, StateKey};
    use super::*;

    fn secrets(state_keys: &[(u32, u8)], message_id_key: &str) -> Secrets {
        let key = |&(id, byte): &(u32, u8)| StateKey {
            id,
            key: [byte; 32],
        };
        Secrets {
            jwt: vec![Secret::new("j")],
            worker_bootstrap: Secret::new("b"),
            worker_token_key: Secret::new("t"),
            message_id_key: Secret::new(message_id_key),
            state_keys: state_keys.iter().map(key).collect(),
        }
    }

    #[test]
    fn the_first_start_finds_nothing_to_compare_with() {
        assert!(secrets(&[(1, 1)], "m").compare_with_kept(&[]).is_ok());
    }

    #[test]
    fn one_known_key_is_enough_and_no_number_means_another_key() {
        let kept = secrets(&[(2, 2), (1, 1)], "m").lasting_checks();
        for (keys, is_taken) in [
            (&[(2, 2), (1, 1)][..], true),
            (&[(3, 3), (2, 2)], true),
            (&[(1, 1)], true),
            (&[(3, 3)], false),
            (&[(3, 1)], false),
            (&[(2, 2), (1, 9)], false),
        ] {
            let compared = secrets(keys, "m").compare_with_kept(&kept);
            assert_eq!(compared.is_ok(), is_taken, "{keys:?}: {compared:?}");
        }
    }

    #[test]
    fn another_key_of_message_ids_is_named() {
        let kept = secrets(&[(1, 1)], "m").lasting_checks();
        let refused = secrets(&[(1, 1)], "n").compare_with_kept(&kept);
        let sentence = refused.expect_err("another key").to_string();
        assert!(
            sentence.contains("GATEWAY_AUTH_MESSAGE_ID_KEY"),
            "{sentence}"
        );
    }

    #[test]
    fn a_check_value_says_which_secret_it_is_and_not_what() {
        let all = secrets(&[(1, b'x')], "m").shared_checks();
        let same = SecretCheck::of("a", 0, b"key");
        assert_eq!(same, SecretCheck::of("a", 0, b"key"));
        assert_ne!(same.value, SecretCheck::of("b", 0, b"key").value);
        assert_eq!(all.len(), 5);
        assert!(all.iter().all(|check| check.value != 0));
    }
}
