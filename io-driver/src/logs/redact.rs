//! Wallets do not belong into logs: a worker name may be one, and pools quote them in their errors.

use std::borrow::Cow;

/// Addresses of Bitcoin and its like have at least 26 characters; no word of a worker name or an error has.
const SHORTEST_WALLET: usize = 26;

/// The text with each word that is as long as a wallet cut to `bc1q9q…xh59`.
pub fn redact(text: &str) -> Cow<'_, str> {
    let is_word = |c: char| c.is_ascii_alphanumeric();
    if !text.split(|c| !is_word(c)).any(|word| word.len() >= SHORTEST_WALLET) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.len() >= SHORTEST_WALLET {
            // Words are ASCII: every index is a character's.
            out.push_str(&word[..6]);
            out.push('…');
            out.push_str(&word[word.len() - 4..]);
        } else {
            out.push_str(word);
        }
        let next = after.find(is_word).unwrap_or(after.len());
        out.push_str(&after[..next]);
        rest = &after[next..];
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_wallets_and_nothing_else() {
        for (text, shown) in [
            ("garage-s19", "garage-s19"),
            ("", ""),
            (
                "Unauthorized worker: bc1qexampleexampleexampleexample0000.rig1 é",
                "Unauthorized worker: bc1qex…0000.rig1 é",
            ),
            ("bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a", "bitcoincash:qpm2qs…dx6a"),
            ("1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "1BoatS…tpyT"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }
}
