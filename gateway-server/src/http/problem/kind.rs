//! The closed list of problems: slug, status and title of each.
//!
//! Clients branch on the slug, so it never changes its meaning and never gets another status.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! problems {
    ($($(#[doc = $doc:literal])* $name:ident = $status:ident, $slug:literal;)*) => {
        /// The kind of a problem, on which programs branch.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        #[schema(as = ProblemType)]
        pub enum Kind {
            $($(#[doc = $doc])* $name,)*
        }

        impl Kind {
            /// Every problem there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the machine-readable name, which is `type` in the answer.
            #[must_use]
            pub const fn slug(self) -> &'static str {
                match self {
                    $(Self::$name => $slug,)*
                }
            }

            /// Returns what the kind means, in a sentence.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),*).trim(),)*
                }
            }

            /// Returns the kind with this machine-readable name.
            #[must_use]
            pub fn named(slug: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.slug() == slug)
            }

            /// Returns the HTTP status that this kind is always answered with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status,)*
                }
            }
        }
    };
}

problems! {
    /// A field, a query parameter or a part of the path is not acceptable; `details` names each.
    ValidationError = BAD_REQUEST, "validation_error";
    /// The body or the query has a field that this route does not know; `details` names each.
    UnknownField = BAD_REQUEST, "unknown_field";
    /// The body is not JSON.
    InvalidJson = BAD_REQUEST, "invalid_json";
    /// The body could not be read to its end.
    IncompleteBody = BAD_REQUEST, "incomplete_body";
    /// There is no credential, or it is malformed, forged, expired or revoked.
    Unauthorized = UNAUTHORIZED, "unauthorized";
    /// E-mail address and password do not belong together.
    InvalidCredentials = UNAUTHORIZED, "invalid_credentials";
    /// Another kind of credential is needed here.
    Forbidden = FORBIDDEN, "forbidden";
    /// The API key lacks the scope that `scope` names.
    InsufficientScope = FORBIDDEN, "insufficient_scope";
    /// The tenant is suspended.
    TenantSuspended = FORBIDDEN, "tenant_suspended";
    /// The plan does not allow more; `limit` and `used` say how much.
    LimitExceeded = FORBIDDEN, "limit_exceeded";
    /// Nobody may register here; the operator makes accounts.
    RegistrationClosed = FORBIDDEN, "registration_closed";
    /// There is no such object, or it is somebody else's.
    NotFound = NOT_FOUND, "not_found";
    /// There is no such route.
    UnknownRoute = NOT_FOUND, "unknown_route";
    /// There is no QR code at the moment.
    QrNotAvailable = NOT_FOUND, "qr_not_available";
    /// The worker does not hold the session.
    UnknownSession = NOT_FOUND, "unknown_session";
    /// The route does not take this method.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method_not_allowed";
    /// None of the accepted media types can be answered.
    NotAcceptable = NOT_ACCEPTABLE, "not_acceptable";
    /// The request did not arrive in time.
    RequestTimeout = REQUEST_TIMEOUT, "request_timeout";
    /// Somebody else changed the object meanwhile; repeat the request.
    Conflict = CONFLICT, "conflict";
    /// A value that must be unique is taken; `details` names it.
    Duplicate = CONFLICT, "duplicate";
    /// The session's state does not allow this.
    InvalidTransition = CONFLICT, "invalid_transition";
    /// The session is not connected and will not be by itself; see `reason` and `actionRequired`.
    NotConnected = CONFLICT, "not_connected";
    /// The epoch is not the session's present one, which is `current`.
    StaleEpoch = CONFLICT, "stale_epoch";
    /// The incarnation is not the worker's present one.
    WrongIncarnation = CONFLICT, "wrong_incarnation";
    /// The write does not follow the newest one, whose sequence is `current`.
    SeqConflict = CONFLICT, "seq_conflict";
    /// A live worker uses this id or endpoint.
    WorkerIdInUse = CONFLICT, "worker_id_in_use";
    /// More bytes than allowed.
    PayloadTooLarge = PAYLOAD_TOO_LARGE, "payload_too_large";
    /// The body is not of the media type this route takes.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type";
    /// The `Idempotency-Key` was used with another body; `id` is the first message.
    IdempotencyMismatch = UNPROCESSABLE_ENTITY, "idempotency_mismatch";
    /// The worker refused the message for good; `code` is its reason, `id` the message.
    MessageRefused = UNPROCESSABLE_ENTITY, "message_refused";
    /// Too many requests; `Retry-After` says when to come back.
    RateLimited = TOO_MANY_REQUESTS, "rate_limited";
    /// A defect of the gateway; the log has the details under the request id.
    InternalError = INTERNAL_SERVER_ERROR, "internal_error";
    /// The gateway or the worker's engine cannot do this.
    NotSupported = NOT_IMPLEMENTED, "not_supported";
    /// The worker's answer makes no sense; a message (`id`) may have been sent.
    WorkerError = BAD_GATEWAY, "worker_error";
    /// Something the gateway needs cannot be reached.
    ConnectivityError = SERVICE_UNAVAILABLE, "connectivity_error";
    /// The session is on its way back; nothing was sent.
    SessionUnavailable = SERVICE_UNAVAILABLE, "session_unavailable";
    /// No worker has room.
    NoCapacity = SERVICE_UNAVAILABLE, "no_capacity";
    /// The gateway has more to do than it can take on; nothing was done.
    Overloaded = SERVICE_UNAVAILABLE, "overloaded";
    /// Whether the message (`id`) was sent is not known.
    OutcomeUnknown = GATEWAY_TIMEOUT, "outcome_unknown";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_the_names_on_the_wire_and_unique() {
        let mut seen = std::collections::BTreeSet::new();
        for kind in Kind::ALL {
            assert_eq!(serde_json::json!(kind), kind.slug());
            assert!(seen.insert(kind.slug()), "{kind:?}");
        }
    }
}
