//! Accounts without the server: somebody registers, makes an API key, and a program shows it.
//!
//! Store, password hashing and signing are ports: put your own in place of testkit's. The operations are the
//! ones that the server's routes call, with the same limits, audit entries and revocations.
//!
//! Run with `cargo run -p gateway-examples --example accounts`.

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::sync::Arc;

use futures_executor::block_on;
use gateway_core::account::{NewKey, NewPassword, NewRegistration};
use gateway_core::identity::{Actor, Origin, Scope};
use gateway_core::user::Email;
use gateway_testkit::account::memory_logins;
use gateway_testkit::clock::ManualClock;

fn main() -> Result<(), Box<dyn Error>> {
    block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let logins = memory_logins(Arc::new(ManualClock::default()), 7).await?;
    let accounts = logins.accounts();

    let registration = NewRegistration {
        email: Email::parse("ada@example.com")?,
        name: Some("Ada".to_owned()),
        tenant_name: Some("Engines".to_owned()),
    };
    let password = NewPassword::parse("correct horse battery")?;
    let origin = Origin::default();
    let login = logins.register(&origin, registration, &password).await?;
    let (tenant, user) = (login.value.tenant, login.value.user);
    println!(
        "{} has registered on the plan {}",
        user.email.as_str(),
        tenant.tier
    );

    let actor = Actor::user(tenant.id, user.id, origin).by(login.value.login);
    let key = NewKey {
        name: "billing".to_owned(),
        scopes: Some(vec![Scope::MessagesSend]),
        session: None,
        expires_at: None,
    };
    let issued = accounts.create_key(&actor, tenant.id, key).await?.value;
    let known = accounts.authenticate_key(&issued.secret).await?;
    println!("the key {}… is {known:?}", issued.key.prefix);
    assert_eq!(known.and_then(|who| who.tenant()), Some(tenant.id));

    // What has ended is for your caches to forget.
    let done = accounts
        .revoke_key(&actor, tenant.id, issued.key.id)
        .await?;
    println!("revoked: {:?}", done.ended);
    assert_eq!(accounts.authenticate_key(&issued.secret).await?, None);
    Ok(())
}
