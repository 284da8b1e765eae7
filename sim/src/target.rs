//! Difficulty as pools and miners see it: a double, and the 256-bit target that follows from it.

/// 0xFFFF·2^208, the target of difficulty 1.
const ONE: [u64; 4] = [0, 0, 0, 0xFFFF_0000];

/// A 256-bit bound on hashes, least significant word first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target([u64; 4]);

impl Target {
    /// The target of a difficulty, rounded down; all hashes meet that of a tiny one, none that of 0 or nonsense.
    pub fn of_difficulty(difficulty: f64) -> Target {
        if !difficulty.is_finite() || difficulty <= 0.0 {
            return Target([0; 4]);
        }
        // difficulty = mantissa·2^exponent exactly, mantissa < 2^53.
        let bits = difficulty.to_bits();
        let raw = (bits >> 52) & 0x7FF;
        let (mantissa, exponent) = match raw {
            0 => (bits & ((1 << 52) - 1), -1074),
            _ => (bits & ((1 << 52) - 1) | 1 << 52, raw as i32 - 1075),
        };
        // Target = (0xFFFF·2^208 · 2^-exponent) / mantissa, over 448 bits so that the shift loses nothing that counts.
        let mut wide = [0u64; 7];
        wide[3..].copy_from_slice(&ONE);
        // It stands at ONE·2^192 here.
        shift_to_target(divide(wide, mantissa), -exponent - 192)
    }

    /// The network's target of a compact `nbits`; one that is negative or has more than 256 bits is met by nothing.
    pub fn of_nbits(nbits: u32) -> Target {
        let size = (nbits >> 24) as i32;
        let mantissa = u64::from(nbits & 0x007F_FFFF);
        let overflows = mantissa != 0 && (size > 34 || mantissa > 0xFF && size > 33 || mantissa > 0xFFFF && size > 32);
        if nbits & 0x0080_0000 != 0 || overflows {
            return Target([0; 4]);
        }
        let mut wide = [0u64; 7];
        wide[0] = mantissa;
        shift_to_target(wide, 8 * (size - 3))
    }

    /// True if the hash (least significant byte first) is not above the target.
    pub fn meets(&self, hash: &[u8; 32]) -> bool {
        let hash = words(hash);
        hash.iter().rev().le(self.0.iter().rev())
    }

    /// The number, most significant byte first.
    pub fn to_be_bytes(&self) -> [u8; 32] {
        let mut out = [0; 32];
        for (bytes, word) in out.chunks_mut(8).zip(self.0.iter().rev()) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        out
    }

    /// The most significant 32 bits: a hash whose own are greater cannot meet the target.
    pub fn top(&self) -> u32 {
        (self.0[3] >> 32) as u32
    }
}

/// `wide` divided by a 64-bit number, rounded down.
fn divide(wide: [u64; 7], by: u64) -> [u64; 7] {
    let mut out = [0; 7];
    let mut rest = 0u128;
    for i in (0..7).rev() {
        let part = rest << 64 | u128::from(wide[i]);
        out[i] = (part / u128::from(by)) as u64;
        rest = part % u128::from(by);
    }
    out
}

/// `wide` shifted to the left by `shift` bits (right if negative), the highest target where it no longer fits.
fn shift_to_target(wide: [u64; 7], shift: i32) -> Target {
    let (limbs, bits) = (shift.div_euclid(64), shift.rem_euclid(64) as u32);
    let limb = |i: i32| usize::try_from(i).ok().and_then(|i| wide.get(i)).copied().unwrap_or(0);
    // Limb `i` of the outcome: the low bits of one limb above the high bits of the one below it.
    let shifted = |i: i32| match bits {
        0 => limb(i - limbs),
        _ => limb(i - limbs) << bits | limb(i - limbs - 1) >> (64 - bits),
    };
    // Anything at bit 256 or above means that every hash meets the target.
    if (4..8 + limbs.max(0)).any(|i| shifted(i) != 0) {
        return Target([u64::MAX; 4]);
    }
    Target(std::array::from_fn(|i| shifted(i as i32)))
}

fn words(hash: &[u8; 32]) -> [u64; 4] {
    let mut out = [0; 4];
    for (word, bytes) in out.iter_mut().zip(hash.chunks(8)) {
        *word = bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
    }
    out
}

/// The difficulty that a hash has, to the precision of a double.
pub fn difficulty_of(hash: &[u8; 32]) -> f64 {
    let number = words(hash).iter().rev().fold(0.0, |n, w| n * 18_446_744_073_709_551_616.0 + *w as f64);
    if number == 0.0 { f64::INFINITY } else { 65_535.0 * 2f64.powi(208) / number }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;

    fn shown(target: Target) -> String {
        hex::encode(&target.to_be_bytes())
    }

    #[test]
    fn known_targets() {
        assert_eq!(shown(Target::of_difficulty(1.0)), format!("{:0<64}", "00000000ffff"));
        assert_eq!(shown(Target::of_difficulty(65_535.0)), format!("{:0<64}", "000000000001"));
        assert_eq!(shown(Target::of_difficulty(0.5)), format!("{:0<64}", "00000001fffe"));
        assert_eq!(shown(Target::of_difficulty(3.0)), format!("0000000055550{:051}", 0));
        assert_eq!(Target::of_difficulty(1.0), Target::of_nbits(0x1d00ffff));
        assert_eq!(shown(Target::of_nbits(0x207fffff)), format!("{:0<64}", "7fffff"));
        assert_eq!(shown(Target::of_difficulty(1e-30)), "f".repeat(64));
        assert_eq!(shown(Target::of_difficulty(0.0)), "0".repeat(64));
        assert_eq!(shown(Target::of_difficulty(f64::NAN)), "0".repeat(64));
        assert_eq!(shown(Target::of_difficulty(f64::MIN_POSITIVE / 8.0)), "f".repeat(64));
        assert_eq!(shown(Target::of_difficulty(f64::MAX)), "0".repeat(64));
    }

    #[test]
    fn a_share_of_a_real_pool() {
        // 0x0008a24b...: difficulty 0.115820 by the pool's log.
        let mut hash: [u8; 32] =
            hex::decode_array("00000008a24b356fe7e9f71b5d125003f94a387c46e99f8447a9da5ccd520bb8").unwrap();
        hash.reverse();
        assert_eq!(format!("{:.6}", difficulty_of(&hash)), "0.115820");
        assert!(Target::of_difficulty(0.1158).meets(&hash));
        assert!(!Target::of_difficulty(0.1159).meets(&hash));
        assert!(Target::of_nbits(0x207fffff).meets(&hash));
    }

    #[test]
    fn tiny_difficulties_are_in_proportion() {
        for exponent in 1..=9 {
            let difficulty = 10f64.powi(-exponent);
            let target = Target::of_difficulty(difficulty);
            let number = target.0.iter().rev().fold(0.0, |n, w| n * 2f64.powi(64) + *w as f64);
            let back = 65_535.0 * 2f64.powi(208) / number;
            assert!((back / difficulty - 1.0).abs() < 1e-12, "{difficulty} {back}");
        }
    }

    #[test]
    fn the_bound_itself_meets() {
        let target = Target::of_difficulty(0.001);
        let mut hash = [0; 32];
        for (bytes, word) in hash.chunks_mut(8).zip(target.0) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        assert!(target.meets(&hash));
        assert_eq!((0..32).find(|i| hash[*i] < 255).map(|i| hash[i] += 1), Some(()));
        assert!(!target.meets(&hash));
    }
}
