//! What the charts show: three rings of buckets (10 s for an hour, 5 min for a day, 1 h for 30 days), fed from the stream of
//! facts and kept in a file over restarts. Times without the program are gaps, never zeros.

use std::collections::VecDeque;
use std::path::Path;

use dpmp_core::Notice;
use dpmp_core::config::{MAX_POOLS, WEIGHT_SUM};
use dpmp_core::notice::Verdict;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::auth::write_private;
use super::timeline::Timeline;

/// Width in seconds, and number of buckets: 1 h, 24 h, 30 d.
pub(super) const RANGES: [(u64, usize); 3] = [(10, 360), (300, 288), (3600, 720)];
/// Difficulty 1 in hashes.
const HASHES: f64 = 4_294_967_296.0;
/// The version of the file's form.
const VERSION: u32 = 1;

/// One pool in one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct PoolBucket {
    /// Hashes done, by accepted and credited shares, in difficulty.
    #[serde(rename = "w")]
    pub(super) work: f64,
    #[serde(rename = "a")]
    pub(super) accepted: u32,
    #[serde(rename = "r")]
    pub(super) rejected: u32,
    /// Median response in milliseconds.
    #[serde(rename = "p")]
    pub(super) response: Option<f32>,
    /// Parts of the time that miners could work for it, 0 to 1.
    #[serde(rename = "u")]
    pub(super) up: f32,
    /// Its share of work that was asked for, 0 to 1.
    #[serde(rename = "t")]
    pub(super) target: f32,
    /// The network's hash rate as the pool's jobs tell it, hashes a second.
    #[serde(rename = "n")]
    pub(super) network: Option<f64>,
    /// The same over many blocks.
    #[serde(rename = "l")]
    pub(super) network_long: Option<f64>,
}

/// One bucket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Bucket {
    /// Its number: seconds since 1970 divided by its width.
    #[serde(rename = "i")]
    index: u64,
    /// Seconds of it that were seen.
    #[serde(rename = "s")]
    seen: u32,
    /// Shares refused here.
    #[serde(rename = "d", default)]
    dropped: u32,
    #[serde(rename = "p")]
    pools: Vec<PoolBucket>,
    #[serde(rename = "m", default)]
    miners: u32,
}

/// What is counted until the next sample.
struct Open {
    pools: [PoolBucket; MAX_POOLS],
    response: [Histogram<u64>; MAX_POOLS],
    dropped: u32,
}

/// What is true at the moment of a sample.
#[derive(Clone, Debug, Default)]
pub(super) struct Now {
    /// Whether miners can work for each pool.
    pub(super) up: Vec<bool>,
    /// Parts per million.
    pub(super) weights: Vec<u32>,
    /// Network hash rates by pool, over few blocks and over many.
    pub(super) network: Vec<(Option<f64>, Option<f64>)>,
    pub(super) miners: u32,
}

/// A clock that is behind for so many samples, ten minutes, was set back: what is newer is no more.
const BELIEVED: u32 = 600;

/// The rings.
pub(super) struct History {
    rings: [VecDeque<Bucket>; 3],
    open: Open,
    sampled: Option<u64>,
    /// Samples in a row whose time was before what is kept.
    behind: u32,
}

#[derive(Serialize, Deserialize)]
struct File {
    version: u32,
    rings: Vec<VecDeque<Bucket>>,
    timeline: Timeline,
}

impl Open {
    fn new() -> Open {
        let response = || {
            Histogram::new_with_bounds(1, 60_000_000, 3)
                .unwrap_or_else(|_| unreachable!("1..60,000,000 with 3 digits is a valid histogram"))
        };
        Open { pools: Default::default(), response: std::array::from_fn(|_| response()), dropped: 0 }
    }
}

impl History {
    pub(super) fn new() -> History {
        History { rings: Default::default(), open: Open::new(), sampled: None, behind: 0 }
    }

