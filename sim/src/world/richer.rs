//! What else may happen in a random world: pools that change what they grant and whom they like, an operator who changes
//! the config, stops and starts; pools that give the same work again, miners that repeat themselves. All of it is drawn
//! from a stream of its own, beside what `random` draws.

use std::collections::BTreeMap;

use dpmp_core::config::{Mode, OracleSource};
use dpmp_core::time::Span;
use dpmp_core::{Command, Config, Difficulty, PoolId};

use super::random::{Pauses, draw_times, written};
use super::spec::{Fault, WorldSpec, host, other_host};
use crate::miner::MinerSpec;
use crate::pool::Script;
use crate::rng::Rng;

const SECOND: u64 = 1_000_000;
/// Kinds of what happens.
const KINDS: usize = 9;
/// BIP 320, and parts of it.
const MASKS: [u32; 4] = [0x1fff_e000, 0x00ff_e000, 0x1fff_0000, 0x0000_e000];

impl WorldSpec {
    /// Draws habits of the peers, and a random subset of the kinds of happenings, all over by `until_us`.
    pub(super) fn draw_more(&mut self, until_us: u64) {
        let mut rng = Rng::new(self.seed, "richer");
        if rng.chance(0.25) {
            return;
        }
        for pool in &mut self.pools {
            pool.same_again = rng.chance(0.4);
        }
        for miner in &mut self.miners {
            miner.repeats_every = if rng.chance(0.15) { rng.between(2, 30) } else { 0 };
        }
        if rng.chance(0.3) {
            self.draw_oracle(&mut rng);
        }
        let pauses = Pauses { mean: 150e6, least: 30e6, most: 900e6, first: 30 * SECOND };
        let mut config = self.config.clone();
        draw_times(&mut rng, KINDS, &pauses, until_us, |rng, kind, at, healed| {
            self.draw_happening(rng, kind, at, healed, &mut config);
        });
        self.faults.sort_by_key(|(at, _)| *at);
    }

    /// Now and then whole miners are placed, or some are held on one pool. A stream of its own: most seeds stay what they
    /// were.
    pub(super) fn draw_modes(&mut self) {
        let mut rng = Rng::new(self.seed, "modes");
        if rng.chance(0.8) {
            return;
        }
        if rng.chance(0.7) {
            self.config.scheduler.mode = Mode::Fleet;
        }
        if rng.chance(0.6) {
            self.config.scheduler.pins = self.draw_pins(&mut rng);
        }
    }

    fn draw_pins(&self, rng: &mut Rng) -> BTreeMap<String, PoolId> {
        let pools = self.pools.len() as u64;
        let held: Vec<&MinerSpec> = self.miners.iter().filter(|_| rng.chance(0.2)).collect();
        held.into_iter().map(|miner| (miner.name.clone(), PoolId(rng.below(pools) as u8))).collect()
    }

    /// The pools are of two chains, and the weights may follow them.
    fn draw_oracle(&mut self, rng: &mut Rng) {
        for (pool, chain) in self.config.pools.iter_mut().zip(["BTC", "BCH", ""]) {
            pool.chain = chain.into();
        }
        let oracle = &mut self.config.oracle;
        oracle.auto_balance = rng.chance(0.5);
        oracle.max_deviation = rng.between(5, 45) as u8;
        if rng.chance(0.4) {
            oracle.url = "https://oracle.sim/".into();
            oracle.poll = Span::secs(600);
            oracle.source = if rng.chance(0.5) { OracleSource::Url } else { OracleSource::Own };
        }
    }

