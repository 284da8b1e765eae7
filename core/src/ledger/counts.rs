//! Counters of shares and sums of work: of a worker, of a pool, of all. They only ever grow.

use alloc::collections::BTreeMap;
use alloc::string::String;

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::outcome::{OUTCOMES, Outcome};
use crate::difficulty::Work;
use crate::notice::Fault;

/// Shares by what became of them. In files a map from label to number, without zeros; labels that are not known are
/// passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally([u64; OUTCOMES]);

/// Shares that did not count, by whose doing it is. In files as [`Tally`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults([u64; 4]);

/// Everything that is counted of a worker, a pool, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Shares by what became of them.
    pub shares: Tally,
    /// Those that did not count, by whose doing it is.
    pub faults: Faults,
    /// What accepted and credited shares tell of hashes done: by the difficulty that the miner was told.
    pub work: Work,
    /// Difficulty of accepted shares, as the pool counts it.
    pub paid: Work,
    /// Work of shares that brought nothing: refused, late, lost, without answer.
    pub wasted_work: Work,
    /// Shares, whatever became of them, for a pool that the miner did not work for any more.
    pub after_switch: u64,
    /// Shares that a switch cost: late or refused, and submitted within 5 s of it.
    pub switch_lost: u64,
    /// Their work.
    pub switch_lost_work: Work,
}

/// One share, as counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// What became of it.
    pub outcome: Outcome,
    /// Whose doing it is that it did not count.
    pub fault: Option<Fault>,
    /// What it tells of hashes done.
    pub work: Work,
    /// The difficulty that the pool counts it by.
    pub assigned: Work,
    /// It was for a pool that the miner did not work for any more.
    pub after_switch: bool,
    /// A switch cost it.
    pub switch_lost: bool,
}

impl Tally {
    /// Shares with this outcome.
    pub fn get(&self, outcome: Outcome) -> u64 {
        self.0[outcome as usize]
    }

    /// Shares with an outcome of this kind.
    pub fn of(&self, kind: impl Fn(Outcome) -> bool) -> u64 {
        self.iter().filter(|(outcome, _)| kind(*outcome)).map(|(_, n)| n).sum()
    }

    /// Each outcome with its number.
    pub fn iter(&self) -> impl Iterator<Item = (Outcome, u64)> + '_ {
        Outcome::ALL.into_iter().zip(self.0)
    }

    /// All shares.
    pub fn all(&self) -> u64 {
        self.0.iter().sum()
    }

    fn set(&mut self, outcome: Outcome, n: u64) {
        self.0[outcome as usize] = n;
    }
}

impl Faults {
    /// Shares that did not count by somebody's doing.
    pub fn get(&self, fault: Fault) -> u64 {
        self.iter().find(|(found, _)| *found == fault).map_or(0, |(_, n)| n)
    }

    /// Each with its number.
    pub fn iter(&self) -> impl Iterator<Item = (Fault, u64)> + '_ {
        Fault::ALL.into_iter().zip(self.0)
    }

    fn add(&mut self, fault: Fault) {
        for (n, _) in self.0.iter_mut().zip(Fault::ALL).filter(|(_, found)| *found == fault) {
            *n = n.saturating_add(1);
        }
    }
}

impl Counts {
    /// Counts a share.
    pub(crate) fn add(&mut self, share: &Counted) {
        self.shares.set(share.outcome, self.shares.get(share.outcome).saturating_add(1));
        if let Some(fault) = share.fault {
            self.faults.add(fault);
        }
        if share.outcome.is_good() {
            self.work = self.work.plus(share.work);
            if share.outcome == Outcome::Accepted {
                self.paid = self.paid.plus(share.assigned);
            }
        } else if share.outcome != Outcome::Abandoned {
            self.wasted_work = self.wasted_work.plus(share.work);
        }
        self.after_switch = self.after_switch.saturating_add(u64::from(share.after_switch));
        if share.switch_lost {
            self.switch_lost = self.switch_lost.saturating_add(1);
            self.switch_lost_work = self.switch_lost_work.plus(share.work);
        }
    }

    /// Accepted and credited shares.
    pub fn good(&self) -> u64 {
        self.shares.of(Outcome::is_good)
    }

    /// Shares that a pool refused.
    pub fn rejected(&self) -> u64 {
        self.shares.of(Outcome::is_rejected)
    }

    /// Shares that were answered here with no.
    pub fn dropped(&self) -> u64 {
        self.shares.of(Outcome::is_dropped)
    }

    /// Shares that came too late.
    pub fn late(&self) -> u64 {
        self.shares.of(Outcome::is_late)
    }

    /// Shares that were sent twice.
    pub fn duplicates(&self) -> u64 {
        self.shares.of(Outcome::is_duplicate)
    }

    /// Shares that no pool ever answered.
    pub fn lost(&self) -> u64 {
        self.shares.of(Outcome::is_lost)
    }
}

impl Serialize for Tally {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (outcome, n) in self.iter().filter(|(_, n)| *n > 0) {
            map.serialize_entry(outcome.label(), &n)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Tally {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tally, D::Error> {
        let mut tally = Tally::default();
        for (label, n) in BTreeMap::<String, u64>::deserialize(deserializer)? {
            if let Some(outcome) = Outcome::with_label(&label) {
                tally.set(outcome, n);
            }
        }
        Ok(tally)
    }
}

impl Serialize for Faults {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (fault, n) in self.iter().filter(|(_, n)| *n > 0) {
            map.serialize_entry(fault.name(), &n)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Faults {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Faults, D::Error> {
        let map = BTreeMap::<String, u64>::deserialize(deserializer)?;
        Ok(Faults(Fault::ALL.map(|fault| map.get(fault.name()).copied().unwrap_or(0))))
    }
}
