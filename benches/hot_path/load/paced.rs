//! A client that sends on schedule, however slow the answers are.
//!
//! Latency counts from when a request was *due*: a client that waits for one answer before it sends the
//! next does not see what others would have waited for. Requests fall due on a fine timer of the kernel
//! (the runtime's own has a resolution of a millisecond, which is more than what is measured). It also
//! sends a given number as fast as it is answered, to touch every session once.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::try_join_all;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::Semaphore;

use super::{Load, Outcome, Request};
use crate::clock::{Moment, now};
use crate::report::say;
use crate::{Failure, proc};

const TICK: Duration = Duration::from_micros(100);
const BODY: usize = 300;

/// How fast requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rate {
    /// This many a second, whatever happens.
    PerSecond(f64),
    /// The next as soon as one is answered.
    AsAnswered,
    /// So many in all, as fast as they are answered.
    Count(u64),
}

/// What is shared by all connections: the queue of requests that are due.
struct Work {
    due: RefCell<VecDeque<(u64, Moment)>>,
    ready: Semaphore,
    answers: RefCell<Answers>,
}

/// When answers came, over all connections.
#[derive(Default)]
struct Answers {
    last: Option<Moment>,
    longest_pause: Duration,
}

impl Answers {
    fn note(&mut self, moment: Moment) {
        if let Some(last) = self.last.replace(moment) {
            self.longest_pause = self.longest_pause.max(moment - last);
        }
    }
}

#[derive(Default)]
struct Tally {
    micros: Vec<u32>,
    errors: u64,
    /// The first answer that was not a good one.
    refusal: Option<String>,
}

/// Runs the load to its end.
///
/// # Errors
/// The target cannot be reached.
pub(crate) async fn drive(load: &Load, rate: Rate) -> Result<Outcome, Failure> {
    let table = std::fs::read_to_string(&load.table)?;
    let heads: Rc<Vec<String>> = Rc::new(table.lines().filter_map(head).collect());
    let work = Rc::new(Work {
        due: RefCell::default(),
        ready: Semaphore::new(0),
        answers: RefCell::default(),
    });
    let before = proc::cpu(std::process::id())?;
    let started = now();
    let tail = body();
    let connections = (0..load.connections).map(|number| {
        let target = load.targets[number % load.targets.len()];
        connection(target, load, Rc::clone(&heads), Rc::clone(&work), &tail)
    });
    let (tallies, ()) = tokio::try_join!(try_join_all(connections), feed(load, rate, &work))?;
    let time = started.elapsed();
    let errors = tallies.iter().map(|tally| tally.errors).sum();
    if let Some(text) = tallies.iter().find_map(|tally| tally.refusal.as_deref()) {
        say(&format!(
            "{errors} requests were refused, one of them with:\n{text}\n"
        ))?;
    }
    let mut micros: Vec<u32> = tallies.into_iter().flat_map(|tally| tally.micros).collect();
    micros.sort_unstable();
    Ok(Outcome {
        answered: micros.len() as u64,
        errors,
        time,
        p50: percentile(&micros, 50),
        p99: percentile(&micros, 99),
        max: percentile(&micros, 100),
        stall: work.answers.borrow().longest_pause,
        cpu: proc::cpu(std::process::id())?.saturating_sub(before),
    })
}

/// Makes requests fall due until the time is up, then lets the connections end.
async fn feed(load: &Load, rate: Rate, work: &Work) -> Result<(), Failure> {
    let started = now();
    let mut made = 0u64;
    match rate {
        Rate::Count(count) => {
            work.due
                .borrow_mut()
                .extend((0..count).map(|number| (number, started)));
            work.ready.add_permits(usize::try_from(count)?);
        }
        Rate::AsAnswered => {
            let mut timer = timer()?;
            while started.elapsed() < load.time {
                let waiting = work.ready.available_permits();
                let more = load.connections.saturating_sub(waiting);
                let moment = now();
                let numbers = made..made + more as u64;
                work.due
                    .borrow_mut()
                    .extend(numbers.map(|number| (number, moment)));
                work.ready.add_permits(more);
                made += more as u64;
                tick(&mut timer).await?;
            }
        }
        Rate::PerSecond(rate) => {
            let mut timer = timer()?;
            while started.elapsed() < load.time {
                let target = (started.elapsed().as_secs_f64() * rate) as u64;
                let fresh = target.saturating_sub(made);
                let when = |number: u64| started + Duration::from_secs_f64(number as f64 / rate);
                let numbers = made..made + fresh;
                work.due
                    .borrow_mut()
                    .extend(numbers.map(|number| (number, when(number))));
                work.ready.add_permits(usize::try_from(fresh)?);
                made += fresh;
                tick(&mut timer).await?;
            }
        }
    }
    while work.ready.available_permits() > 0 {
        crate::clock::pause(Duration::from_millis(5)).await;
    }
    work.ready.close();
    Ok(())
}

