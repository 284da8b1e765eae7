//! What happened lately, for people: outages, changes, blocks. A short list, numbered, kept over restarts.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Entries that are kept.
const MOST: usize = 400;

/// How much somebody should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Weight {
    /// Something good.
    Good,
    /// A change.
    Note,
    /// Somebody should look.
    Warn,
    /// Hash power is lost, or may be.
    Bad,
}

/// What kind of thing happened; charts mark some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// The program started.
    Start,
    /// A pool was lost.
    Down,
    /// A pool is back.
    Up,
    /// New weights.
    Weights,
    /// A new config.
    Config,
    /// A share that meets the network's target.
    Block,
    /// A best share.
    Best,
    /// A miner came or went, or something is odd about it.
    Miner,
    /// A pool said something.
    Message,
    /// Somebody signed in, or changed a secret.
    Access,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// They count up.
    pub(super) seq: u64,
    /// Milliseconds since 1970.
    pub(super) at: u64,
    pub(super) kind: Kind,
    pub(super) weight: Weight,
    /// The pool's slot, if it is about one.
    pub(super) pool: Option<u8>,
    pub(super) text: String,
}

/// A change of pools or wallets by the page: shown for a day, with the way back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PoolsChange {
    /// Milliseconds since 1970.
    pub(super) at: u64,
    /// The number of the config before it.
    pub(super) before: Option<u64>,
    /// The keys.
    pub(super) paths: Vec<String>,
}

/// All of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Timeline {
    entries: VecDeque<Entry>,
    last: u64,
    /// The last change of pools or wallets.
    #[serde(default)]
    pub(super) pools_change: Option<PoolsChange>,
}

impl Timeline {
    pub(super) fn push(&mut self, at: u64, kind: Kind, weight: Weight, pool: Option<u8>, text: String) {
        self.last += 1;
        if self.entries.len() >= MOST {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { seq: self.last, at, kind, weight, pool, text });
    }

    /// Entries after this number, the oldest first.
    pub(super) fn after(&self, seq: u64) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.seq > seq)
    }

    /// True if just this was told since then.
    pub(super) fn said_since(&self, at: u64, kind: Kind, text: &str) -> bool {
        self.entries.iter().rev().take_while(|entry| entry.at >= at).any(|e| e.kind == kind && e.text == text)
    }

    /// The number of the last one.
    pub(super) fn last(&self) -> u64 {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_bounded_and_numbered() {
        let mut timeline = Timeline::default();
        for n in 0..1000 {
            timeline.push(n, Kind::Down, Weight::Bad, Some(1), "x".to_owned());
        }
        assert_eq!(timeline.after(0).count(), MOST);
        assert_eq!(timeline.after(998).map(|entry| entry.at).collect::<Vec<_>>(), [998, 999]);
        let text = serde_json::to_string(&timeline).unwrap();
        let mut again: Timeline = serde_json::from_str(&text).unwrap();
        again.push(0, Kind::Up, Weight::Good, None, String::new());
        assert_eq!(again.last(), 1001, "numbers go on after a restart");
    }
}
