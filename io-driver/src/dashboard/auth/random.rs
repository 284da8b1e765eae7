//! Chance for secrets, from the system.

use std::fmt::Write as _;

/// Random bytes as hex; an error if the system has none to give.
pub(super) fn hex(bytes: usize) -> Result<String, getrandom::Error> {
    let mut raw = vec![0; bytes];
    getrandom::fill(&mut raw)?;
    Ok(to_hex(&raw))
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A password that can be read aloud: four groups of five letters and digits, without those that look alike. 98 bits.
pub(super) fn password() -> Result<String, getrandom::Error> {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";
    let mut raw = [0u8; 20];
    getrandom::fill(&mut raw)?;
    let mut text = String::with_capacity(23);
    for (i, byte) in raw.iter().enumerate() {
        if i > 0 && i % 5 == 0 {
            text.push('-');
        }
        text.push(char::from(LETTERS[usize::from(byte % 32)]));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_their_form_and_differ() {
        let (a, b) = (password().unwrap(), password().unwrap());
        assert!(a != b && a.len() == 23 && a.split('-').all(|group| group.len() == 5), "{a}");
        assert_eq!(hex(16).unwrap().len(), 32);
    }
}
