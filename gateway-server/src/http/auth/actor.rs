//! Who is asking, for the audit log.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use gateway_core::identity::{Actor, Origin};
use http::request::Parts;

use super::address::ClientAddress;
use crate::config::Http;
use crate::http::RequestId;
use crate::http::problem::Problem;
use crate::identity::Person;

/// Where a request comes from.
#[derive(Clone, Debug)]
pub struct RequestOrigin(pub Origin);

impl<S> FromRequestParts<S> for RequestOrigin
where
    Arc<Http>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let options = Arc::<Http>::from_ref(state);
        let client = ClientAddress::of(&options, &parts.headers, &parts.extensions);
        let id = parts.extensions.get::<RequestId>();
        Ok(Self(Origin {
            address: (!client.0.is_unspecified()).then_some(client.0),
            request_id: id.map(|id| id.0.to_string()),
        }))
    }
}

/// The person who has logged in, as the one who acts. For routes of people and administrators.
#[derive(Clone, Debug)]
pub struct Acting(pub Actor);

impl<S> FromRequestParts<S> for Acting
where
    Arc<Http>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let person = Person::from_request_parts(parts, state).await?;
        let Ok(RequestOrigin(origin)) = RequestOrigin::from_request_parts(parts, state).await;
        let actor = Actor::user(person.tenant, person.user, origin);
        Ok(Self(actor.by(person.family)))
    }
}
