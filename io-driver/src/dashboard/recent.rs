//! What each worker did lately: its changes of pool and connections, and its hash rate of the last hour as a small line.
//! Forgotten at the end of the program.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use dpmp_core::ledger::worker_key;
use dpmp_core::notice::{SwitchReason, Who};
use dpmp_core::{Notice, PoolId, Span, Time};

use crate::statistics::Snapshot;

/// Workers of whom something is remembered.
const WORKERS: usize = 10_000;
/// Things that are remembered of each.
const EACH: usize = 24;
/// Points of the line, and the time between them.
const POINTS: usize = 60;
const STEP: Span = Span::mins(1);

/// One thing.
#[derive(Clone, Debug)]
pub(super) enum Happened {
    /// It works for another pool.
    Switched(Option<PoolId>, PoolId, SwitchReason),
    /// It came.
    Came,
    /// It went, with the reason.
    Went(Arc<str>),
    /// No pool has work for it.
    Waits,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Lately {
    pub(super) happened: VecDeque<(Time, Happened)>,
    /// Hashes a second, the oldest first.
    pub(super) line: VecDeque<f32>,
}

/// All workers.
#[derive(Debug, Default)]
pub(super) struct Recent {
    workers: BTreeMap<Arc<str>, Lately>,
    sampled: Option<Time>,
}

impl Happened {
    /// In words.
    pub(super) fn text(&self) -> String {
        match self {
            Happened::Switched(from, to, why) => {
                let why = match why {
                    SwitchReason::First => "its first job",
                    SwitchReason::Schedule => "the schedule",
                    SwitchReason::Failover => "the pool before is out",
                    SwitchReason::Return => "the pool is back",
                    SwitchReason::Balance => "the fleet is balanced anew",
                    SwitchReason::Operator => "weights or config changed",
                };
                match from {
                    Some(from) => format!("{from} → {to}: {why}"),
                    None => format!("→ {to}: {why}"),
                }
            }
            Happened::Came => "connected".to_owned(),
            Happened::Went(why) => format!("disconnected: {why}"),
            Happened::Waits => "waits: no pool has work".to_owned(),
        }
    }
}

impl Recent {
    pub(super) fn of(&self, worker: &str) -> Option<&Lately> {
        self.workers.get(worker)
    }

    /// Takes a fact.
    pub(super) fn observe(&mut self, now: Time, notice: &Notice) {
        match notice {
            Notice::PoolSwitched { who, from, to, why } => self.push(now, who, Happened::Switched(*from, *to, *why)),
            Notice::MinerReady { who, .. } => self.push(now, who, Happened::Came),
            Notice::MinerDisconnected { who, reason, was_ready: true } => {
                self.push(now, who, Happened::Went(reason.text().into()));
            }
            Notice::MinerIdle { who } => self.push(now, who, Happened::Waits),
            _ => {}
        }
    }

    fn push(&mut self, now: Time, who: &Who, what: Happened) {
        let key = worker_key(who);
        if self.workers.len() >= WORKERS && !self.workers.contains_key(&key) {
            return;
        }
        let happened = &mut self.workers.entry(key).or_default().happened;
        if happened.len() >= EACH {
            happened.pop_front();
        }
        happened.push_back((now, what));
    }

    /// Once a minute: a point for each worker. Workers that the statistics have forgotten are forgotten here too.
    pub(super) fn sample(&mut self, now: Time, numbers: &Snapshot) {
        if self.sampled.is_some_and(|last| now.since(last) < STEP) {
            return;
        }
        self.sampled = Some(now);
        let mut before = std::mem::take(&mut self.workers);
        for worker in numbers.workers.iter().take(WORKERS) {
            let mut lately = before.remove(&worker.name).unwrap_or_default();
            if lately.line.len() >= POINTS {
                lately.line.pop_front();
            }
            lately.line.push_back(worker.hashrate.five_minutes.hashes_per_second.unwrap_or(0.0) as f32);
            self.workers.insert(worker.name.clone(), lately);
        }
        // Those who came since the numbers were taken.
        let late = before.into_iter().filter(|(_, lately)| lately.line.is_empty());
        self.workers.extend(late.take(WORKERS - self.workers.len().min(WORKERS)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::snapshot::Worker;
    use dpmp_core::MinerId;

    #[test]
    fn is_bounded_and_forgets() {
        let mut recent = Recent::default();
        let who =
            |n: u64| Who { miner: MinerId(n), peer: ([192, 0, 2, 5], 1).into(), worker: format!("rig{n}").into() };
        for n in 0..100 {
            let now = Time::ZERO + Span::secs(n);
            recent.observe(now, &Notice::MinerIdle { who: who(1) });
            recent.observe(now, &Notice::MinerIdle { who: who(2) });
        }
        assert_eq!(recent.of("rig1").unwrap().happened.len(), EACH);
        let worker = Worker { name: "rig1".into(), ..Worker::default() };
        let numbers = Snapshot { workers: vec![worker], ..Snapshot::default() };
        for minute in 0..200 {
            recent.sample(Time::ZERO + Span::mins(minute), &numbers);
            recent.sample(Time::ZERO + Span::mins(minute), &numbers);
        }
        assert_eq!(recent.of("rig1").unwrap().line.len(), POINTS);
        recent.sample(Time::ZERO + Span::mins(300), &Snapshot::default());
        assert!(recent.of("rig1").is_none());
    }
}
