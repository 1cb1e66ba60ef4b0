//! Looks after both connections: one probe per interval, whether there are requests or not.
//!
//! The probe is a script that writes, so a Redis that only answers pings (read-only, out of memory) counts
//! as away. The listening connection has no commands of its own on which its death would show, so it is
//! pinged here too.

use std::sync::Arc;

use fred::interfaces::ClientLike;

use super::connect::RedisConnection;
use super::{Shared, is_outage};

/// Probes both connections once per interval, and revives what is gone, until aborted.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut commands: RedisConnection,
    mut ears: RedisConnection,
) {
    loop {
        let pause = shared.breaker().until_probe(shared.clock.uptime());
        #[expect(clippy::disallowed_methods, reason = "the period of a loop")]
        tokio::time::sleep(pause).await;
        if !shared.breaker().take_probe(shared.clock.uptime()) {
            continue;
        }
        // What has only just begun to connect is asked the next time.
        let (dead, deaf) = (commands.revive(), ears.revive());
        let asking = async {
            match dead {
                true => shared.lost(),
                false => probe(&shared).await,
            }
        };
        let listening = async {
            match deaf {
                true => shared.hearing.lose(),
                false => listen(&shared, &ears).await,
            }
        };
        tokio::join!(asking, listening);
    }
}

async fn probe(shared: &Shared) {
    let script = &shared.scripts.probe;
    let written =
        script.evalsha_with_reload::<i64, _, _>(&shared.commands, shared.keys.probe(), ());
    match shared.within_limit(written).await {
        Ok(_) => shared.regained(),
        Err(why) if is_outage(&why) => shared.lost(),
        Err(why) => {
            tracing::warn!(error = %crate::telemetry::ErrorChain(&why), "Redis refuses a probe");
            shared.lost();
        }
    }
}

async fn listen(shared: &Shared, ears: &RedisConnection) {
    let pinged = shared.within_limit(ears.client.ping::<()>(None)).await;
    if pinged.is_err() {
        shared.hearing.lose();
        return;
    }
    // After a loss that nobody announced.
    let standing = shared.hearing.stand(&ears.client);
    let _ = tokio::time::timeout(shared.limit, standing).await;
}
