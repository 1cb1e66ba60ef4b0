//! Rows of tenants, users, keys, tokens, quotas and events on both engines.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::auth::{ApiKey, RefreshToken, RefreshUse, Scope};
use gateway_core::event::{
    Event, EventFilter, NewEvent, Sequenced, SessionDeleted, UsageDelta, sequence,
};
use gateway_core::id::{ApiKeyId, Epoch, SessionId, SessionName, TenantId, TokenFamilyId, UserId};
use gateway_core::message::MessageFilter;
use gateway_core::session::{Session, SessionFilter, SessionRef, Status};
use gateway_core::store::{PlatformStore, StoreError};
use gateway_core::tenant::{Tenant, TenantStatus, Tier};
use gateway_core::time::Timestamp;
use gateway_core::user::{Email, Role, User};
use gateway_server::system::OsEntropy;

use crate::engines::engines;

const TENANT: TenantId = TenantId::from_u128(7);
const AT: Timestamp = Timestamp::from_micros(1_700_000_000_123_457);

fn deleted(session: u128) -> NewEvent {
    let name = SessionName::parse("one").unwrap();
    NewEvent {
        tenant: Some(TENANT),
        session: Some(SessionId::from_u128(session)),
        epoch: Some(Epoch(1)),
        event: Event::SessionDeleted(SessionDeleted { name }),
    }
}

#[tokio::test]
async fn tenants_and_tiers_come_back() {
    for engine in engines().await {
        let mut tx = engine.store.begin_platform().await.unwrap();
        for mut tier in Tier::defaults() {
            tx.put_tier(&tier).await.unwrap();
            tier.sessions += 1;
            tx.put_tier(&tier).await.unwrap();
            assert_eq!(tx.tier(&tier.name).await.unwrap(), Some(tier));
        }
        let tiers = tx.tiers().await.unwrap();
        let names: Vec<&str> = tiers.iter().map(|tier| tier.name.as_str()).collect();
        assert_eq!(names, ["BASIC", "PRO", "MAX"]);
        let mut tenant = Tenant {
            id: TENANT,
            name: "Acme".into(),
            tier: tiers[0].name.clone(),
            status: TenantStatus::Active,
            version: 1,
            created_at: AT,
            updated_at: AT,
        };
        tx.insert_tenant(&tenant).await.unwrap();
        tenant.version = 2;
        tenant.status = TenantStatus::Suspended;
        tx.save_tenant(&tenant).await.unwrap();
        assert_eq!(tx.tenant(TENANT).await.unwrap().as_ref(), Some(&tenant));
        let stale = tx.save_tenant(&tenant).await;
        assert!(matches!(stale, Err(StoreError::Conflict)), "{stale:?}");
    }
}

#[tokio::test]
async fn an_address_belongs_to_one_user() {
    for engine in engines().await {
        let mut tx = engine.store.begin_platform().await.unwrap();
        let mut user = User {
            id: UserId::from_u128(1),
            tenant: TENANT,
            email: Email::parse("A@example.com").unwrap(),
            name: None,
            password_hash: "$argon2id$".into(),
            role: Role::Admin,
            token_generation: 3,
            version: 1,
            created_at: AT,
            updated_at: AT,
            last_login_at: None,
        };
        tx.insert_user(&user).await.unwrap();
        user.version = 2;
        user.last_login_at = Some(AT);
        tx.save_user(&user).await.unwrap();
        let found = tx.user_by_email(&user.email).await.unwrap();
        assert!(found.as_ref() == Some(&user));
        assert!(tx.user(TENANT, user.id).await.unwrap() == found);
        let other = TenantId::from_u128(8);
        assert!(tx.user(other, user.id).await.unwrap().is_none());
        user.id = UserId::from_u128(2);
        let taken = tx.insert_user(&user).await;
        assert!(
            matches!(taken, Err(StoreError::Duplicate { .. })),
            "{taken:?}"
        );
    }
}

