//! The embedded extranonce: which sizes a miner is told, and how its bytes fit into each pool's.

use serde::{Deserialize, Serialize};

/// What a firmware bears, read off the agent string of `mining.subscribe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Profile {
    /// cgminer, Avalon, Antminer, Whatsminer, BOS, and whoever is unknown.
    Asic,
    /// Avalon: as [`Profile::Asic`], but never fewer than 3 bytes of extranonce2.
    Avalon,
    /// Bitaxe from 2.6 on, NerdQAxe, SparkMiner, cpuminer: an empty extranonce1 is fine.
    Flexible,
    /// Bitaxe up to 2.5.1: extranonce2 of 4 or 8 bytes only.
    OldBitaxe,
    /// LeafMiner: extranonce2 of exactly 4 bytes.
    LeafMiner,
    /// NerdMiner: extranonce2 of 2, 4 or 8 bytes, never an empty extranonce1.
    NerdMiner,
}

impl Profile {
    /// The firmware can work with an extranonce2 of so many bytes, as a pool has it.
    pub(crate) const fn bears(self, bytes: u8) -> bool {
        match self {
            Profile::Asic => matches!(bytes, 1..=8),
            Profile::Avalon => matches!(bytes, 3..=8),
            Profile::Flexible => bytes >= 1,
            Profile::OldBitaxe => matches!(bytes, 4 | 8),
            Profile::LeafMiner => bytes == 4,
            Profile::NerdMiner => matches!(bytes, 2 | 4 | 8),
        }
    }
}

/// What is known of a firmware by its agent string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firmware {
    /// Which layouts it bears.
    pub profile: Profile,
    /// The agent string was recognised; an unknown one may get another profile if its shares fail.
    pub known: bool,
    /// Longest line that it takes, in bytes.
    pub longest_line: u32,
    /// Version bits that it rolls whatever mask it is told.
    pub rolls_always: u32,
    /// Longest coinbase that it is known to hash rightly, in bytes; 0: no limit known.
    pub longest_coinbase: u32,
}

/// Longest line for firmwares with 4,096-byte JSON buffers (ESP32).
const SHORT_LINE: u32 = 3_000;
/// The version bits that BIP 320 leaves to miners.
pub(crate) const BIP_320: u32 = 0x1FFF_E000;
/// Longest line for all others.
const LONG_LINE: u32 = 16_000;

impl Firmware {
    /// Reads the agent string of `mining.subscribe`. `strikes` is how often this unknown agent, from this address, has
    /// failed every share with the layout that it got.
    pub(crate) fn of(agent: &str, strikes: u8) -> Firmware {
        let agent = agent.to_ascii_lowercase();
        let has = |name: &str| agent.contains(name);
        let firmware = |profile, longest_line, longest_coinbase| Firmware {
            profile,
            known: true,
            longest_line,
            rolls_always: 0,
            longest_coinbase,
        };
        if has("nerdminer") {
            return firmware(Profile::NerdMiner, SHORT_LINE, 255);
        }
        if has("leafminer") {
            return firmware(Profile::LeafMiner, SHORT_LINE, 0);
        }
        if has("sparkminer") {
            return firmware(Profile::Flexible, SHORT_LINE, 0);
        }
        if has("nerdqaxe") || has("nerdoctaxe") {
            return Firmware { rolls_always: BIP_320, ..firmware(Profile::Flexible, LONG_LINE, 6_500) };
        }
        if has("nerdaxe") || has("cpuminer") || has("minerd") {
            return firmware(Profile::Flexible, LONG_LINE, 6_500);
        }
        if has("bitaxe") || has("esp-miner") {
            let old = version_of(&agent).is_none_or(|version| version <= (2, 5, 1));
            return firmware(if old { Profile::OldBitaxe } else { Profile::Flexible }, LONG_LINE, 6_500);
        }
        if has("avalon") || has("canaan") {
            return firmware(Profile::Avalon, LONG_LINE, 0);
        }
        if has("whatsminer") || has("btminer") {
            return firmware(Profile::Asic, LONG_LINE, 6_500);
        }
        if has("bosminer") || has("braiins") {
            return firmware(Profile::Asic, LONG_LINE, 2_250);
        }
        if has("antminer") || has("bmminer") {
            return firmware(Profile::Asic, LONG_LINE, 730);
        }
        if ["cgminer", "bfgminer", "luxminer", "vnish", "sgminer"].iter().any(|name| has(name)) {
            return firmware(Profile::Asic, LONG_LINE, 0);
        }
        let profile = if strikes == 0 { Profile::Asic } else { Profile::Flexible };
        Firmware { profile, known: false, longest_line: LONG_LINE, rolls_always: 0, longest_coinbase: 0 }
    }
}

