//! `/events`: what happened, in order, for whoever asks from where they were.
//!
//! The cursor is a place in the event log, given when an event is published, so a reader that goes on
//! from its last place misses nothing that was committed late.

mod list;

use gateway_core::identity::{Access, Scope};
use utoipa_axum::routes;

pub(super) use self::list::{After, read};
use crate::http::routes::Routes;

pub(super) fn routes() -> Routes {
    Routes::new().add(Access::Key(Scope::EventsRead), routes!(list::list))
}
