//! A runtime per core.
//!
//! A work-stealing runtime hands a request from thread to thread; one current-thread runtime per core
//! that accepts, serves and calls workers by itself costs a quarter less of the processor. So a core owns
//! its accepted sockets, its connections to workers, and on PostgreSQL its own message log with its own
//! connection. Everything else lives on the *control* runtime, to which a core hands most requests
//! ([`crate::http::door`]): a pooled connection only works while the runtime that opened it is polled.
//!
//! A core outlives its listener: sends and the log's writer run on it until the shutdown lets it go.

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::http::serve::{Listener, Serve, Serving};
use crate::shutdown::Shutdown;

/// The cores of a running server.
#[derive(Debug)]
pub(crate) struct Cores {
    served: Vec<oneshot::Receiver<io::Result<usize>>>,
    threads: Vec<thread::JoinHandle<()>>,
    released: CancellationToken,
}

impl Cores {
    /// Starts `count` cores on the port of `listener`. `core` is called once on the runtime of each and
    /// makes what it serves with. If a core dies, `shutdown` begins.
    ///
    /// # Errors
    /// The system is out of threads or sockets.
    pub(crate) fn start<C: Serve>(
        listener: Listener,
        serving: &Serving,
        shutdown: &Shutdown,
        count: NonZero<usize>,
        core: impl Fn() -> C + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let mut listeners = Vec::with_capacity(count.get());
        for _ in 1..count.get() {
            listeners.push(listener.sibling()?);
        }
        listeners.push(listener);
        let core = Arc::new(core);
        let mut cores = Self {
            served: Vec::new(),
            threads: Vec::new(),
            released: CancellationToken::new(),
        };
        for (number, listener) in listeners.into_iter().enumerate() {
            let (core, serving) = (Arc::clone(&core), serving.clone());
            let released = cores.released.clone();
            let (tell, served) = oneshot::channel();
            let runtime = Builder::new_current_thread().enable_all().build()?;
            // Whatever ends a core, its siblings must not serve on as if it were there.
            let alive = shutdown.begun().clone().drop_guard();
            let run = async move {
                let ended = listener.serve(core(), serving).await;
                let _ = tell.send(ended);
                released.cancelled().await;
            };
            let thread = thread::Builder::new()
                .name(format!("core-{number}"))
                .spawn(move || {
                    let _alive = alive;
                    runtime.block_on(run);
                })?;
            cores.served.push(served);
            cores.threads.push(thread);
        }
        Ok(cores)
    }

    /// Waits until every listener has ended. Returns how many connections had to be cut.
    ///
    /// # Errors
    /// A core could not serve.
    pub(crate) async fn served(&mut self) -> io::Result<usize> {
        let mut cut = 0;
        for served in self.served.drain(..) {
            let died = |_| io::Error::other("a core died");
            cut += served.await.map_err(died)??;
        }
        Ok(cut)
    }

    /// Ends the runtimes and waits for their threads. Call it when nothing runs on them any more.
    pub(crate) async fn end(self) {
        self.released.cancel();
        let joining = tokio::task::spawn_blocking(|| {
            let ends = self.threads.into_iter().map(thread::JoinHandle::join);
            ends.filter(Result::is_err).count()
        });
        let died = joining.await.unwrap_or_default();
        if died > 0 {
            tracing::error!(cores = died, "cores died");
        }
    }
}
