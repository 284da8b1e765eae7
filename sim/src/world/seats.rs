//! The peers' side of the world: what pools and miners do, and the check of every share.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use dpmp_core::{Conn, Event, MinerId, UpstreamId};

use super::net::{Line, Peer, Way};
use super::{Item, PoolSeat, Proxy, World};
use crate::miner::{MinerOut, SimMiner};
use crate::pool::{PoolOut, ShareRecord, SimPool};

/// Between two shares of a miner.
const SHORTEST_WAIT_US: f64 = 400_000.0;

impl<P: Proxy> World<P> {
    pub(super) fn plan_pool(&mut self, pool: usize) {
        let seat = &mut self.pools[pool];
        let at = seat.pool.next_deadline().max(self.now_us + 1);
        if at < seat.tick_us {
            seat.tick_us = at;
            self.at(at, Item::PoolTick(pool));
        }
    }

    pub(super) fn with_pool(&mut self, pool: usize, act: impl FnOnce(&mut SimPool, u64, &mut Vec<PoolOut>)) {
        let mut out = Vec::new();
        act(&mut self.pools[pool].pool, self.now_us, &mut out);
        for out in out {
            match out {
                PoolOut::Send { conn, bytes } => {
                    let conn = Conn::Upstream(UpstreamId(conn));
                    if let Some(line) = self.lines.get_mut(&conn) {
                        line.send(Way::In, bytes, self.now_us, &self.spec.net, &mut self.rng);
                        self.plan_delivery(conn, Way::In);
                    }
                }
                PoolOut::Close { conn } => {
                    self.close(Conn::Upstream(UpstreamId(conn)), Way::In);
                }
            }
        }
        for share in self.pools[pool].pool.take_shares() {
            self.check_share(pool, &share);
        }
        self.note_first(!self.pools[pool].pool.complaints().is_empty());
        self.plan_pool(pool);
    }

    /// The header that the pool rebuilt is one that a miner hashed, and that miner's worker is credited.
    pub(super) fn check_share(&mut self, pool: usize, share: &ShareRecord) {
        if share.hash == [0; 32] {
            return;
        }
        let now = self.now_us;
        match self.headers.rebuilt(&share.identity) {
            None => {
                let reason = share.reason.label();
                self.complaints.push(now, || format!("pool {pool} rebuilt a header that no miner hashed ({reason})"));
            }
            Some(miner) => {
                let worker = &self.miners[miner].miner.spec().name;
                let wallet = self.slot_of(pool).map_or("", |slot| &slot.wallet);
                let user = if wallet.is_empty() { worker.clone() } else { format!("{wallet}.{worker}") };
                if share.user != user {
                    self.complaints.push(now, || format!("pool {pool}: {user}'s share is credited to {}", share.user));
                }
            }
        }
    }

    pub(super) fn miner_connects(&mut self, index: usize) {
        if self.miners[index].conn.is_some() {
            return;
        }
        let id = MinerId(self.next_miner);
        self.next_miner += 1;
        let conn = Conn::Miner(id);
        self.known.insert(conn);
        let mut line = Line::new(Peer::Miner(index), &self.spec.net, &mut self.rng);
        line.connected = true;
        line.since_us = self.now_us;
        self.lines.insert(conn, line);
        self.model.accepted(id, index, self.now_us);
        self.miners[index].conn = Some(id);
        let address = Ipv4Addr::new(10, 0, (index >> 8) as u8, index as u8);
        let peer = SocketAddr::new(IpAddr::V4(address), 40_000 + (id.0 % 20_000) as u16);
        self.step(Event::MinerAccepted { miner: id, peer });
        self.with_miner(index, |miner, now, out| miner.connected(now, out));
    }

