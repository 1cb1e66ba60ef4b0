//! `gateway-server admin`: what an operator does without an account. Works beside a running server.

use std::sync::Arc;

use clap::{Args, Subcommand};
use gateway_core::entropy::Entropy;
use gateway_core::store::PlatformStore;
use gateway_core::tenant::TierName;
use gateway_core::user::{Email, Role, User};

use super::{Context, Failure, runtime};
use crate::accounts::{self, NewAccount, generate_password};
use crate::config::{Config, Secret};
use crate::identity::Passwords;
use crate::store::open;
use crate::store::sql::SqlStore;
use crate::system::{OsEntropy, SystemClock};

#[derive(Args, Debug)]
pub(super) struct Admin {
    #[command(subcommand)]
    command: AdminCommand,
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Make an administrator and print the password once.
    Create(Who),
    /// Set a new password, print it once, and end every login of that person.
    ResetPassword(Who),
    /// Put the tenant of a person on another plan.
    SetTier(SetTier),
}

#[derive(Args, Debug)]
struct Who {
    /// The person's e-mail address.
    #[arg(long)]
    email: String,
}

#[derive(Args, Debug)]
struct SetTier {
    /// The e-mail address of a person of the tenant.
    #[arg(long)]
    email: String,
    /// The plan's name, as in the configuration.
    #[arg(long)]
    tier: String,
}

impl Admin {
    /// Makes one change and ends.
    pub(super) fn run(self, context: &mut Context) -> Result<(), Failure> {
        let config = context.load()?.config;
        let said = runtime()?.block_on(async {
            let store = opened(&config).await?;
            match self.command {
                AdminCommand::Create(who) => create(&store, &config, &who).await,
                AdminCommand::ResetPassword(who) => reset_password(&store, &config, &who).await,
                AdminCommand::SetTier(set) => set_tier(&store, &set).await,
            }
        })?;
        writeln!(context.output, "{said}")?;
        Ok(())
    }
}

/// The store, with a current schema; an embedded one may not have been served yet.
async fn opened(config: &Config) -> Result<SqlStore, Failure> {
    let store = open::beside(config, Arc::new(SystemClock)).await?;
    if config.database.url.is_none() {
        store.migrate().await?;
        open::put_tiers(&store, &config.plans()).await?;
    } else if !store.schema_is_current().await? {
        return Err(open::OpenStoreError::Schema.into());
    }
    Ok(store)
}

fn passwords(config: &Config) -> Passwords {
    Passwords::new(config.auth.password_hashers, Arc::new(OsEntropy))
}

async fn create(store: &SqlStore, config: &Config, who: &Who) -> Result<String, Failure> {
    let password = generate_password(&OsEntropy as &dyn Entropy);
    let account = NewAccount {
        email: Email::parse(&who.email)?,
        name: None,
        tenant_name: "Operators".to_owned(),
        role: Role::Admin,
        tier: TierName::parse("MAX")?,
    };
    let secret = Secret::new(&password);
    accounts::create(store, &passwords(config), &OsEntropy, account, secret).await?;
    Ok(format!(
        "{} may log in as an administrator\npassword: {password}",
        who.email
    ))
}

async fn reset_password(store: &SqlStore, config: &Config, who: &Who) -> Result<String, Failure> {
    let password = generate_password(&OsEntropy as &dyn Entropy);
    let (email, secret) = (Email::parse(&who.email)?, Secret::new(&password));
    match accounts::reset_password(store, &passwords(config), &email, secret).await? {
        Some(_) => Ok(format!("password: {password}")),
        None => Err(nobody(&who.email)),
    }
}

async fn set_tier(store: &SqlStore, set: &SetTier) -> Result<String, Failure> {
    let name = TierName::parse(&set.tier)?;
    let mut tx = store.begin_platform().await?;
    if tx.tier(&name).await?.is_none() {
        let known: Vec<String> = tx
            .tiers()
            .await?
            .iter()
            .map(|t| t.name.to_string())
            .collect();
        return Err(format!(
            "there is no tier {name}; choose one of {}",
            known.join(", ")
        )
        .into());
    }
    let user = find(&mut *tx, &set.email).await?;
    let found = tx.tenant(user.tenant).await?;
    let mut tenant = found.ok_or("the person's tenant is gone")?;
    tenant.tier = name;
    tenant.version += 1;
    tenant.updated_at = tx.now().await?;
    tx.save_tenant(&tenant).await?;
    tx.commit().await?;
    Ok(format!("{} is on {}", set.email, tenant.tier))
}

async fn find(tx: &mut dyn gateway_core::store::PlatformTx, email: &str) -> Result<User, Failure> {
    let found = tx.user_by_email(&Email::parse(email)?).await?;
    found.ok_or_else(|| nobody(email))
}

fn nobody(email: &str) -> Failure {
    format!("nobody is registered as {email}").into()
}
