//! Hex on the wire, read leniently and written strictly (lower case, fixed length).

use alloc::vec::Vec;

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
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
    text.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Exactly `N` bytes.
pub(crate) fn array<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
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
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
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
