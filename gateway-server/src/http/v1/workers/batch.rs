//! One report or several, and what the worker is told of them.
//!
//! A report that can never be taken must not hold up the others: in a batch it is named in the answer,
//! alone it is the answer. Whatever may be taken later fails the whole request, and all of it is sent
//! again, which changes nothing for those that were taken.

use std::fmt;
use std::marker::PhantomData;

use gateway_core::message::{IntakeError, Taken};
use gateway_core::protocol::bounds::MAX_ENTRIES;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::http::problem::{ApiResult, Problem};

/// One report, or an array of them. Errors name the field in both forms, which an untagged enum cannot.
#[derive(Debug)]
pub(super) struct ReportBatch<T> {
    pub(super) reports: Vec<T>,
    is_single: bool,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ReportBatch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either(PhantomData))
    }
}

struct Either<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
    type Value = ReportBatch<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a report or an array of reports")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ReportBatch<T>, A::Error> {
        let report = T::deserialize(MapAccessDeserializer::new(map))?;
        Ok(ReportBatch {
            reports: vec![report],
            is_single: true,
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ReportBatch<T>, A::Error> {
        let mut reports = Vec::new();
        while let Some(report) = seq.next_element()? {
            reports.push(report);
        }
        Ok(ReportBatch {
            reports,
            is_single: false,
        })
    }
}

/// What became of the reports of one request.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = ReceivedReports)]
pub(super) struct Received {
    /// How many were taken, now or before.
    accepted: usize,
    /// How many are about nothing that the gateway knows.
    dropped: usize,
    /// The reports that can never be taken.
    rejected: Vec<Rejected>,
}

/// A report that can never be taken.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RejectedReport)]
struct Rejected {
    /// The index of the report in the batch, from 0.
    index: usize,
    error: String,
}

impl Received {
    pub(super) fn all(accepted: usize) -> Self {
        Self {
            accepted,
            ..Self::default()
        }
    }
}

/// Refuses more reports than one request may have.
pub(super) fn check_size(field: &str, count: usize) -> ApiResult<()> {
    if count <= MAX_ENTRIES {
        return Ok(());
    }
    Err(Problem::field(
        field,
        format!("must have at most {MAX_ENTRIES} entries"),
    ))
}

/// Gives the reports to `take` one after the other: their order is the order of the events.
pub(super) async fn take_in<T, Fut>(
    batch: ReportBatch<T>,
    take: impl Fn(T) -> Fut,
) -> ApiResult<Received>
where
    Fut: Future<Output = ApiResult<Result<Taken, IntakeError>>>,
{
    check_size("body", batch.reports.len())?;
    let mut received = Received::default();
    for (index, report) in batch.reports.into_iter().enumerate() {
        match take(report).await? {
            Ok(Taken::Recorded) => received.accepted += 1,
            Ok(Taken::Dropped) => received.dropped += 1,
            Err(error) if !batch.is_single && is_final(&error) => {
                let error = error.to_string();
                received.rejected.push(Rejected { index, error });
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(received)
}

fn is_final(error: &IntakeError) -> bool {
    match error {
        IntakeError::NotHeld { .. } | IntakeError::Invalid { .. } => true,
        IntakeError::LogFull(_) | IntakeError::Log(_) | IntakeError::Store(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::id::Epoch;
    use gateway_core::message::LogFull;

    use super::*;

    fn read(json: &str) -> Result<ReportBatch<u8>, serde_json::Error> {
        #[derive(Deserialize)]
        struct One {
            n: u8,
        }
        let batch: ReportBatch<One> = serde_json::from_str(json)?;
        Ok(ReportBatch {
            reports: batch.reports.into_iter().map(|one| one.n).collect(),
            is_single: batch.is_single,
        })
    }

    #[test]
    fn one_or_several_can_be_written() {
        assert_eq!(read(r#"{"n":1}"#).expect("one").reports, [1]);
        assert_eq!(read(r#"[{"n":1},{"n":2}]"#).expect("two").reports, [1, 2]);
        assert!(read("[]").expect("none").reports.is_empty());
        for bad in ["1", "null", "[1]", r#"{"n":300}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    async fn outcome(n: u8) -> ApiResult<Result<Taken, IntakeError>> {
        Ok(match n {
            0 => Ok(Taken::Recorded),
            1 => Ok(Taken::Dropped),
            2 => Err(IntakeError::NotHeld { named: Epoch(1) }),
            _ => Err(LogFull.into()),
        })
    }

    #[tokio::test]
    async fn a_report_that_can_never_be_taken_holds_up_no_other() {
        let several = read(r#"[{"n":2},{"n":0},{"n":1}]"#).expect("three");
        let received = take_in(several, outcome).await.expect("taken");
        assert_eq!((received.accepted, received.dropped), (1, 1));
        assert_eq!(received.rejected[0].index, 0);
        let alone = read(r#"{"n":2}"#).expect("one");
        assert!(take_in(alone, outcome).await.is_err());
    }

    #[tokio::test]
    async fn what_may_be_taken_later_fails_the_whole() {
        let several = read(r#"[{"n":0},{"n":9}]"#).expect("two");
        let problem = take_in(several, outcome).await.expect_err("again");
        assert_eq!(problem.kind(), crate::http::problem::Kind::Overloaded);
    }
}
