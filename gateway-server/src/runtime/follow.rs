//! Keeping up with the other replicas: what changed in the store, and how many they are.

use std::time::Duration;

use gateway_core::store::StoreError;
use tokio_util::sync::CancellationToken;

use super::{listen, wait};
use crate::app::App;
use crate::telemetry::ErrorChain;

/// The longest time between two looks at what changed.
const LOOK: Duration = Duration::from_secs(2);
/// The shortest: a storm of hints must not become one of queries.
const SHORTEST_LOOK: Duration = Duration::from_millis(100);
/// How often a replica says that it is there.
const RENEW: Duration = Duration::from_secs(10);

/// Lets the caches follow the store, until the stop.
pub(super) async fn follow(app: App, stop: CancellationToken) {
    let mut heard = None;
    while !stop.is_cancelled() {
        listen(&app, &mut heard).await;
        let sent = app.clock.uptime();
        if let Err(error) = app.caches.look().await {
            tracing::warn!(error = %ErrorChain(&error), "what changed is not known; soon everything is read from the store");
        }
        wait(SHORTEST_LOOK, &mut None, |_| false, &stop).await;
        let matters = |hint: &_| app.caches.hear(hint);
        let rest = rest(app.clock.uptime().since(sent));
        wait(rest, &mut heard, matters, &stop).await;
    }
}

/// How much longer nobody has to look. Trust is counted from when a look was sent, so the time between two
/// is as well: where the database is far away, a look takes its time.
fn rest(since_sent: Duration) -> Duration {
    LOOK.saturating_sub(since_sent)
}

/// Says that this replica is there and counts the others, until the stop.
pub(super) async fn renew(app: App, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match count(&app).await {
            Ok(replicas) => {
                app.quotas.share(replicas);
                app.coord.note_replicas(replicas);
            }
            Err(error) => {
                tracing::warn!(error = %ErrorChain(&error), "this replica could not say that it is there");
            }
        }
        wait(RENEW, &mut None, |_| false, &stop).await;
    }
}

async fn count(app: &App) -> Result<u32, StoreError> {
    let mut tx = app.store.begin_platform().await?;
    tx.renew_replica(app.replica).await?;
    let replicas = tx.replicas().await?;
    tx.commit().await?;
    Ok(replicas)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_look_shortens_the_wait_for_the_next() {
        assert_eq!(rest(SHORTEST_LOOK), Duration::from_millis(1_900));
        assert_eq!(
            rest(Duration::from_millis(1_500)),
            Duration::from_millis(500)
        );
        assert_eq!(rest(Duration::from_secs(4)), Duration::ZERO);
    }
}
