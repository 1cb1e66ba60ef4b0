//! A road to another server that can be slow, or closed for a while.
//!
//! It delays bytes without holding back those behind them, as distance does; a stalled road keeps its
//! connections open and lets nothing through, as a frozen machine does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

const CHUNK: usize = 16 * 1024;

/// The state of a road.
#[derive(Clone, Debug)]
struct Road {
    delay: Arc<AtomicU64>,
    stalled: watch::Receiver<bool>,
}

/// A proxy that is gone when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: String,
    delay: Arc<AtomicU64>,
    stalled: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A fast road to `to`.
    pub(crate) async fn to(to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let delay = Arc::<AtomicU64>::default();
        let (stalled, is_stalled) = watch::channel(false);
        let road = Road {
            delay: Arc::clone(&delay),
            stalled: is_stalled,
        };
        let accepting = tokio::spawn(accept(listener, to.to_owned(), road));
        Self {
            address,
            delay,
            stalled,
            accepting,
        }
    }

    /// `host:port`
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// From now on everything takes so long, each way.
    pub(crate) fn slow_down(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).expect("short");
        self.delay.store(millis, Ordering::Relaxed);
    }

    /// Nothing gets through until [`Proxy::go_on`].
    pub(crate) fn stall(&self) {
        self.stalled.send_replace(true);
    }

    /// The end of [`Proxy::stall`].
    pub(crate) fn go_on(&self) {
        self.stalled.send_replace(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, to: String, road: Road) {
    while let Ok((near, _)) = listener.accept().await {
        let (to, road) = (to.clone(), road.clone());
        tokio::spawn(async move {
            let Ok(far) = TcpStream::connect(to).await else {
                return;
            };
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let (near_in, near_out) = near.into_split();
            let (far_in, far_out) = far.into_split();
            // Either end closes both, as the owner of both sockets going away would.
            tokio::select! {
                () = carry(near_in, far_out, road.clone()) => {}
                () = carry(far_in, near_out, road) => {}
            }
        });
    }
}

/// Carries bytes one way until either end closes.
async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut road: Road) {
    let (sender, mut underway) = mpsc::unbounded_channel();
    let delay = Arc::clone(&road.delay);
    let leave = async move {
        let mut buffer = vec![0; CHUNK];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let due = Instant::now() + Duration::from_millis(delay.load(Ordering::Relaxed));
            if sender.send((due, buffer[..read].to_vec())).is_err() {
                return;
            }
        }
    };
    let arrive = async move {
        while let Some((due, bytes)) = underway.recv().await {
            sleep_until(due).await;
            let open = road.stalled.wait_for(|stalled| !stalled).await.is_ok();
            if !open || to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(leave, arrive);
}
