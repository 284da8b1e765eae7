//! Difficulty as an exact decimal, its 256-bit target, and work.
//!
//! Pools write difficulty as a JSON number (`1024`, `0.001`, `0.029999999999999999`, `1e-5`). It is kept as the decimal
//! it was written as, and turned into a target by integer arithmetic: no rounding depends on the machine.

use alloc::string::{String, ToString as _};
use core::cmp::Ordering;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// Most decimal places kept: 10^-38 is far below any difficulty in use.
const MAX_PLACES: u8 = 38;

/// A share difficulty above 0: `mantissa / 10^places`, without trailing zeros. Difficulty 1 is 2^32 hashes (nearly: the
/// target of difficulty 1 is 0xFFFF·2^208, as pools use it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Difficulty {
    mantissa: u64,
    places: u8,
}

/// A 256-bit number, least significant limb first: a hash read as pools do, or the highest hash that a share may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target(pub [u64; 4]);

/// A sum of difficulty in units of 2^-48 difficulty, exact enough for shares of a NerdMiner beside years of a farm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Work(pub u128);

impl Difficulty {
    /// Difficulty 1.
    pub const ONE: Difficulty = Difficulty { mantissa: 1, places: 0 };

    /// A whole difficulty; none for 0.
    pub const fn whole(n: u64) -> Option<Difficulty> {
        if n == 0 { None } else { Some(Difficulty { mantissa: n, places: 0 }.stripped()) }
    }

