//! Wallets for those who are not signed in: `bc1q9q…xh59`.

/// A wallet or account with its middle left out.
pub(super) fn wallet(wallet: &str) -> String {
    let letters: Vec<char> = wallet.chars().collect();
    if letters.is_empty() {
        return String::new();
    }
    // A short one is an account's name, and could be guessed from its ends.
    if letters.len() < 16 {
        return "…".to_owned();
    }
    let (head, tail) = (&letters[..6], &letters[letters.len() - 4..]);
    format!("{}…{}", head.iter().collect::<String>(), tail.iter().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_only() {
        assert_eq!(wallet("bc1qexampleexampleexamplexh59"), "bc1qex…xh59");
        assert_eq!((wallet(""), wallet("myaccount")), (String::new(), "…".to_owned()));
    }
}
