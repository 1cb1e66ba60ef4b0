//! `/sessions/{id}/messages` and `/messages`: sending, and what became of it.

mod body;
mod get;
mod list;
mod list_all;
mod send;
mod view;

use gateway_core::identity::{Access, Scope};
use utoipa_axum::routes;

use crate::http::routes::Routes;

const READ: Access = Access::Key(Scope::MessagesRead);
const SEND: Access = Access::Key(Scope::MessagesSend);

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(SEND, routes!(send::send))
        .on_core()
        .add(READ, routes!(list::list))
        .add(READ, routes!(list_all::list_all))
        .add(READ, routes!(get::get))
}
