//! Base58Check, as in `1...` and `3...` addresses: a version byte and a hash of 20 bytes, with four bytes of check sum.

use sha2::{Digest as _, Sha256};

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// Bytes of version, hash and check sum.
const BYTES: usize = 25;
/// An address of 25 bytes has this many characters.
pub(super) const LENGTH: core::ops::RangeInclusive<usize> = 26..=35;

/// A version byte and a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) version: u8,
    pub(super) hash: [u8; 20],
}

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// A character that is none of the 58, at this place.
    Character(usize),
    /// It is no number of 25 bytes.
    Length,
    CheckSum,
}

fn value(character: u8) -> Option<u32> {
    ALPHABET.iter().position(|c| *c == character).map(|at| at as u32)
}

/// The 25 bytes, check sum not looked at.
fn bytes(text: &[u8]) -> Result<[u8; BYTES], Wrong> {
    let mut number = [0u8; BYTES];
    for (at, character) in text.iter().enumerate() {
        let mut carry = value(*character).ok_or(Wrong::Character(at))?;
        for byte in number.iter_mut().rev() {
            let wide = u32::from(*byte) * 58 + carry;
            *byte = wide as u8;
            carry = wide >> 8;
        }
        if carry != 0 {
            return Err(Wrong::Length);
        }
    }
    // Each leading zero byte is written as one digit 1.
    let ones = text.iter().take_while(|c| **c == b'1').count();
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    if ones == zeros { Ok(number) } else { Err(Wrong::Length) }
}

fn sum_fits(bytes: &[u8; BYTES]) -> bool {
    let sum = Sha256::digest(Sha256::digest(&bytes[..BYTES - 4]));
    sum[..4] == bytes[BYTES - 4..]
}

/// Reads a text.
pub(super) fn decode(text: &str) -> Result<Decoded, Wrong> {
    let bytes = bytes(text.as_bytes())?;
    if !sum_fits(&bytes) {
        return Err(Wrong::CheckSum);
    }
    let mut hash = [0; 20];
    hash.copy_from_slice(&bytes[1..21]);
    Ok(Decoded { version: bytes[0], hash })
}

/// The one place at which another character would make the check sum fit; none if there is none, or several.
pub(super) fn typo(text: &str) -> Option<usize> {
    let mut found = None;
    let mut trial = [0u8; 35];
    let trial = trial.get_mut(..text.len())?;
    for at in 0..text.len() {
        trial.copy_from_slice(text.as_bytes());
        for character in ALPHABET {
            trial[at] = *character;
            if bytes(trial).is_ok_and(|bytes| sum_fits(&bytes)) {
                if found.is_some_and(|other| other != at) {
                    return None;
                }
                found = Some(at);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address() {
        let genesis = decode("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa").unwrap();
        assert_eq!((genesis.version, genesis.hash[..4].to_vec()), (0, [0x62, 0xe9, 0x07, 0xb1].to_vec()));
        assert_eq!(decode("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb"), Err(Wrong::CheckSum));
        assert_eq!(decode("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfN0"), Err(Wrong::Character(33)));
        assert_eq!(decode("11111111111111111111111111"), Err(Wrong::Length));
        assert_eq!(decode("1A1zP1"), Err(Wrong::Length));
        assert_eq!(typo("1A1zP1eP5QGefi2DMPTfTL6SLmv7DivfNa"), Some(22));
    }
}
