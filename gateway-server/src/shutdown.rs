//! Stopping in order.
//!
//! Every task is spawned here, in the group whose turn to stop is known, so nothing is cut because its
//! neighbour ended first:
//!
//! 0. [`Shutdown::announce`]: not ready any more, and serving on until load balancers have noticed;
//! 1. [`Shutdown::begin`]: listeners stop accepting and finish what they serve, without waiting for uploads;
//! 2. sends: a message that went out to a worker is written before its task may end;
//! 3. writers: they take what the sends left, write it, and close;
//! 4. what replicas hold in common is given back (quota), by the caller's future;
//! 5. loops: they stop between two steps;
//! 6. connections that everything else may have used, as those to Redis;
//! 7. the caller closes its pools and drops the runtime last.
//!
//! All of it has one time limit, so a stop ends even when a database does not answer: everything that
//! was acknowledged is durable by then, and the rest is recovered at the next start. Four fifths of it are
//! for requests and sends. Then, or when the process is asked a second time, [`Shutdown::hurry`] cuts their
//! connections: the outcome of a send that is still on its way becomes `unknown`, and is written.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::CatchUnwind;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TrackedFuture;

/// The least time that a group of tasks gets, however late it is.
const LEAST: Duration = Duration::from_millis(500);
/// Between two lines of the log about what a stop waits for.
const SAID_EVERY: Duration = Duration::from_secs(5);

/// Spawns tasks and stops them in order. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(Arc<Groups>);

/// The groups of tasks, and what tells each to stop.
#[derive(Debug, Default)]
struct Groups {
    announced: CancellationToken,
    announced_at: OnceLock<Instant>,
    begun: CancellationToken,
    hurried: CancellationToken,
    given_up: AtomicBool,
    sends: TaskTracker,
    close_writers: CancellationToken,
    writers: TaskTracker,
    stop_loops: CancellationToken,
    loops: TaskTracker,
    close_connections: CancellationToken,
    connections: TaskTracker,
}

/// A group of tasks that did not end in its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// What the tasks are.
    pub group: &'static str,
    /// How many were left.
    pub tasks: usize,
}

impl Shutdown {
    /// Makes a shutdown that has not begun and knows no tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a token that is cancelled when the process is going to stop. Readiness follows it.
    #[must_use]
    pub fn announced(&self) -> &CancellationToken {
        &self.0.announced
    }

    /// Returns a token that is cancelled when the stop begins. Listeners follow it.
    #[must_use]
    pub fn begun(&self) -> &CancellationToken {
        &self.0.begun
    }

    /// Returns a token that is cancelled when requests and sends have no time left. Connections follow it,
    /// those of clients and those to workers.
    #[must_use]
    pub fn hurried(&self) -> &CancellationToken {
        &self.0.hurried
    }

    /// Says that the process is going to stop, and goes on serving. The time limit of the stop runs from here.
    pub fn announce(&self) {
        self.0.announced_at.get_or_init(Instant::now);
        self.0.announced.cancel();
    }

    /// Begins the stop. Repeating it changes nothing.
    pub fn begin(&self) {
        self.announce();
        self.0.begun.cancel();
    }

    /// Begins the stop, and waits for no request and no send any longer.
    pub fn hurry(&self) {
        self.begin();
        self.0.hurried.cancel();
    }

    /// Stops when a signal asks for it: announces the stop, serves on for `grace`, begins. A second signal
    /// hurries it.
    pub async fn follow(&self, mut signals: StopSignals, grace: Duration) {
        signals.next().await;
        self.announce();
        if !grace.is_zero() {
            let seconds = grace.as_secs_f32();
            tracing::info!(seconds, "asked to stop: not ready any more, and serving on");
        }
        if timeout(grace, signals.next()).await.is_err() {
            self.begin();
            signals.next().await;
        }
        tracing::warn!("asked a second time: requests and sends are cut");
        self.hurry();
    }

    /// Hurries a stop that has been announced when four fifths of `limit` have passed.
    pub async fn hurry_in_time(&self, limit: Duration) {
        self.0.announced.cancelled().await;
        sleep_until(self.announced_at() + limit * 4 / 5).await;
        self.hurry();
    }

    /// Says what the stop waits for, from its beginning to the end of the future: the number of open
    /// `connections` of clients, and of sends.
    pub async fn say_what_is_left(&self, connections: impl Fn() -> usize) {
        self.0.begun.cancelled().await;
        let mut turns = interval(SAID_EVERY);
        loop {
            turns.tick().await;
            let (connections, sends) = (connections(), self.0.sends.len());
            tracing::info!(
                connections,
                sends,
                "stopping: waiting for requests and sends"
            );
        }
    }

