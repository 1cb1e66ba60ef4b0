//! The two simulated workers of `dev`.

use std::sync::Arc;

use gateway_core::id::WorkerId;
use gateway_core::worker::Death;
use gateway_testkit::worker::http::{Options, SimHttpWorker};
use gateway_testkit::worker::{PhoneNetwork, Script};

use crate::app::App;
use crate::cli::CommandFailure;
use crate::server::Server;

const WORKERS: [&str; 2] = ["sim-1", "sim-2"];

/// Returns the script of the simulated phone: it scans after three seconds and answers what it is sent.
fn script() -> Script {
    let mut script = Script::default();
    script.auto_scan_ms = Some(3_000);
    script.inbound.echo_ms = Some(1_000);
    script
}

/// Fences the workers of the former run. They lived in the process that held this folder's lock, so they
/// are dead.
pub(super) async fn bury_former(app: &App) -> Result<(), CommandFailure> {
    let mut tx = app.store.begin().await?;
    let former: Vec<_> = tx
        .open_leases()
        .await?
        .into_iter()
        .map(|lease| lease.owner)
        .filter(|owner| WORKERS.contains(&owner.worker.as_str()))
        .collect();
    drop(tx);
    for owner in former {
        let death = Death::process_gone(owner);
        if let Some(effects) = app.orchestrator.fence(&death).await? {
            app.effects.carry_out(effects);
        }
    }
    Ok(())
}

/// Starts both workers, which end when the shutdown begins.
pub(super) fn start(server: &Server, gateway: &str) {
    let token = server.secrets.worker_bootstrap.expose().to_owned();
    let network = Arc::new(PhoneNetwork::default());
    let app = server.app.clone();
    let gateway = gateway.to_owned();
    let running = async move {
        let mut running = Vec::new();
        for id in WORKERS {
            match worker(&app, id, &gateway, &token, &network).await {
                Ok(worker) => running.push(worker),
                Err(error) => tracing::error!(%error, worker.id = id, "not started"),
            }
        }
        app.shutdown.begun().cancelled().await;
    };
    server.app.shutdown.spawn_loop(|_| running);
}

async fn worker(
    app: &App,
    id: &str,
    gateway: &str,
    token: &str,
    network: &Arc<PhoneNetwork>,
) -> Result<SimHttpWorker, CommandFailure> {
    let id = WorkerId::parse(id)?;
    let (clock, entropy) = (Arc::clone(&app.clock), Arc::clone(&app.entropy));
    let mut options = Options::new(id, gateway, token, clock, entropy);
    options.script = script();
    options.network = Arc::clone(network);
    Ok(SimHttpWorker::start(options).await?)
}
