//! Bech32 and Bech32m (BIP 173, BIP 350), as in `bc1...` addresses: a witness version and a program.

use alloc::vec::Vec;

/// The characters of both this and cashaddr, by their value.
pub(super) const CHARSET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const BECH32: u32 = 1;
const BECH32M: u32 = 0x2bc8_30a3;
const CHECK_SUM: usize = 6;

/// A witness version and its program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) version: u8,
    pub(super) program: Vec<u8>,
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// A character that is none of the 32, or of the other case, at this place of the data.
    Character(usize),
    /// Too short or too long for its version.
    Length,
    CheckSum,
}

fn step(sum: u32, value: u8) -> u32 {
    let top = sum >> 25;
    let mut sum = (sum & 0x01FF_FFFF) << 5 ^ u32::from(value);
    for (bit, constant) in [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3].iter().enumerate() {
        if top >> bit & 1 == 1 {
            sum ^= constant;
        }
    }
    sum
}

fn sum(prefix: &str, data: &[u8]) -> u32 {
    let mut sum = prefix.bytes().fold(1, |sum, c| step(sum, c >> 5));
    sum = step(sum, 0);
    sum = prefix.bytes().fold(sum, |sum, c| step(sum, c & 31));
    data.iter().fold(sum, |sum, value| step(sum, *value))
}

/// The values of characters of one case.
pub(super) fn values(text: &str) -> Result<Vec<u8>, usize> {
    let upper = text.bytes().any(|c| c.is_ascii_uppercase()) && !text.bytes().any(|c| c.is_ascii_lowercase());
    let value = |(at, c): (usize, u8)| {
        let c = if upper { c.to_ascii_lowercase() } else { c };
        CHARSET.iter().position(|known| *known == c).map(|value| value as u8).ok_or(at)
    };
    text.bytes().enumerate().map(value).collect()
}

/// From groups of five bits to bytes; none if the bits that are left over are a whole group, or not zero.
pub(super) fn regroup(values: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(values.len() * 5 / 8);
    let (mut held, mut bits) = (0u32, 0);
    for value in values {
        held = held << 5 | u32::from(*value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    (bits < 5 && held == 0).then_some(out)
}

/// The check sum that belongs to data with this first value, the witness version.
fn wanted(data: &[u8]) -> u32 {
    if data.first() == Some(&0) { BECH32 } else { BECH32M }
}

/// Reads what stands behind the `1`. `prefix` is in lower case.
pub(super) fn decode(prefix: &str, data: &str) -> Result<Decoded, Wrong> {
    let data = values(data).map_err(Wrong::Character)?;
    if data.len() <= CHECK_SUM || data.len() > 80 {
        return Err(Wrong::Length);
    }
    if sum(prefix, &data) != wanted(&data) {
        return Err(Wrong::CheckSum);
    }
    let version = data[0];
    let program = regroup(&data[1..data.len() - CHECK_SUM]).ok_or(Wrong::Length)?;
    match (version, program.len()) {
        (0, 20 | 32) | (1..=16, 2..=40) => Ok(Decoded { version, program }),
        _ => Err(Wrong::Length),
    }
}

/// The one place of the data at which another character would make the check sum fit.
pub(super) fn typo(prefix: &str, data: &str) -> Option<usize> {
    single_error(&values(data).ok()?, |data| sum(prefix, data) == wanted(data))
}

/// The one place at which another value would make `fits` true; none if there is none, or several.
pub(super) fn single_error(data: &[u8], fits: impl Fn(&[u8]) -> bool) -> Option<usize> {
    let mut data = data.to_vec();
    let mut found = None;
    for at in 0..data.len() {
        let written = data[at];
        for value in 0..32 {
            data[at] = value;
            if value != written && fits(&data) {
                if found.is_some() {
                    return None;
                }
                found = Some(at);
            }
        }
        data[at] = written;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_the_bips() {
        let decoded = decode("bc", "qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4").unwrap();
        assert_eq!((decoded.version, decoded.program.len()), (0, 20));
        assert_eq!(decoded.program[..4], [0x75, 0x1e, 0x76, 0xe8]);
        assert_eq!(decode("bc", "QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4").unwrap(), decoded);
        let taproot = decode("bc", "p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0").unwrap();
        assert_eq!((taproot.version, taproot.program[0]), (1, 0x79));
        // A taproot program with the check sum of Bech32, and a version 0 program with that of Bech32m.
        assert_eq!(decode("bc", "p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd"), Err(Wrong::CheckSum));
        assert_eq!(decode("bc", "qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh"), Err(Wrong::CheckSum));
        assert_eq!(decode("bc", "qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3b4"), Err(Wrong::Character(37)));
        assert_eq!(decode("bc", "Qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"), Err(Wrong::Character(0)), "two cases");
        assert_eq!(typo("bc", "qw508d6qejxtdg4y5r3zarvarz0c5xw7kv8f3t4"), Some(25));
    }
}
