//! How sure a measured share of work is.
//!
//! Shares arrive as a Poisson process, and each stands for its difficulty, so a pool's work is a compound Poisson sum
//! W = Σd. Its variance is estimated by Q = Σd² (Ross, Introduction to Probability Models, 5.4.2). Of two pools, or of one
//! and all others, the part p = W₁ / (W₁ + W₂) has by the delta method (Casella and Berger, Statistical Inference, 5.5.4)
//!
//! > var p = ((1−p)² Q₁ + p² Q₂) / (W₁ + W₂)²
//!
//! With equal difficulties this is p(1−p)/n. In general n = p(1−p) / var p is the number of equal shares that would say as
//! much, and the interval is Wilson's (1927) for that n, as surveys with unequal weights do it (Korn and Graubard 1998).
//! Wilson's stays inside 0 to 1 and is honest near the ends, where the plain normal interval shrinks to nothing.

/// 95 of 100 of a normal distribution are within so many standard deviations.
const Z: f64 = 1.959_963_984_540_054;

/// Work of one side: its sum and the sum of the squares of its shares' difficulty.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Side {
    /// Σd.
    pub work: f64,
    /// Σd².
    pub squares: f64,
    /// The difficulty of its shares now, for the time before its first.
    pub difficulty: f64,
}

impl Side {
    /// Both together.
    pub fn and(self, other: Side) -> Side {
        Side {
            work: self.work + other.work,
            squares: self.squares + other.squares,
            difficulty: self.difficulty.max(other.difficulty),
        }
    }
}

/// A share of work and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// W₁ / (W₁ + W₂).
    pub part: f64,
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Shares of equal difficulty that would say as much.
    pub effective: f64,
}

/// The part of `one` in all work; none before there is any.
pub fn part(one: Side, others: Side) -> Option<Interval> {
    let all = one.work + others.work;
    if all.is_nan() || all <= 0.0 {
        return None;
    }
    let p = one.work / all;
    let effective = if one.work > 0.0 && others.work > 0.0 {
        let variance = ((1.0 - p).powi(2) * one.squares + p * p * others.squares) / (all * all);
        p * (1.0 - p) / variance
    } else {
        // Nothing came from one side. One share of it would weigh as much as its difficulty says.
        let (silent, heard) = if one.work > 0.0 { (others, one) } else { (one, others) };
        all / silent.difficulty.max(heard.squares / heard.work)
    };
    let n = effective;
    let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    // At the ends the two terms are equal but for rounding.
    let low = if p > 0.0 { (middle - half).max(0.0) } else { 0.0 };
    let high = if p < 1.0 { (middle + half).min(1.0) } else { 1.0 };
    Some(Interval { part: p, low, high, effective })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(shares: u32, difficulty: f64) -> Side {
        let n = f64::from(shares);
        Side { work: n * difficulty, squares: n * difficulty * difficulty, difficulty }
    }

    #[test]
    fn equal_shares_are_wilson() {
        let found = part(side(50, 8.0), side(50, 8.0)).unwrap();
        assert!((found.effective - 100.0).abs() < 1e-9);
        // Wilson for 50 of 100, from a table.
        assert!((found.low - 0.4038).abs() < 1e-4 && (found.high - 0.5962).abs() < 1e-4, "{found:?}");
        let none = part(side(0, 8.0), side(100, 8.0)).unwrap();
        assert!(none.low == 0.0 && (none.high - 0.0370).abs() < 1e-4, "{none:?}");
        let all = part(side(100, 8.0), side(0, 8.0)).unwrap();
        assert!((all.low - 0.9630).abs() < 1e-4 && all.high == 1.0, "{all:?}");
        assert_eq!(part(side(0, 8.0), side(0, 8.0)), None);
    }

    #[test]
    fn one_big_share_says_little() {
        let found = part(side(1, 1e6), side(10_000, 100.0)).unwrap();
        assert!(found.effective < 4.1 && found.high - found.low > 0.6, "{found:?}");
        // Nothing of a pool with big shares does not mean that nothing is done for it.
        let found = part(side(0, 1e6), side(10_000, 100.0)).unwrap();
        assert!(found.high > 0.7, "{found:?}");
    }

    /// A generator for this test alone.
    struct Random(u64);

    impl Random {
        fn unit(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        }

        fn poisson(&mut self, mean: f64) -> u32 {
            let (mut n, mut at) = (0, -self.unit().ln());
            while at < mean {
                n += 1;
                at -= self.unit().ln();
            }
            n
        }
    }

    #[test]
    fn the_truth_is_inside_19_times_of_20() {
        let mut random = Random(7);
        // True work of one, of the others, and the difficulty of their shares.
        for (one, others, d1, d2) in [
            (500.0, 500.0, 1.0, 1.0),
            (50.0, 950.0, 1.0, 1.0),
            (300.0, 700.0, 10.0, 1.0),
            (950.0, 50.0, 1.0, 3.0),
            (20.0, 20.0, 1.0, 1.0),
            (6_400.0, 3_600.0, 64.0, 16.0),
        ] {
            let truth = one / (one + others);
            let trials = 4_000;
            let mut inside = 0;
            for _ in 0..trials {
                let (a, b) = (random.poisson(one / d1), random.poisson(others / d2));
                let found = part(side(a, d1), side(b, d2)).unwrap();
                inside += u32::from(found.low <= truth && truth <= found.high);
            }
            let covered = f64::from(inside) / f64::from(trials);
            assert!((0.93..=0.975).contains(&covered), "{one}:{others} at {d1}:{d2}: {covered}");
        }
    }
}
