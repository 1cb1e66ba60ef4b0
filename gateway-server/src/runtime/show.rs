//! Shows this replica's numbers to the others, and notices how many they are.

use std::time::Duration;

use gateway_core::coord::{CoordError, Live};
use tokio_util::sync::CancellationToken;

use super::wait;
use crate::app::App;
use crate::coord::same_key;
use crate::store::folder;
use crate::telemetry::numbers::numbers;

/// How often the numbers are new.
const EVERY: Duration = Duration::from_secs(5);
/// How long they are shown: who is silent for longer is not there.
const SHOWN: Duration = Duration::from_secs(15);

/// Shows them until the stop. An outage of the coordinator is told where it is noticed.
pub(super) async fn show(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let shown = once(&app).await;
        let available = if shown.is_ok() { 1.0 } else { 0.0 };
        app.metrics.loops.coordinator.set(available);
        if let Err(error) = shown {
            tracing::debug!(%error, "numbers are not shown");
        }
        wait(EVERY, &mut None, |_| false, &stop).await;
    }
}

async fn once(app: &App) -> Result<(), CoordError> {
    let mut live = Live {
        replica: app.replica.to_string(),
        numbers: numbers(&app.metrics.render()),
    };
    let data = &app.config.storage.data_dir;
    let files = app.config.redis.url.as_ref();
    let files = files.and_then(|_| folder::id(data, &*app.entropy).ok());
    if let Some(id) = files {
        folder::show(&mut live, id);
    }
    if app.config.redis.url.is_some() {
        same_key::show(&mut live, &app.sender.ids);
    }
    app.coord.put_live(&live, SHOWN).await?;
    // Their number is kept by the coordinator for the time that it is away.
    let all = app.coord.live().await?;
    // Two that started at once could not see each other then.
    if let Some(Err(error)) = files.map(|id| folder::check(&all, id, data)) {
        tracing::error!(%error, "sessions will have to be linked again");
    }
    if let Err(error) = same_key::check(&all, &app.sender.ids) {
        tracing::error!(%error, "messages may go out twice");
    }
    Ok(())
}
