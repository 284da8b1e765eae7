//! The table of pseudonyms. Words are what is replaced: the longest runs of letters and digits, whatever case they are in.
//! So `wallet.worker` is replaced alike wherever its parts stand, alone or joined, and the text between them stays.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString as _};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sha2::{Digest as _, Sha256};

/// Words of Stratum and of pools' answers: they are not replaced in text for people, though somebody may be called so.
const COMMON: [&str; 70] = [
    "above",
    "accepted",
    "authorize",
    "authorized",
    "banned",
    "block",
    "client",
    "clean",
    "closed",
    "code",
    "configure",
    "connection",
    "data",
    "diff",
    "difficulty",
    "dup",
    "duplicate",
    "error",
    "extranonce",
    "extranonce1",
    "extranonce2",
    "false",
    "found",
    "get",
    "hash",
    "height",
    "high",
    "invalid",
    "job",
    "jobid",
    "low",
    "mask",
    "message",
    "method",
    "miner",
    "mining",
    "mismatch",
    "nonce",
    "not",
    "notify",
    "ntime",
    "null",
    "out",
    "params",
    "password",
    "ping",
    "pong",
    "pool",
    "proxy",
    "reconnect",
    "rejected",
    "result",
    "rolling",
    "set",
    "share",
    "show",
    "stale",
    "submit",
    "subscribe",
    "subscribed",
    "target",
    "timeout",
    "true",
    "unauthorized",
    "unauthorised",
    "unknown",
    "user",
    "version",
    "work",
    "worker",
];

/// Shorter words are not looked for in text for people: they occur by chance.
const SHORTEST_IN_TEXT: usize = 3;

/// What stands in for what.
pub struct Names {
    key: [u8; 32],
    /// By the word in lower case.
    words: BTreeMap<String, String>,
    used: BTreeSet<String>,
    addresses: BTreeMap<IpAddr, IpAddr>,
    used_addresses: BTreeSet<IpAddr>,
    /// All words of names, in lower case: those that are replaced in text for people.
    secret: BTreeSet<String>,
}

fn in_word(c: char) -> bool {
    // The engine strips control characters from names: they stay what they are.
    if c.is_ascii() { c.is_ascii_alphanumeric() } else { !c.is_control() && !c.is_whitespace() }
}

/// The words of a text.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !in_word(c)).filter(|word| !word.is_empty())
}

/// Somebody may be called so, but it is not worth looking for.
pub(super) fn is_common(word: &str) -> bool {
    COMMON.iter().any(|common| common.eq_ignore_ascii_case(word))
}

/// Chance from the key and a label, a byte at a time.
struct Draw {
    state: [u8; 32],
    at: usize,
}

impl Draw {
    fn new(key: &[u8; 32], parts: &[&[u8]]) -> Draw {
        let mut hash = Sha256::new();
        hash.update(key);
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Draw { state: hash.finalize().into(), at: 0 }
    }

    fn byte(&mut self) -> u8 {
        if self.at == self.state.len() {
            self.state = Sha256::digest(self.state).into();
            self.at = 0;
        }
        let byte = self.state[self.at];
        self.at += 1;
        byte
    }

    fn below(&mut self, n: u8) -> u8 {
        // A slight preference for low values does no harm here.
        self.byte() % n
    }
}

impl Names {
    /// An empty table. Who knows the key can tell whether a name that he guesses was replaced.
    pub fn new(key: [u8; 32]) -> Names {
        Names {
            key,
            words: BTreeMap::new(),
            used: BTreeSet::new(),
            addresses: BTreeMap::new(),
            used_addresses: BTreeSet::new(),
            secret: BTreeSet::new(),
        }
    }

    /// Tells a name: its words are replaced in text for people as well.
    pub fn learn(&mut self, name: &str) {
        for word in words(name) {
            if !self.secret.contains(word) {
                self.secret.insert(word.to_ascii_lowercase());
            }
        }
    }

    /// The text with every word replaced.
    pub fn name(&mut self, text: &str) -> String {
        self.replace(text, |_, _| true)
    }

    /// The text with every word replaced that is part of a name.
    pub fn text(&mut self, text: &str, shortest: usize) -> String {
        self.replace(text, |names, word| {
            word.len() >= shortest.max(SHORTEST_IN_TEXT)
                && !is_common(word)
                && names.secret.contains(&word.to_ascii_lowercase())
        })
    }

    /// The text with every word replaced that is part of a name, or may be part of an address.
    pub(super) fn reason(&mut self, text: &str) -> String {
        self.replace(text, |names, word| {
            word.bytes().any(|b| b.is_ascii_digit()) || names.secret.contains(&word.to_ascii_lowercase())
        })
    }

