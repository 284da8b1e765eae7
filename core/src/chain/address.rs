//! What an operator wrote as a wallet: an address of which chain, or a name. Nothing is refused here; v2 took any text.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Chain, base58, bech32, cashaddr};

/// The form of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Form {
    /// `1...`: the hash of a key, on both chains.
    Key,
    /// `3...`: the hash of a script, on both chains.
    Script,
    /// `bc1q...`: witness version 0.
    Segwit,
    /// `bc1p...`: witness version 1.
    Taproot,
    /// `bc1...` of a later witness version.
    Witness,
    /// `bitcoincash:q...`: the hash of a key.
    CashKey,
    /// `bitcoincash:p...`: the hash of a script.
    CashScript,
}

/// What a text is, for the pool's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Check {
    /// An address of the chain (of some chain, where the pool's is not known).
    Valid(Form),
    /// An address of a test network.
    Testnet(Form),
    /// An address of this other chain.
    OtherChain(Chain),
    /// It looks like an address, but its check sum does not fit. `at`: the one character, counted from 0, that alone
    /// would explain it, if there is one.
    BadCheckSum {
        /// The place in the text.
        at: Option<u32>,
    },
    /// No address: a user name, or an address of a chain that is not known here.
    NotAnAddress,
}

/// An address, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// How it is written.
    pub form: Form,
    /// It is of a test network.
    pub testnet: bool,
    /// The one chain that writes addresses so; none if both do.
    pub chain: Option<Chain>,
    /// The script of an output that pays it.
    pub script: Vec<u8>,
}

/// What a text could be, after a look at its begin.
enum Reading {
    Is(Address),
    Broken { at: Option<usize> },
    Name,
}

/// What `text` is for a pool of `chain`. A worker's name or options behind the address (`.rig`, `/rig`, `+1024`) do not
/// matter.
pub fn check(text: &str, chain: Option<Chain>) -> Check {
    match read(text) {
        Reading::Is(address) => match (address.chain, chain) {
            (Some(is), Some(wanted)) if is != wanted => Check::OtherChain(is),
            _ if address.testnet => Check::Testnet(address.form),
            _ => Check::Valid(address.form),
        },
        Reading::Broken { at } => Check::BadCheckSum { at: at.and_then(|at| u32::try_from(at).ok()) },
        Reading::Name => Check::NotAnAddress,
    }
}

/// The address in a wallet as it is configured; none if it is a name, or its check sum does not fit.
pub fn parse(text: &str) -> Option<Address> {
    match read(text) {
        Reading::Is(address) => Some(address),
        Reading::Broken { .. } | Reading::Name => None,
    }
}

fn read(text: &str) -> Reading {
    let (prefix, from) = match text.split_once(':') {
        Some((prefix, _)) => (Some(prefix.to_ascii_lowercase()), prefix.len() + 1),
        None => (None, 0),
    };
    let rest = &text[from..];
    let body = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len())];
    let reading = match prefix.as_deref() {
        Some(prefix @ ("bitcoincash" | "bchtest" | "bchreg")) => read_cash(prefix, body),
        None | Some("bitcoin") => read_plain(body),
        Some(_) => Reading::Name,
    };
    match reading {
        Reading::Broken { at } => Reading::Broken { at: at.map(|at| at + from) },
        other => other,
    }
}

fn read_plain(body: &str) -> Reading {
    let lower: String = body.to_ascii_lowercase();
    for prefix in ["bc", "tb", "bcrt"] {
        if let Some(data) = lower.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('1'))
            && body.len() >= 36
            && data.len() <= 80
        {
            return read_witness(prefix, &body[prefix.len() + 1..]);
        }
    }
    // A cash address without its prefix has one length for hashes of 20 bytes, and one for those of 32.
    if matches!(lower.as_bytes(), [b'q' | b'p' | b'z' | b'r', ..]) && matches!(body.len(), 42 | 61) {
        for prefix in ["bitcoincash", "bchtest", "bchreg"] {
            if let Ok(decoded) = cashaddr::decode(prefix, body) {
                return Reading::Is(cash(prefix, &decoded));
            }
        }
        return read_cash("bitcoincash", body);
    }
    if base58::LENGTH.contains(&body.len()) && matches!(body.as_bytes(), [b'1' | b'3' | b'm' | b'n' | b'2', ..]) {
        return read_base58(body);
    }
    Reading::Name
}

