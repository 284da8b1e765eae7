//! A whole run of a random world: faults, healing, liveness, the end; and how it is told.

use std::fmt;

use super::{Outcome, Proxy, World, WorldSpec};

/// From the last fault until everybody must be back at work.
const BACK_US: u64 = 300_000_000;

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Everything follows from it.
    pub seed: u64,
    /// Virtual length in minutes.
    pub minutes: u64,
    /// Miners asked for.
    pub miners: usize,
    /// What the world was, a line each.
    pub options: Vec<String>,
    /// Things that went wrong in it by plan.
    pub faults: usize,
    /// How it ended.
    pub outcome: Outcome,
    /// What must not be; empty if nothing was lost.
    pub violations: Vec<String>,
    /// Step and microsecond of the first of them, if it happened at a step.
    pub first: Option<(u64, u64)>,
}

impl Trial {
    /// Of each miner.
    pub const SHARES_PER_MINUTE: f64 = 12.0;

    /// A world with faults around the engine.
    pub fn run(seed: u64, minutes: u64, miners: usize) -> Trial {
        Trial::around(seed, minutes, miners, WorldSpec::engine)
    }

    /// The same world around any proxy.
    pub fn around<P: Proxy>(seed: u64, minutes: u64, miners: usize, proxy: impl FnOnce(&WorldSpec) -> P) -> Trial {
        let length = minutes * 60_000_000;
        let spec = WorldSpec::random(seed, miners, Trial::SHARES_PER_MINUTE, length, true);
        let (options, faults) = (spec.describe(), spec.fault_count());
        let back = spec.heal_us.unwrap_or(0) + BACK_US;
        let mut world = World::around(proxy(&spec), spec);
        let mut missing = Vec::new();
        if back < length {
            world.run_until(back);
            missing.extend(
                world.not_live().into_iter().map(|what| format!("liveness: five minutes after healing: {what}")),
            );
        }
        world.run_until(length);
        let outcome = world.outcome();
        let mut violations = outcome.violations.clone();
        violations.extend(missing);
        if back < length {
            violations.extend(world.not_live().into_iter().map(|what| format!("liveness: at the end: {what}")));
            violations.extend(world.drain());
        }
        Trial { seed, minutes, miners, options, faults, first: world.first(), outcome, violations }
    }

    /// The command that does it again.
    pub fn command(&self) -> String {
        format!("dpmp simulate --seed {} --hours {} --miners {}", self.seed, self.minutes as f64 / 60.0, self.miners)
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}  hours {}  miners {}", self.seed, self.minutes as f64 / 60.0, self.miners)?;
        self.options.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        writeln!(f, "faults {}", self.faults)?;
        let shown = Outcome { violations: Vec::new(), ..self.outcome.clone() };
        write!(f, "{shown}")
    }
}

impl WorldSpec {
    /// The world in a few lines.
    pub fn describe(&self) -> Vec<String> {
        let scheduler = &self.config.scheduler;
        let mut all = vec![
            format!("proof of work {:?}  network {:?}", self.pow, self.net),
            format!(
                "weights {:?}  min_switch {} s  slice {} s  repay {} s  failover {:?}",
                scheduler.weights,
                scheduler.min_switch.0 / 1_000_000,
                scheduler.slice.0 / 1_000_000,
                scheduler.repay.0 / 1_000_000,
                scheduler.failover.map(|pool| pool.index()),
            ),
        ];
        all.extend(self.pools.iter().map(|pool| {
            format!(
                "pool {}: {:?}, extranonces {} and {}, difficulty {}{}, {:?}, a job every {:.1} s",
                pool.name,
                pool.flavour,
                pool.extranonce1_bytes,
                pool.extranonce2_bytes,
                pool.difficulty,
                if pool.vardiff.is_some() { " at first" } else { "" },
                pool.version_rolling,
                pool.job_interval_us as f64 / 1e6,
            )
        }));
        if let Some(heal) = self.heal_us {
            all.push(format!("heals at {} s", heal / 1_000_000));
        }
        all
    }

    /// Everything that is planned to go wrong, in order, for people.
    pub fn fault_lines(&self) -> Vec<String> {
        let scripts = self.pools.iter().enumerate().flat_map(|(pool, spec)| {
            let faults = spec.script.iter().filter(|(_, what)| !what.is_question());
            faults.map(move |(at, what)| (*at, format!("pool {pool}: {what:?}")))
        });
        let own = self.faults.iter().map(|(at, what)| (*at, format!("{what:?}")));
        let mut all: Vec<(u64, String)> = scripts.chain(own).collect();
        all.sort();
        all.into_iter().map(|(at, what)| format!("{:.3} s  {what}", at as f64 / 1e6)).collect()
    }

    /// How much that is.
    pub fn fault_count(&self) -> usize {
        let scripts = self.pools.iter().flat_map(|pool| &pool.script);
        self.faults.len() + scripts.filter(|(_, what)| !what.is_question()).count()
    }
}