/// The first `major.minor[.patch]` in a lower-case agent string.
fn version_of(agent: &str) -> Option<(u32, u32, u32)> {
    for word in agent.split(|c: char| !(c.is_ascii_digit() || c == '.')) {
        let mut parts = word.split('.').map(str::parse::<u32>);
        if let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) {
            return Some((major, minor, parts.next().and_then(Result::ok).unwrap_or(0)));
        }
    }
    None
}

/// Bytes of the extranonce that a miner is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sizes {
    /// Bytes of extranonce1.
    pub extranonce1: u8,
    /// Bytes of extranonce2.
    pub extranonce2: u8,
}

impl Sizes {
    /// Bytes of a pool's extranonce2 that this layout fills.
    pub const fn total(self) -> u8 {
        self.extranonce1 + self.extranonce2
    }
}

/// The size assumed for a pool that was never probed.
pub(crate) const ASSUMED_EXTRANONCE2: u8 = 4;

/// The smallest extranonce2 of a pool into which every profile but the oldest can be embedded.
pub(crate) const SMALLEST_EMBEDDED: u8 = 4;

/// The layout for a miner whose smallest pool has `smallest` bytes of extranonce2. None: no embedding is possible.
pub fn sizes(profile: Profile, smallest: u8) -> Option<Sizes> {
    let sizes = |extranonce1, extranonce2| Some(Sizes { extranonce1, extranonce2 });
    match (smallest, profile) {
        (5.., _) => sizes(1, 4),
        (4, Profile::Asic | Profile::Avalon) => sizes(1, 3),
        (4, Profile::Flexible | Profile::OldBitaxe | Profile::LeafMiner) => sizes(0, 4),
        (4, Profile::NerdMiner) => sizes(2, 2),
        (3, Profile::Asic | Profile::NerdMiner) => sizes(1, 2),
        (3, Profile::Avalon | Profile::Flexible) => sizes(0, 3),
        (3, Profile::OldBitaxe | Profile::LeafMiner) => None,
        (..=2, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_of_the_field() {
        for (agent, profile) in [
            ("cgminer/4.11.1", Profile::Asic),
            ("bfgminer/5.5.0-34-g866fd36f", Profile::Asic),
            ("Antminer S19/uart_trans.1.3", Profile::Asic),
            ("bmminer/2.0.0", Profile::Asic),
            ("bosminer-plus-tuner 0.9", Profile::Asic),
            ("whatsminer/v1.0", Profile::Asic),
            ("Avalon Q", Profile::Avalon),
            ("bitaxe/BM1366/v2.9.0", Profile::Flexible),
            ("bitaxe/BM1366/v2.6.0", Profile::Flexible),
            ("bitaxe/BM1366/v2.5.1", Profile::OldBitaxe),
            ("bitaxe/BM1397/v2.4", Profile::OldBitaxe),
            ("bitaxe/BM1397", Profile::OldBitaxe),
            ("NerdQAxe++/BM1370/v1.0.30", Profile::Flexible),
            ("NerdMinerV2/V1.8.0", Profile::NerdMiner),
            ("LeafMiner/0.0.1", Profile::LeafMiner),
            ("SparkMiner/1.0", Profile::Flexible),
            ("cpuminer/2.5.1", Profile::Flexible),
            ("cpuminer-opt-26.1-x64L", Profile::Flexible),
            ("", Profile::Asic),
            ("something/1.2", Profile::Asic),
        ] {
            assert_eq!(Firmware::of(agent, 0).profile, profile, "{agent}");
        }
        assert!(!Firmware::of("something/1.2", 0).known);
        assert_eq!(Firmware::of("something/1.2", 1).profile, Profile::Flexible);
        assert_eq!(Firmware::of("cgminer/4.11.1", 1).profile, Profile::Asic, "a known one never changes");
    }

    #[test]
    fn hard_limits_of_firmwares_hold_for_every_size() {
        use Profile::*;
        for smallest in 0..=16 {
            for profile in [Asic, Avalon, Flexible, OldBitaxe, LeafMiner, NerdMiner] {
                let Some(s) = sizes(profile, smallest) else { continue };
                assert!(s.total() <= smallest, "{profile:?} {smallest}: no room");
                assert!(profile.bears(s.extranonce2), "{profile:?} {smallest}");
                match profile {
                    NerdMiner => assert!(matches!(s.extranonce2, 2 | 4 | 8) && s.extranonce1 > 0),
                    LeafMiner => assert_eq!(s.extranonce2, 4),
                    OldBitaxe => assert!(matches!(s.extranonce2, 4 | 8)),
                    Avalon => assert!(s.extranonce2 >= 3),
                    Asic => assert!(s.extranonce2 <= 8 && s.extranonce1 > 0),
                    Flexible => assert!(s.extranonce2 >= 3),
                }
            }
        }
    }
}
