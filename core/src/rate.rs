//! How fast a miner hashes, from the shares that it finds: a rate, an interval, and whether it has stopped. Integers
//! only.
//!
//! A share that meets the difficulty a miner was told stands for that much work, so the rate is work over time; what the
//! pool asks for plays no part. Before the first share the told difficulty itself is the guess: a miner is normally set
//! for some shares a minute. Evidence is kept for hours, so that the rate of a steady miner is known to a few percent;
//! what is recent is compared with it, and if chance cannot explain the difference, the old evidence is dropped.

use serde::{Deserialize, Serialize};

use crate::difficulty::Difficulty;
use crate::schedule::Known;
use crate::time::{Span, Time};

/// Work a second, in units of 2^-48 difficulty: one hash a second is 65,536 of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HashRate(pub u128);

/// What is known of a hash rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// The best guess; 0 if it has stopped.
    pub rate: HashRate,
    /// With 95 % it is not below this.
    pub low: HashRate,
    /// Nor above this.
    pub high: HashRate,
    /// What the guess rests on, in shares of the largest difficulty among them, the guess before the first one included.
    pub shares: u64,
}

impl Estimate {
    /// For comparing it with others: 95 % lie within two standard deviations.
    pub(crate) fn known(self) -> Known {
        Known { rate: self.rate.0, error: self.high.0.saturating_sub(self.low.0) / 4 }
    }
}

/// The guess before the first share: one share of the told difficulty in this time, and it weighs as much as one.
const PRIOR: Span = Span::secs(10);
/// Recent evidence is compared with the old after this many shares,
const WINDOW_SHARES: u64 = 48;
/// or after this time.
const WINDOW: Span = Span::mins(60);
/// Old evidence counts half beyond this many shares: a few hours of a miner with ten a minute.
const MOST_SHARES: u64 = 2048;
/// Likewise beyond this time.
const LONGEST: Span = Span::mins(24 * 60);
/// Silent for as long as this many shares take on average: it has stopped (by chance: once in 22,000 shares).
const SILENT: u128 = 10;
/// After a rest, what was known before it counts as much as this many shares.
const AFTER_REST: u64 = 8;
/// No rate is above this: 2^32 difficulty a second. It keeps sums and products in range.
const MOST: u128 = 1 << 80;

/// The shares of a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Tally {
    work: u128,
    time: u64,
    largest: u128,
}

/// The evidence for one miner's rate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rate {
    /// It hashes since then, as far as not counted yet; none: it has no work.
    since: Option<Time>,
    long: Tally,
    recent: Tally,
    /// Hashing time since the last share.
    gap: u64,
    /// Shares since it last rested.
    after_rest: u32,
}

impl HashRate {
    /// Hashes a second, for display and metrics.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 65_536.0
    }
}

impl Tally {
    fn and(self, other: Tally) -> Tally {
        Tally {
            work: self.work.saturating_add(other.work),
            time: self.time.saturating_add(other.time),
            largest: self.largest.max(other.largest),
        }
    }

    /// How many shares of the largest difficulty it is worth.
    fn shares(&self) -> u64 {
        u64::try_from(self.work / self.largest.max(1)).unwrap_or(u64::MAX)
    }

    fn per_second(&self) -> u128 {
        per_second(self.work, self.time)
    }

    /// At most this many shares' worth, at the same rate.
    fn weaken(&mut self, shares: u64) {
        let has = self.shares();
        if has > shares {
            self.work = self.work / u128::from(has) * u128::from(shares);
            self.time = (u128::from(self.time) * u128::from(shares) / u128::from(has)) as u64;
        }
    }
}

fn per_second(work: u128, micros: u64) -> u128 {
    (work.saturating_mul(1_000_000) / u128::from(micros.max(1))).min(MOST)
}

/// Work that a rate does in a time.
fn work_in(rate: u128, micros: u64) -> u128 {
    (rate.saturating_mul(u128::from(micros))) / 1_000_000
}

impl Rate {
    /// It has work from now on.
    pub(crate) fn resume(&mut self, now: Time) {
        self.since.get_or_insert(now);
    }

    /// It has no work from now on, or is gone.
    pub(crate) fn pause(&mut self, now: Time) {
        self.run(now);
        self.since = None;
        if self.is_silent(self.gap, self.recent.largest) {
            self.recent.time -= self.gap.min(self.recent.time);
        }
        self.gap = 0;
    }

    /// True if a share was ever counted.
    pub(crate) fn is_known(&self) -> bool {
        self.long.work > 0 || self.recent.work > 0
    }

