//! What the operator does: another config (also with the pools in another order), a stop, a restart, a checkpoint.

use dpmp_core::config::PoolConfig;
use dpmp_core::{Command, Config, Conn, Event};

use super::net::Peer;
use super::{Item, Proxy, World};

/// Stopping takes no longer than this.
const DRAINED_US: u64 = 3_000_000;

impl<P: Proxy> World<P> {
    pub(super) fn command(&mut self, command: Command) {
        match &command {
            Command::SetConfig(config) => self.configured(config),
            Command::Drain => self.draining = true,
            _ => {}
        }
        self.step(Event::Command(command));
    }

    /// A config is about to hold: which pool each of its slots is, and what it asks of the model.
    fn configured(&mut self, config: &Config) {
        let addresses = |config: &Config| config.pools.iter().map(|slot| slot.address.clone()).collect::<Vec<_>>();
        if addresses(config) != addresses(&self.spec.config) {
            self.acceptance_is_forgotten();
        }
        self.spec.config = config.clone();
        let slots: Vec<usize> = config.pools.iter().filter_map(|slot| self.pool_of(&slot.address.host)).collect();
        if slots.len() == self.pools.len() {
            self.model.configured(config, slots);
            self.follow_weights();
        }
    }

    /// Slots that are other pools now, or a new process: the proxy learns anew what part each of them accepts.
    fn acceptance_is_forgotten(&mut self) {
        for seat in &mut self.pools {
            seat.accepts.forget(seat.pool.shares(), self.now_us);
        }
    }

    /// Which pool has this name, or had it.
    pub(super) fn pool_of(&self, host: &str) -> Option<usize> {
        self.spec.pool_called(host)
    }

    /// The slot that a pool has in the config in force.
    pub(super) fn slot_of(&self, pool: usize) -> Option<&PoolConfig> {
        self.spec.config.pools.iter().find(|slot| self.pool_of(&slot.address.host) == Some(pool))
    }

    /// The proxy's process is killed, and another one takes its place with what was saved.
    pub(super) fn restart(&mut self) {
        self.heap.retain(|_, item| {
            !matches!(item, Item::Connected(..) | Item::ConnectFailed(..) | Item::Deliver(..) | Item::Queue(..))
        });
        let mut start = self.spec.start();
        // Live weights are kept by the driver.
        start.config.scheduler.weights = self.model.weights_by_slot();
        self.proxy.restart(start);
        self.known.retain(|conn| matches!(conn, Conn::Miner(_)));
        let lines = std::mem::take(&mut self.lines);
        for (conn, line) in lines {
            self.model.gone(conn);
            self.peer_learns_end(conn, line.peer, false);
        }
        self.model.restarted();
        self.acceptance_is_forgotten();
        self.tell_time();
    }

    /// The wall clock.
    pub(super) fn tell_time(&mut self) {
        let start = self.spec.pools.first().map_or(0, |pool| u64::from(pool.start_unix));
        self.step(Event::WallClock { unix_micros: start * 1_000_000 + self.now_us });
    }

    /// Stops the proxy; gives what was not in order about it, beyond what was wrong before.
    pub fn drain(&mut self) -> Vec<String> {
        let before = self.complaints.first.len();
        self.command(Command::Drain);
        self.run_until(self.now_us + DRAINED_US);
        let mut missing: Vec<String> =
            self.complaints.first[before..].iter().map(|what| format!("world: {what}")).collect();
        if !self.drained {
            missing.push("drain: the proxy does not say that it is done".to_owned());
        }
        let open = self.lines.values().filter(|line| !line.engine_closed() && !line.half_closed);
        let (miners, pools): (Vec<_>, Vec<_>) = open.partition(|line| matches!(line.peer, Peer::Miner(_)));
        if !miners.is_empty() || !pools.is_empty() {
            let (miners, pools) = (miners.len(), pools.len());
            missing.push(format!("drain: connections of {miners} miners and {pools} to pools stand"));
        }
        missing
    }

    /// The server that the automatic balance asks has its days.
    pub(super) fn oracle_asked(&mut self) {
        let at = self.now_us + self.rng.between(20_000, 5_000_000);
        let answer = self.rng.below(3) as u8;
        self.at(at, Item::OracleAnswer(answer));
    }

    pub(super) fn oracle_answers(&mut self, answer: u8) {
        let answer: Result<&[u8], &str> = match answer {
            0 => Err("timed out"),
            1 => Ok(b"<html>502 Bad Gateway</html>"),
            _ => Ok(b"{}"),
        };
        self.step(Event::OracleAnswer(answer));
    }

    /// The engine has closed a miner's connection because it stops: all that it asked must have been answered.
    pub(super) fn check_drained(&mut self, conn: Conn) {
        let Conn::Miner(id) = conn else { return };
        if let Some((miner, open)) = self.draining.then(|| self.model.owes(id)).flatten() {
            let now = self.now_us;
            self.complaints.push(now, || format!("I2: miner {miner} is closed with {open} submits unanswered"));
        }
    }
}
