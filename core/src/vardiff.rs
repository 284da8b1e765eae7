//! Difficulty for small miners: what a miner is told when its pool asks for so much that it would be silent for minutes.
//! Shares that meet only this are answered true and go nowhere; what the pool wants goes to the pool as ever. So it never
//! changes what a pool sees, only how often a miner is answered and how well its hash rate is known.
//!
//! A miner is told the pool's difficulty unless its rate is known to be too small for that: by its own shares, by what it
//! suggested, by its firmware, by the last session of its worker, or by its silence. From then on its own difficulty
//! follows its rate. It moves only with evidence (four standard deviations, and a factor of two), at a job, and once a
//! minute, so it rests where it is right. All numbers are integers.

use serde::{Deserialize, Serialize};

use crate::difficulty::{Difficulty, Work};
use crate::time::{Span, Time};

/// A share this seldom is silence: what makes an own difficulty begin.
const SILENT: Span = Span::secs(120);
/// Between two changes lies at least this.
const REST: Span = Span::secs(60);
/// But a miner that was told far too little is told more after this time, and this many shares.
const FLOOD: (Span, u64) = (Span::secs(10), 64);
/// Old evidence counts half after this time.
const WINDOW: Span = Span::mins(10);
/// With fewer shares than this a rate is not known.
const ENOUGH: u64 = 8;
/// A miner that shows nothing at all is told this many times less.
const STEP_DOWN: u64 = 16;
/// A miner that suggests a difficulty at which it would find a share this often gets no less.
const SUGGESTED: Span = Span::secs(60);

/// What one decision depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// What the pool asks for, as the miner would be told it.
    pub(crate) most: Difficulty,
    /// The least that the firmware and the config bear.
    pub(crate) least: Difficulty,
    /// The time between two shares that is aimed at.
    pub(crate) spacing: Span,
    /// A miner without any share for this long is too slow for what it was told.
    pub(crate) patience: Span,
    /// What the miner asked for.
    pub(crate) suggested: Option<Difficulty>,
}

/// One miner's own difficulty, and the evidence for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Vardiff {
    /// None: the pool's holds.
    own: Option<Difficulty>,
    /// When it was changed last.
    changed: Time,
    /// Since when shares are counted; none before the first job.
    since: Option<Time>,
    shares: u64,
    /// What these shares show.
    work: Work,
    /// The miner's rate, hashes a second, as far as known or guessed.
    rate: Option<u64>,
    /// The rate is from the miner's own shares.
    measured: bool,
}

/// Work of this many hashes: one difficulty is 2^32 hashes and 2^48 units.
fn work_of(hashes: u128) -> Work {
    Work(hashes << 16)
}

/// The work that a rate brings in a time.
fn brings(rate: u64, span: Span) -> Work {
    work_of(u128::from(rate) * u128::from(span.0) / 1_000_000)
}

/// The rate that shows this work in a time.
fn rate_of(work: Work, span: Span) -> u64 {
    let hashes = (work.0 >> 16).saturating_mul(1_000_000) / u128::from(span.0.max(1));
    u64::try_from(hashes).unwrap_or(u64::MAX)
}

impl Vardiff {
    /// Before the first job: what is guessed of the miner's rate, hashes a second.
    pub(crate) fn guess(&mut self, rate: Option<u64>) {
        if self.since.is_none() {
            self.rate = rate.filter(|rate| *rate > 0);
        }
    }

    /// The miner has shown a share of this difficulty.
    pub(crate) fn share(&mut self, worked: Difficulty) {
        self.shares = self.shares.saturating_add(1);
        self.work = self.work.plus(worked.work());
    }

    /// The miner's rate in hashes a second, once its own shares have shown it.
    pub(crate) fn measured(&self) -> Option<u64> {
        self.rate.filter(|_| self.measured)
    }

    /// It works at a difficulty of its own.
    pub(crate) fn is_on(&self) -> bool {
        self.own.is_some()
    }

    /// What the miner is told with its next job.
    pub(crate) fn told(&mut self, now: Time, rules: &Rules) -> Difficulty {
        let since = *self.since.get_or_insert(now);
        let passed = now.since(since);
        if self.shares >= ENOUGH && passed >= FLOOD.0 {
            self.rate = Some(rate_of(self.work, passed));
            self.measured = true;
        }
        let own = match self.own {
            None => self.begins(passed, rules),
            Some(own) => self.moves(own, now, passed, rules),
        };
        if let Some(own) = own {
            // In bounds at once, so that a step down from a pool's does not start below what the firmware bears.
            self.own = Some(own.max(rules.least));
            self.changed = now;
            self.since = Some(now);
            (self.shares, self.work) = (0, Work(0));
        } else if passed >= WINDOW && (self.own.is_some() || self.shares >= ENOUGH) {
            self.since = Some(Time(now.0 - passed.0 / 2));
            self.shares /= 2;
            self.work = Work(self.work.0 / 2);
        }
        self.own.map_or(rules.most, |own| own.max(rules.least).rounded_down().min(rules.most))
    }