    fn draw_happening(&mut self, rng: &mut Rng, kind: usize, at: u64, healed: u64, config: &mut Config) {
        let pool = rng.below(self.pools.len() as u64) as usize;
        // Some firmwares bear no fewer bytes of extranonce2 than four, whatever is done for them.
        let bear = |n: usize| {
            let sizes = |miner: &MinerSpec| miner.personality.extranonce2_sizes.clone();
            self.miners.iter().map(sizes).all(|sizes| sizes.is_empty() || sizes.iter().any(|size| *size <= n))
        };
        let least = if bear(3) { 3 } else { 4 };
        let mut script = |at, what| self.pools[pool].script.push((at, what));
        match kind {
            0 => {
                // None at all is no draw of its own, so that most seeds stay what they were.
                let mask = MASKS[rng.below(MASKS.len() as u64) as usize] * u32::from(!at.is_multiple_of(5));
                script(at, Script::SetVersionMask(mask));
                if rng.chance(0.5) {
                    script(healed, Script::SetVersionMask(MASKS[0]));
                }
            }
            1 => {
                let (extranonce1_bytes, extranonce2_bytes) =
                    (rng.between(1, 8) as usize, rng.between(least, 8) as usize);
                script(at, Script::ChangeSizes { extranonce1_bytes, extranonce2_bytes });
                if rng.chance(0.7) {
                    self.faults.push((at, Fault::CutPool(pool)));
                }
            }
            2 => {
                let extranonce2_bytes = rng.between(least, 8) as usize;
                script(at, Script::SetExtranonce { extranonce2_bytes, subscribers_only: rng.chance(0.2) });
            }
            3 => {
                script(at, Script::RefuseWorker(Some("Worker not registered".into())));
                script(healed, Script::RefuseWorker(None));
                // It is asked when a connection is made.
                self.faults.push((at + 1, Fault::CutPool(pool)));
            }
            4 => {
                script(at, Script::RefuseShares { permille: rng.between(20, 1_000) });
                script(healed, Script::RefuseShares { permille: 0 });
            }
            5 => {
                self.draw_config(rng, config);
                let command = Command::SetConfig(Box::new(config.clone()));
                self.faults.push((at, Fault::Command(command)));
            }
            6 => self.faults.push((at, Fault::Command(Command::SetAutoBalance(rng.chance(0.5))))),
            7 => self.faults.extend((0..rng.between(1, 20)).map(|n| (at + n * 777_777, Fault::Restore))),
            _ => self.faults.push((at, Fault::Restart)),
        }
    }

    /// The operator edits the file.
    fn draw_config(&self, rng: &mut Rng, config: &mut Config) {
        let n = config.pools.len() as u64;
        let slot = rng.below(n) as usize;
        if rng.chance(0.4) {
            config.scheduler.weights = self.draw_weights(rng);
        }
        if rng.chance(0.3) {
            let other = rng.below(n) as usize;
            let (key, other_key) = (config.pools[slot].key.clone(), config.pools[other].key.clone());
            config.pools.swap(slot, other);
            config.pools[slot].key = key;
            config.pools[other].key = other_key;
        }
        if rng.chance(0.3) {
            let address = &mut config.pools[slot].address;
            if let Some(pool) = self.pool_called(&address.host) {
                address.host = if address.host == host(pool) { other_host(pool) } else { host(pool) };
            }
        }
        if rng.chance(0.3) {
            config.pools[slot].silence = Span::secs(rng.between(60, 180));
        }
        if rng.chance(0.2) {
            config.scheduler.failover = rng.chance(0.5).then(|| PoolId(rng.below(n) as u8));
        }
        let modes = &self.config.scheduler;
        if modes.mode == Mode::Fleet || !modes.pins.is_empty() {
            if rng.chance(0.3) {
                config.scheduler.mode = if rng.chance(0.5) { Mode::Fleet } else { Mode::Ratio };
            }
            if rng.chance(0.3) {
                config.scheduler.pins = self.draw_pins(rng);
            }
        }
        if rng.chance(0.4) {
            let pool = self.pool_called(&config.pools[slot].address.host);
            let asks: f64 = pool.and_then(|pool| self.pools[pool].difficulty.parse().ok()).unwrap_or(1.0);
            let fixed = pool.is_some_and(|pool| self.pools[pool].vardiff.is_none());
            // Not beyond what its miners bear: a pool that suits each of them has no one difficulty.
            let mut limit = |factors: [f64; 3]| {
                let factor = factors[rng.below(3) as usize];
                Difficulty::parse(&written(asks * factor)).filter(|_| fixed && rng.chance(0.6))
            };
            let (least, most) = (limit([0.5, 1.5, 2.0]), limit([0.3, 0.6, 2.5]));
            let slot = &mut config.pools[slot];
            slot.max_difficulty = most;
            slot.min_difficulty = least.filter(|least| most.is_none_or(|most| *least < most));
        }
    }
}
