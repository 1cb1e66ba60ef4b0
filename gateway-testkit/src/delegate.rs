//! A way to workers that differs from another one in a method or two.
//!
//! A [`WorkerLink`] has eight methods. Who wants to bend one of them implements [`DelegateLink`], whose methods all
//! hand on to the link below, and puts it into a [`Delegate`], which is a link. [`Unreachable`] is the link to put
//! below where there is none.
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
//! use std::time::Duration;
//!
//! use async_trait::async_trait;
//! use gateway_core::protocol::{Accepted, StartSession};
//! use gateway_core::worker::{LinkError, Target, WorkerLink};
//! use gateway_testkit::delegate::{Delegate, DelegateLink};
//!
//! /// Loses the answer to every third order to start.
//! #[derive(Debug)]
//! struct Lossy {
//!     link: Arc<dyn WorkerLink>,
//!     starts: AtomicUsize,
//! }
//!
//! #[async_trait]
//! impl DelegateLink for Lossy {
//!     fn below(&self) -> &dyn WorkerLink {
//!         &*self.link
//!     }
//!
//!     async fn start(
//!         &self,
//!         target: &Target,
//!         body: &StartSession,
//!         limit: Duration,
//!     ) -> Result<Accepted, LinkError> {
//!         let answer = self.below().start(target, body, limit).await;
//!         match self.starts.fetch_add(1, Relaxed) % 3 {
//!             2 => Err(LinkError::Unknown),
//!             _ => answer,
//!         }
//!     }
//! }
//!
//! # fn example(link: Arc<dyn WorkerLink>) {
//! let lossy: Arc<dyn WorkerLink> = Arc::new(Delegate(Lossy { link, starts: AtomicUsize::new(0) }));
//! # }
//! ```

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use gateway_core::id::SessionId;
use gateway_core::protocol::{
    Accepted, Health, Passkey, Released, SendMessage, Sent, SessionState, StartSession,
};
use gateway_core::session::Order;
use gateway_core::worker::{LinkError, Target, WorkerLink};

/// The link that a [`DelegateLink`] makes.
#[derive(Clone, Debug)]
pub struct Delegate<T>(pub T);

/// A link that reaches no worker: every command is [`LinkError::NotSent`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Unreachable;

/// Declares the trait with methods that hand on, and the link that calls them.
macro_rules! delegate {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $value:ty),* $(,)?) => {
        /// A link over another one: every method that is not written anew does what the one below does. What each
        /// of them means is said at [`WorkerLink`].
        #[async_trait]
        pub trait DelegateLink: Debug + Send + Sync {
            /// Returns the link that commands are handed on to.
            fn below(&self) -> &dyn WorkerLink;

            $(
                #[doc = concat!("As [`WorkerLink::", stringify!($name), "`].")]
                async fn $name(&self, $($argument: $kind),*) -> Result<$value, LinkError> {
                    self.below().$name($($argument),*).await
                }
            )*
        }

        #[async_trait]
        impl<T: DelegateLink> WorkerLink for Delegate<T> {$(
            async fn $name(&self, $($argument: $kind),*) -> Result<$value, LinkError> {
                self.0.$name($($argument),*).await
            }
        )*}

        #[async_trait]
        impl WorkerLink for Unreachable {$(
            async fn $name(&self, $(_: $kind),*) -> Result<$value, LinkError> {
                Err(LinkError::NotSent)
            }
        )*}
    };
}

delegate!(
    start(target: &Target, body: &StartSession, limit: Duration) -> Accepted,
    session(target: &Target, session: SessionId, limit: Duration) -> SessionState,
    send(target: &Target, session: SessionId, body: &SendMessage, limit: Duration) -> Sent,
    release(target: &Target, order: &Order, limit: Duration) -> Released,
    logout(target: &Target, order: &Order, limit: Duration) -> Released,
    forget(target: &Target, order: &Order, limit: Duration) -> Released,
    passkey(target: &Target, order: &Order, body: &Passkey, confirm: bool, limit: Duration) -> (),
    health(target: &Target, limit: Duration) -> Health,
);
