//! The audit log: who did what to whom, when and from where.
//!
//! An entry is written in the transaction of the change it reports, so there is no change without its
//! entry and no entry of a change that was rolled back. Entries are never changed. They hold what was
//! recorded as plain text, because a reader must be able to show an entry that a newer version wrote.
//! Secrets never reach an entry: of a changed password only the field's name is kept.

mod repo;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use repo::{AuditFilter, AuditReader, AuditRepo};

use crate::entropy::Entropy;
use crate::id::{AuditId, TenantId};
use crate::identity::Actor;
use crate::time::Timestamp;

/// A name in the audit log, such as `api_key.revoked`.
pub type AuditName = Cow<'static, str>;

/// What can be done to something. The names are public and never change.
pub mod action {
    /// A person has registered.
    pub const USER_REGISTERED: &str = "user.registered";
    /// A person's name or address was changed.
    pub const USER_UPDATED: &str = "user.updated";
    /// A person has changed their password.
    pub const USER_PASSWORD_CHANGED: &str = "user.password_changed";
    /// An operator has given a person a new password.
    pub const USER_PASSWORD_RESET: &str = "user.password_reset";
    /// A person has logged in.
    pub const LOGIN_OPENED: &str = "login.opened";
    /// A refresh token was exchanged for new tokens.
    pub const LOGIN_REFRESHED: &str = "login.refreshed";
    /// A person has logged out.
    pub const LOGIN_ENDED: &str = "login.ended";
    /// A refresh token was used again after its leeway, so the login was ended.
    pub const LOGIN_REUSED: &str = "login.reused";
    /// An API key was made.
    pub const API_KEY_CREATED: &str = "api_key.created";
    /// Name, scopes or expiry of an API key were changed.
    pub const API_KEY_UPDATED: &str = "api_key.updated";
    /// An API key was replaced by a new one.
    pub const API_KEY_ROTATED: &str = "api_key.rotated";
    /// An API key was revoked.
    pub const API_KEY_REVOKED: &str = "api_key.revoked";
    /// A tenant was put on another plan.
    pub const TENANT_TIER_SET: &str = "tenant.tier_set";
    /// A tenant was suspended.
    pub const TENANT_SUSPENDED: &str = "tenant.suspended";
    /// A suspended tenant may act again.
    pub const TENANT_ACTIVATED: &str = "tenant.activated";
    /// An operator has reserved a worker id.
    pub const WORKER_ADDED: &str = "worker.added";
    /// A run of a worker was let in, or has come back with other properties.
    pub const WORKER_REGISTERED: &str = "worker.registered";
    /// An operator has changed labels, limit or cordon of a worker.
    pub const WORKER_UPDATED: &str = "worker.updated";
    /// An operator has removed a worker.
    pub const WORKER_REMOVED: &str = "worker.removed";
    /// An operator has asked a worker for its health.
    pub const WORKER_HEALTH_CHECKED: &str = "worker.health_checked";
}

/// The kinds of things that something is done to.
pub mod object {
    /// A person who logs in.
    pub const USER: &str = "user";
    /// A login of a person, with all its tokens.
    pub const LOGIN: &str = "login";
    /// An API key.
    pub const API_KEY: &str = "api_key";
    /// A tenant.
    pub const TENANT: &str = "tenant";
    /// A worker.
    pub const WORKER: &str = "worker";
}

/// How a field changed. Both are absent where the value is a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    pub id: AuditId,
    /// When, by the store's clock.
    pub at: Timestamp,
    /// The tenant whose data it is about; none for what belongs to the operator.
    pub tenant: Option<TenantId>,
    pub actor_kind: AuditName,
    pub actor_id: Option<String>,
    pub address: Option<String>,
    pub request_id: Option<String>,
    pub action: AuditName,
    pub object_kind: AuditName,
    pub object_id: String,
    /// The fields that changed, by name.
    pub changes: BTreeMap<String, FieldChange>,
}

impl AuditEntry {
    /// Makes an entry for `action` on an object, at the store's time `at`.
    #[must_use]
    pub fn new(
        at: Timestamp,
        entropy: &dyn Entropy,
        actor: &Actor,
        action: &'static str,
        object: (&'static str, &dyn ToString),
    ) -> Self {
        Self {
            id: AuditId::generate(at, entropy),
            at,
            tenant: None,
            actor_kind: actor.kind.name().into(),
            actor_id: actor.kind.id(),
            address: actor.origin.address.map(|address| address.to_string()),
            request_id: actor.origin.request_id.clone(),
            action: action.into(),
            object_kind: object.0.into(),
            object_id: object.1.to_string(),
            changes: BTreeMap::new(),
        }
    }

    /// Says whose data it is about.
    #[must_use]
    pub const fn of(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Records a field if its two values differ. A value that is nothing is left out.
    #[must_use]
    pub fn changed<T: Serialize>(mut self, field: &str, before: &T, after: &T) -> Self {
        let (before, after) = (value_of(before), value_of(after));
        if before != after {
            self.changes
                .insert(field.to_owned(), FieldChange { before, after });
        }
        self
    }

    /// Records the value of a field of something new.
    #[must_use]
    pub fn with<T: Serialize>(mut self, field: &str, value: &T) -> Self {
        let after = value_of(value);
        if after.is_some() {
            let before = None;
            self.changes
                .insert(field.to_owned(), FieldChange { before, after });
        }
        self
    }

    /// Records that a secret changed, and nothing of it.
    #[must_use]
    pub fn changed_secret(mut self, field: &str) -> Self {
        self.changes
            .insert(field.to_owned(), FieldChange::default());
        self
    }
}

fn value_of(value: &impl Serialize) -> Option<Value> {
    serde_json::to_value(value)
        .ok()
        .filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Zeros;

    impl Entropy for Zeros {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    fn entry() -> AuditEntry {
        let at = Timestamp::from_micros(1_700_000_000_123_456);
        let object = (object::WORKER, &"w1" as &dyn ToString);
        AuditEntry::new(
            at,
            &Zeros,
            &Actor::operator(),
            action::WORKER_UPDATED,
            object,
        )
    }

    #[test]
    fn only_fields_that_differ_are_recorded() {
        let entry = entry()
            .changed("name", &"a", &"b")
            .changed("limit", &3, &3)
            .changed("until", &None, &Some(1))
            .changed_secret("password");
        let json = serde_json::to_value(&entry.changes).expect("JSON");
        let expected = serde_json::json!({
            "name": {"before": "a", "after": "b"}, "until": {"after": 1}, "password": {},
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn a_span_of_time_is_a_span_of_ids() {
        let entry = entry();
        let next = entry.at.plus(std::time::Duration::from_millis(1));
        assert!(AuditId::first_of(entry.at) <= entry.id);
        assert!(entry.id < AuditId::first_of(next));
    }
}
