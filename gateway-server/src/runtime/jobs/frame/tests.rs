use std::sync::Mutex;

use gateway_testkit::clock::ManualClock;
use gateway_testkit::memory::MemoryCoordinator;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::*;
use crate::telemetry::metrics::Metrics;

const LONG: Duration = Duration::from_secs(3_600);

/// Says when it steps, and ends its steps as it is told.
struct Scripted {
    pace: Pace,
    stepped: UnboundedSender<tokio::time::Instant>,
    script: Vec<fn() -> Result<Next, JobError>>,
}

impl Job for Scripted {
    const NAME: &'static str = "test_steps";
    const LISTENS: bool = true;

    fn pace(&self) -> Pace {
        self.pace
    }

    fn wakes_on(&mut self, notice: &Notice) -> bool {
        *notice == Notice::Due
    }

    async fn step(&mut self) -> Result<Next, JobError> {
        let _ = self.stepped.send(tokio::time::Instant::now());
        match self.script.pop() {
            Some(step) => step(),
            None => Ok(Next::AtPace),
        }
    }
}

struct Stage {
    frame: JobFrame,
    metrics: Metrics,
    steps: Mutex<UnboundedReceiver<tokio::time::Instant>>,
}

/// Runs a job that first does what the script says, in that order.
fn run(pace: Pace, script: &[fn() -> Result<Next, JobError>]) -> Stage {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    let metrics = Metrics::new().expect("metrics");
    let frame = JobFrame {
        coord: Arc::new(MemoryCoordinator::new(Arc::clone(&clock))),
        clock,
        shutdown: Shutdown::new(),
        metrics: metrics.jobs.clone(),
    };
    let (stepped, steps) = unbounded_channel();
    frame.spawn(Scripted {
        pace,
        stepped,
        script: script.iter().rev().copied().collect(),
    });
    Stage {
        frame,
        metrics,
        steps: Mutex::new(steps),
    }
}

impl Stage {
    /// Returns the seconds between the first `count` steps.
    async fn pauses(&self, count: usize) -> Vec<u64> {
        let mut times = Vec::new();
        for _ in 0..=count {
            let step = std::future::poll_fn(|context| {
                let mut steps = self.steps.lock().expect("no panic");
                steps.poll_recv(context)
            });
            times.push(step.await.expect("a step"));
        }
        let pairs = times.windows(2);
        pairs.map(|pair| (pair[1] - pair[0]).as_secs()).collect()
    }

    fn state(&self) -> Option<crate::telemetry::job_metrics::JobState> {
        self.metrics.jobs.states().remove(Scripted::NAME)
    }
}

fn panics() -> Result<Next, JobError> {
    panic!("a defect")
}

fn fails() -> Result<Next, JobError> {
    Err(JobError::Store(StoreError::Conflict))
}

#[tokio::test(start_paused = true)]
async fn a_job_that_panics_goes_on_after_pauses_that_grow() {
    let stage = run(Pace::of(LONG), &[panics, panics, panics, fails, panics]);
    assert_eq!(stage.pauses(3).await, [1, 2, 4]);
    let state = stage.state().expect("shown");
    assert!(state.is_failing && state.last_success.is_none());
    // The step that only failed has ended the growth.
    assert_eq!(stage.pauses(2).await, [1, 3_600]);
    let text = stage.metrics.render();
    let line = "gateway_job_steps_total{job=\"test_steps\",outcome=\"panicked\"} 4";
    assert!(text.contains(line), "{text}");
}

#[tokio::test(start_paused = true)]
async fn the_last_error_stays_known_after_a_success() {
    let stage = run(Pace::of(LONG), &[fails]);
    stage.pauses(1).await;
    tokio::task::yield_now().await;
    let state = stage.state().expect("shown");
    assert!(!state.is_failing && state.last_success.is_some());
    assert_eq!(
        state.last_error.map(|(class, _)| class),
        Some("store_conflict")
    );
}

#[tokio::test(start_paused = true)]
async fn a_step_decides_within_its_pace_when_the_next_one_comes() {
    let pace = Pace {
        longest: Duration::from_secs(60),
        shortest: Duration::from_secs(2),
    };
    let stage = run(
        pace,
        &[
            || Ok(Next::AtOnce),
            || Ok(Next::Within(Duration::from_secs(5))),
            || Ok(Next::Within(Duration::ZERO)),
            || Ok(Next::Within(LONG)),
        ],
    );
    assert_eq!(stage.pauses(4).await, [0, 5, 2, 60]);
}

#[tokio::test(start_paused = true)]
async fn a_notice_wakes_the_job_that_waits_for_it() {
    let stage = run(Pace::of(LONG), &[]);
    stage.pauses(0).await;
    for (notice, expected) in [(Notice::Outbox, 3_600), (Notice::Due, 0)] {
        tokio::task::yield_now().await;
        let began = tokio::time::Instant::now();
        stage.frame.coord.notify(&notice).await.expect("told");
        stage.pauses(0).await;
        assert_eq!(began.elapsed().as_secs(), expected, "{notice:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_done_is_not_shown_and_the_stop_ends_the_others() {
    let stage = run(Pace::of(LONG), &[|| Ok(Next::Never)]);
    stage.pauses(0).await;
    tokio::task::yield_now().await;
    assert_eq!(stage.state(), None);

    let stage = run(Pace::of(LONG), &[]);
    stage.pauses(0).await;
    let unfinished = stage.frame.shutdown.finish(LONG, async {}).await;
    assert!(unfinished.is_empty(), "{unfinished:?}");
    assert_eq!(stage.state(), None);
}