    /// Reads a decimal number as JSON writes it (also with a leading `+`). None for anything else, for 0, for a
    /// negative number and for one too small to be a difficulty. More than 19 significant digits are cut.
    pub fn parse(text: &str) -> Option<Difficulty> {
        let text = text.trim();
        let text = text.strip_prefix('+').unwrap_or(text);
        let (number, exponent) = match text.find(['e', 'E']) {
            Some(at) => {
                let exponent = &text[at + 1..];
                let exponent: i32 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
                (&text[..at], exponent)
            }
            None => (text, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut mantissa: u64 = 0;
        let mut places: i32 = 0;
        let mut full = false;
        for (in_fraction, digit) in whole.bytes().map(|b| (false, b)).chain(fraction.bytes().map(|b| (true, b))) {
            if !digit.is_ascii_digit() {
                return None;
            }
            let next = mantissa.checked_mul(10).and_then(|m| m.checked_add(u64::from(digit - b'0')));
            match next {
                Some(next) if !full => {
                    mantissa = next;
                    places += i32::from(in_fraction);
                }
                _ => {
                    full = true;
                    places -= i32::from(!in_fraction);
                }
            }
        }
        if mantissa == 0 {
            return None;
        }
        places = places.checked_sub(exponent)?;
        while places < 0 {
            mantissa = match mantissa.checked_mul(10) {
                Some(m) => m,
                None => return Some(Difficulty { mantissa: u64::MAX, places: 0 }),
            };
            places += 1;
        }
        while places > i32::from(MAX_PLACES) {
            mantissa /= 10;
            places -= 1;
            if mantissa == 0 {
                return None;
            }
        }
        Some(Difficulty { mantissa, places: places as u8 }.stripped())
    }

    const fn stripped(mut self) -> Difficulty {
        while self.places > 0 && self.mantissa.is_multiple_of(10) {
            self.mantissa /= 10;
            self.places -= 1;
        }
        self
    }

    /// The largest whole number that is not above this difficulty; the difficulty itself below 1.
    #[must_use]
    pub fn rounded_down(self) -> Difficulty {
        match self.floor() {
            0 => self,
            n => Difficulty { mantissa: n, places: 0 },
        }
    }

    /// The smallest whole number that is not below this difficulty; the difficulty itself below 1.
    #[must_use]
    pub fn rounded_up(self) -> Difficulty {
        let floor = self.floor();
        let down = Difficulty { mantissa: floor, places: 0 };
        if floor == 0 || down == self { self } else { Difficulty { mantissa: floor.saturating_add(1), places: 0 } }
    }

    fn floor(self) -> u64 {
        let mut n = self.mantissa;
        for _ in 0..self.places {
            n /= 10;
        }
        n
    }

    /// The highest hash that meets this difficulty: floor(0xFFFF·2^208 / difficulty).
    pub fn target(self) -> Target {
        // 224 bits of the target of difficulty 1, and 127 for 10^38: eight limbs of 64 bits always suffice.
        let mut n = [0u64; 8];
        n[3] = 0xFFFF << 16;
        for _ in 0..self.places {
            let mut carry = 0u128;
            for limb in &mut n {
                let wide = u128::from(*limb) * 10 + carry;
                *limb = wide as u64;
                carry = wide >> 64;
            }
        }
        let mut rest = 0u128;
        for limb in n.iter_mut().rev() {
            let wide = (rest << 64) | u128::from(*limb);
            *limb = (wide / u128::from(self.mantissa)) as u64;
            rest = wide % u128::from(self.mantissa);
        }
        if n[4..].iter().any(|limb| *limb != 0) { Target::MAX } else { Target([n[0], n[1], n[2], n[3]]) }
    }

    /// A round difficulty of nearly this work: three digits, from 1 on a whole number that is not above it. The smallest
    /// difficulty for no work at all.
    pub(crate) fn near(work: Work) -> Difficulty {
        let whole = u64::try_from(work.0 >> 48).unwrap_or(u64::MAX);
        if whole > 0 {
            let mut unit = 1u64;
            while whole / unit >= 1000 {
                unit *= 10;
            }
            return Difficulty { mantissa: whole / unit * unit, places: 0 };
        }
        // Below 1 there are at most 48 bits, and 10^18 has 60.
        let digits = |places: u32| (work.0 * 10u128.pow(places) + (1 << 47)) >> 48;
        let places = (3..18).find(|places| digits(*places) >= 100).unwrap_or(18);
        Difficulty { mantissa: (digits(places) as u64).max(1), places: places as u8 }.stripped()
    }

    /// The hashes a second that find a share of this difficulty once in `spacing`.
    pub(crate) fn hashes(self, spacing: Span) -> u64 {
        let hashes = (self.work().0 >> 16).saturating_mul(1_000_000) / u128::from(spacing.0.max(1));
        u64::try_from(hashes).unwrap_or(u64::MAX)
    }

    /// The difficulty of which so many hashes a second find a share once in `spacing`, nearly.
    pub(crate) fn of_hashes(rate: u64, spacing: Span) -> Difficulty {
        Difficulty::near(Work((u128::from(rate) * u128::from(spacing.0) / 1_000_000) << 16))
    }

    /// This difficulty as work.
    pub fn work(self) -> Work {
        let mut n = u128::from(self.mantissa) << 48;
        for _ in 0..self.places {
            n /= 10;
        }
        Work(n)
    }

    /// For display and metrics only: the nearest floating-point number, or nearly.
    pub fn as_f64(self) -> f64 {
        let mut n = self.mantissa as f64;
        for _ in 0..self.places {
            n /= 10.0;
        }
        n
    }
}

impl PartialOrd for Difficulty {
    fn partial_cmp(&self, other: &Difficulty) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Difficulty {
    fn cmp(&self, other: &Difficulty) -> Ordering {
        if self == other {
            return Ordering::Equal;
        }
        // Both have at most 20 digits before the point and 38 behind it: compare whole parts, then digit by digit.
        self.floor().cmp(&other.floor()).then_with(|| self.fraction().cmp(&other.fraction()))
    }
}

impl Difficulty {
    /// The part behind the point in units of 10^-38.
    fn fraction(self) -> u128 {
        let scale = 10u128.pow(u32::from(MAX_PLACES - self.places));
        let one = 10u128.pow(u32::from(self.places));
        (u128::from(self.mantissa) % one) * scale
    }
}

/// A plain decimal, never with an exponent: `1024`, `0.00001`.
impl fmt::Display for Difficulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits: String = self.mantissa.to_string();
        let places = usize::from(self.places);
        if places == 0 {
            f.write_str(&digits)
        } else if digits.len() > places {
            let (whole, fraction) = digits.split_at(digits.len() - places);
            write!(f, "{whole}.{fraction}")
        } else {
            write!(f, "0.{digits:0>places$}")
        }
    }
}

impl Target {
    /// Every hash meets this.
    pub const MAX: Target = Target([u64::MAX; 4]);

