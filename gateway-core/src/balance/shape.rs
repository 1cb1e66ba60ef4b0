//! Workers of one kind share a place in the index.
//!
//! A request for `region=eu` must not walk over fifty thousand idle workers elsewhere. Fleets have
//! few kinds of worker (a region, a protocol version and a state format make one), so the index
//! keeps one ordered list per kind and asks the filters once per list. If somebody labels every
//! worker with its host name, the kinds beyond the limit share one mixed list in which each worker
//! is asked: still right, only slower for requests that few workers suit.

use std::collections::BTreeMap;

use super::snapshot::WorkerSnapshot;

const LIMIT: usize = 64;

/// The number of the list in which workers of all further kinds stand.
pub(super) const MIXED: usize = LIMIT;

/// What makes a kind of worker.
#[derive(Clone, Debug)]
struct Shape {
    labels: BTreeMap<String, String>,
    protocol_version: u32,
    state_format: Option<String>,
}

impl Shape {
    fn of(worker: &WorkerSnapshot) -> Self {
        Self {
            labels: worker.labels.clone(),
            protocol_version: worker.protocol_version,
            state_format: worker.state_format.clone(),
        }
    }

    fn covers(&self, worker: &WorkerSnapshot) -> bool {
        self.protocol_version == worker.protocol_version
            && self.state_format == worker.state_format
            && self.labels == worker.labels
    }
}

/// Gives a number to each kind of worker in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Shapes {
    known: Vec<(Shape, u32)>,
}

/// Returns whether two workers are of one kind.
pub(super) fn same(one: &WorkerSnapshot, other: &WorkerSnapshot) -> bool {
    one.protocol_version == other.protocol_version
        && one.state_format == other.state_format
        && one.labels == other.labels
}

impl Shapes {
    /// Counts `worker` as a user of its kind, and returns the kind's number.
    pub(super) fn acquire(&mut self, worker: &WorkerSnapshot) -> usize {
        let mut known = self.known.iter();
        let known = known.position(|(shape, users)| *users > 0 && shape.covers(worker));
        if let Some(number) = known {
            self.known[number].1 += 1;
            return number;
        }
        if let Some(number) = self.known.iter().position(|(_, users)| *users == 0) {
            self.known[number] = (Shape::of(worker), 1);
            return number;
        }
        if self.known.len() == LIMIT {
            return MIXED;
        }
        self.known.push((Shape::of(worker), 1));
        self.known.len() - 1
    }

    /// Counts one user of the kind `number` less.
    pub(super) fn release(&mut self, number: usize) {
        if let Some((_, users)) = self.known.get_mut(number) {
            *users -= 1;
        }
    }
}
