//! Who is told what a worker holds, for metrics and for tests that check the promise of one owner.

use std::fmt::Debug;

use gateway_core::id::{Epoch, SessionId};
use gateway_core::session::Owner;
use gateway_core::time::Uptime;

/// Is told what a worker holds and until when. Every method does nothing unless it is implemented.
///
/// The methods are called while the worker is locked: they must return at once and not call it.
pub trait Observer: Debug + Send + Sync {
    /// The worker holds the session from `at` on.
    fn opened(&self, _session: SessionId, _owner: &Owner, _epoch: Epoch, _at: Uptime) {}

    /// The worker has not held the session since `at`, which may lie in the past: a lease that ended
    /// while the process was stopped ended then.
    fn closed(&self, _session: SessionId, _owner: &Owner, _epoch: Epoch, _at: Uptime) {}

    /// The worker may act for its sessions until `until`.
    fn leased(&self, _owner: &Owner, _until: Uptime) {}
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}