    /// The number in a hash's 32 bytes as the hash function gives them (least significant byte first).
    pub fn from_le_bytes(bytes: &[u8; 32]) -> Target {
        let mut limbs = [0u64; 4];
        for (limb, chunk) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
            let mut word = [0u8; 8];
            word.copy_from_slice(chunk);
            *limb = u64::from_le_bytes(word);
        }
        Target(limbs)
    }

    /// The network target from a header's compact form (`nbits`). A form that encodes no positive number gives 0,
    /// which nothing meets.
    pub fn from_compact(nbits: u32) -> Target {
        let size = nbits >> 24;
        let word = u64::from(nbits & 0x007F_FFFF);
        if nbits & 0x0080_0000 != 0 {
            return Target([0; 4]);
        }
        let mut n = [0u64; 4];
        if size <= 3 {
            n[0] = word >> (8 * (3 - size));
            return Target(n);
        }
        let shift = 8 * (size - 3);
        let (limb, bit) = ((shift / 64) as usize, shift % 64);
        if limb < 4 {
            n[limb] = word << bit;
        }
        let high = if bit == 0 { 0 } else { word >> (64 - bit) };
        let overflow = if limb >= 4 {
            word
        } else if limb == 3 {
            high
        } else {
            n[limb + 1] = high;
            0
        };
        // More than 256 bits are no target to Bitcoin either: nothing meets it.
        if overflow == 0 { Target(n) } else { Target([0; 4]) }
    }

    /// Reads 64 hex digits, most significant first, as `mining.suggest_target` sends them.
    pub fn from_hex(text: &str) -> Option<Target> {
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut limbs = [0u64; 4];
        for (i, limb) in limbs.iter_mut().rev().enumerate() {
            *limb = u64::from_str_radix(&text[i * 16..i * 16 + 16], 16).ok()?;
        }
        Some(Target(limbs))
    }

    /// True if a hash with this value meets the target `limit`.
    pub fn meets(&self, limit: &Target) -> bool {
        self <= limit
    }

    /// The difficulty of a hash with this value, for display: 0xFFFF·2^208 / hash, and the largest number for 0.
    pub fn difficulty(&self) -> f64 {
        let mut hash = 0f64;
        for limb in self.0.iter().rev() {
            hash = hash * 18_446_744_073_709_551_616.0 + *limb as f64;
        }
        if hash == 0.0 {
            return f64::MAX;
        }
        let mut one = 65_535f64;
        for _ in 0..13 {
            one *= 65_536.0;
        }
        one / hash
    }

    /// The whole or three-digit difficulty nearest below this target's, to pass a suggested target on as a difficulty.
    pub fn to_difficulty(&self) -> Option<Difficulty> {
        let d = self.difficulty();
        if d >= 1.0 {
            // A float-to-integer cast saturates: a tiny target becomes the largest difficulty.
            Difficulty::whole(d as u64)
        } else {
            let nano = (d * 1e12) as u64;
            (nano > 0).then(|| Difficulty { mantissa: nano, places: 12 }.stripped())
        }
    }
}

impl PartialOrd for Target {
    fn partial_cmp(&self, other: &Target) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Target {
    fn cmp(&self, other: &Target) -> Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}

impl Work {
    /// Adds, and stays at the largest number rather than wrapping.
    #[must_use]
    pub fn plus(self, other: Work) -> Work {
        Work(self.0.saturating_add(other.0))
    }

    /// The work nearest below a difficulty that was worked out in floating point, as that of a hash.
    pub fn nearest(difficulty: f64) -> Work {
        // Times a power of 2 is exact, and the cast saturates.
        Work((difficulty * 281_474_976_710_656.0) as u128)
    }

    /// The sum of difficulty, for display and metrics.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 281_474_976_710_656.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> Difficulty {
        Difficulty::parse(text).unwrap()
    }