#[tokio::test]
async fn keys_are_found_by_hash_and_listed_by_tenant() {
    for engine in engines().await {
        let mut tx = engine.store.begin_platform().await.unwrap();
        let mut key = ApiKey {
            id: ApiKeyId::from_u128(1),
            tenant: TENANT,
            name: "ci".into(),
            hash: [1; 32],
            prefix: "gwk_abc".into(),
            scopes: vec![Scope::MessagesSend, Scope::UsageRead],
            session: Some(SessionId::from_u128(9)),
            expires_at: Some(AT),
            revoked_at: None,
            last_used_at: None,
            created_at: AT,
        };
        tx.insert_key(&key).await.unwrap();
        key.revoked_at = Some(AT);
        assert!(tx.save_key(&key).await.unwrap());
        key.last_used_at = Some(AT);
        tx.touch_key(TENANT, key.id, AT).await.unwrap();
        tx.touch_key(TENANT, key.id, Timestamp::from_micros(1))
            .await
            .unwrap();
        assert_eq!(tx.key_by_hash(&[1; 32]).await.unwrap(), Some(key.clone()));
        assert_eq!(tx.key(TENANT, key.id).await.unwrap(), Some(key.clone()));
        assert_eq!(
            tx.keys(TENANT, None, 9).await.unwrap(),
            std::slice::from_ref(&key)
        );
        assert_eq!(tx.keys(TENANT, Some(key.id), 9).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_second_use_of_a_refresh_token_ends_its_family() {
    for engine in engines().await {
        let mut tx = engine.store.begin_platform().await.unwrap();
        let now = tx.now().await.unwrap();
        let family = TokenFamilyId::from_u128(5);
        let token = RefreshToken {
            hash: [2; 32],
            family,
            tenant: TENANT,
            user: UserId::from_u128(1),
            expires_at: now.plus(Duration::from_secs(60)),
            used_at: None,
            created_at: AT,
        };
        tx.insert_refresh(&token).await.unwrap();
        assert!(tx.family_is_live(TENANT, family).await.unwrap());
        let first = tx.use_refresh(&[2; 32]).await.unwrap();
        assert!(matches!(first, RefreshUse::First(_)), "{first:?}");
        let again = tx.use_refresh(&[2; 32]).await.unwrap();
        assert!(matches!(again, RefreshUse::Again(_)), "{again:?}");
        assert!(!tx.family_is_live(TENANT, family).await.unwrap());
        assert_eq!(tx.use_refresh(&[2; 32]).await.unwrap(), RefreshUse::Invalid);
        tx.revoke_user_refresh(TENANT, token.user).await.unwrap();
    }
}

#[tokio::test]
async fn an_hour_never_grants_more_than_its_limit() {
    for engine in engines().await {
        let mut tx = engine.store.begin_platform().await.unwrap();
        let mut granted = 0;
        for _ in 0..100 {
            let drawn = tx.draw_quota(TENANT, 100, 2, true).await.unwrap();
            granted += drawn.granted;
            assert_eq!(drawn.total, granted);
        }
        assert_eq!(granted, 100);
        let hour = tx.draw_quota(TENANT, 100, 2, true).await.unwrap().hour;
        tx.return_quota(TENANT, hour, 10).await.unwrap();
        let drawn = tx.draw_quota(TENANT, 100, 1, true).await.unwrap();
        assert_eq!((drawn.granted, drawn.total), (1, 91));
    }
}

#[tokio::test]
async fn committed_events_are_numbered_and_read_back() {
    for engine in engines().await {
        let store: &dyn PlatformStore = &engine.store;
        let mut tx = store.begin_platform().await.unwrap();
        let card = Session::new(
            SessionId::from_u128(1),
            TENANT,
            SessionName::parse("one").unwrap(),
            AT,
        );
        tx.insert_session(&card, None).await.unwrap();
        tx.append_events(&[deleted(1), deleted(2), deleted(1)])
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let step = sequence(store, &OsEntropy, 0, 10).await.unwrap();
        assert_eq!(
            step,
            Sequenced::Published {
                count: 3,
                more: false
            }
        );
        let mut tx = store.read().await.unwrap();
        let filter = EventFilter {
            session: Some(SessionId::from_u128(1)),
            names: vec!["session.deleted".into()],
        };
        let events = tx.events(TENANT, &filter, 0, 10).await.unwrap();
        let numbers: Vec<_> = events
            .iter()
            .map(|event| (event.position, event.seq))
            .collect();
        assert_eq!(numbers, [(1, Some(1)), (3, Some(2))]);
        for filter in [
            EventFilter::default(),
            EventFilter {
                session: None,
                names: filter.names.clone(),
            },
        ] {
            assert_eq!(tx.events(TENANT, &filter, 1, 1).await.unwrap().len(), 1);
        }
    }
}

#[tokio::test]
async fn usage_adds_up_and_activity_leaves_the_version_alone() {
    for engine in engines().await {
        let mut tx = engine.store.begin_platform().await.unwrap();
        let id = SessionId::from_u128(1);
        let card = Session::new(id, TENANT, SessionName::parse("one").unwrap(), AT);
        tx.insert_session(&card, None).await.unwrap();
        let delta = UsageDelta {
            sent: 1,
            failed: 2,
            received: 3,
        };
        let hour = AT.start_of_hour();
        let publication = gateway_core::event::Publication {
            usage: BTreeMap::from([((TENANT, id, hour), delta)]),
            activity: BTreeMap::from([(id, AT)]),
            ..Default::default()
        };
        tx.publish(0, &publication).await.unwrap();
        tx.publish(0, &publication).await.unwrap();
        let usage = tx.usage(TENANT, id, hour).await.unwrap();
        assert_eq!((usage.sent, usage.failed, usage.received), (2, 4, 6));
        let stored = tx.session(id).await.unwrap().unwrap();
        assert_eq!((stored.last_activity_at, stored.version), (Some(AT), 1));
        let mut older = card.clone();
        older.version = 2;
        tx.save_sessions(&[older]).await.unwrap();
        let stored = tx.session(id).await.unwrap().unwrap();
        assert_eq!(stored.last_activity_at, Some(AT), "it is never taken back");
    }
}

#[tokio::test]
async fn cards_are_listed_by_status_and_found_by_name() {
    for engine in engines().await {
        let mut tx = engine.store.begin_platform().await.unwrap();
        let name = SessionName::parse("one").unwrap();
        let card = Session::new(SessionId::from_u128(1), TENANT, name.clone(), AT);
        tx.insert_session(&card, None).await.unwrap();
        let by_name = SessionRef::Name(name.clone());
        assert_eq!(tx.card(TENANT, &by_name).await.unwrap(), Some(card.clone()));
        let by_id = SessionRef::Id(card.id);
        let other = TenantId::from_u128(8);
        assert_eq!(tx.card(other, &by_id).await.unwrap(), None);
        assert!(tx.card_name_taken(TENANT, &name).await.unwrap());
        let mut filter = SessionFilter {
            status: Some(Status::Disconnected),
            only: None,
        };
        assert_eq!(
            tx.cards(TENANT, &filter, None, 5).await.unwrap(),
            std::slice::from_ref(&card)
        );
        filter.status = Some(Status::Connected);
        assert_eq!(tx.cards(TENANT, &filter, None, 5).await.unwrap(), []);
        let all = SessionFilter::default();
        assert_eq!(tx.cards(TENANT, &all, Some(card.id), 5).await.unwrap(), []);
        let history = tx.card_placements(TENANT, card.id, None, 5).await.unwrap();
        assert_eq!(history, []);
    }
}

#[tokio::test]
async fn every_message_filter_is_a_statement_that_runs() {
    for engine in engines().await {
        let mut tx = engine.store.read().await.unwrap();
        let session = Some(SessionId::from_u128(1));
        let chat_id = Some("49@s.whatsapp.net".to_owned());
        for (session, chat_id) in [(None, None), (session, None), (session, chat_id)] {
            let filter = MessageFilter {
                session,
                chat_id,
                ..MessageFilter::default()
            };
            assert_eq!(tx.messages(TENANT, &filter, None, 5).await.unwrap(), []);
        }
    }
}

#[tokio::test]
async fn a_reader_sees_a_snapshot_beside_an_open_writer() {
    for engine in engines().await {
        let mut writer = engine.store.begin_platform().await.unwrap();
        for tier in Tier::defaults() {
            writer.put_tier(&tier).await.unwrap();
        }
        let mut reader = engine.store.read().await.unwrap();
        assert_eq!(reader.tiers().await.unwrap(), []);
        writer.commit().await.unwrap();
        assert_eq!(reader.tiers().await.unwrap(), []);
        let refused = reader.put_tier(&Tier::defaults()[0]).await;
        assert!(refused.is_err());
    }
}
