//! `GET /admin/workers`

use std::sync::Arc;

use axum::extract::State;
use gateway_core::id::WorkerId;
use gateway_core::store::PlatformStore;
use gateway_core::worker::{Worker, WorkerStatus};
use serde::Deserialize;
use utoipa::IntoParams;

use super::view::WorkerView;
use crate::http::answer::{Answer, Listed};
use crate::http::extract::ApiQuery;
use crate::http::page::{Page, PageQuery};
use crate::http::problem::{ApiResult, Problem};

/// The filters of a list of workers.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WorkerQuery {
    /// Only those with this status.
    #[serde(default)]
    status: Option<WorkerStatus>,
    /// Only those of this environment.
    #[serde(default)]
    environment: Option<String>,
    /// Only those of this version.
    #[serde(default)]
    version: Option<String>,
    /// Only those with this label, as `name:value`.
    #[serde(default)]
    label: Option<String>,
}

impl WorkerQuery {
    fn label(&self) -> ApiResult<Option<(&str, &str)>> {
        let Some(text) = &self.label else {
            return Ok(None);
        };
        let pair = text.split_once(':').filter(|(name, _)| !name.is_empty());
        let pair = pair.ok_or_else(|| Problem::field("label", "must be name:value"))?;
        Ok(Some(pair))
    }

    fn fits(&self, worker: &Worker, label: Option<(&str, &str)>) -> bool {
        let same = |wanted: &Option<String>, is: &Option<String>| wanted.is_none() || wanted == is;
        let has = |(name, value): (&str, &str)| worker.label(name).is_some_and(|is| is == value);
        self.status.is_none_or(|status| status == worker.status)
            && same(&self.environment, &worker.environment)
            && same(&self.version, &worker.version)
            && label.is_none_or(has)
    }
}

/// List workers
#[utoipa::path(get, path = "/admin/workers", tag = "admin", params(WorkerQuery, PageQuery),
    responses((status = 200, body = Listed<WorkerView>)))]
pub(super) async fn list(
    State(store): State<Arc<dyn PlatformStore>>,
    ApiQuery(which): ApiQuery<WorkerQuery>,
    page: Page,
) -> ApiResult<Answer<Vec<WorkerView>>> {
    let label = which.label()?;
    let after = page.after::<String>()?;
    let after = after.as_deref().map(WorkerId::parse).transpose();
    let after = after.map_err(|error| Problem::field("cursor", error.to_string()))?;
    let mut rows = store.read_platform().await?.workers().await?;
    rows.retain(|row| after.as_ref().is_none_or(|after| row.worker.id > *after));
    rows.retain(|row| which.fits(&row.worker, label));
    let key = |row: &gateway_core::worker::WorkerView| row.worker.id.to_string();
    Ok(Answer::page(rows, &page, key, WorkerView::from))
}