    #[test]
    fn reads_what_pools_write() {
        for (text, shown) in [
            ("1", "1"),
            ("1024", "1024"),
            ("1024.0", "1024"),
            ("0.001", "0.001"),
            ("0.029999999999999999", "0.029999999999999999"),
            ("1e-5", "0.00001"),
            ("1.5E3", "1500"),
            ("65536.000000", "65536"),
            ("100000000000000000000000", "18446744073709551615"),
            ("0.12345678901234567890123", "0.12345678901234567890"),
        ] {
            assert_eq!(d(text).to_string().trim_end_matches('0'), shown.trim_end_matches('0'), "{text}");
        }
        for bad in ["", "0", "0.0", "-1", "x", "1x", ".", "1e", "1e99999999999", "NaN", "1e-60", "0x10"] {
            assert_eq!(Difficulty::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn target_of_one_is_the_pool_target() {
        assert_eq!(d("1").target(), Target([0, 0, 0, 0xFFFF << 16]));
        assert_eq!(d("2").target(), Target([0, 0, 0, 0x7FFF_8000]));
        assert_eq!(d("0.5").target(), Target([0, 0, 0, 0x1_FFFE_0000]));
        assert_eq!(d("1e-30").target(), Target::MAX);
        // Compared with an independent computation: floor(0xFFFF·2^208 · 1000 / 3).
        assert_eq!(d("0.003").target().0[3], 0xFFFF_0000u64 * 1000 / 3);
    }

    #[test]
    fn order_is_by_value() {
        for (a, b) in [("1", "2"), ("0.9", "1"), ("0.001", "0.002"), ("1.5", "2"), ("9.99", "10"), ("1e-9", "1e-8")] {
            assert!(d(a) < d(b), "{a} < {b}");
            assert!(d(a).target() > d(b).target());
        }
        assert_eq!(d("1.0").cmp(&d("1")), Ordering::Equal);
    }

    #[test]
    fn rounding() {
        assert_eq!(d("1.5").rounded_down(), d("1"));
        assert_eq!(d("1.5").rounded_up(), d("2"));
        assert_eq!(d("0.5").rounded_down(), d("0.5"));
        assert_eq!(d("0.5").rounded_up(), d("0.5"));
        assert_eq!(d("7").rounded_up(), d("7"));
        assert_eq!(d("29999.9999999999").rounded_down(), d("29999"));
    }

    #[test]
    fn near_is_round() {
        for (exact, round) in [
            ("1", "1"),
            ("1393.7", "1390"),
            ("999.9", "999"),
            ("0.0000582", "0.0000582"),
            ("0.00005826", "0.0000583"),
            ("0.9999", "1"),
            ("0.5", "0.5"),
            ("18446744073709551615", "18400000000000000000"),
        ] {
            assert_eq!(Difficulty::near(d(exact).work()), d(round), "{exact}");
        }
        assert!(Difficulty::near(Work(0)) < d("1e-17"));
    }

    #[test]
    fn compact_targets() {
        assert_eq!(Target::from_compact(0x1d00_ffff), d("1").target());
        assert_eq!(Target::from_compact(0x207f_ffff).0[3], 0x7fff_ff00_0000_0000);
        assert_eq!(Target::from_compact(0x0300_0001), Target([1, 0, 0, 0]));
        assert_eq!(Target::from_compact(0x0100_0001), Target([0; 4]));
        assert_eq!(Target::from_compact(0x0180_0001), Target([0; 4]));
        assert_eq!(Target::from_compact(0xff7f_ffff), Target([0; 4]), "an overflow is no target");
        assert_eq!(Target::from_compact(0x1b00_0001).0[3], 1);
    }

    #[test]
    fn difficulty_of_a_hash() {
        assert!((d("1").target().difficulty() - 1.0).abs() < 1e-12);
        assert!((d("1000").target().difficulty() - 1000.0).abs() < 1e-6);
        assert_eq!(Target([0; 4]).difficulty(), f64::MAX);
        let hex = "00000000ffff0000000000000000000000000000000000000000000000000000";
        assert_eq!(Target::from_hex(hex).unwrap().to_difficulty(), Some(Difficulty::ONE));
    }

    #[test]
    fn work_adds_up() {
        assert_eq!(d("0.5").work().plus(d("0.5").work()), d("1").work());
        assert!((d("12.25").work().as_f64() - 12.25).abs() < 1e-9);
    }
}
