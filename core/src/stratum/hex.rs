//! Hex on the wire, read leniently and written strictly (lower case, fixed length).

use alloc::vec::Vec;

/// Stands for a byte that is no hex digit. Or-ed with anything it stays above 15.
const NO_DIGIT: u8 = 0xF0;

/// The value of each byte as a hex digit. A table, as a job has thousands of them.
static VALUES: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut i = 0;
    while i < 10 {
        table[b'0' as usize + i] = i as u8;
        i += 1;
    }
    let mut i = 0;
    while i < 6 {
        table[b'a' as usize + i] = 10 + i as u8;
        table[b'A' as usize + i] = 10 + i as u8;
        i += 1;
    }
    table
};

fn digit(byte: u8) -> Option<u8> {
    let value = VALUES[usize::from(byte)];
    (value < 16).then_some(value)
}

/// Fills `out` from twice as many digits. False if one is none.
fn fill(out: &mut [u8], digits: &[u8]) -> bool {
    let mut bad = 0;
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
        bad |= high | low;
        *byte = high << 4 | low & 15;
    }
    bad < 16
}

fn without_prefix(text: &str) -> &str {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text)
}

/// Bytes of an even number of hex digits in either case, at most `max` bytes.
pub(crate) fn bytes(text: &str, max: usize) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(2) || text.len() / 2 > max {
        return None;
    }
    let mut out = alloc::vec![0; text.len() / 2];
    fill(&mut out, text).then_some(out)
}

/// Exactly `N` bytes.
pub(crate) fn array<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    fill(&mut out, text).then_some(out)
}

/// A number of at most 32 bits, in any spelling: either case, `0x`, leading zeros missing or too many.
pub(crate) fn word(text: &str) -> Option<u32> {
    u32::try_from(number(text)?).ok()
}

/// A number of at most 128 bits, in any spelling. None for no digits at all.
pub(crate) fn number(text: &str) -> Option<u128> {
    let text = without_prefix(text);
    if text.is_empty() {
        return None;
    }
    let mut n: u128 = 0;
    for byte in text.bytes() {
        if n >> 124 != 0 {
            return None;
        }
        n = n << 4 | u128::from(digit(byte)?);
    }
    Some(n)
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends two digits a byte.
pub(crate) fn write(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + 2 * bytes.len(), 0);
    for (pair, byte) in out[start..].chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

/// Appends eight digits.
pub(crate) fn write_word(out: &mut Vec<u8>, word: u32) {
    write(out, &word.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        for text in ["1a", "001A", "0x1a", "0X0000001a"] {
            assert_eq!(word(text), Some(0x1a), "{text}");
        }
        for text in ["", "0x", "g", "100000000", "1a ", "-1", "+1"] {
            assert_eq!(word(text), None, "{text}");
        }
        assert_eq!(number("ffffffffffffffffffffffffffffffff"), Some(u128::MAX));
        assert_eq!(number("1ffffffffffffffffffffffffffffffff"), None);
        assert_eq!(number("000000ffffffffffffffffffffffffffffffff"), Some(u128::MAX));
        assert_eq!(bytes("0aFF", 2), Some([0x0a, 0xff].to_vec()));
        assert_eq!(bytes("0aF", 2), None);
        assert_eq!(bytes("0aFF00", 2), None);
        assert_eq!(bytes("", 2), Some(Vec::new()));
        assert_eq!(array::<2>("0aff"), Some([0x0a, 0xff]));
        assert_eq!(array::<2>("0aff00"), None);
    }
}
