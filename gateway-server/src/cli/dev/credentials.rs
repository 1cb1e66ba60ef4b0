//! The demo credentials: made once, kept in the data folder, printed at every start.
//!
//! Where the file is lost or was cut short, the accounts are still there: they get new passwords, and the
//! next start prints those.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use gateway_core::account::{AccountError, NewAccount, NewKey, NewPassword};
use gateway_core::id::TenantId;
use gateway_core::identity::{Actor, ApiKeySecret};
use gateway_core::tenant::TierName;
use gateway_core::user::{Email, Role};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::cli::CommandFailure;

const ADMIN: &str = "admin@example.com";
const DEMO: &str = "demo@example.com";

/// The content of `dev.json`: the demo accounts with their passwords and API key.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DemoCredentials {
    pub(super) admin_email: String,
    pub(super) admin_password: String,
    pub(super) email: String,
    pub(super) password: String,
    pub(super) api_key: String,
}

impl DemoCredentials {
    /// Returns the credentials of the last start, or fresh ones if there are none that work.
    pub(super) async fn load_or_make(app: &App, folder: &Path) -> Result<Self, CommandFailure> {
        let path = folder.join("dev.json");
        match fs::read(&path) {
            Ok(text) => {
                if let Ok(kept) = serde_json::from_slice::<Self>(&text)
                    && kept.are_known(app).await?
                {
                    return Ok(kept);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let made = Self::make(app).await?;
        made.write(&path)?;
        Ok(made)
    }

    async fn are_known(&self, app: &App) -> Result<bool, CommandFailure> {
        let Ok(secret) = ApiKeySecret::parse(&self.api_key) else {
            return Ok(false);
        };
        let mut tx = app.store.read_platform().await?;
        Ok(tx.key_by_hash(&secret.hash()).await?.is_some())
    }

    async fn make(app: &App) -> Result<Self, CommandFailure> {
        let admin_password = NewPassword::generate(&*app.entropy);
        let password = NewPassword::generate(&*app.entropy);
        account(app, ADMIN, &admin_password, Role::Admin, "Operators").await?;
        let tenant = account(app, DEMO, &password, Role::User, "Demo").await?;
        let key = NewKey {
            name: "demo".to_owned(),
            scopes: None,
            session: None,
            expires_at: None,
        };
        let accounts = app.logins.accounts();
        let created = accounts.create_key(&Actor::system(), tenant, key).await?;
        let issued = app.invalidator.settle(created).await;
        Ok(Self {
            admin_email: ADMIN.to_owned(),
            admin_password: admin_password.password().reveal().to_owned(),
            email: DEMO.to_owned(),
            password: password.password().reveal().to_owned(),
            api_key: issued.secret.reveal().to_owned(),
        })
    }

    fn write(&self, path: &Path) -> Result<(), CommandFailure> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        Ok(())
    }
}

/// Makes the account with this password, or gives the password to one that exists.
async fn account(
    app: &App,
    email: &str,
    password: &NewPassword,
    role: Role,
    tenant_name: &str,
) -> Result<TenantId, CommandFailure> {
    let email = Email::parse(email)?;
    let (accounts, by) = (app.logins.accounts(), Actor::system());
    match accounts.reset_password(&by, &email, password).await {
        Ok(done) => return Ok(app.invalidator.settle(done).await.tenant),
        Err(AccountError::UnknownUser) => {}
        Err(error) => return Err(error.into()),
    }
    let account = NewAccount {
        email,
        name: None,
        tenant_name: tenant_name.to_owned(),
        role,
        tier: TierName::parse("MAX")?,
    };
    let opened = accounts.open_account(&by, account, password).await?;
    let (tenant, _) = app.invalidator.settle(opened).await;
    Ok(tenant.id)
}