fn read_base58(body: &str) -> Reading {
    let decoded = match base58::decode(body) {
        Ok(decoded) => decoded,
        Err(base58::Wrong::Character(at)) => return Reading::Broken { at: Some(at) },
        // A number that is a little too long or too short is a text with a digit too many or too few, or a name.
        Err(base58::Wrong::Length) if body.len() < 33 => return Reading::Name,
        Err(base58::Wrong::Length | base58::Wrong::CheckSum) => return Reading::Broken { at: base58::typo(body) },
    };
    let (form, testnet) = match decoded.version {
        0x00 => (Form::Key, false),
        0x05 => (Form::Script, false),
        0x6F => (Form::Key, true),
        0xC4 => (Form::Script, true),
        _ => return Reading::Name,
    };
    let script = if form == Form::Key { to_key(&decoded.hash) } else { to_script(&decoded.hash) };
    Reading::Is(Address { form, testnet, chain: None, script })
}

fn read_witness(prefix: &str, data: &str) -> Reading {
    let before = prefix.len() + 1;
    match bech32::decode(prefix, data) {
        Ok(decoded) => {
            let form = match decoded.version {
                0 => Form::Segwit,
                1 => Form::Taproot,
                _ => Form::Witness,
            };
            let version = if decoded.version == 0 { 0 } else { 0x50 + decoded.version };
            let script = [&[version, decoded.program.len() as u8][..], &decoded.program].concat();
            Reading::Is(Address { form, testnet: prefix != "bc", chain: Some(Chain::Btc), script })
        }
        Err(bech32::Wrong::Character(at)) => Reading::Broken { at: Some(before + at) },
        Err(bech32::Wrong::CheckSum | bech32::Wrong::Length) => {
            Reading::Broken { at: bech32::typo(prefix, data).map(|at| before + at) }
        }
    }
}

fn read_cash(prefix: &str, data: &str) -> Reading {
    match cashaddr::decode(prefix, data) {
        Ok(decoded) => Reading::Is(cash(prefix, &decoded)),
        Err(cashaddr::Wrong::Character(at)) => Reading::Broken { at: Some(at) },
        Err(cashaddr::Wrong::CheckSum | cashaddr::Wrong::Form) => Reading::Broken { at: cashaddr::typo(prefix, data) },
    }
}

fn cash(prefix: &str, decoded: &cashaddr::Decoded) -> Address {
    let (form, script) = match decoded.of {
        cashaddr::Of::Key => (Form::CashKey, to_key(&decoded.hash)),
        cashaddr::Of::Script => (Form::CashScript, to_script(&decoded.hash)),
    };
    Address { form, testnet: prefix != "bitcoincash", chain: Some(Chain::Bch), script }
}

/// DUP HASH160 hash EQUALVERIFY CHECKSIG.
fn to_key(hash: &[u8]) -> Vec<u8> {
    [&[0x76, 0xA9, hash.len() as u8], hash, &[0x88, 0xAC]].concat()
}

