//! What part of its shares a pool accepts, so that what it refuses can be made up for: each loss once, whatever luck.

use serde::{Deserialize, Serialize};

use crate::difficulty::Work;
use crate::time::{Span, Time};

/// The part of submitted difficulty that a pool has refused of late. It is taken to have accepted [`MEMORY`] shares before
/// the first, and each share moves the part by what it is of that many. Who works by this part makes up for exactly what
/// was refused, sooner for more. What is older than [`FORGET`] is mostly forgotten: else the large shares of a machine that
/// has gone would be made up for with the small ones of those that stay, for days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Acceptance {
    /// In units of 2^-32.
    refused: u64,
    /// The difficulty of a share, weighted by work; 0 before the first.
    share: u128,
    /// The work that was judged; counted until it is as much as is remembered.
    seen: u128,
    /// When it judged last.
    at: Time,
}

/// Shares that are remembered, of the difficulty that most of the work has.
const MEMORY: u128 = 200;
/// After this time a third of what was refused is still to be made up for, if there was not enough work to do so before.
const FORGET: Span = Span::mins(60);
/// What a pool refuses is made up for down to this part accepted: one that refuses nearly everything must not be given
/// nearly all hash power for it.
const LEAST: u32 = 500_000;
/// No share counts more than this: 2^42 difficulty. It keeps products in range.
const MOST: u128 = 1 << 90;
const ONE: u64 = 1 << 32;

impl Acceptance {
    /// The pool has judged a share of this difficulty.
    pub(crate) fn judged(&mut self, work: Work, accepted: bool, now: Time) {
        let work = work.0.clamp(1, MOST);
        if self.share == 0 {
            self.share = work;
        }
        let passed = u128::from(now.since(self.at).0.min(FORGET.0));
        self.at = now;
        let left = |from: u128, to: u128| (from * (u128::from(FORGET.0) - passed) + to * passed) / u128::from(FORGET.0);
        self.refused = left(u128::from(self.refused), 0) as u64;
        self.share = left(self.share, work).max(1);
        self.learn_share(work);
        let memory = MEMORY * self.share;
        // One share of another kind is no more than a tenth of what is known.
        let part = part(work, memory).min(u128::from(ONE / 10));
        let moved = |from: u128, to: u128| {
            let by = (from.abs_diff(to) * part) >> 32;
            if to > from { from + by } else { from - by }
        };
        self.refused = moved(u128::from(self.refused), if accepted { 0 } else { u128::from(ONE) }) as u64;
        self.share = moved(self.share, work).max(1);
    }

    /// At first each share says what shares are like as much as all before it, and what was refused is so much work: else
    /// a large share that is refused after a few small ones would be made up for many times.
    fn learn_share(&mut self, work: u128) {
        if self.seen >= MEMORY * self.share {
            return;
        }
        self.seen += work;
        let news = part(work, self.seen);
        let share = ((self.share * (u128::from(ONE) - news) + work * news) >> 32).max(1);
        // Larger shares make it a smaller part; smaller ones do not make it more.
        let stays = part(self.share.min(share), share);
        self.refused = ((u128::from(self.refused) * stays) >> 32) as u64;
        self.share = share;
    }

    /// The part accepted, parts per million, never below half.
    pub(crate) fn parts(&self) -> u32 {
        let refused = (u128::from(self.refused) * 1_000_000 / u128::from(ONE)) as u32;
        (1_000_000 - refused.min(1_000_000)).max(LEAST)
    }
}

/// `of` a whole that is at least as large, in units of 2^-32; 2^32 is all of it.
fn part(of: u128, whole: u128) -> u128 {
    if whole >= 1 << 64 { of / (whole >> 32) } else { (of << 32) / whole.max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(n: u128) -> Work {
        Work(n << 48)
    }

    #[test]
    fn it_needs_evidence() {
        let mut pool = Acceptance::default();
        assert_eq!(pool.parts(), 1_000_000);
        pool.judged(work(1), false, Time::ZERO);
        assert!((994_000..1_000_000).contains(&pool.parts()), "one of two hundred: {}", pool.parts());
        for i in 0..50_000 {
            pool.judged(work(1), i % 10 != 0, Time::ZERO);
        }
        assert!((880_000..=920_000).contains(&pool.parts()), "{}", pool.parts());
        for _ in 0..5_000 {
            pool.judged(work(1), false, Time::ZERO);
        }
        assert_eq!(pool.parts(), LEAST);
    }

    #[test]
    fn a_burst_is_repaid_once() {
        for (before, size) in [(0u32, 1u128), (1_000, 1), (50, 1 << 20), (100_000, 1 << 40)] {
            let mut pool = Acceptance::default();
            (0..before).for_each(|_| pool.judged(work(size), true, Time::ZERO));
            let mut repaid = 0.0;
            for i in 0..5_000 {
                // What the next share's work is short of by the pool's acceptance.
                repaid += 1.0 - f64::from(pool.parts()) / 1e6;
                pool.judged(work(size), i >= 40, Time::ZERO);
            }
            assert!((38.0..=42.0).contains(&repaid), "{before} {size}: {repaid} of 40");
        }
    }

    #[test]
    fn what_large_shares_lost_at_first_is_repaid_once() {
        for (small, size) in [(1, 10_000u128), (100, 1_000), (1_000, 100), (3, 1 << 30)] {
            let mut pool = Acceptance::default();
            (0..small).for_each(|_| pool.judged(work(1), true, Time::ZERO));
            // Five of the first ten large shares are refused.
            let mut repaid = 0.0;
            for i in 0..5_000 {
                repaid += 1.0 - f64::from(pool.parts()) / 1e6;
                pool.judged(work(size), i >= 10 || i % 2 == 0, Time::ZERO);
            }
            assert!((4.0..=6.0).contains(&repaid), "{small} of 1, then of {size}: {repaid} of 5");
        }
    }

    #[test]
    fn small_shares_count_little_beside_large_ones() {
        let mut pool = Acceptance::default();
        for _ in 0..1_000 {
            pool.judged(work(1_000_000), true, Time::ZERO);
            (0..10).for_each(|_| pool.judged(work(1), false, Time::ZERO));
        }
        assert!(pool.parts() > 999_000, "{}", pool.parts());
    }

    #[test]
    fn no_number_is_too_large_or_too_small() {
        let mut pool = Acceptance::default();
        for n in [0, 1, u128::MAX, 5, u128::MAX, 0] {
            (0..300).for_each(|i| pool.judged(Work(n), i % 2 == 0, Time::ZERO));
            assert!((LEAST..=1_000_000).contains(&pool.parts()));
        }
    }

    #[test]
    fn what_a_machine_lost_that_has_gone_is_not_repaid_for_ever() {
        let mut pool = Acceptance::default();
        (0..200).for_each(|_| pool.judged(work(1 << 20), false, Time::ZERO));
        assert!(pool.parts() < 500_001);
        // A thousand-thousandth of the hash rate is left: ten small shares a minute for three hours.
        (1..1_800).for_each(|n| pool.judged(work(1), true, Time::ZERO + Span::secs(6 * n)));
        assert!(pool.parts() > 960_000, "{}", pool.parts());
    }
}
