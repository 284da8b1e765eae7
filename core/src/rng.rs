//! The engine's only source of chance: a small seeded generator (SplitMix64), forked by label so that one use never
//! shifts the numbers of another.

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// A deterministic stream of numbers. Not for secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// An independent stream for the use that `label` names.
    pub(crate) fn fork(&self, label: &str) -> Rng {
        let mut state = self.0 ^ 0x9E37_79B9_7F4A_7C15;
        for byte in label.bytes() {
            state = mix(state ^ u64::from(byte));
        }
        Rng(state)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Any time shorter than `span`.
    pub(crate) fn within(&mut self, span: Span) -> Span {
        Span(self.next() % span.0.max(1))
    }

    /// `span` give or take a tenth, so that those who failed together do not come back together.
    pub(crate) fn jitter(&mut self, span: Span) -> Span {
        let fifth = span.0 / 5;
        if fifth == 0 {
            return span;
        }
        Span((span.0 - fifth / 2).saturating_add(self.next() % fifth))
    }
}

const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_are_stable_and_different() {
        let root = Rng::new(7);
        let (mut a, mut b, mut a2) = (root.fork("a"), root.fork("b"), root.fork("a"));
        let first = a.next();
        assert_eq!(first, a2.next());
        assert_ne!(first, b.next());
    }

    #[test]
    fn jitter_stays_within_a_tenth() {
        let mut rng = Rng::new(1);
        for _ in 0..1000 {
            let s = rng.jitter(Span::secs(10)).0;
            assert!((9_000_000..11_000_000).contains(&s), "{s}");
        }
    }
}