    fn replace(&mut self, text: &str, which: impl Fn(&Names, &str) -> bool) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            if word.is_empty() || !which(self, word) {
                out.push_str(word);
            } else {
                self.word(word, &mut out);
            }
            let next = after.find(in_word).unwrap_or(after.len());
            out.push_str(&after[..next]);
            rest = &after[next..];
        }
        out
    }

    /// Appends a word's pseudonym, in the word's own case.
    fn word(&mut self, word: &str, out: &mut String) {
        let lower = word.to_ascii_lowercase();
        if !self.words.contains_key(&lower) {
            let made = self.make(&lower);
            self.used.insert(made.clone());
            self.words.insert(lower.clone(), made);
        }
        let made = self.words.get(&lower).map_or("", String::as_str);
        for (new, old) in made.chars().zip(word.chars()) {
            out.push(if old.is_ascii_uppercase() { new.to_ascii_uppercase() } else { new });
        }
    }

    /// A new pseudonym: letters for letters, digits for digits, and what is not ASCII by something as long.
    fn make(&self, word: &str) -> String {
        let mut made = String::new();
        for attempt in 0..1_000u32 {
            let mut draw = Draw::new(&self.key, &[b"word", word.as_bytes(), &attempt.to_le_bytes()]);
            // Where there are too few of a kind, as for one letter, digits become letters.
            let any = attempt >= 100;
            made = word.chars().map(|c| stand_in(c, any, &mut draw)).collect();
            if made != word && !self.used.contains(&made) && !self.secret.contains(&made) {
                return made;
            }
        }
        for attempt in 1_000..10_000u32 {
            let mut draw = Draw::new(&self.key, &[b"word", word.as_bytes(), &attempt.to_le_bytes()]);
            made = word.chars().map(|c| stand_in(c, true, &mut draw)).collect();
            if !self.used.contains(&made) {
                break;
            }
        }
        made
    }

    pub(super) fn address(&mut self, address: IpAddr) -> IpAddr {
        if let Some(known) = self.addresses.get(&address) {
            return *known;
        }
        let made = self.make_address(address);
        self.addresses.insert(address, made);
        self.used_addresses.insert(made);
        made
    }

    fn make_address(&mut self, address: IpAddr) -> IpAddr {
        if let IpAddr::V6(six) = address
            && let Some(four) = six.to_ipv4_mapped()
            && let IpAddr::V4(made) = self.address(IpAddr::V4(four))
        {
            return IpAddr::V6(made.to_ipv6_mapped());
        }
        let mut made = address;
        for attempt in 0..1_000u32 {
            let mut draw = Draw::new(&self.key, &[b"address", address.to_string().as_bytes(), &attempt.to_le_bytes()]);
            made = match address {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(10, draw.byte(), draw.byte(), draw.byte())),
                IpAddr::V6(_) => {
                    let mut bytes = [0xFD; 16];
                    bytes[1..].iter_mut().for_each(|byte| *byte = draw.byte());
                    IpAddr::V6(Ipv6Addr::from(bytes))
                }
            };
            if made != address && !self.used_addresses.contains(&made) {
                break;
            }
        }
        made
    }

    /// Both halves of a coinbase: what is before the script and the block's height is the same for everybody and stays;
    /// the rest is replaced.
    pub(super) fn coinbase_half(&self, half: &mut [u8], first: bool) {
        let keep = if first { public_part(half) } else { 0 };
        let mut draw = Draw::new(&self.key, &[b"coinbase", half]);
        half.iter_mut().skip(keep).for_each(|byte| *byte = draw.byte());
    }
}

fn stand_in(c: char, any: bool, draw: &mut Draw) -> char {
    const DIGITS: &[u8] = b"0123456789";
    const ALL: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let from = match c {
        _ if c.is_ascii() && any => ALL,
        // A number stays one: no zero at its begin.
        '1'..='9' => &DIGITS[1..],
        '0' => DIGITS,
        _ if c.is_ascii() => &ALL[..26],
        _ => {
            let first = match c.len_utf8() {
                2 => 0x00E0,
                3 => 0x4E00,
                _ => 0x1_F600,
            };
            return char::from_u32(first + u32::from(draw.below(24))).unwrap_or(c);
        }
    };
    char::from(from[usize::from(draw.below(from.len() as u8))])
}

/// Bytes of a coinbase's begin that are the same for everybody: version, the one input, the script's length and the
/// block's height.
fn public_part(first: &[u8]) -> usize {
    const INPUT: usize = 4 + 1 + 32 + 4;
    let ordinary = first.len() > INPUT + 2 && first[4] == 1 && first[5..37].iter().all(|b| *b == 0);
    let height = first.get(INPUT + 1).copied().unwrap_or(0);
    if ordinary && (1..=5).contains(&height) { (INPUT + 2 + usize::from(height)).min(first.len()) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_everywhere_and_as_long() {
        let mut names = Names::new([7; 32]);
        names.learn("bc1qAbC.rig1");
        let joined = names.name("bc1qAbC.rig1");
        assert_eq!(joined.len(), 12);
        assert_eq!(joined, [names.name("bc1qAbC"), names.name("rig1")].join("."));
        assert_eq!(names.name("RIG1"), names.name("rig1").to_ascii_uppercase());
        assert!(!joined.contains("bc1q") && !joined.contains("rig1"));
        assert_eq!(names.text("no rig1 here", 0), ["no ", &names.name("rig1"), " here"].concat());
        let odd = "é🚀漢 x";
        let made = names.name(odd);
        assert_eq!((made.len(), made.chars().count()), (odd.len(), odd.chars().count()));
        assert!(!Names::new([8; 32]).name("bc1qAbC").eq(&names.name("bc1qAbC")), "another key");
    }

    #[test]
    fn different_things_stay_different() {
        let mut names = Names::new([1; 32]);
        let mut seen = BTreeSet::new();
        for i in 0..26u8 {
            assert!(seen.insert(names.name(&char::from(b'a' + i).to_string())), "letter {i}");
        }
        for i in 0..2_000 {
            assert!(seen.insert(names.name(&alloc::format!("w{i}"))), "w{i}");
            let address = names.address(IpAddr::V4(Ipv4Addr::from(i)));
            assert!(seen.insert(address.to_string()));
        }
    }

    #[test]
    fn a_coinbase_keeps_what_all_know() {
        let names = Names::new([1; 32]);
        let mut first = [[1, 0, 0, 0, 1].as_slice(), &[0; 32], &[0xFF; 4], &[0x20, 3, 9, 8, 7], b"/a wallet/"].concat();
        let before = first.clone();
        names.coinbase_half(&mut first, true);
        assert_eq!(first[..46], before[..46]);
        assert_ne!(first[46..], before[46..]);
    }
}
