//! The proof of work of the simulated world: SHA-256d as it is, or a keyed mix whose nonce can be solved, so that a share
//! costs the same at any difficulty. The mix is written down here a second time, apart from the engine's.

use crate::header::{Header, sha256d};
use crate::rng::Rng;
use crate::target::Target;

/// How a header becomes a hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pow {
    /// As Bitcoin does.
    #[default]
    Sha256d,
    /// The mix with this key.
    Keyed(u64),
}

/// The odd constant of the mix: 2^64 over the golden ratio.
const GOLDEN: u64 = 11_400_714_819_323_198_485;
/// Most leading zero bits that the mix can give.
const MOST_ZEROS: u32 = 231;

impl Pow {
    /// The hash of a header, least significant byte first.
    pub fn hash(self, header: &Header) -> [u8; 32] {
        match self {
            Pow::Sha256d => sha256d(&header.bytes()),
            Pow::Keyed(key) => {
                let bytes = header.bytes();
                hash_of_word(fields(key, &bytes) ^ header.nonce)
            }
        }
    }
}

/// What tells a header from all others, as the mix's hashes do not: there are too few of them.
pub fn identity(header: &Header) -> [u8; 32] {
    let mut id = header.root;
    let words = [header.nonce, header.ntime, header.version];
    for (byte, other) in id.iter_mut().zip(words.iter().flat_map(|word| word.to_le_bytes())) {
        *byte ^= other;
    }
    id
}

/// All but the nonce, mixed into 32 bits.
fn fields(key: u64, header: &[u8; 80]) -> u32 {
    let mut state = key;
    // Nine words of eight bytes and one of four.
    for at in (0..76).step_by(8) {
        let end = (at + 8).min(76);
        let word = header[at..end].iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        let product = (state ^ word).wrapping_mul(GOLDEN);
        state = product ^ product >> 29;
    }
    (state >> 32) as u32
}

/// Eight bits that count leading zeros, and the 24 that follow behind a one.
fn hash_of_word(word: u32) -> [u8; 32] {
    let zeros = (word >> 24).min(MOST_ZEROS);
    let behind = word & 0x00ff_ffff;
    let mut hash = [0; 32];
    // Bit 255 is the most significant one.
    let mut set = |bit: u32| hash[bit as usize / 8] |= 1 << (bit % 8);
    let top = 255 - zeros;
    set(top);
    for i in (0..24).filter(|i| behind >> i & 1 == 1) {
        set(top - 24 + i);
    }
    hash
}

/// A nonce whose hash meets the target, drawn as a search would find it: evenly among all numbers up to the target, to the
/// mix's 24 bits. None if no hash of the mix is that low.
pub(crate) fn solve(key: u64, header: &Header, difficulty: f64, rng: &mut Rng) -> Option<(u32, [u8; 32])> {
    let target = Target::of_difficulty(difficulty);
    let highest = (65_535.0 * 2f64.powi(208) / difficulty).min(2f64.powi(256) * 0.999_999_9);
    let base = fields(key, &header.bytes());
    for _ in 0..16 {
        let value = highest * (1.0 - rng.unit());
        let bits = value.to_bits();
        let exponent = (bits >> 52) as i64 - 1023;
        let zeros = 255 - exponent;
        if zeros > i64::from(MOST_ZEROS) {
            continue;
        }
        let word = (zeros.max(0) as u32) << 24 | (bits >> 28) as u32 & 0x00ff_ffff;
        let hash = hash_of_word(word);
        if target.meets(&hash) {
            return Some((word ^ base, hash));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::difficulty_of;

    fn header(n: u8) -> Header {
        Header { version: 1, prevhash: [n; 32], root: [n ^ 7; 32], ntime: 5, nbits: 0x1d00_ffff, nonce: 0 }
    }

    #[test]
    fn a_nonce_for_every_decade() {
        let mut rng = Rng::new(1, "pow");
        for decade in -9..18 {
            let difficulty = 3.7 * 10f64.powi(decade);
            let mut sum = 0.0;
            for n in 0..200 {
                let (nonce, hash) = solve(99, &header(n), difficulty, &mut rng).unwrap();
                assert_eq!(Pow::Keyed(99).hash(&Header { nonce, ..header(n) }), hash);
                assert!(Target::of_difficulty(difficulty).meets(&hash));
                sum += difficulty / difficulty_of(&hash);
            }
            // The numbers lie evenly below the target: half of it on average.
            assert!((sum / 200.0 - 0.5).abs() < 0.1 || difficulty < 1e-8, "{difficulty}: {}", sum / 200.0);
        }
    }

    #[test]
    fn another_key_another_hash() {
        assert_ne!(Pow::Keyed(1).hash(&header(1)), Pow::Keyed(2).hash(&header(1)));
        assert_eq!(Pow::default().hash(&header(1)), header(1).hash());
    }
}