    /// A share that meets the difficulty that the miner was told for its job.
    pub(crate) fn share(&mut self, now: Time, told: Difficulty) {
        let work = told.work().0.max(1);
        self.run(now);
        if self.is_silent(self.gap, work) {
            // A rest says nothing of the rate, but one after the other means that it has become slow.
            if self.after_rest >= AFTER_REST as u32 {
                self.recent.time -= self.gap.min(self.recent.time);
                self.long = self.long.and(self.recent);
                self.long.weaken(AFTER_REST);
                self.recent = Tally::default();
            } else {
                self.long = Tally::default();
            }
            self.after_rest = 0;
        }
        self.after_rest = self.after_rest.saturating_add(1);
        self.gap = 0;
        self.recent.work = self.recent.work.saturating_add(work);
        self.recent.largest = self.recent.largest.max(work);
        self.review();
    }

    fn run(&mut self, now: Time) {
        if let Some(since) = self.since {
            let passed = now.since(since).0;
            self.recent.time = self.recent.time.saturating_add(passed);
            self.gap = self.gap.saturating_add(passed);
            self.since = Some(now);
        }
    }

    /// It found nothing in the last `gap`, of which `all` is the time with it. Nobody who never found a share is silent: he
    /// may have been told too high a difficulty.
    fn is_silent(&self, gap: u64, share: u128) -> bool {
        let all = self.long.and(self.recent);
        if all.work == 0 {
            return false;
        }
        let before = all.time.saturating_sub(self.gap).saturating_add(PRIOR.0);
        let rate = per_second(all.work.saturating_add(all.largest), before);
        work_in(rate, gap) / share.max(all.largest.min(self.recent.largest)).max(1) >= SILENT
    }

    /// Adds the recent evidence to the old when there is enough of it, unless it belies the old.
    fn review(&mut self) {
        let (recent, long) = (self.recent, self.long);
        let share = recent.largest.max(1);
        let expected = work_in(long.per_second(), recent.time);
        let seen = recent.work.max(expected) / share;
        if seen < u128::from(WINDOW_SHARES) && recent.time < WINDOW.0 {
            return;
        }
        self.recent = Tally::default();
        let coarse = recent.largest.saturating_mul(4) <= long.largest && recent.shares() >= WINDOW_SHARES;
        if coarse || differs(recent.work / share, expected / share, long.shares()) {
            self.long = recent;
            return;
        }
        self.long = long.and(recent);
        if self.long.time > LONGEST.0 {
            self.long.weaken((self.long.shares() / 2).max(1));
        }
        self.long.weaken(MOST_SHARES);
    }

    /// What is known now. `told`: the difficulty that the miner was told last. None: nothing at all.
    pub(crate) fn estimate(&self, now: Time, told: Option<Difficulty>) -> Option<Estimate> {
        let passed = self.since.map_or(0, |since| now.since(since).0);
        let told = told.map_or(0, |t| t.work().0);
        let all = self.long.and(self.recent);
        let share = if all.work > 0 { all.largest } else { told };
        if share == 0 {
            return None;
        }
        let gap = self.gap.saturating_add(passed);
        let asked = told.max(self.recent.largest).max(1);
        if self.is_silent(gap, asked) {
            let high = HashRate(per_second(asked.saturating_mul(4), gap));
            return Some(Estimate { rate: HashRate(0), low: HashRate(0), high, shares: 1 });
        }
        let time = all.time.saturating_add(passed).saturating_add(PRIOR.0);
        let rate = per_second(all.work.saturating_add(share), time);
        let shares = all.shares().saturating_add(1);
        // n shares of chance: between n + 1 − 2√n and n + 1 + 2√n are expected with 95 %. In sixteenths.
        let n = u128::from(shares.min(1 << 40)) * 16;
        let width = 2 * (n * 16).isqrt();
        let low = (n + 16).saturating_sub(width);
        Some(Estimate {
            rate: HashRate(rate),
            low: HashRate(if shares == 1 { 0 } else { rate / n * low + rate % n * low / n }),
            high: HashRate((rate / n * (n + 16 + width) + rate % n * (n + 16 + width) / n).min(MOST)),
            shares,
        })
    }
}

