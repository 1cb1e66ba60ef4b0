//! What the owner of a session reports of it.

use super::apply::ApplyError;
use super::{Done, Orchestrator};
use crate::coord::PairingSecret;
use crate::id::{Epoch, SessionId};
use crate::protocol::bounds::{MAX_CHALLENGE, MAX_CODE, words};
use crate::protocol::{RecoveryResult, SessionReport, SessionState, WorkerClock};
use crate::session::{
    Challenge, ChallengeKind, Closure, Input, Observation, Observed, Owner, Pairing, Phase, Reason,
    Report, Session, Stage,
};
use crate::store::StoreError;
use crate::time::Timestamp;

/// Why a report changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// There is no such session any more.
    #[error("no such session; stop it")]
    UnknownSession,
    /// The reporter does not hold the session at that epoch.
    #[error("the session is at epoch {current}")]
    StaleEpoch {
        /// The session's present epoch.
        current: Epoch,
    },
    /// A code is longer than any can be.
    #[error("{field} is too long to be a code")]
    CodeTooLong {
        /// The name of the field on the wire.
        field: &'static str,
    },
    /// The code could not be kept; the worker must report again.
    #[error("the code cannot be kept at the moment")]
    Unavailable,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Orchestrator {
    /// Folds in a session-status report of `reporter`.
    ///
    /// Codes are put into the coordinator before the change commits, so whoever sees `QR_REQUIRED` finds
    /// the code. Repeating a report changes nothing.
    ///
    /// # Errors
    /// There is no such session, the reporter does not hold it at that epoch, a code is too long or cannot be kept,
    /// or the store fails.
    pub async fn report(
        &self,
        reporter: &Owner,
        report: &SessionReport,
    ) -> Result<Done<()>, ReportError> {
        check_codes(report)?;
        let (row, now) = self.held(reporter, report.session_id, report.epoch).await?;
        let input = parse(report, &row, now);
        for secret in secrets(report, now) {
            self.keep(row.id, &secret, now).await?;
        }
        self.fold(
            reporter,
            report.session_id,
            report.epoch,
            &Input::Reported(input),
            |_| true,
        )
        .await
    }

    /// Folds in what a worker says of its sessions after a restart.
    ///
    /// # Errors
    /// The store fails. Results of sessions that the worker does not hold are ignored: it will be told to drop them.
    pub async fn recovery_status(
        &self,
        reporter: &Owner,
        results: &[RecoveryResult],
    ) -> Result<Done<()>, ReportError> {
        let mut effects = Vec::new();
        for result in results {
            let Some(observation) = recovered(result) else {
                continue;
            };
            // A result is not numbered like a report: repeated late, it must not take a session back.
            let is_start = matches!(observation, Observation::Live(_));
            let news = |row: &Session| !is_start || matches!(row.phase, Phase::Starting { .. });
            let report = Report {
                seq: None,
                observation,
                retry_at: None,
                phone_number: None,
            };
            let input = Input::Reported(report);
            match self
                .fold(reporter, result.session_id, result.epoch, &input, news)
                .await
            {
                Ok(done) => super::apply::gather(&mut effects, done.effects),
                Err(ReportError::UnknownSession | ReportError::StaleEpoch { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Done { value: (), effects })
    }

    pub(super) async fn held(
        &self,
        reporter: &Owner,
        id: SessionId,
        epoch: Epoch,
    ) -> Result<(Session, Timestamp), ReportError> {
        let mut tx = self.ports.store.read().await?;
        let row = tx.session(id).await?.ok_or(ReportError::UnknownSession)?;
        if !holds(&row, reporter, epoch) {
            return Err(ReportError::StaleEpoch { current: row.epoch });
        }
        Ok((row, tx.now().await?))
    }

    pub(super) async fn keep(
        &self,
        session: SessionId,
        secret: &PairingSecret,
        now: Timestamp,
    ) -> Result<(), ReportError> {
        let ttl = secret.expires_at.since(now);
        let kept = self.ports.coord.put_secret(session, secret, ttl).await;
        kept.map_err(|_| ReportError::Unavailable)
    }

    async fn fold(
        &self,
        reporter: &Owner,
        id: SessionId,
        epoch: Epoch,
        input: &Input,
        news: impl Fn(&Session) -> bool + Sync,
    ) -> Result<Done<()>, ReportError> {
        match self
            .apply(id, input, |row| holds(row, reporter, epoch) && news(row))
            .await
        {
            Ok(Some(done)) => Ok(Done {
                value: (),
                effects: done.effects,
            }),
            // The row has changed since it was read.
            Ok(None) => Err(match self.held(reporter, id, epoch).await {
                Ok((row, _)) => ReportError::StaleEpoch { current: row.epoch },
                Err(error) => error,
            }),
            Err(ApplyError::Store(error)) => Err(error.into()),
            Err(ApplyError::Refused(refused)) => {
                tracing::error!(session.id = %id, %refused, "a report of the owner was refused");
                Ok(Done::quiet(()))
            }
        }
    }
}

fn holds(row: &Session, reporter: &Owner, epoch: Epoch) -> bool {
    row.owner() == Some(reporter) && row.epoch == epoch
}

fn recovered(result: &RecoveryResult) -> Option<Observation> {
    match result.status.as_str() {
        // `CONNECTED` is for the session-status report that follows; this says that the start was taken.
        "RECOVERED" => Some(Observation::Live(Observed::Connecting {
            stage: Stage::Syncing,
        })),
        "QR_REQUIRED" => {
            let reason = Some(Reason::NoCredentials);
            Some(Observation::Closed(Closure::LoggedOut { reason }))
        }
        "FAILED" => {
            let reason = result.error.as_deref().map(Reason::parse);
            Some(Observation::Closed(Closure::Error {
                reason: Some(reason.unwrap_or(Reason::RecoveryFailed)),
                action_required: None,
            }))
        }
        _ => None,
    }
}

/// Reads a report; a status that is not known becomes [`Observation::Unknown`].
fn parse(report: &SessionReport, row: &Session, now: Timestamp) -> Report {
    let clock = clock(report, now);
    let reason = report.reason.as_deref().map(Reason::parse);
    let live = Observation::Live;
    let observation = match report.status.as_str() {
        "CONNECTING" => live(Observed::Connecting {
            stage: stage(reason.as_ref()),
        }),
        "QR_REQUIRED" => live(Observed::QrRequired {
            challenge: challenge(report, row, now),
        }),
        "CONNECTED" => live(Observed::Connected),
        "RECONNECTING" => live(Observed::Reconnecting { reason, since: now }),
        "DISCONNECTED" => Observation::Closed(Closure::Disconnected { reason }),
        "LOGGED_OUT" => Observation::Closed(Closure::LoggedOut { reason }),
        "RESTRICTED" => Observation::Closed(Closure::Restricted {
            reason,
            until: report.until.map(|until| clock.here(until)),
        }),
        "ERROR" => Observation::Closed(Closure::Error {
            reason,
            action_required: report.action_required.as_deref().map(words),
        }),
        other => Observation::Unknown(other.chars().take(40).collect()),
    };
    Report {
        seq: report.report_seq,
        observation,
        retry_at: report.retry_at.map(|at| clock.here(at)),
        phone_number: report.phone_number.clone().filter(|text| is_short(text)),
    }
}

/// Returns the clock of the worker that reports. A report that does not say when it was sent was sent when it
/// happened.
fn clock(report: &SessionReport, now: Timestamp) -> WorkerClock {
    WorkerClock::new(report.sent_at.or(report.occurred_at), now)
}

/// Returns whether a text is short enough to be a phone number or the id of an account; anything else is
/// not kept in the row.
fn is_short(text: &str) -> bool {
    text.len() <= 64
}

/// Refuses codes that are too long: cut, they would be of no use.
fn check_codes(report: &SessionReport) -> Result<(), ReportError> {
    let challenge = report.passkey_challenge.as_ref().map(ToString::to_string);
    for (field, text, most) in [
        ("qrCode", &report.qr_code, MAX_CODE),
        ("pairingCode", &report.pairing_code, MAX_CODE),
        ("passkeyChallenge", &challenge, MAX_CHALLENGE),
    ] {
        if text.as_ref().is_some_and(|text| text.len() > most) {
            return Err(ReportError::CodeTooLong { field });
        }
    }
    Ok(())
}

fn stage(reason: Option<&Reason>) -> Stage {
    match reason {
        Some(Reason::Pairing) => Stage::Pairing,
        Some(Reason::Syncing) => Stage::Syncing,
        Some(_) | None => Stage::Starting,
    }
}

fn challenge(report: &SessionReport, row: &Session, now: Timestamp) -> Challenge {
    let all = secrets(report, now);
    let of = |kind| all.iter().find(|secret| secret.kind == kind);
    let by_code = matches!(row.pairing, Pairing::PairingCode { .. });
    let shown = of(ChallengeKind::Passkey)
        .or_else(|| of(ChallengeKind::PairingCode).filter(|_| by_code))
        .or_else(|| of(ChallengeKind::Qr))
        .or_else(|| of(ChallengeKind::PairingCode));
    match shown {
        Some(secret) => Challenge {
            kind: secret.kind,
            index: secret.index,
            expires_at: secret.expires_at,
        },
        None => Challenge {
            kind: ChallengeKind::Qr,
            index: report.qr_index.unwrap_or(0),
            expires_at: report
                .qr_expires_at
                .map_or_else(|| now.plus(DEFAULT_LIFE), |at| clock(report, now).here(at)),
        },
    }
}

/// How long a code can be used if its worker does not say so: as long as a rotated QR code.
const DEFAULT_LIFE: std::time::Duration = std::time::Duration::from_secs(20);

/// Returns the codes that a report carries.
fn secrets(report: &SessionReport, now: Timestamp) -> Vec<PairingSecret> {
    let challenge = report.passkey_challenge.as_ref().map(ToString::to_string);
    collect(
        report.epoch,
        report.qr_index.unwrap_or(0),
        clock(report, now),
        now,
        [
            (
                ChallengeKind::Qr,
                report.qr_code.clone(),
                report.qr_expires_at,
            ),
            (
                ChallengeKind::PairingCode,
                report.pairing_code.clone(),
                report.pairing_expires_at,
            ),
            (ChallengeKind::Passkey, challenge, report.passkey_expires_at),
        ],
    )
}

/// Returns the codes that a worker's answer about a session carries, but for those that are too long.
pub(super) fn secrets_of(state: &SessionState, now: Timestamp) -> Vec<PairingSecret> {
    let challenge = state.passkey_challenge.as_ref().map(ToString::to_string);
    collect(
        state.epoch,
        state.qr_index.unwrap_or(0),
        WorkerClock::new(state.sent_at, now),
        now,
        [
            (
                ChallengeKind::Qr,
                state.qr_code.clone(),
                state.qr_expires_at,
            ),
            (
                ChallengeKind::PairingCode,
                state.pairing_code.clone(),
                state.pairing_expires_at,
            ),
            (ChallengeKind::Passkey, challenge, state.passkey_expires_at),
        ],
    )
}

fn collect(
    epoch: Epoch,
    qr_index: u32,
    clock: WorkerClock,
    now: Timestamp,
    found: [(ChallengeKind, Option<String>, Option<Timestamp>); 3],
) -> Vec<PairingSecret> {
    let secret = |(kind, text, expires_at): (_, Option<String>, Option<Timestamp>)| {
        Some(PairingSecret {
            epoch,
            kind,
            index: if kind == ChallengeKind::Qr {
                qr_index
            } else {
                0
            },
            text: text?,
            expires_at: expires_at.map_or_else(|| now.plus(DEFAULT_LIFE), |at| clock.here(at)),
        })
    };
    let fits = |secret: &PairingSecret| {
        let most = match secret.kind {
            ChallengeKind::Qr | ChallengeKind::PairingCode => MAX_CODE,
            ChallengeKind::Passkey => MAX_CHALLENGE,
        };
        secret.text.len() <= most
    };
    found.into_iter().filter_map(secret).filter(fits).collect()
}
