//! Luck: what a hash rate may hope for against a network's difficulty, and how well a session has done. Pure functions;
//! nothing here is measured or kept.
//!
//! Finding a share or a block is a Poisson process: work done is forgotten, and each hash has the same chance. Difficulty d
//! takes d · 2^48 / 65,535 hashes on average (the target of difficulty 1 is 65,535 · 2^208).

use std::time::Duration;

/// Hashes that a share of difficulty 1 takes on average.
const HASHES: f64 = 281_474_976_710_656.0 / 65_535.0;
const DAY: f64 = 86_400.0;

/// The average time to a block at `hashes_per_second` where the network asks for `difficulty`. None where there is none:
/// no hash rate, no difficulty, or longer than can be told (500 billion years).
pub fn expected_time(hashes_per_second: f64, difficulty: f64) -> Option<Duration> {
    let known = hashes_per_second > 0.0 && difficulty > 0.0;
    known.then(|| difficulty * HASHES / hashes_per_second).and_then(|s| Duration::try_from_secs_f64(s).ok())
}

/// The probability of at least one block in `time`, 0 to 1.
pub fn odds(hashes_per_second: f64, difficulty: f64, time: Duration) -> f64 {
    let mean = expected_blocks(hashes_per_second * time.as_secs_f64() / HASHES, difficulty);
    -(-mean).exp_m1()
}

/// The probability of at least one block in a day, 0 to 1.
pub fn odds_per_day(hashes_per_second: f64, difficulty: f64) -> f64 {
    odds(hashes_per_second, difficulty, Duration::from_secs_f64(DAY))
}

/// How many blocks `work` (a sum of difficulty) finds on average.
pub fn expected_blocks(work: f64, difficulty: f64) -> f64 {
    if work > 0.0 && difficulty > 0.0 { work / difficulty } else { 0.0 }
}

/// The best share that half of all sessions with this much `work` (a sum of difficulty) exceed: work / ln 2.
pub fn expected_best(work: f64) -> f64 {
    work.max(0.0) / std::f64::consts::LN_2
}

/// Luck of a session by its best share: the part of all sessions with as much `work` that have a lesser best, 0 to 1.
/// One half is neither luck nor bad luck; 0.99 is a best that one session in a hundred finds. None before any work.
pub fn best_share_luck(best: f64, work: f64) -> Option<f64> {
    (work > 0.0 && best > 0.0).then(|| (-work / best).exp())
}

/// Luck of a session by its shares at the pool's difficulty: the sum of what the pool accepted over the work that all good
/// shares have shown (`worked` of the notices). 1 is neither. Tells something only of miners that are told less than
/// their pool asks for; for all others both are the same shares. None before any work.
pub fn share_luck(accepted: f64, worked: f64) -> Option<f64> {
    (worked > 0.0).then(|| accepted / worked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * b.abs().max(1e-12)
    }

    #[test]
    fn a_block_at_a_known_rate() {
        // 1 TH/s at difficulty 1e14: 1e14 · 4,295,032,833.0 / 1e12 s.
        let time = expected_time(1e12, 1e14).unwrap().as_secs_f64();
        assert!((time - 429_503_283_300.05).abs() < 1.0, "{time}");
        assert!(near(odds(1e12, 1e14, expected_time(1e12, 1e14).unwrap()), 1.0 - (-1f64).exp()));
        // Small odds are the ratio of times, without loss of digits.
        assert!(near(odds_per_day(5e4, 1e14), 86_400.0 * 5e4 / HASHES / 1e14));
        // A network whose target every hash meets at a hash a second.
        assert!(odds_per_day(1.0, 1.0 / HASHES) > 0.999_999);
    }

    #[test]
    fn nothing_known_is_nothing_promised() {
        for (rate, difficulty) in [(0.0, 1e14), (1e12, 0.0), (-1.0, 5.0), (f64::NAN, 1.0), (1e-300, 1e300)] {
            assert_eq!(expected_time(rate, difficulty), None);
        }
        assert_eq!(odds_per_day(0.0, 1e14), 0.0);
        assert_eq!(odds_per_day(1e12, 0.0), 0.0);
        assert_eq!(best_share_luck(5.0, 0.0), None);
        assert_eq!(share_luck(5.0, 0.0), None);
        assert_eq!(expected_best(-1.0), 0.0);
    }

    #[test]
    fn luck_of_the_best_share() {
        // The best of half of all sessions is above work / ln 2, by the closed form of a maximum.
        assert!(near(best_share_luck(expected_best(1000.0), 1000.0).unwrap(), 0.5));
        assert!(near(best_share_luck(1000.0, 1000.0).unwrap(), (-1f64).exp()));
        assert!(best_share_luck(100_000.0, 1000.0).unwrap() > 0.98);
        assert!(best_share_luck(100.0, 1000.0).unwrap() < 0.001);
    }

    #[test]
    fn the_closed_form_agrees_with_chance() {
        // 4,000 sessions of 50 shares each at difficulty 1: a share's true difficulty is 1 / u.
        let mut state = 88_172_645_463_325_252u64;
        let mut uniform = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 11) as f64 + 1.0) / 9_007_199_254_740_993.0
        };
        let above =
            (0..4_000).filter(|_| (0..50).map(|_| 1.0 / uniform()).fold(0.0, f64::max) > expected_best(50.0)).count();
        assert!((1_850..2_150).contains(&above), "{above}");
    }

    #[test]
    fn luck_of_shares() {
        assert_eq!(share_luck(150.0, 100.0), Some(1.5));
    }
}
