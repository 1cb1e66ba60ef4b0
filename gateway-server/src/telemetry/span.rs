//! Every field name of spans and log lines, spelled once.
//!
//! Used as `info_span!("http.request", { span::REQUEST_ID } = %id)`. Names are dotted; a number carries
//! its unit (`duration_ms`). Bodies, tokens and phone numbers are never fields.

/// The id that is also answered as `X-Request-Id`.
pub const REQUEST_ID: &str = "request.id";
/// The tenant whose credential was used.
pub const TENANT_ID: &str = "tenant.id";
/// The session that is acted on.
pub const SESSION_ID: &str = "session.id";
/// Its epoch at that moment.
pub const SESSION_EPOCH: &str = "session.epoch";
/// The worker that is talked to.
pub const WORKER_ID: &str = "worker.id";
/// The message that is sent or reported.
pub const MESSAGE_ID: &str = "message.id";
/// How long it took, in milliseconds.
pub const DURATION_MS: &str = "duration_ms";
