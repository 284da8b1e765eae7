//! Miners at the door: accepting in turns, and listening elsewhere from now on.

use std::io;

use dpmp_core::{Conn, Event, MinerId};
use log::Level;
use mio::Registry;

use super::{EventLoop, Peer, Timer};
use crate::conn::Connection;
use crate::listener::{Accepted, Listener};
use crate::logs::line;
use crate::token::{MAX_LISTENERS, Source};

/// Connections accepted in one turn.
const ACCEPTS_A_TURN: usize = 64;
/// Connections that are still taken from a socket that is given up.
const LAST_ACCEPTS: usize = 16 * 1024;

/// Begins to watch bound sockets.
pub(super) fn watch(sockets: Vec<std::net::TcpListener>, registry: &Registry) -> io::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for (index, socket) in sockets.into_iter().take(MAX_LISTENERS).enumerate() {
        listeners.push(Listener::new(socket, registry, Source::Listener(index).token())?);
    }
    Ok(listeners)
}

impl EventLoop {
    /// From now on miners come in here. Who has knocked at the old door is still let in.
    pub(super) fn listen(&mut self, sockets: Vec<std::net::TcpListener>) -> io::Result<()> {
        let new = watch(sockets, self.poll.registry())?;
        for index in 0..self.listeners.len() {
            self.listeners[index].ready = true;
            for _ in 0..LAST_ACCEPTS / ACCEPTS_A_TURN {
                if !self.listeners.get(index).is_some_and(|listener| listener.ready) {
                    break;
                }
                self.accept(index);
            }
        }
        // An event of an old socket that is still under way makes us look at a new one in vain, and no more.
        for mut old in std::mem::replace(&mut self.listeners, new) {
            old.forget(self.poll.registry());
        }
        Ok(())
    }

    pub(super) fn accept(&mut self, index: usize) {
        for _ in 0..ACCEPTS_A_TURN {
            let now = self.clock.now();
            let Some(listener) = self.listeners.get_mut(index).filter(|l| l.ready) else { return };
            match listener.accept(now) {
                Accepted::Miner(socket, peer) => {
                    let miner = MinerId(self.last_miner + 1);
                    let token = Source::Miner(miner).token();
                    match Connection::accepted(socket, self.poll.registry(), token) {
                        Ok(connection) => {
                            self.last_miner = miner.0;
                            let conn = Conn::Miner(miner);
                            self.peers.insert(conn, Peer::new(connection, None));
                            self.step(Event::MinerAccepted { miner, peer });
                            self.look_after(conn, false);
                        }
                        Err(error) => line(Level::Debug, "accept_failed").show("err", error).send(),
                    }
                }
                Accepted::Empty => return,
                Accepted::Paused(until, words) => {
                    self.timers.insert((until, Timer::Accept(index)));
                    if let Some(words) = words {
                        line(Level::Warn, "accept_paused")
                            .text("err", words)
                            .text("text", "new miners wait until the system can take connections again")
                            .send();
                    }
                    return;
                }
            }
        }
    }
}