    pub(super) fn with_miner(&mut self, index: usize, act: impl FnOnce(&mut SimMiner, u64, &mut Vec<MinerOut>)) {
        let mut out = Vec::new();
        act(&mut self.miners[index].miner, self.now_us, &mut out);
        for found in self.miners[index].miner.take_found() {
            if !found.again {
                self.headers.submitted(found.identity, index);
            }
            if let Some(id) = self.miners[index].conn {
                self.model.share_leaves(id, found);
            }
        }
        for out in out {
            let Some(conn) = self.miners[index].conn.map(Conn::Miner) else { break };
            match out {
                MinerOut::Send(bytes) => {
                    if let Some(line) = self.lines.get_mut(&conn) {
                        line.send(Way::In, bytes, self.now_us, &self.spec.net, &mut self.rng);
                        self.plan_delivery(conn, Way::In);
                    }
                }
                MinerOut::Close => {
                    self.close(conn, Way::In);
                    self.miners[index].conn = None;
                    self.miner_left(index);
                }
            }
        }
        self.note_first(!self.miners[index].miner.violations().is_empty());
        self.miner_changed(index);
    }

    pub(super) fn miner_left(&mut self, index: usize) {
        if self.draining {
            return;
        }
        let at = self.now_us + self.miners[index].miner.reconnect_delay_us();
        let at = at.max(self.miners[index].away_until);
        self.at(at, Item::MinerConnects(index));
        self.miner_changed(index);
    }

    /// Draws the time of the next share when there is other work than before, and plans the miner's timers.
    pub(super) fn miner_changed(&mut self, index: usize) {
        let seat = &self.miners[index];
        let work = seat.miner.expected_hashes().zip(seat.miner.job());
        let work = work.map(|(hashes, job)| (job.id.to_owned(), hashes));
        if work != seat.work {
            self.accrue(index);
            let pool = self.owner_of_job(index);
            let seat = &mut self.miners[index];
            // A switch, or a pool's clean job: the pipeline starts anew.
            seat.idle_until_us = seat.idle_until_us.max(self.now_us + seat.miner.restarts_for_us());
            seat.works_for = pool;
            seat.work = work;
            seat.generation += 1;
            self.draw_share(index);
        }
        let seat = &mut self.miners[index];
        let at = seat.miner.next_deadline().max(self.now_us + 1);
        if at < seat.tick_us {
            seat.tick_us = at;
            self.at(at, Item::MinerTick(index));
        }
    }

    pub(super) fn draw_share(&mut self, index: usize) {
        let seat = &self.miners[index];
        let (rate, generation) = (seat.miner.spec().hash_rate, seat.generation);
        if let Some((_, hashes)) = &seat.work
            && rate > 0.0
        {
            // No link carries more than so many a second.
            let wait = (self.rng.exponential(hashes / rate) * 1e6).max(SHORTEST_WAIT_US);
            let from = self.now_us.max(seat.idle_until_us);
            self.at(from.saturating_add(wait as u64).saturating_add(1), Item::MinerShare(index, generation));
        }
    }

    pub(super) fn miner_share(&mut self, index: usize, generation: u64) {
        if self.miners[index].generation == generation {
            self.with_miner(index, |miner, now, out| {
                miner.solve(now, out);
            });
            if self.miners[index].generation == generation {
                self.draw_share(index);
            }
        }
    }

    /// Which pool made the job that the miner has: no two jobs begin alike.
    pub(super) fn owner_of_job(&self, index: usize) -> Option<usize> {
        let job = self.miners[index].miner.job()?;
        let owns = |seat: &PoolSeat| seat.pool.jobs().rev().any(|own| own.begins(job.coinb1));
        self.pools.iter().position(owns)
    }

    /// Adds the work since the last call to the pool it was done for.
    pub(super) fn accrue(&mut self, index: usize) {
        let now = self.now_us;
        let seat = &mut self.miners[index];
        let from = seat.since_us.max(seat.idle_until_us.min(now));
        let passed = now.saturating_sub(from) as f64 / 1e6;
        seat.since_us = now;
        if let Some(judge) = &self.judge
            && now > judge.from_us
        {
            let seconds = (now - from.max(judge.from_us)) as f64 / 1e6;
            seat.split.worked(&judge.rule, seat.works_for, seconds, &judge.acceptance);
        }
        if let Some(pool) = seat.works_for {
            seat.hashes[pool] += passed * seat.miner.spec().hash_rate;
        }
    }
}
