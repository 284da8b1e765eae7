//! The network's side of the world: deliveries, ends, and what befalls it.

use dpmp_core::{Conn, Event};

use super::net::{Arrival, Peer, Way};
use super::spec::Fault;
use super::{Item, Proxy, World};

impl<P: Proxy> World<P> {
    /// The sender of this way closes.
    pub(super) fn close(&mut self, conn: Conn, way: Way) {
        let Some(line) = self.lines.get_mut(&conn) else { return };
        line.close(way, self.now_us);
        if line.is_over() {
            self.lines.remove(&conn);
        } else {
            self.plan_delivery(conn, way);
        }
    }

    pub(super) fn plan_delivery(&mut self, conn: Conn, way: Way) {
        let Some(line) = self.lines.get_mut(&conn) else { return };
        let held = match (line.peer, way) {
            (Peer::Miner(miner), Way::Out) => self.miners[miner].clogged_until.max(self.miners[miner].held_until),
            (Peer::Miner(miner), Way::In) => self.miners[miner].held_until,
            (Peer::Pool(pool), _) => self.pools[pool].held_until,
        };
        if way == Way::In && line.paused {
            return;
        }
        let half = line.half(way);
        let Some(at) = half.next_us() else { return };
        let at = at.max(held).max(self.now_us);
        if half.planned.is_none_or(|planned| at < planned) {
            half.planned = Some(at);
            self.at(at, Item::Deliver(conn, way));
        }
    }

    pub(super) fn deliver(&mut self, conn: Conn, way: Way) {
        let now = self.now_us;
        let Some(line) = self.lines.get_mut(&conn) else { return };
        let (peer, paused) = (line.peer, line.paused);
        let half = line.half(way);
        if half.planned != Some(now) {
            return;
        }
        half.planned = None;
        let held = match (peer, way) {
            (Peer::Miner(miner), Way::Out) => self.miners[miner].clogged_until.max(self.miners[miner].held_until) > now,
            (Peer::Miner(miner), Way::In) => self.miners[miner].held_until > now,
            (Peer::Pool(pool), _) => self.pools[pool].held_until > now,
        };
        let slow = match (peer, way) {
            (Peer::Miner(miner), Way::Out) if self.miners[miner].slow_until > now => {
                Some(self.miners[miner].slow_bytes)
            }
            _ => None,
        };
        if held || paused && way == Way::In {
            return self.plan_delivery(conn, way);
        }
        let Some(line) = self.lines.get_mut(&conn) else { return };
        let arrival = line.half(way).deliver(now, &self.spec.net, slow, &mut self.rng);
        self.plan_delivery(conn, way);
        if way == Way::Out {
            self.tell_queue(conn);
        }
        match (arrival, way, peer) {
            (Arrival::Nothing, _, _) => {}
            (Arrival::Bytes(bytes), Way::In, _) => self.step(Event::Received { conn, bytes: &bytes }),
            (Arrival::Bytes(bytes), Way::Out, Peer::Miner(miner)) => {
                self.with_miner(miner, |miner, now, out| miner.receive(&bytes, now, out));
            }
            (Arrival::Bytes(bytes), Way::Out, Peer::Pool(pool)) => {
                if let Conn::Upstream(upstream) = conn {
                    self.with_pool(pool, |pool, now, out| pool.receive(upstream.0, &bytes, now, out));
                }
            }
            (Arrival::End, Way::In, _) => {
                match self.lines.get_mut(&conn).filter(|line| line.half_closed && !line.engine_closed()) {
                    // The driver closes the other direction as well.
                    Some(_) => self.close(conn, Way::Out),
                    None => drop(self.lines.remove(&conn)),
                }
                self.step(Event::Closed { conn, reason: "closed by the other end" });
            }
            (Arrival::End, Way::Out, peer) => {
                let half_closed = self.lines.remove(&conn).is_some_and(|line| line.half_closed);
                self.peer_learns_end(conn, peer, !half_closed);
            }
        }
    }