    /// What was kept by [`History::save`]; empty if there is nothing, or nothing that can be used.
    pub(super) fn load(path: &Path) -> (History, Timeline) {
        let mut history = History::new();
        let kept = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<File>(&bytes).ok());
        let Some(file) = kept.filter(|file| file.version == VERSION && file.rings.len() == RANGES.len()) else {
            return (history, Timeline::default());
        };
        for ((ring, kept), (_, most)) in history.rings.iter_mut().zip(file.rings).zip(RANGES) {
            let surplus = kept.len().saturating_sub(most);
            // In order, whoever wrote it.
            let mut last = None;
            for bucket in kept.into_iter().skip(surplus) {
                if last < Some(bucket.index) && bucket.pools.len() <= MAX_POOLS {
                    last = Some(bucket.index);
                    ring.push_back(bucket);
                }
            }
        }
        (history, file.timeline)
    }

    /// The file's text.
    pub(super) fn text(&self, timeline: &Timeline) -> Vec<u8> {
        let file = File { version: VERSION, rings: self.rings.to_vec(), timeline: timeline.clone() };
        // Plain data: numbers and texts.
        serde_json::to_vec(&file).unwrap_or_default()
    }

    /// Takes a fact.
    pub(super) fn observe(&mut self, notice: &Notice) {
        let Notice::ShareResult { pool, verdict, worked, response, .. } = notice else { return };
        if let Verdict::Dropped(_) = verdict {
            self.open.dropped = self.open.dropped.saturating_add(1);
        }
        let Some(slot) = pool.map(|pool| pool.index()).filter(|slot| *slot < MAX_POOLS) else { return };
        let bucket = &mut self.open.pools[slot];
        match verdict {
            Verdict::Accepted | Verdict::Credited => {
                bucket.accepted = bucket.accepted.saturating_add(1);
                bucket.work += worked.map_or(0.0, |difficulty| difficulty.as_f64());
            }
            Verdict::Rejected { .. } => bucket.rejected = bucket.rejected.saturating_add(1),
            _ => {}
        }
        if let Some(response) = response {
            self.open.response[slot].saturating_record(response.0);
        }
    }

    /// Once a second or so: what was counted goes into the buckets of this moment (seconds since 1970).
    pub(super) fn sample(&mut self, unix: u64, now: &Now) {
        // A clock that was set back begins anew there.
        let seen = match self.sampled {
            Some(last) if unix == last => return,
            Some(last) if unix > last => (unix - last).min(10),
            _ => 1,
        };
        self.sampled = Some(unix);
        // After a power cut a clock may be behind until the network has told the time.
        let newest = self.rings[0].back().map_or(0, |bucket| bucket.index);
        if unix / RANGES[0].0 < newest && self.behind < BELIEVED {
            self.behind += 1;
            self.open = Open::new();
            return;
        }
        self.behind = 0;
        let mut open = std::mem::replace(&mut self.open, Open::new());
        for (slot, bucket) in open.pools.iter_mut().enumerate() {
            let target = now.weights.get(slot).copied().unwrap_or(0);
            bucket.target = target as f32 / WEIGHT_SUM as f32;
            bucket.up = f32::from(u8::from(now.up.get(slot) == Some(&true)));
            (bucket.network, bucket.network_long) = now.network.get(slot).copied().unwrap_or_default();
            let response = &open.response[slot];
            bucket.response = (!response.is_empty()).then(|| response.value_at_quantile(0.5) as f32 / 1e3);
        }
        let pools = open.pools[..now.weights.len().min(MAX_POOLS)].to_vec();
        let piece = Bucket { index: 0, seen: seen as u32, dropped: open.dropped, pools, miners: now.miners };
        for (ring, (width, most)) in self.rings.iter_mut().zip(RANGES) {
            let index = unix / width;
            match ring.back_mut() {
                Some(last) if last.index == index => last.add(&piece),
                // The clock was set back: what is newer is no more.
                Some(last) if last.index > index => {
                    ring.retain(|bucket| bucket.index < index);
                    ring.push_back(Bucket { index, ..piece.clone() });
                }
                _ => ring.push_back(Bucket { index, ..piece.clone() }),
            }
            while ring.len() > most {
                ring.pop_front();
            }
        }
    }

    /// The series of one range, ready for the charts. The bucket that is still filling is left out.
    pub(super) fn series(&self, range: usize, unix: u64, pools: usize) -> Series {
        let (width, most) = RANGES[range];
        let end = unix / width;
        let first = end.saturating_sub(most as u64);
        let mut series = Series {
            width,
            start: first * width,
            pools: (0..pools).map(|_| PoolSeries::with_capacity(most)).collect(),
            dropped: vec![None; most],
            miners: vec![None; most],
        };
        for bucket in self.rings[range].iter().filter(|bucket| (first..end).contains(&bucket.index)) {
            let at = (bucket.index - first) as usize;
            // A bucket that was hardly seen would show a hash rate by chance.
            if u64::from(bucket.seen) * 2 < width {
                continue;
            }
            series.dropped[at] = Some(bucket.dropped);
            series.miners[at] = Some(bucket.miners);
            for (pool, out) in bucket.pools.iter().zip(&mut series.pools) {
                out.hashrate[at] = Some(short(pool.work * HASHES / f64::from(bucket.seen)));
                out.accepted[at] = Some(pool.accepted);
                out.rejected[at] = Some(pool.rejected);
                out.response[at] = pool.response.map(|ms| short(f64::from(ms)));
                out.up[at] = Some(short(f64::from(pool.up)));
                out.target[at] = Some(short(f64::from(pool.target)));
                out.network[at] = pool.network.map(short);
                out.network_long[at] = pool.network_long.map(short);
            }
        }
        series
    }
}