/// HASH160 hash EQUAL; HASH256 for a hash of 32 bytes.
fn to_script(hash: &[u8]) -> Vec<u8> {
    let op = if hash.len() == 32 { 0xAA } else { 0xA9 };
    [&[op, hash.len() as u8], hash, &[0x87]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENESIS: &str = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
    const SEGWIT: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    const CASH: &str = "qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a";

    #[test]
    fn addresses_of_the_chains() {
        let (btc, bch) = (Some(Chain::Btc), Some(Chain::Bch));
        for (text, chain, want) in [
            (GENESIS, btc, Check::Valid(Form::Key)),
            (GENESIS, bch, Check::Valid(Form::Key)),
            ("3P14159f73E4gFr7JterCCQh9QjiTjiZrG", btc, Check::Valid(Form::Script)),
            (SEGWIT, btc, Check::Valid(Form::Segwit)),
            (SEGWIT, None, Check::Valid(Form::Segwit)),
            (SEGWIT, bch, Check::OtherChain(Chain::Btc)),
            ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", btc, Check::Valid(Form::Segwit)),
            ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", btc, Check::Valid(Form::Taproot)),
            ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", btc, Check::Testnet(Form::Segwit)),
            ("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", btc, Check::Testnet(Form::Key)),
            ("2MzQwSSnBHWHqSAqtTVQ6v47XtaisrJa1Vc", btc, Check::Testnet(Form::Script)),
            (CASH, bch, Check::Valid(Form::CashKey)),
            (CASH, btc, Check::OtherChain(Chain::Bch)),
            ("bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a", bch, Check::Valid(Form::CashKey)),
            ("BITCOINCASH:QPM2QSZNHKS23Z7629MMS6S4CWEF74VCWVY22GDX6A", bch, Check::Valid(Form::CashKey)),
            ("ppm2qsznhks23z7629mms6s4cwef74vcwvn0h829pq", bch, Check::Valid(Form::CashScript)),
        ] {
            assert_eq!(check(text, chain), want, "{text}");
            for suffix in [".rig1", "/rig1", ".rig1.x", "+1024", "_x", ",d=1"] {
                assert_eq!(check(&[text, suffix].concat(), chain), want, "{text}{suffix}");
            }
        }
    }

    #[test]
    fn a_wrong_character_is_found() {
        let cashed = ["bitcoincash:", CASH].concat();
        for text in [GENESIS, SEGWIT, CASH, &cashed] {
            for at in (text.find(':').map_or(3, |at| at + 2))..text.len() {
                let mut wrong = text.as_bytes().to_vec();
                wrong[at] = if wrong[at] == b'x' { b'y' } else { b'x' };
                let wrong = String::from_utf8(wrong).unwrap();
                assert_eq!(check(&wrong, None), Check::BadCheckSum { at: Some(at as u32) }, "{wrong}");
            }
            let swapped = [
                &text[..text.len() - 5],
                &text[text.len() - 4..text.len() - 3],
                &text[text.len() - 5..text.len() - 4],
                &text[text.len() - 3..],
            ]
            .concat();
            assert!(matches!(check(&swapped, None), Check::BadCheckSum { .. }), "{swapped}");
        }
        assert_eq!(check("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3tO", None), Check::BadCheckSum { at: Some(41) });
    }

    #[test]
    fn names_are_no_addresses() {
        for text in [
            "",
            "rig1",
            "satoshi.rig1",
            "POOL_A_WALLET",
            "user_1",
            "bc1qexample",
            "1",
            "3com",
            "q",
            "http://x",
            "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9",
            "DBXu2kgc3xtvCUWFcxFE3r9hEYgmuaaCyD",
            "m",
            "bc1",
            "é",
            "1é",
            "bitcoincash",
            "simpleledger:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a",
            "2minerspool",
        ] {
            assert_eq!(check(text, Some(Chain::Btc)), Check::NotAnAddress, "{text}");
        }
        assert!(matches!(check("bitcoincash:", Some(Chain::Bch)), Check::BadCheckSum { at: None }));
    }

    #[test]
    fn any_text_is_checked_without_a_panic() {
        for text in ["é:é", ":", "::::", "bc1é", "bitcoincash:é", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfN\u{e9}", "\0"] {
            for end in 0..=text.len() {
                if text.is_char_boundary(end) {
                    let _ = (check(&text[..end], Some(Chain::Bch)), parse(&text[end..]));
                }
            }
        }
    }

    #[test]
    fn scripts() {
        assert_eq!(parse(GENESIS).unwrap().script[..3], [0x76, 0xA9, 20]);
        assert_eq!(parse(SEGWIT).unwrap().script[..3], [0, 20, 0x75]);
        assert_eq!(parse(CASH).unwrap().script.len(), 25);
        // The same hash, written both ways: 1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu is the specification's example.
        assert_eq!(parse("1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu").unwrap().script, parse(CASH).unwrap().script);
    }
}
