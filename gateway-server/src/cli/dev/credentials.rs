//! The demo credentials: made once, kept in the data folder, printed at every start.
//!
//! Where the file is lost or was cut short, the accounts are still there: they get new passwords, and the
//! next start prints those.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use gateway_core::id::{ApiKeyId, TenantId};
use gateway_core::identity::{ApiKey, ApiKeySecret, Scope};
use gateway_core::tenant::TierName;
use gateway_core::user::{Email, Role};
use serde::{Deserialize, Serialize};

use crate::accounts::{self, NewAccount, generate_password};
use crate::app::App;
use crate::cli::Failure;
use crate::config::Secret;

const ADMIN: &str = "admin@example.com";
const DEMO: &str = "demo@example.com";

/// What `dev.json` holds.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Credentials {
    pub(super) admin_email: String,
    pub(super) admin_password: String,
    pub(super) email: String,
    pub(super) password: String,
    pub(super) api_key: String,
}

impl Credentials {
    /// Those of the last start, or fresh ones if there are none that work.
    pub(super) async fn load_or_make(app: &App, folder: &Path) -> Result<Self, Failure> {
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

    async fn are_known(&self, app: &App) -> Result<bool, Failure> {
        let Ok(secret) = ApiKeySecret::parse(&self.api_key) else {
            return Ok(false);
        };
        let mut tx = app.store.read_platform().await?;
        Ok(tx.key_by_hash(&secret.hash()).await?.is_some())
    }

    async fn make(app: &App) -> Result<Self, Failure> {
        let admin_password = generate_password(&*app.entropy);
        let password = generate_password(&*app.entropy);
        account(app, ADMIN, &admin_password, Role::Admin, "Operators").await?;
        let tenant = account(app, DEMO, &password, Role::User, "Demo").await?;
        let secret = ApiKeySecret::generate(&*app.entropy);
        let mut tx = app.store.begin_platform().await?;
        let now = tx.now().await?;
        let key = ApiKey {
            id: ApiKeyId::generate(now, &*app.entropy),
            tenant,
            name: "demo".to_owned(),
            hash: secret.hash(),
            prefix: secret.prefix(),
            scopes: Scope::ALL.to_vec(),
            session: None,
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
            created_at: now,
        };
        tx.insert_key(&key).await?;
        tx.commit().await?;
        Ok(Self {
            admin_email: ADMIN.to_owned(),
            admin_password,
            email: DEMO.to_owned(),
            password,
            api_key: secret.reveal().to_owned(),
        })
    }

    fn write(&self, path: &Path) -> Result<(), Failure> {
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

/// Makes the account; one that is there gets the password.
async fn account(
    app: &App,
    email: &str,
    password: &str,
    role: Role,
    tenant_name: &str,
) -> Result<TenantId, Failure> {
    let email = Email::parse(email)?;
    let (passwords, secret) = (&app.passwords, Secret::new(password));
    let known = accounts::reset_password(&*app.store, passwords, &email, secret).await?;
    if let Some(user) = known {
        return Ok(user.tenant);
    }
    let account = NewAccount {
        email,
        name: None,
        tenant_name: tenant_name.to_owned(),
        role,
        tier: TierName::parse("MAX")?,
    };
    let (tenant, _) = accounts::create(
        &*app.store,
        &app.passwords,
        &*app.entropy,
        account,
        Secret::new(password),
    )
    .await?;
    Ok(tenant.id)
}
