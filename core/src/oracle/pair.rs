//! The two chains between which work is divided, and the pools of each.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::balance::{Sides, percent};
use crate::config::Config;

/// The two chains and their pools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pair {
    pub(super) chains: [Arc<str>; 2],
    pub(super) sides: Sides,
}

/// Why the first chain's share goes from here to there, or stays.
pub(super) fn words(pair: &Pair, ratios: [u64; 2], wanted: u32, [from, to]: [u8; 2], limited: bool) -> String {
    let [one, other] = &pair.chains;
    let [r1, r2] = ratios.map(|r| r as f64 / 1e6);
    let wanted = percent(wanted);
    let goes = if from == to { format!("stays at {to} %") } else { format!("goes from {from} to {to} %") };
    let more = if limited { "; more in the next hour" } else { "" };
    format!("short over long hash rate: {one} {r1:.2}, {other} {r2:.2}; {one} wants {wanted} %, {goes}{more}")
}

impl Pair {
    /// The places of BTC and of BCH, if these are the two.
    pub(super) fn btc_and_bch(&self) -> Option<[usize; 2]> {
        let place = |name: &str| self.chains.iter().position(|chain| &**chain == name);
        Some([place("BTC")?, place("BCH")?])
    }
}

/// The two chains that the pools with weight mine, or why there are not two.
pub(super) fn pair_of(config: &Config, chain_of: &[Option<Arc<str>>]) -> Result<Pair, Arc<str>> {
    let base = &config.oracle.base_weights;
    let configured = if base.len() == config.pools.len() { base } else { &config.scheduler.weights }.clone();
    let mut chains: Vec<Arc<str>> = Vec::new();
    for (pool, chain) in config.pool_ids().zip(chain_of) {
        if configured.get(pool.index()).is_none_or(|weight| *weight == 0) {
            continue;
        }
        let Some(chain) = chain else {
            return Err(format!("pool {pool} has no chain of SHA-256d: set pools.{pool}.chain").into());
        };
        if !chains.contains(chain) {
            chains.push(chain.clone());
        }
    }
    let [first, second] = chains.as_slice() else {
        let words: Vec<&str> = chains.iter().map(|c| &**c).collect();
        let mine = match words.as_slice() {
            [] => "no pool has weight".into(),
            [one] => format!("the pools with weight all mine {one}"),
            more => format!("the pools with weight mine {} chains ({})", more.len(), more.join(", ")),
        };
        return Err(format!("{mine}: two different chains are needed").into());
    };
    let of = config
        .pool_ids()
        .zip(chain_of)
        .map(|(pool, chain)| {
            let weight = configured.get(pool.index()).copied().unwrap_or(0);
            chain.as_ref().filter(|_| weight > 0).map(|chain| chain == second)
        })
        .collect();
    Ok(Pair { chains: [first.clone(), second.clone()], sides: Sides { of, configured } })
}
