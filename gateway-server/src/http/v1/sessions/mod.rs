//! `/sessions`: cards, their life, and the codes that link them.
//!
//! Every verb is the same three steps: find the tenant's card, give the orchestrator one command, show the
//! row as it then stands. What follows from the command happens beside the request; a client that wants
//! to see it asks again, waits with `connect?wait=`, or reads events.

mod connect;
mod create;
mod delete;
mod disconnect;
mod events;
mod get;
mod history;
mod list;
mod logout;
mod passkey;
mod qr;
mod render;
mod restart;
mod status;
mod update;
mod view;
mod watch;

use std::sync::Arc;

use axum::extract::FromRef;
use gateway_core::identity::{Access, Scope};
use gateway_core::orchestrator::Orchestrator;
use gateway_core::session::{Command, Session, SessionRef};
use gateway_core::store::PlatformStore;
use http::StatusCode;
use utoipa_axum::routes;

use self::view::SessionView;
use crate::effects::EffectExecutor;
use crate::http::answer::Answer;
use crate::http::auth::session_of;
use crate::http::note_session;
use crate::http::parts::ServerParts;
use crate::http::problem::ApiResult;
use crate::http::routes::Routes;
use crate::identity::Caller;

const READ: Access = Access::Key(Scope::SessionsRead);
const WRITE: Access = Access::Key(Scope::SessionsWrite);

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(WRITE, routes!(create::create))
        .add(READ, routes!(list::list))
        .add(READ, routes!(get::get))
        .add(WRITE, routes!(update::update))
        .add(WRITE, routes!(delete::delete))
        .add(WRITE, routes!(connect::connect))
        .add(WRITE, routes!(disconnect::disconnect))
        .add(WRITE, routes!(restart::restart))
        .add(WRITE, routes!(logout::logout))
        .add(READ, routes!(status::status))
        .add(READ, routes!(qr::qr))
        .add(WRITE, routes!(passkey::answer))
        .add(WRITE, routes!(passkey::confirm))
        .add(READ, routes!(history::history))
        .add(Access::Key(Scope::EventsRead), routes!(events::events))
}

/// Reads the caller's session that the path names.
pub(super) async fn card(
    store: &dyn PlatformStore,
    caller: &Caller,
    reference: &SessionRef,
) -> ApiResult<Session> {
    let mut tx = store.read_platform().await?;
    let session = session_of(caller, &mut *tx, reference).await?;
    note_session(session.id);
    Ok(session)
}

/// The parts that a command to a session needs.
#[derive(Clone, Debug)]
pub(super) struct SessionCommands {
    store: Arc<dyn PlatformStore>,
    orchestrator: Arc<Orchestrator>,
    effects: EffectExecutor,
}

impl FromRef<ServerParts> for SessionCommands {
    fn from_ref(parts: &ServerParts) -> Self {
        Self {
            store: Arc::clone(&parts.store),
            orchestrator: Arc::clone(&parts.orchestrator),
            effects: parts.effects.clone(),
        }
    }
}

impl SessionCommands {
    /// Gives one command to the orchestrator and has its effects performed. Returns `None` if the session
    /// is gone.
    async fn command(
        &self,
        caller: &Caller,
        reference: &SessionRef,
        command: Command,
    ) -> ApiResult<Option<Session>> {
        let session = card(&*self.store, caller, reference).await?;
        let commanded = self
            .orchestrator
            .command(caller.tenant, session.id, command);
        let done = commanded.await?;
        self.effects.carry_out(done.effects);
        Ok(done.value)
    }
}

/// Answers with the session as it stands: 202 while a worker still has to do its part, else 200.
fn as_it_stands(caller: &Caller, session: Option<Session>) -> ApiResult<Answer<SessionView>> {
    let session = session.ok_or_else(|| crate::http::problem::Problem::not_found("session"))?;
    let status = match session.owner() {
        Some(_) => StatusCode::ACCEPTED,
        None => StatusCode::OK,
    };
    Ok(Answer::with_status(
        status,
        SessionView::of(session, caller),
    ))
}