/// Chance does not explain that `seen` shares came where `expected` were, by evidence of `known` shares: more than three
/// and a half standard deviations.
fn differs(seen: u128, expected: u128, known: u64) -> bool {
    if known < AFTER_REST {
        return false;
    }
    let most = 1 << 40;
    let (seen, expected) = (seen.min(most), expected.min(most));
    let off = seen.abs_diff(expected);
    off * off > 12 * (expected + expected * expected / u128::from(known) + 4)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::difficulty::Work;
    use crate::rng::Rng;

    const TOLD: Difficulty = Difficulty::ONE;

    /// A wait with the mean `mean` (µs), exponential.
    fn wait(rng: &mut Rng, mean: u64) -> u64 {
        let unit = (rng.next() >> 11) as f64 / (1u64 << 53) as f64;
        (-(1.0 - unit).ln() * mean as f64) as u64
    }

    struct Bench {
        rate: Rate,
        rng: Rng,
        now: Time,
    }

    impl Bench {
        fn new(seed: u64) -> Bench {
            let mut rate = Rate::default();
            rate.resume(Time::ZERO);
            Bench { rate, rng: Rng::new(seed), now: Time::ZERO }
        }

        /// Shares of difficulty `told` at random, one in `mean` on average, for `span`.
        fn mine(&mut self, told: Difficulty, mean: Span, span: Span) {
            let end = self.now + span;
            loop {
                let next = self.now + Span(wait(&mut self.rng, mean.0));
                if next > end {
                    break;
                }
                self.now = next;
                self.rate.share(next, told);
            }
            self.now = end;
        }

        /// The estimate in shares of difficulty 1 a minute.
        fn per_minute(&self) -> (f64, f64, f64) {
            let e = self.rate.estimate(self.now, Some(TOLD)).unwrap();
            let f = |r: HashRate| Work(r.0).as_f64() * 60.0;
            (f(e.rate), f(e.low), f(e.high))
        }
    }

    #[test]
    fn the_told_difficulty_is_the_first_guess() {
        assert_eq!(Rate::default().estimate(Time::ZERO, None), None);
        let bench = Bench::new(1);
        assert!((bench.per_minute().0 - 6.0).abs() < 0.01, "six shares a minute");
        assert_eq!(bench.per_minute().1, 0.0);
    }

    #[test]
    fn a_share_a_minute_is_enough() {
        let mut inside = 0;
        for seed in 0..200 {
            let mut bench = Bench::new(seed);
            bench.mine(TOLD, Span::secs(60), Span::mins(30));
            let (rate, low, high) = bench.per_minute();
            inside += u32::from(low <= 1.0 && 1.0 <= high);
            assert!((0.25..2.5).contains(&rate), "{rate}");
        }
        assert!(inside >= 186, "95 % of intervals hold the truth, in {inside} of 200");
    }

    #[test]
    fn hours_make_it_precise() {
        for seed in 0..20 {
            let mut bench = Bench::new(seed);
            bench.mine(TOLD, Span::secs(5), Span::mins(6 * 60));
            let (rate, low, high) = bench.per_minute();
            assert!((11.0..13.0).contains(&rate), "{rate}");
            assert!(high / low < 1.25);
        }
    }

    #[test]
    fn the_difficulty_that_is_told_does_not_matter() {
        let mut bench = Bench::new(3);
        let eight = Difficulty::whole(8).unwrap();
        for _ in 0..20 {
            bench.mine(TOLD, Span::secs(2), Span::mins(3));
            bench.mine(eight, Span::secs(16), Span::mins(17));
        }
        let (rate, _, _) = bench.per_minute();
        assert!((27.0..33.0).contains(&rate), "{rate}");
    }

    #[test]
    fn a_miner_that_stops_is_noticed_and_one_that_comes_back_is_known() {
        let mut bench = Bench::new(4);
        bench.mine(TOLD, Span::secs(5), Span::mins(60));
        let before = bench.per_minute().0;
        bench.now += Span::secs(75);
        assert_eq!(bench.per_minute().0, 0.0, "no share in the time of fifteen");
        bench.now += Span::mins(60);
        bench.mine(TOLD, Span::secs(5), Span::mins(2));
        let after = bench.per_minute().0;
        assert!((after / before - 1.0).abs() < 0.5, "{before} {after}");
    }

    #[test]
    fn a_miner_that_slows_down_is_noticed() {
        for (factor, within) in [(2, 20), (10, 20), (100, 60)] {
            let mut bench = Bench::new(5);
            bench.mine(TOLD, Span::secs(5), Span::mins(180));
            bench.mine(TOLD, Span::secs(5 * factor), Span::mins(within));
            let truth = 12.0 / factor as f64;
            let (rate, low, high) = bench.per_minute();
            let silent = rate == 0.0 && truth <= high;
            assert!(silent || (truth * 0.5..truth * 2.0).contains(&rate), "{factor}: {low} {rate} {high}");
        }
    }

    #[test]
    fn a_steady_miner_is_seldom_taken_for_another() {
        let mut restarts = 0;
        for seed in 0..20 {
            let mut bench = Bench::new(seed);
            let mut before = 0;
            for _ in 0..24 * 6 {
                bench.mine(TOLD, Span::secs(5), Span::mins(10));
                let shares = bench.rate.estimate(bench.now, Some(TOLD)).unwrap().shares;
                restarts += u32::from(shares + 200 < before);
                before = shares;
            }
        }
        // Halving the oldest evidence is no restart: it leaves more than a thousand.
        assert!(restarts < 60, "{restarts} in twenty days");
    }

    #[test]
    fn no_number_is_too_large() {
        let mut rate = Rate::default();
        rate.resume(Time::ZERO);
        let huge = Difficulty::whole(u64::MAX).unwrap();
        for i in 0..100 {
            rate.share(Time(i), huge);
            rate.share(Time(u64::MAX), huge);
            rate.pause(Time(u64::MAX));
            rate.resume(Time(u64::MAX));
        }
        let e = rate.estimate(Time(u64::MAX), Some(huge)).unwrap();
        assert!(e.rate.0 <= MOST && e.high.0 <= MOST);
    }
}