    fn announced_at(&self) -> Instant {
        *self.0.announced_at.get_or_init(Instant::now)
    }

    /// Begins the stop because this process must not go on. The process then ends with a failure.
    pub fn give_up(&self) {
        self.0.given_up.store(true, Ordering::Relaxed);
        self.begin();
    }

    /// Returns whether [`Shutdown::give_up`] was called.
    #[must_use]
    pub fn has_given_up(&self) -> bool {
        self.0.given_up.load(Ordering::Relaxed)
    }

    /// Wraps a send so that it outlives the request that asked for it and the stop waits for it.
    pub fn see_through<F>(&self, send: F) -> SeenThrough<F>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        // Boxed first: a future is large, and every wrapper would move it once more.
        let send = AssertUnwindSafe(Box::pin(send)).catch_unwind();
        SeenThrough(Some(self.0.sends.track_future(send)))
    }

    /// Runs a future on `runtime` that the stop waits for as it waits for sends.
    pub fn spawn_send_on<F>(&self, runtime: &Handle, send: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.sends.spawn_on(send, runtime)
    }

    /// Runs a writer. Its token is cancelled when no send is left; it must then write what it has and
    /// end.
    pub fn spawn_writer<F>(&self, writer: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.writers.spawn(writer(self.0.close_writers.clone()));
    }

    /// Runs a loop. Its token is cancelled when the writers have ended; it must then end between two
    /// steps.
    pub fn spawn_loop<F>(&self, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.loops.spawn(run(self.0.stop_loops.clone()));
    }

    /// Runs a task that keeps a connection alive, until everything that may use it has ended or it is
    /// aborted.
    pub fn spawn_connection<F>(&self, keeping: F) -> AbortHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let close = self.0.close_connections.clone();
        let keeping = async move {
            close.run_until_cancelled_owned(keeping).await;
        };
        self.0.connections.spawn(keeping).abort_handle()
    }

    /// Returns what is left of `limit`, which runs from when the stop was announced; never less than half a
    /// second.
    #[must_use]
    pub fn time_left(&self, limit: Duration) -> Duration {
        let end = self.announced_at() + limit;
        end.saturating_duration_since(Instant::now()).max(LEAST)
    }

    /// Runs steps 2 to 6 of the stop, all within what is left of `limit`. Call it when the listeners have
    /// ended. Returns the groups that did not end in time; their tasks are dropped with the runtime.
    pub async fn finish(
        &self,
        limit: Duration,
        give_back: impl Future<Output = ()>,
    ) -> Vec<Unfinished> {
        self.begin();
        let mut unfinished = Vec::new();
        unfinished.extend(self.ended("sends", &self.0.sends, limit).await);
        self.0.close_writers.cancel();
        unfinished.extend(self.ended("writers", &self.0.writers, limit).await);
        if timeout(self.time_left(limit), give_back).await.is_err() {
            unfinished.push(Unfinished {
                group: "quota",
                tasks: 1,
            });
        }
        self.0.stop_loops.cancel();
        unfinished.extend(self.ended("loops", &self.0.loops, limit).await);
        self.0.close_connections.cancel();
        unfinished.extend(self.ended("connections", &self.0.connections, limit).await);
        unfinished
    }

    async fn ended(
        &self,
        group: &'static str,
        tasks: &TaskTracker,
        limit: Duration,
    ) -> Option<Unfinished> {
        tasks.close();
        let late = timeout(self.time_left(limit), tasks.wait()).await.is_err();
        late.then(|| Unfinished {
            group,
            tasks: tasks.len(),
        })
    }
}

/// A send on its way. It runs where it is waited for, so nothing is handed from task to task while all goes
/// well; when nobody waits any more it goes on as a task of its own, on the same runtime.
#[must_use = "a send that nobody waits for runs as a task of its own"]
pub struct SeenThrough<F>(Option<Tracked<F>>)
where
    F: Future<Output: Send> + Send + 'static;

type Tracked<F> = TrackedFuture<CatchUnwind<AssertUnwindSafe<Pin<Box<F>>>>>;

impl<F> fmt::Debug for SeenThrough<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeenThrough").finish_non_exhaustive()
    }
}

/// A send panicked before it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a send panicked")]
pub struct Panicked;

impl<F> Future for SeenThrough<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(send) = &mut self.0 else {
            // Polled again after its end, which is as much a defect.
            return Poll::Ready(Err(Panicked));
        };
        let ended = ready!(Pin::new(send).poll(context));
        self.0 = None;
        Poll::Ready(ended.map_err(|_| Panicked))
    }
}

