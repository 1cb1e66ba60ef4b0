//! Health of the sessions a worker holds already.
//!
//! A failed session counts in full, a disconnected one half (it may be the network's fault and is
//! being retried), one that waits for a scan a tenth (that is its owner's business). A few imaginary
//! healthy sessions are added, so that one failure among two does not condemn a worker. A worker
//! without sessions has shown nothing yet: that is unknown, not healthy.

use super::Factor;

const IMAGINARY: f64 = 4.0;

pub(super) const HEALTH: Factor = Factor::new(
    "health",
    0.15,
    "share of its sessions that failed or are disconnected",
    |worker| {
        let load = worker.load?;
        let [connected, disconnected, waiting, failed] = [
            load.connected,
            load.disconnected,
            load.qr_required,
            load.error,
        ]
        .map(f64::from);
        let sessions = connected + disconnected + waiting + failed;
        let ill = failed + 0.5 * disconnected + 0.1 * waiting;
        (sessions > 0.0).then(|| ill / (sessions + IMAGINARY))
    },
);
