//! What runs beside the requests, one file per job.
//!
//! A job calls one function of the core or of an adapter, again and again; there is no rule in here. It may
//! be stopped between two steps or die in the middle of one: what it would have done is still due. How jobs
//! are stepped, restarted, shown and stopped is the frame's.

mod check_peers;
mod claim_due;
mod close_idle_connections;
mod count_sessions;
mod end_silence;
mod erase_deleted;
mod flush_metrics;
mod follow_changes;
mod follow_fleet;
mod forget_aged;
mod frame;
mod keep_replica_lock;
mod led;
mod probe_workers;
mod publish_events;
mod publish_numbers;
mod register_replica;
mod wake_event_readers;
mod watch_leases;

pub(crate) use check_peers::CheckPeers;
pub(crate) use claim_due::ClaimDue;
pub(crate) use close_idle_connections::CloseIdleConnections;
pub(crate) use count_sessions::CountSessions;
pub(crate) use end_silence::EndSilence;
pub(crate) use erase_deleted::EraseDeleted;
pub(crate) use flush_metrics::FlushMetrics;
pub(crate) use follow_changes::FollowChanges;
pub(crate) use follow_fleet::FollowFleet;
pub(crate) use forget_aged::ForgetAged;
pub(crate) use frame::JobFrame;
pub(crate) use keep_replica_lock::KeepReplicaLock;
pub(crate) use led::Led;
pub(crate) use probe_workers::ProbeWorkers;
pub(crate) use publish_events::PublishEvents;
pub(crate) use publish_numbers::PublishNumbers;
pub(crate) use register_replica::RegisterReplica;
pub(crate) use wake_event_readers::WakeEventReaders;
pub(crate) use watch_leases::WatchLeases;