    /// The difficulty for a rate.
    fn fit(rate: u64, rules: &Rules) -> Difficulty {
        let fit = Difficulty::near(brings(rate, rules.spacing));
        match rules.suggested {
            Some(wish) if wish > fit && brings(rate, SUGGESTED) >= wish.work() => Difficulty::near(wish.work()),
            _ => fit,
        }
    }

    /// The own difficulty with which it begins, if it is time.
    fn begins(&self, passed: Span, rules: &Rules) -> Option<Difficulty> {
        let most = rules.most.work();
        if let Some(rate) = self.rate
            && brings(rate, SILENT) < most
        {
            return Some(Vardiff::fit(rate, rules));
        }
        if self.shares == 0 {
            return (passed >= rules.patience).then(|| Difficulty::near(Work(most.0 / u128::from(STEP_DOWN))));
        }
        // So few shares in so long a time show, with room for luck, that they come too seldom.
        let generous = self.shares + 2 * self.shares.isqrt() + 3;
        (passed >= SILENT.times(generous)).then(|| Vardiff::fit(rate_of(self.work, passed), rules))
    }

    /// The next own difficulty, if the evidence asks for one.
    fn moves(&self, own: Difficulty, now: Time, passed: Span, rules: &Rules) -> Option<Difficulty> {
        // In thousandths of shares of the own difficulty, at least one a difficulty that is all but nothing.
        let unit = own.work().0.max(1);
        let got = self.work.0.saturating_mul(1_000) / unit;
        let expected = (u128::from(passed.0) * 1_000 / u128::from(rules.spacing.0.max(1))).max(1);
        let rested = now.since(self.changed) >= REST;
        let flooded = passed >= FLOOD.0 && self.shares >= FLOOD.1 && got > 4 * expected;
        if !rested && !flooded {
            return None;
        }
        // Sixteen times the variance of a count is sixteen times its mean, all in thousandths.
        let apart = got.abs_diff(expected);
        let evident = apart.saturating_mul(apart) >= expected.saturating_mul(16_000);
        if !evident || (got < 2 * expected && expected < 2 * got) {
            return None;
        }
        let next = if self.shares == 0 {
            Difficulty::near(Work(unit / u128::from(STEP_DOWN)))
        } else {
            Vardiff::fit(rate_of(self.work, passed), rules)
        };
        // Where a bound holds it already, nothing would change.
        let bounded = |d: Difficulty| d.max(rules.least).min(rules.most);
        (bounded(next) != bounded(own)).then_some(next)
    }
}

/// What is assumed of a firmware's hash rate before it has shown anything, in hashes a second: the slow end of what is
/// sold. None: no guess, it starts at the pool's difficulty.
pub(crate) fn likely_rate(agent: &str) -> Option<u64> {
    const RATES: [(&str, u64); 10] = [
        ("nerdminer", 50_000),
        ("leafminer", 20_000),
        ("sparkminer", 50_000),
        ("nerdqaxe", 2_000_000_000_000),
        ("nerdoctaxe", 4_000_000_000_000),
        ("nerdaxe", 400_000_000_000),
        ("cpuminer", 1_000_000),
        ("minerd", 1_000_000),
        ("bitaxe", 400_000_000_000),
        ("esp-miner", 400_000_000_000),
    ];
    let agent = agent.to_ascii_lowercase();
    RATES.iter().find(|(name, _)| agent.contains(name)).map(|(_, rate)| *rate)
}

/// A difficulty below 1 is understood: the firmwares for which it is made. Others read whole numbers, and 0 for these.
pub(crate) fn takes_fractions(agent: &str) -> bool {
    let agent = agent.to_ascii_lowercase();
    ["nerdminer", "leafminer", "sparkminer", "cpuminer", "minerd"].iter().any(|name| agent.contains(name))
}

