//! API keys and worker tokens: what is refused before any look-up.

use gateway_core::id::{ApiKeyId, Incarnation, TenantId, WorkerId};
use gateway_core::identity::{ApiKey, ApiKeySecret, InvalidWorkerToken, WorkerTokens};
use gateway_core::session::Owner;
use gateway_core::time::Timestamp;
use gateway_testkit::entropy::SeededEntropy;
use proptest::prelude::*;

fn secret(seed: u64) -> ApiKeySecret {
    ApiKeySecret::generate(&SeededEntropy::new(seed))
}

#[test]
fn a_key_has_its_form_and_shows_little_of_itself() {
    let key = secret(1);
    let text = key.reveal();
    assert!(text.starts_with(ApiKeySecret::PREFIX));
    assert_eq!(text.len(), 4 + 43 + 6);
    assert_eq!(key.prefix(), text[..12]);
    assert!(!format!("{key:?}").contains(&text[4..12]));
    assert_ne!(secret(1).hash(), secret(2).hash());
    assert_eq!(secret(1).hash(), secret(1).hash());
}

#[test]
fn a_key_is_good_until_it_is_revoked_or_expires() {
    let at = Timestamp::from_micros;
    let key = |expires_at, revoked_at| ApiKey {
        id: ApiKeyId::from_u128(1),
        tenant: TenantId::from_u128(1),
        name: "ci".to_owned(),
        hash: secret(1).hash(),
        prefix: secret(1).prefix(),
        scopes: Vec::new(),
        session: None,
        expires_at,
        revoked_at,
        last_used_at: None,
        version: 1,
        created_at: at(0),
    };
    assert!(key(None, None).is_valid(at(i64::MAX)));
    assert!(key(Some(at(10)), None).is_valid(at(9)));
    assert!(!key(Some(at(10)), None).is_valid(at(10)));
    assert!(
        !key(None, Some(at(1))).is_valid(at(0)),
        "revoked is revoked"
    );
}

fn owner(worker: &str, run: &str) -> Owner {
    Owner {
        worker: WorkerId::parse(worker).expect("a slug"),
        incarnation: Incarnation::parse(run).expect("a token"),
    }
}

proptest! {
    #[test]
    fn one_wrong_character_makes_a_key_invalid(seed in any::<u64>(), at in 4..53usize, other in "[0-9A-Za-z]") {
        let text = secret(seed).reveal().to_owned();
        let mut typo = text.clone();
        typo.replace_range(at..=at, &other);
        // The checksum is six characters of 62; a body that differs in one character and has the same
        // checksum is one in 5 * 10^10.
        prop_assert_eq!(ApiKeySecret::parse(&typo).is_ok(), typo == text);
    }

    #[test]
    fn no_text_makes_a_check_panic(text in "(gwk_|gww_)?\\PC{0,60}") {
        prop_assert!(ApiKeySecret::parse(&text).is_err());
        prop_assert_eq!(WorkerTokens::new(b"s").verify(&text), Err(InvalidWorkerToken));
    }

    #[test]
    fn a_worker_token_names_one_run_under_one_secret(
        worker in "[a-z][a-z0-9]{0,9}", run in "[A-Za-z0-9_-]{8,20}", at in any::<prop::sample::Index>(),
    ) {
        let holder = owner(&worker, &run);
        let token = WorkerTokens::new(b"secret").issue(&holder);
        prop_assert_eq!(WorkerTokens::new(b"secret").verify(&token), Ok(holder));
        prop_assert_eq!(WorkerTokens::new(b"other").verify(&token), Err(InvalidWorkerToken));
        let mut forged = token.clone().into_bytes();
        let at = at.index(forged.len());
        forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
        let forged = String::from_utf8_lossy(&forged).into_owned();
        prop_assert_eq!(WorkerTokens::new(b"secret").verify(&forged), Err(InvalidWorkerToken));
    }
}
