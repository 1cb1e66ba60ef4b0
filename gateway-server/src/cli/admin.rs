//! `gateway-server admin`: what an operator does without an account. Works beside a running server.

use std::sync::Arc;

use clap::{Args, Subcommand};
use gateway_core::account::{
    AccountError, Accounts, Committed, LoginPolicy, NewAccount, NewPassword,
};
use gateway_core::identity::Actor;
use gateway_core::tenant::TierName;
use gateway_core::user::{Email, Role};

use super::{CommandFailure, Context, runtime};
use crate::config::Config;
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
    /// Make a tenant with its first person, and print the password once: where registration is closed.
    CreateTenant(NewTenant),
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
struct NewTenant {
    /// The e-mail address of its first person.
    #[arg(long)]
    email: String,
    /// What the tenant is called; the address if not given.
    #[arg(long)]
    name: Option<String>,
    /// The plan's name, as in the configuration; the first one if not given.
    #[arg(long)]
    tier: Option<String>,
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
    /// Makes one change in the store and prints the result.
    pub(super) fn run(self, context: &mut Context) -> Result<(), CommandFailure> {
        let config = context.load()?.config;
        let said = runtime()?.block_on(async {
            let store = opened(&config).await?;
            let accounts = accounts(store, &config);
            match self.command {
                AdminCommand::Create(who) => create_administrator(&accounts, &who).await,
                AdminCommand::CreateTenant(new) => create_tenant(&accounts, &new).await,
                AdminCommand::ResetPassword(who) => reset_password(&accounts, &who).await,
                AdminCommand::SetTier(set) => set_tier(&accounts, &set).await,
            }
        })?;
        writeln!(context.output, "{said}")?;
        Ok(())
    }
}

/// Opens the store and brings its schema up to date: an embedded one may not have been served yet.
async fn opened(config: &Config) -> Result<SqlStore, CommandFailure> {
    let store = open::beside(config, Arc::new(SystemClock)).await?;
    if config.database.url.is_none() {
        store.migrate().await?;
        open::add_missing_plans(&store, config).await?;
    } else if !store.schema_is_current().await? {
        return Err(open::OpenStoreError::Schema.into());
    }
    Ok(store)
}

fn accounts(store: SqlStore, config: &Config) -> Accounts {
    let entropy = Arc::new(OsEntropy);
    let passwords = Passwords::new(config.auth.password_hashers, entropy.clone());
    Accounts::new(Arc::new(store), Arc::new(passwords), entropy)
}

async fn create_administrator(accounts: &Accounts, who: &Who) -> Result<String, CommandFailure> {
    let account = NewAccount {
        email: Email::parse(&who.email)?,
        name: None,
        tenant_name: "Operators".to_owned(),
        role: Role::Admin,
        tier: TierName::parse("MAX")?,
    };
    let password = open_account(accounts, account).await?;
    Ok(format!(
        "{} may log in as an administrator\npassword: {password}",
        who.email
    ))
}

async fn create_tenant(accounts: &Accounts, new: &NewTenant) -> Result<String, CommandFailure> {
    let tier = match &new.tier {
        Some(name) => TierName::parse(name)?,
        None => LoginPolicy::default().first_tier,
    };
    let account = NewAccount {
        email: Email::parse(&new.email)?,
        name: None,
        tenant_name: new.name.clone().unwrap_or_else(|| new.email.clone()),
        role: Role::User,
        tier,
    };
    let password = open_account(accounts, account).await?;
    Ok(format!("{} may log in\npassword: {password}", new.email))
}

/// Makes a tenant and its first person, and returns the password.
async fn open_account(accounts: &Accounts, account: NewAccount) -> Result<String, CommandFailure> {
    let password = NewPassword::generate(&OsEntropy);
    let actor = Actor::operator();
    let opened = accounts.open_account(&actor, account, &password);
    held_elsewhere(opened.await?);
    Ok(password.password().reveal().to_owned())
}

async fn reset_password(accounts: &Accounts, who: &Who) -> Result<String, CommandFailure> {
    let (email, password) = (Email::parse(&who.email)?, NewPassword::generate(&OsEntropy));
    let actor = Actor::operator();
    let reset = accounts.reset_password(&actor, &email, &password);
    held_elsewhere(reset.await.map_err(|error| nobody(&who.email, error))?);
    Ok(format!("password: {}", password.password().reveal()))
}

async fn set_tier(accounts: &Accounts, set: &SetTier) -> Result<String, CommandFailure> {
    let (email, tier) = (Email::parse(&set.email)?, TierName::parse(&set.tier)?);
    let user = accounts.user_by_email(&email).await;
    let user = user.map_err(|error| nobody(&set.email, error))?;
    let actor = Actor::operator();
    let put = accounts.set_tier(&actor, user.tenant, &tier);
    let tenant = held_elsewhere(put.await?);
    Ok(format!("{} is on {}", set.email, tenant.tier))
}

/// Returns the value: this process has no caches, and the ones of running servers ask the store what changed.
fn held_elsewhere<T>(done: Committed<T>) -> T {
    done.value
}

fn nobody(email: &str, error: AccountError) -> CommandFailure {
    match error {
        AccountError::UnknownUser => format!("nobody is registered as {email}").into(),
        other => other.into(),
    }
}