    pub(super) fn peer_learns_end(&mut self, conn: Conn, peer: Peer, engine_closed: bool) {
        match (peer, conn) {
            (Peer::Pool(pool), Conn::Upstream(upstream)) => self.pools[pool].pool.closed(upstream.0),
            (Peer::Miner(miner), Conn::Miner(id)) if self.miners[miner].conn == Some(id) => {
                let now = self.now_us;
                let excused = self.excused.remove(&id);
                let seat = &mut self.miners[miner];
                seat.conn = None;
                seat.split.spoilt = true;
                if engine_closed {
                    seat.miner.closed_for(now, excused)
                } else {
                    seat.miner.cut(now)
                }
                self.miner_left(miner);
            }
            _ => {}
        }
    }

    pub(super) fn befall(&mut self, fault: Fault) {
        let now = self.now_us;
        match fault {
            Fault::CutMiner(miner) => {
                if let Some(id) = self.miners.get(miner).and_then(|seat| seat.conn) {
                    self.cut(Conn::Miner(id));
                }
            }
            Fault::AwayMiner { miner, until_us } => {
                if let Some(seat) = self.miners.get_mut(miner) {
                    seat.away_until = until_us;
                    seat.miner.bad_network_until(until_us + 45_000_000);
                }
                self.befall(Fault::CutMiner(miner));
            }
            Fault::CutPool(pool) => {
                let lines = self.lines.iter().filter(|(_, line)| line.peer == Peer::Pool(pool));
                let conns: Vec<Conn> = lines.map(|(conn, _)| *conn).collect();
                conns.into_iter().for_each(|conn| self.cut(conn));
            }
            Fault::HoldPool { pool, until_us } => {
                if let Some(seat) = self.pools.get_mut(pool) {
                    seat.held_until = until_us.max(now);
                }
            }
            Fault::ClogMiner { miner, until_us } => {
                if let Some(seat) = self.miners.get_mut(miner) {
                    seat.clogged_until = until_us.max(now);
                    seat.miner.bad_network_until(until_us + 45_000_000);
                }
            }
            Fault::SlowMiner { miner, until_us, bytes_a_second } => {
                if let Some(seat) = self.miners.get_mut(miner) {
                    (seat.slow_until, seat.slow_bytes) = (until_us.max(now), bytes_a_second / 10);
                    seat.miner.bad_network_until(until_us + 45_000_000);
                }
            }
            Fault::HoldMiner { miner, until_us } => self.hold_miner(miner, until_us),
            Fault::Partition { until_us } => (0..self.miners.len()).for_each(|miner| self.hold_miner(miner, until_us)),
            Fault::Storm => {
                let conns: Vec<Conn> = self.miners.iter().filter_map(|seat| seat.conn.map(Conn::Miner)).collect();
                conns.into_iter().for_each(|conn| self.cut(conn));
            }
            Fault::HalfCloseMiner(miner) => {
                if let Some(id) = self.miners.get(miner).and_then(|seat| seat.conn) {
                    self.half_close(Conn::Miner(id));
                }
            }
            Fault::HalfClosePool(pool) => {
                let lines = self.lines.iter().filter(|(_, line)| line.peer == Peer::Pool(pool));
                let conns: Vec<Conn> = lines.map(|(conn, _)| *conn).collect();
                conns.into_iter().for_each(|conn| self.half_close(conn));
            }
            Fault::Command(command) => self.command(command),
            Fault::Restore => self.proxy.restore(),
            Fault::Restart => self.restart(),
        }
    }

    fn hold_miner(&mut self, miner: usize, until_us: u64) {
        if let Some(seat) = self.miners.get_mut(miner) {
            seat.held_until = until_us.max(self.now_us);
            seat.miner.bad_network_until(until_us + 45_000_000);
        }
    }

    fn half_close(&mut self, conn: Conn) {
        let now = self.now_us;
        if let Some(line) = self.lines.get_mut(&conn).filter(|line| line.connected && !line.engine_closed()) {
            line.half_close(now);
            self.plan_delivery(conn, Way::In);
        }
    }

    /// Breaks a connection for both ends at once.
    pub(super) fn cut(&mut self, conn: Conn) {
        // One that is closing already ends by itself.
        if self.lines.get(&conn).is_none_or(|line| !line.connected || line.half_closed) {
            return;
        }
        let Some(line) = self.lines.remove(&conn) else { return };
        let engine_open = !line.engine_closed();
        self.peer_learns_end(conn, line.peer, false);
        if engine_open {
            self.step(Event::Closed { conn, reason: "connection reset" });
        }
    }
}