/// Makes a descriptor that becomes readable at every tick, read like a pipe.
fn timer() -> Result<Receiver, Failure> {
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?;
    let every = Timespec {
        tv_sec: 0,
        tv_nsec: TICK.subsec_nanos().into(),
    };
    let spec = Itimerspec {
        it_interval: every,
        it_value: every,
    };
    rustix::time::timerfd_settime(&timer, TimerfdTimerFlags::empty(), &spec)?;
    Ok(Receiver::from_owned_fd_unchecked(timer)?)
}

/// Waits for the next tick. How many ticks were missed does not matter: what is due is computed from the
/// clock.
async fn tick(timer: &mut Receiver) -> Result<(), Failure> {
    timer.read_u64_le().await?;
    Ok(())
}

async fn connection(
    target: std::net::SocketAddr,
    load: &Load,
    heads: Rc<Vec<String>>,
    work: Rc<Work>,
    tail: &str,
) -> Result<Tally, Failure> {
    let mut stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    let mut tally = Tally::default();
    let mut buffer = Vec::with_capacity(8192);
    while let Ok(permit) = work.ready.acquire().await {
        permit.forget();
        let Some((number, due)) = work.due.borrow_mut().pop_front() else {
            continue;
        };
        let mut request = heads[number as usize % heads.len()].clone();
        if load.request == Request::KeyedSend {
            request.push_str(&format!("Idempotency-Key: {}-{number}\r\n", load.run));
        }
        request.push_str("\r\n");
        request.push_str(tail);
        stream.write_all(request.as_bytes()).await?;
        let status = answer(&mut stream, &mut buffer).await?;
        work.answers.borrow_mut().note(now());
        match status {
            200..=299 => {
                let micros = u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX);
                tally.micros.push(micros);
            }
            _ => {
                tally.errors += 1;
                let text = || String::from_utf8_lossy(&buffer).into_owned();
                tally.refusal.get_or_insert_with(text);
            }
        }
    }
    Ok(tally)
}

/// Reads one answer with a `Content-Length`, and returns its status.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<u16, Failure> {
    buffer.clear();
    loop {
        if let Some((status, length)) = complete(buffer)
            && buffer.len() >= length
        {
            return Ok(status);
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err("the target closed a connection in the middle of an answer".into());
        }
    }
}

/// Returns the status and the whole length of an answer, once its head is there.
fn complete(bytes: &[u8]) -> Option<(u16, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let status = head.get(9..12)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let named = name.eq_ignore_ascii_case("content-length");
        named.then(|| value.trim().parse::<usize>().ok())?
    });
    Some((status, end + 4 + length.unwrap_or(0)))
}

fn head(line: &str) -> Option<String> {
    let (session, key) = line.split_once(' ')?;
    Some(format!(
        "POST /api/v1/sessions/{session}/messages HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {BODY}\r\n"
    ))
}

fn body() -> String {
    let start = r#"{"to":"+491701234567","type":"text","text":""#;
    format!("{start}{}\"}}", "x".repeat(BODY - start.len() - 2))
}

/// Returns the value that `percent` of the sorted values do not exceed.
fn percentile(sorted: &[u32], percent: usize) -> Duration {
    let at = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    let micros = sorted.get(at).copied().unwrap_or(0);
    Duration::from_micros(micros.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let values: Vec<u32> = (1..=100).collect();
        assert_eq!(percentile(&values, 50), Duration::from_micros(50));
        assert_eq!(percentile(&values, 99), Duration::from_micros(99));
        assert_eq!(percentile(&[7], 99), Duration::from_micros(7));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }

    #[test]
    fn a_stall_is_the_longest_time_without_an_answer() {
        let (mut answers, start) = (Answers::default(), now());
        for millis in [0, 3, 40, 41] {
            answers.note(start + Duration::from_millis(millis));
        }
        assert_eq!(answers.longest_pause, Duration::from_millis(37));
    }

    #[test]
    fn an_answer_is_complete_with_its_body() {
        let text = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}";
        assert_eq!(complete(text), Some((200, text.len() + 1)));
        assert_eq!(complete(b"HTTP/1.1 200 OK\r\ncont"), None);
    }

    #[test]
    fn the_body_has_its_length_and_is_json() {
        assert_eq!(body().len(), BODY);
        assert!(serde_json::from_str::<serde_json::Value>(&body()).is_ok());
    }
}
