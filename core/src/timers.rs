//! Deadlines in order of time, each with its reason. One deadline a reason; setting it again moves it.

use alloc::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{GroupId, MinerId, PoolId, UpstreamId};
use crate::time::Time;

/// Why the engine wants to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TimerKind {
    /// A miner must have subscribed and authorised.
    MinerHandshake(MinerId),
    /// A miner must hear from us, or takes us for dead.
    MinerKeepAlive(MinerId),
    /// A miner's work may go to another pool.
    MinerDwell(MinerId),
    /// A miner must have read what waits for it.
    MinerClogged(MinerId),
    /// A pool must have answered subscribe and authorize.
    UpstreamHandshake(UpstreamId),
    /// A pool must have sent something.
    UpstreamSilence(UpstreamId),
    /// A pool must have answered the oldest submit.
    UpstreamAnswer(UpstreamId),
    /// A pool has been held off for long enough; its connection is given up.
    UpstreamGiveUp(UpstreamId),
    /// A pool is to be tried again for this group.
    LinkRetry(GroupId, PoolId),
    /// A pool has stood long enough to be trusted again.
    LinkProven(GroupId, PoolId),
    /// What still waits for an answer when the proxy stops is given up.
    DrainEnd,
    /// A pool's sizes are to be learnt.
    Probe(PoolId),
    /// The server of the automatic balance is to be asked, or its numbers are getting old.
    Oracle,
    /// Who is held where, and who works wholly for whom, is to be looked at.
    Balance,
}

/// All deadlines of the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timers {
    order: BTreeSet<(Time, TimerKind)>,
    at: BTreeMap<TimerKind, Time>,
}

impl Timers {
    pub(crate) fn set(&mut self, kind: TimerKind, at: Time) {
        if let Some(old) = self.at.insert(kind, at) {
            if old == at {
                return;
            }
            self.order.remove(&(old, kind));
        }
        self.order.insert((at, kind));
    }

    /// Sets it only if it is not set yet.
    pub(crate) fn ensure(&mut self, kind: TimerKind, at: Time) {
        if !self.at.contains_key(&kind) {
            self.set(kind, at);
        }
    }

    pub(crate) fn cancel(&mut self, kind: TimerKind) {
        if let Some(old) = self.at.remove(&kind) {
            self.order.remove(&(old, kind));
        }
    }

    /// The earliest deadline that is not after `now`, taken out.
    pub(crate) fn due(&mut self, now: Time) -> Option<TimerKind> {
        let (at, kind) = *self.order.first()?;
        if at > now {
            return None;
        }
        self.order.pop_first();
        self.at.remove(&kind);
        Some(kind)
    }

    /// When this is due; none: not at all.
    pub(crate) fn at(&self, kind: TimerKind) -> Option<Time> {
        self.at.get(&kind).copied()
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<(Time, TimerKind)> {
        self.order.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moved_cancelled_and_due_in_order() {
        let (a, b) = (TimerKind::MinerDwell(MinerId(1)), TimerKind::Probe(PoolId(0)));
        let mut timers = Timers::default();
        timers.set(a, Time(5));
        timers.set(b, Time(3));
        timers.set(a, Time(1));
        timers.ensure(a, Time(0));
        assert_eq!(timers.next(), Some((Time(1), a)));
        assert_eq!(timers.due(Time(0)), None);
        assert_eq!(timers.due(Time(9)), Some(a));
        timers.cancel(b);
        timers.cancel(b);
        assert_eq!(timers.due(Time(9)), None);
        assert_eq!(timers, Timers::default());
    }
}
