//! The two simulated workers of `dev`.

use std::sync::Arc;

use gateway_core::id::WorkerId;
use gateway_core::worker::Death;
use gateway_testkit::worker::http::{Options, SimHttpWorker};
use gateway_testkit::worker::{PhoneNetwork, Script};
use sha2::{Digest, Sha256};

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

/// What the incarnations of these workers begin with. It follows from a secret of the folder, so others do not
/// have it by chance: a worker of the same name that somebody has run elsewhere may still be alive.
fn run_mark(server: &Server) -> String {
    let digest = Sha256::new()
        .chain_update("workers within the process of dev\0")
        .chain_update(server.secrets.worker_token_key.expose())
        .finalize();
    format!("dev-{}-", hex::encode(&digest[..8]))
}

/// Fences the workers of the former runs. They lived in a process that held this folder's lock, so they are
/// dead. Nothing is known of others, whatever their names: of those only silence is proof.
pub(super) async fn bury_former(server: &Server) -> Result<(), CommandFailure> {
    let (app, mark) = (&server.app, run_mark(server));
    let leases = app.store.read().await?.open_leases().await?;
    let owners = leases.into_iter().map(|lease| lease.owner);
    let former = owners.filter(|owner| owner.incarnation.as_str().starts_with(&mark));
    for owner in former {
        let death = Death::process_gone(owner);
        let fenced = app.orchestrator.fence(&death).await?;
        app.effects.carry_out(fenced.effects);
    }
    Ok(())
}

/// Starts both workers, which end when the shutdown begins.
pub(super) fn start(server: &Server, gateway: &str) {
    let token = server.secrets.worker_bootstrap.expose().to_owned();
    let network = Arc::new(PhoneNetwork::default());
    let (app, mark) = (server.app.clone(), run_mark(server));
    let gateway = gateway.to_owned();
    let running = async move {
        let mut running = Vec::new();
        for id in WORKERS {
            match worker(&app, id, &gateway, &token, &network, &mark).await {
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
    mark: &str,
) -> Result<SimHttpWorker, CommandFailure> {
    let id = WorkerId::parse(id)?;
    let (clock, entropy) = (Arc::clone(&app.clock), Arc::clone(&app.entropy));
    let mut options = Options::new(id, gateway, token, clock, entropy);
    options.script = script();
    options.network = Arc::clone(network);
    mark.clone_into(&mut options.run_mark);
    Ok(SimHttpWorker::start(options).await?)
}