impl Bucket {
    fn add(&mut self, piece: &Bucket) {
        if self.pools.len() < piece.pools.len() {
            self.pools.resize(piece.pools.len(), PoolBucket::default());
        }
        let (before, more) = (self.seen as f32, piece.seen as f32);
        let mean = |old: f32, new: f32| (old * before + new * more) / (before + more).max(1.0);
        for (pool, piece) in self.pools.iter_mut().zip(&piece.pools) {
            // The median of medians, weighed by shares: near enough for a line.
            let (n, m) = (pool.accepted + pool.rejected, piece.accepted + piece.rejected);
            pool.response = match (pool.response, piece.response) {
                (Some(old), Some(new)) => Some((old * n as f32 + new * m as f32) / ((n + m) as f32).max(1.0)),
                (old, new) => new.or(old),
            };
            pool.work += piece.work;
            pool.accepted = pool.accepted.saturating_add(piece.accepted);
            pool.rejected = pool.rejected.saturating_add(piece.rejected);
            pool.up = mean(pool.up, piece.up);
            pool.target = mean(pool.target, piece.target);
            pool.network = piece.network.or(pool.network);
            pool.network_long = piece.network_long.or(pool.network_long);
        }
        self.seen += piece.seen;
        self.dropped = self.dropped.saturating_add(piece.dropped);
        self.miners = self.miners.max(piece.miners);
    }
}

/// Four significant digits: more is noise, and costs bytes.
fn short(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let scale = 10f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

/// One range; a place without a number is a gap.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Series {
    /// Seconds from one value to the next.
    pub(super) width: u64,
    /// Where the first value begins, seconds since 1970.
    pub(super) start: u64,
    pub(super) pools: Vec<PoolSeries>,
    pub(super) dropped: Vec<Option<u32>>,
    pub(super) miners: Vec<Option<u32>>,
}

/// One pool's part of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct PoolSeries {
    pub(super) hashrate: Vec<Option<f64>>,
    pub(super) accepted: Vec<Option<u32>>,
    pub(super) rejected: Vec<Option<u32>>,
    pub(super) response: Vec<Option<f64>>,
    pub(super) up: Vec<Option<f64>>,
    pub(super) target: Vec<Option<f64>>,
    pub(super) network: Vec<Option<f64>>,
    pub(super) network_long: Vec<Option<f64>>,
}

impl PoolSeries {
    fn with_capacity(n: usize) -> PoolSeries {
        let none = || vec![None; n];
        PoolSeries {
            hashrate: none(),
            accepted: vec![None; n],
            rejected: vec![None; n],
            response: none(),
            up: none(),
            target: none(),
            network: none(),
            network_long: none(),
        }
    }
}

/// Writes the file whole or not at all.
pub(super) fn save(path: &Path, text: &[u8]) -> std::io::Result<()> {
    write_private(path, text)
}

#[cfg(test)]
mod tests;
