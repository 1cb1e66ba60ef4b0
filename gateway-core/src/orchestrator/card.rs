//! What a tenant does with its sessions.

use std::collections::BTreeMap;

use super::apply::ApplyError;
use super::{ATTEMPTS, Done, Orchestrator};
use crate::event::{Event, NewEvent, SessionCreated};
use crate::id::{SessionId, SessionName, TenantId};
use crate::session::{Command, Input, Inserted, InvalidTransition, Session};
use crate::store::{AsStoreError, OrchestrationTx, StoreError, Unique, retry_conflicts};

/// How many numbers are tried at the end of a name that is taken.
const NUMBERED: u32 = 100;

/// A session to be created.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCard {
    pub tenant: TenantId,
    /// The name, unique within the tenant. Without one it is made of `display_name`.
    pub name: Option<SessionName>,
    /// What a person calls it.
    pub display_name: Option<String>,
    pub description: Option<String>,
    pub metadata: BTreeMap<String, serde_json::Value>,
    /// How many sessions the tenant may have; none means any number.
    pub limit: Option<u32>,
}

impl NewCard {
    /// Creates a card with a name and nothing else.
    #[must_use]
    pub const fn new(tenant: TenantId, name: SessionName) -> Self {
        Self {
            tenant,
            name: Some(name),
            display_name: None,
            description: None,
            metadata: BTreeMap::new(),
            limit: None,
        }
    }
}

/// What to change of a session; a field that is none is left as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CardPatch {
    pub name: Option<SessionName>,
    /// What a person calls it now, or none if that is its name.
    pub display_name: Option<Option<String>>,
    /// The new description, or none to remove it.
    pub description: Option<Option<String>>,
    /// The new metadata, in place of all of the former.
    pub metadata: Option<BTreeMap<String, serde_json::Value>>,
}

/// Why a session was not created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The tenant has a session of that name.
    #[error("a session of that name exists already; choose another name")]
    NameTaken,
    /// The tenant's plan allows no more sessions.
    #[error("the plan allows {limit} sessions and {used} exist; delete one or change the plan")]
    LimitReached {
        /// How many there are.
        used: u32,
        /// How many are allowed.
        limit: u32,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a command was not taken.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The tenant has no such session.
    #[error("no such session")]
    UnknownSession,
    /// The command makes no sense in the session's phase.
    #[error(transparent)]
    Refused(#[from] InvalidTransition),
    /// The new name is taken.
    #[error("a session of that name exists already; choose another name")]
    NameTaken,
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Duplicate(Unique::SessionName) => Self::NameTaken,
            other @ (StoreError::Conflict
            | StoreError::Duplicate(_)
            | StoreError::Unavailable(_)
            | StoreError::Corrupt { .. }
            | StoreError::Refused(_)
            | StoreError::Internal(_)) => Self::Store(other),
        }
    }
}

impl AsStoreError for CommandError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Conflict))
    }
}

impl From<ApplyError> for CommandError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Refused(refused) => Self::Refused(refused),
            ApplyError::Store(store) => store.into(),
        }
    }
}

/// Returns the names to try, in their order: the one that was given, or those that can be made of what a
/// person typed.
fn names(card: &NewCard, id: SessionId) -> Vec<SessionName> {
    if let Some(name) = &card.name {
        return vec![name.clone()];
    }
    let typed = card.display_name.as_deref().unwrap_or_default();
    let Some(made) = SessionName::made_of(typed) else {
        return vec![id.as_name()];
    };
    let mut names = vec![made.clone()];
    names.extend((2..=NUMBERED).map(|number| made.numbered(number)));
    names.push(id.as_name());
    names
}

/// Stores a new session under the first of the names that is free.
async fn insert(
    tx: &mut dyn OrchestrationTx,
    session: &mut Session,
    names: Vec<SessionName>,
    limit: Option<u32>,
) -> Result<(), CreateError> {
    for name in names {
        session.name = name;
        match tx.insert_session(session, limit).await? {
            Inserted::Done => return Ok(()),
            Inserted::NameTaken => {}
            Inserted::LimitReached { used } => {
                let limit = limit.unwrap_or(used);
                return Err(CreateError::LimitReached { used, limit });
            }
        }
    }
    Err(CreateError::NameTaken)
}

impl Orchestrator {
    /// Creates a session that is `DISCONNECTED` and on no worker. Nothing follows from that, so there are no effects.
    ///
    /// # Errors
    /// The name is taken, the limit is reached, or the store fails.
    pub async fn create(&self, card: NewCard) -> Result<Session, CreateError> {
        let mut tx = self.ports.store.begin().await?;
        let now = tx.now().await?;
        let id = SessionId::generate(now, &*self.ports.entropy);
        let mut session = Session::new(id, card.tenant, id.as_name(), now);
        let names = names(&card, id);
        session.display_name = card.display_name;
        session.description = card.description;
        session.metadata = card.metadata;
        insert(&mut *tx, &mut session, names, card.limit).await?;
        let created = SessionCreated {
            name: session.name.clone(),
            metadata: session.metadata.clone(),
        };
        let event = Event::SessionCreated(created);
        let event = NewEvent::of_session(session.tenant, id, session.epoch, &event);
        tx.append_events(&[event]).await?;
        tx.commit().await?;
        self.announce(id).await;
        Ok(session)
    }

    /// Changes name, description or metadata of a session.
    ///
    /// # Errors
    /// The tenant has no such session, the name is taken, or the store fails.
    pub async fn update(
        &self,
        tenant: TenantId,
        id: SessionId,
        patch: &CardPatch,
    ) -> Result<Session, CommandError> {
        let session = retry_conflicts(ATTEMPTS, || async {
            let mut tx = self.ports.store.begin().await?;
            let found = tx.session(id).await?.filter(|row| row.tenant == tenant);
            let mut row = found.ok_or(CommandError::UnknownSession)?;
            row.name = patch.name.clone().unwrap_or(row.name);
            row.display_name = patch.display_name.clone().unwrap_or(row.display_name);
            row.description = patch.description.clone().unwrap_or(row.description);
            row.metadata = patch.metadata.clone().unwrap_or(row.metadata);
            row.version += 1;
            row.updated_at = tx.now().await?;
            tx.save_sessions(std::slice::from_ref(&row)).await?;
            tx.commit().await?;
            Ok::<_, CommandError>(row)
        })
        .await?;
        self.announce(id).await;
        Ok(session)
    }

    /// Carries out a tenant's command: connect, disconnect, restart, logout or delete.
    ///
    /// Returns the row afterwards, or none once it is deleted. A command for what is already so changes nothing
    /// and succeeds.
    ///
    /// # Errors
    /// The tenant has no such session, the command makes no sense in its phase, or the store fails.
    pub async fn command(
        &self,
        tenant: TenantId,
        id: SessionId,
        command: Command,
    ) -> Result<Done<Option<Session>>, CommandError> {
        let input = Input::Command(command);
        let applied = self.apply(id, &input, |row| row.tenant == tenant).await?;
        applied.ok_or(CommandError::UnknownSession)
    }
}