/// A machine of a mining farm: nothing it suggests is about being slow, and a pause is luck.
pub(crate) fn is_large(agent: &str) -> bool {
    let agent = agent.to_ascii_lowercase();
    ["antminer", "bmminer", "whatsminer", "btminer", "bosminer", "braiins", "luxminer", "vnish", "avalon"]
        .iter()
        .any(|name| agent.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn d(text: &str) -> Difficulty {
        Difficulty::parse(text).unwrap()
    }

    fn rules(most: &str) -> Rules {
        Rules { most: d(most), least: d("0.0000001"), spacing: Span::secs(5), patience: Span::mins(3), suggested: None }
    }

    /// A miner with this rate that gets a job every 30 s, for this time: what it was told over time, and its shares by
    /// the minute. Shares come as luck has it, step by step of a quarter of a second.
    struct Run {
        told: alloc::vec::Vec<(u64, Difficulty)>,
        minutes: alloc::vec::Vec<u32>,
    }

    fn run(vardiff: &mut Vardiff, rate: u64, rules: &Rules, minutes: u64, seed: u64) -> Run {
        let mut rng = Rng::new(seed);
        let mut run = Run { told: alloc::vec::Vec::new(), minutes: alloc::vec![0; minutes as usize] };
        let mut told = rules.most;
        for quarter in 0..minutes * 240 {
            let now = Time(quarter * 250_000);
            if quarter % 120 == 0 {
                let next = vardiff.told(now, rules);
                if run.told.last().is_none_or(|(_, last)| *last != next) {
                    run.told.push((quarter / 4, next));
                }
                told = next;
            }
            // The mean number of shares in a quarter of a second, in 2^-32, drawn as that many tries of one share.
            let mean = brings(rate, Span::millis(250)).0.saturating_mul(1 << 32) / told.work().0.max(1);
            let tries = (mean >> 28).max(1) as u64;
            for _ in 0..tries.min(5_000) {
                if u128::from(rng.next() >> 32) < mean / u128::from(tries) {
                    vardiff.share(told);
                    run.minutes[(quarter / 240) as usize] += 1;
                }
            }
        }
        run
    }

    #[test]
    fn a_nerdminer_is_answered_every_five_seconds() {
        for (seed, guess) in [(1, Some(50_000)), (2, None), (3, Some(1_000_000)), (4, Some(1_000))] {
            let mut vardiff = Vardiff::default();
            vardiff.guess(guess);
            let run = run(&mut vardiff, 50_000, &rules("1000000"), 240, seed);
            let settled: u32 = run.minutes[40..].iter().sum();
            let a_minute = settled as usize / run.minutes[40..].len();
            assert!((6..=24).contains(&a_minute), "{guess:?}: {a_minute} a minute, {:?}", run.told);
            assert!(run.told.len() <= 16, "{guess:?}: it flaps: {:?}", run.told);
            let late = run.told.iter().filter(|(second, _)| *second > 40 * 60).count();
            assert!(late <= 2, "{guess:?}: it rests: {:?}", run.told);
            for two in run.told.windows(2) {
                assert!(two[1].0 - two[0].0 >= 30, "{:?}", run.told);
            }
            // Silence ends long before an hour.
            let first = run.minutes.iter().position(|n| *n > 0).unwrap();
            assert!(first < 20, "{guess:?}: the first share after {first} min");
        }
    }

    #[test]
    fn a_large_miner_sees_no_change() {
        // 100 TH/s at the difficulties that pools give it: a share every 1 to 43 s.
        for most in ["25000", "100000", "500000", "1000000"] {
            for seed in 0..20 {
                let mut vardiff = Vardiff::default();
                let rules = Rules { patience: Span::mins(10), ..rules(most) };
                let run = run(&mut vardiff, 100_000_000_000_000, &rules, 240, seed);
                assert_eq!(run.told, [(0, d(most))], "seed {seed}");
            }
        }
    }

    #[test]
    fn a_wrong_guess_is_corrected() {
        // It says that it is small, and is not: within two jobs it is told more, and soon the pool's.
        let mut vardiff = Vardiff::default();
        vardiff.guess(Some(400_000_000_000));
        let run = run(&mut vardiff, 100_000_000_000_000, &rules("1000000"), 60, 1);
        assert!(run.told[1].0 <= 60, "{:?}", run.told);
        let last = run.told.last().unwrap().1;
        assert!((d("50000")..=d("250000")).contains(&last), "{:?}", run.told);
    }

    #[test]
    fn bounds_hold() {
        let mut vardiff = Vardiff::default();
        vardiff.guess(Some(1));
        let whole = Rules { least: Difficulty::ONE, ..rules("1000000") };
        assert_eq!(vardiff.told(Time::ZERO, &whole), Difficulty::ONE, "the firmware takes no fractions");
        assert_eq!(vardiff.told(Time(1), &rules("0.00001")), d("0.00001"), "never above the pool's");
        // A pool that asks for little: nothing begins.
        let mut easy = Vardiff::default();
        easy.guess(Some(50_000));
        assert_eq!(easy.told(Time::ZERO, &rules("0.001")), d("0.001"));
        assert!(!easy.is_on());
    }

    #[test]
    fn what_a_miner_suggests_counts_where_it_can_meet_it() {
        let mut vardiff = Vardiff::default();
        vardiff.guess(Some(500_000_000_000));
        let wish = Rules { suggested: Some(d("5000")), ..rules("1000000") };
        assert_eq!(vardiff.told(Time::ZERO, &wish), d("5000"));
        let mut vardiff = Vardiff::default();
        vardiff.guess(Some(500_000_000_000));
        let much = Rules { suggested: Some(d("500000")), ..rules("1000000") };
        assert!(vardiff.told(Time::ZERO, &much) < d("600"));
    }
}