impl<F> Drop for SeenThrough<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    fn drop(&mut self) {
        // Without a runtime there is no program left that could finish it.
        if let (Some(send), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(send);
        }
    }
}

/// The signals that ask a process to stop: SIGTERM (an orchestrator) and SIGINT (a terminal).
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Listens for signals from now on, instead of ending at one.
    ///
    /// # Errors
    /// The process may not listen for signals.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::{Arc, Mutex};

    use tokio::sync::oneshot;
    use tokio::time::advance;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    /// Calls a function when it is dropped.
    struct Deferred<F: FnOnce()>(Option<F>);

    impl<F: FnOnce()> Drop for Deferred<F> {
        fn drop(&mut self) {
            if let Some(call) = self.0.take() {
                call();
            }
        }
    }

    fn defer<F: FnOnce()>(call: F) -> Deferred<F> {
        Deferred(Some(call))
    }

    #[tokio::test]
    async fn groups_end_one_after_the_other() {
        let shutdown = Shutdown::new();
        let order = Arc::new(Mutex::new(Vec::new()));
        let note = |what: &'static str| {
            let order = Arc::clone(&order);
            move || order.lock().expect("no panic").push(what)
        };
        let (loop_ended, writer_ended, given_back) = (note("loop"), note("writer"), note("quota"));
        let connection_ended = defer(note("connection"));
        shutdown.spawn_connection(async move {
            let _connection_ended = connection_ended;
            pending::<()>().await;
        });
        shutdown.spawn_loop(|stop| async move {
            stop.cancelled().await;
            loop_ended();
        });
        shutdown.spawn_writer(|close| async move {
            close.cancelled().await;
            writer_ended();
        });
        let (release, released) = oneshot::channel::<()>();
        let sent = note("send");
        let sending = shutdown.see_through(async move {
            released.await.expect("released");
            sent();
        });
        drop(sending);

        let begun = shutdown.begun().clone();
        tokio::spawn(async move {
            begun.cancelled().await;
            release.send(()).expect("a send");
        });
        let unfinished = shutdown.finish(LONG, async { given_back() }).await;
        assert!(unfinished.is_empty(), "{unfinished:?}");
        assert_eq!(
            *order.lock().expect("no panic"),
            ["send", "writer", "quota", "loop", "connection"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_task_is_named_and_the_stop_goes_on() {
        let shutdown = Shutdown::new();
        drop(shutdown.see_through(pending::<()>()));
        let unfinished = shutdown.finish(LONG, ready(())).await;
        assert_eq!(
            unfinished,
            [Unfinished {
                group: "sends",
                tasks: 1
            }]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_whole_stop_has_one_time_limit() {
        let shutdown = Shutdown::new();
        for _ in 0..2 {
            shutdown.spawn_loop(|_| pending());
        }
        shutdown.spawn_writer(|_| pending());
        drop(shutdown.see_through(pending::<()>()));
        let (limit, began) = (Duration::from_secs(25), Instant::now());
        shutdown.announce();
        advance(Duration::from_secs(5)).await;
        let unfinished = shutdown.finish(limit, pending()).await;
        assert_eq!(unfinished.len(), 4, "{unfinished:?}");
        assert!(began.elapsed() <= limit + 4 * LEAST);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_have_four_fifths_of_the_time() {
        let (shutdown, began) = (Shutdown::new(), Instant::now());
        advance(Duration::from_secs(3)).await;
        shutdown.announce();
        assert!(!shutdown.begun().is_cancelled(), "it is served on");
        shutdown.hurry_in_time(Duration::from_secs(25)).await;
        assert_eq!(began.elapsed().as_secs(), 23);
        assert!(shutdown.begun().is_cancelled() && shutdown.hurried().is_cancelled());
    }

    #[tokio::test]
    async fn a_send_that_nobody_waits_for_goes_on_where_it_was() {
        let shutdown = Shutdown::new();
        let (release, released) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let mut sending = Box::pin(shutdown.see_through(async move {
            released.await.expect("released");
            tell.send("done").expect("somebody listens");
        }));
        assert!(sending.as_mut().now_or_never().is_none());
        drop(sending);
        release.send(()).expect("the send waits");
        assert_eq!(told.await, Ok("done"));
    }

    #[tokio::test]
    async fn a_send_that_panics_says_so_and_is_not_waited_for() {
        let shutdown = Shutdown::new();
        let failed = shutdown.see_through(async { panic!("a defect") });
        let failed: Result<(), Panicked> = failed.await;
        assert_eq!(failed, Err(Panicked));
        let unfinished = shutdown.finish(LONG, ready(())).await;
        assert!(unfinished.is_empty(), "{unfinished:?}");
    }
}
