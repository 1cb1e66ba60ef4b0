//! The errors of the core's operations as problems. No match has a wildcard either.

use gateway_core::account::{AccountError, KeyError};
use gateway_core::message::IntakeError;
use gateway_core::orchestrator::{
    BeatError, CommandError, CreateError, InvalidField, InvalidRegistration, QrError,
    RegisterError, ReportError, WorkerAdminError,
};

use super::from::SOON;
use super::{Detail, Kind, Problem};

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        let text = error.to_string();
        match error {
            AccountError::RegistrationClosed => Self::new(Kind::RegistrationClosed, text),
            AccountError::EmailTaken => Self::new(Kind::Duplicate, text)
                .detail("email", "is already taken; log in, or choose another one"),
            AccountError::WrongCredentials => Self::new(Kind::InvalidCredentials, text),
            AccountError::WrongPassword => Self::field("currentPassword", text),
            AccountError::TooManyAttempts { retry_after } => {
                Self::new(Kind::RateLimited, text).retry_after(retry_after)
            }
            AccountError::UnknownUser => Self::not_found("user"),
            AccountError::TenantGone | AccountError::LoginEnded => {
                Self::new(Kind::Unauthorized, text)
            }
            AccountError::TenantSuspended => Self::new(Kind::TenantSuspended, text),
            AccountError::UnknownTier { .. } => Self::field("tier", text),
            AccountError::Hash(error) => Self::internal(error),
            AccountError::Sign(error) => Self::internal(error),
            AccountError::Store(error) => error.into(),
        }
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        let text = error.to_string();
        match error {
            KeyError::UnknownKey => Self::not_found("API key"),
            KeyError::UnknownSession => Self::field("sessionId", text),
            KeyError::ExpiryInPast => Self::field("expiresAt", text),
            KeyError::OverlapTooLong => Self::field("overlapSeconds", text),
            KeyError::KeyEnded => Self::new(Kind::Conflict, text),
            KeyError::Account(error) => error.into(),
            KeyError::Store(error) => error.into(),
        }
    }
}

impl From<CreateError> for Problem {
    fn from(error: CreateError) -> Self {
        let text = error.to_string();
        match error {
            CreateError::NameTaken => name_taken(text),
            CreateError::LimitReached { used, limit } => Self::new(Kind::LimitExceeded, text)
                .detail("sessions", format!("limit {limit}, used {used}"))
                .with("limit", limit)
                .with("used", used),
            CreateError::Store(error) => error.into(),
        }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        let text = error.to_string();
        match error {
            CommandError::UnknownSession => Self::not_found("session"),
            CommandError::Refused(refused) => refused.into(),
            CommandError::NameTaken => name_taken(text),
            CommandError::Store(error) => error.into(),
        }
    }
}

fn name_taken(text: String) -> Problem {
    Problem::new(Kind::Duplicate, text).detail("name", "is taken; choose another one")
}

impl From<QrError> for Problem {
    fn from(error: QrError) -> Self {
        let text = error.to_string();
        match error {
            QrError::UnknownSession => Self::not_found("session"),
            QrError::NotAvailable { retry_after } => {
                let problem = Self::new(Kind::QrNotAvailable, text);
                match retry_after {
                    Some(wait) => problem.retry_after(wait),
                    None => problem,
                }
            }
            QrError::Worker(error) => error.into(),
            QrError::Store(error) => error.into(),
        }
    }
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        let text = error.to_string();
        match error {
            ReportError::UnknownSession => Self::new(Kind::UnknownSession, text),
            ReportError::StaleEpoch { current } => {
                Self::new(Kind::StaleEpoch, text).with("current", current.0)
            }
            ReportError::CodeTooLong { field } => Self::field(field, "is too long to be a code"),
            ReportError::Unavailable => Self::new(Kind::ConnectivityError, text).retry_after(SOON),
            ReportError::Store(error) => error.into(),
        }
    }
}

impl From<BeatError> for Problem {
    fn from(error: BeatError) -> Self {
        let text = error.to_string();
        match error {
            BeatError::Ended => Self::new(Kind::WrongIncarnation, text),
            BeatError::Store(error) => error.into(),
        }
    }
}

impl From<InvalidRegistration> for Problem {
    fn from(error: InvalidRegistration) -> Self {
        let detail = |wrong: InvalidField| Detail {
            field: wrong.field.to_owned(),
            message: wrong.message,
        };
        Self::invalid(error.0.into_iter().map(detail).collect())
    }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        let text = error.to_string();
        match error {
            RegisterError::WrongToken => Self::new(Kind::Unauthorized, text),
            RegisterError::Removed => Self::new(Kind::Forbidden, text),
            RegisterError::IdInUse => Self::new(Kind::WorkerIdInUse, text)
                .detail("workerId", "is in use by another process"),
            RegisterError::EndpointInUse { .. } => Self::new(Kind::WorkerIdInUse, text)
                .detail("endpoint", "is in use by another worker"),
            RegisterError::IncarnationEnded => Self::new(Kind::WrongIncarnation, text),
            RegisterError::ProtocolVersion { .. } => Self::field("protocolVersion", text),
            RegisterError::Store(error) => error.into(),
        }
    }
}

impl From<WorkerAdminError> for Problem {
    fn from(error: WorkerAdminError) -> Self {
        let text = error.to_string();
        match error {
            WorkerAdminError::Unknown => Self::not_found("worker"),
            WorkerAdminError::Taken => {
                Self::new(Kind::Duplicate, text).detail("workerId", "is known already")
            }
            WorkerAdminError::NotEmpty { assigned } => {
                Self::new(Kind::InvalidTransition, text).with("assigned", assigned)
            }
            WorkerAdminError::Store(error) => error.into(),
        }
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        let text = error.to_string();
        match error {
            IntakeError::NotHeld { .. } => Self::new(Kind::StaleEpoch, text),
            IntakeError::Invalid { field, message } => Self::field(field, message),
            IntakeError::LogFull(error) => error.into(),
            IntakeError::Log(error) => error.into(),
            IntakeError::Store(error) => error.into(),
        }
    }
}
