//! Check values of the secrets that stored data depends on.

use gateway_core::store::StoreError;

use super::SqlStore;
use super::error::corrupt;
use super::types::Count;
use crate::config::SecretCheck;

const ALL: &str = "SELECT secret, number, value FROM secret_checks ORDER BY secret, number";

const KEEP: &str = "INSERT INTO secret_checks (secret, number, value) VALUES ($1, $2, $3) \
     ON CONFLICT (secret, number) DO NOTHING";

impl SqlStore {
    /// Returns what is kept; nothing in a database that no server has used.
    ///
    /// # Errors
    /// The store fails.
    pub async fn secret_checks(&self) -> Result<Vec<SecretCheck>, StoreError> {
        let mut read = self.pool.read().await?;
        let rows: Vec<(String, Count, String)> = read.query(ALL).all().await?;
        let check = |(secret, Count(number), value): (String, Count, String)| {
            let value = u64::from_str_radix(&value, 16)
                .map_err(|why| corrupt("secret_checks", &secret, &why))?;
            Ok(SecretCheck {
                secret,
                number,
                value,
            })
        };
        rows.into_iter().map(check).collect()
    }

    /// Keeps those that are not there yet, and replaces none.
    ///
    /// # Errors
    /// The store fails.
    pub async fn keep_secret_checks(&self, checks: &[SecretCheck]) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        for check in checks {
            tx.query(KEEP)
                .bind(check.secret.as_str())
                .bind(Count(check.number))
                .bind(format!("{:016x}", check.value))
                .execute()
                .await?;
        }
        tx.finish().await
    }
}
