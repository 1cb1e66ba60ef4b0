//! People who log in.

use async_trait::async_trait;
use gateway_core::id::{TenantId, UserId};
use gateway_core::store::{StoreError, Unique};
use gateway_core::user::{Email, User, UserRepo};

use super::changes::{Changed, note};
use super::tx::MemoryTx;

#[async_trait]
impl UserRepo for MemoryTx {
    async fn user(&mut self, tenant: TenantId, id: UserId) -> Result<Option<User>, StoreError> {
        self.run(|world, me| {
            let row = world.users.get(me, &id);
            Ok(row.filter(|row| row.tenant == tenant).cloned())
        })
        .await
    }

    async fn lock_user(
        &mut self,
        tenant: TenantId,
        id: UserId,
    ) -> Result<Option<User>, StoreError> {
        self.run(|world, me| {
            let own = |row: &&User| row.tenant == tenant;
            if world.users.get(me, &id).filter(own).is_none() {
                return Ok(None);
            }
            world.users.lock(me, &id)?;
            Ok(world.users.get(me, &id).filter(own).cloned())
        })
        .await
    }

    async fn user_by_email(&mut self, email: &Email) -> Result<Option<User>, StoreError> {
        self.run(|world, me| {
            let mut rows = world.users.rows(me).map(|(_, row)| row);
            Ok(rows.find(|row| row.email == *email).cloned())
        })
        .await
    }

    async fn insert_user(&mut self, user: &User) -> Result<(), StoreError> {
        self.run(|world, me| {
            let same = |other: &User| other.email == user.email;
            world.users.unique(me, &user.id, same, Unique::Email)?;
            world
                .users
                .insert(me, &user.id, user.clone(), Unique::UserId)?;
            note(world, me, &Changed::User(user.id))
        })
        .await
    }

    async fn save_user(&mut self, user: &User) -> Result<(), StoreError> {
        self.run(|world, me| {
            let stored = world.users.get(me, &user.id);
            if stored.is_none_or(|row| row.version + 1 != user.version) {
                return Err(StoreError::Conflict.into());
            }
            world.users.lock(me, &user.id)?;
            let same = |other: &User| other.email == user.email;
            world.users.unique(me, &user.id, same, Unique::Email)?;
            world.users.put(me, &user.id, user.clone())?;
            note(world, me, &Changed::User(user.id))
        })
        .await
    }
}
