//! What a job tells of its chain, and what an address is: block height, payout, address codecs. Pure functions over bytes
//! and text; nothing here is ever enforced, it is shown.
//!
//! `coinbase` reads a coinbase, `address` reads what an operator wrote as a wallet with the codecs `base58`, `bech32` and
//! `cashaddr`, `payout` puts both together.

pub mod address;
mod base58;
mod bech32;
mod cashaddr;
pub mod coinbase;
pub mod payout;

use serde::{Deserialize, Serialize};

/// A chain whose addresses are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Chain {
    /// Bitcoin.
    Btc,
    /// Bitcoin Cash.
    Bch,
}

impl Chain {
    /// The chain that a config means by `BTC`, `BCH`; none for all others.
    pub fn of(name: &str) -> Option<Chain> {
        match name {
            "BTC" | "XBT" | "BITCOIN" => Some(Chain::Btc),
            "BCH" | "BCC" | "BITCOINCASH" | "BITCOIN CASH" => Some(Chain::Bch),
            _ => None,
        }
    }

    /// Its common short name.
    pub const fn name(self) -> &'static str {
        match self {
            Chain::Btc => "BTC",
            Chain::Bch => "BCH",
        }
    }
}
