//! Where in the engine's data names, addresses and payout scripts lie: for recordings that are given away. Every new
//! field that holds one has its line here; a redacted recording in which one survives is refused by its last check.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem::take;
use core::net::{IpAddr, SocketAddr};

use super::state::{Engine, Memory};
use crate::config::{Address, Config};
use crate::ids::Conn;
use crate::miner::Stage;
use crate::notice::HeldOff;
use crate::stratum::wire::RequestId;

/// What stands in for what. The same thing always gives the same pseudonym of the same length, another thing another.
pub(crate) trait Pseudonyms {
    /// Of a name, every word of which may say who somebody is.
    fn name(&mut self, text: &str) -> String;
    /// Of words for people, in which names may occur.
    fn words(&mut self, text: &str) -> String;
    /// Of an address.
    fn address(&mut self, address: IpAddr) -> IpAddr;
    /// Of the two halves of a coinbase.
    fn coinbase(&mut self, first: &mut [u8], second: &mut [u8]);
    /// Of bytes that came from a connection and were held back; called in the order in which they came.
    fn held(&mut self, conn: Conn, bytes: &mut [u8]);
}

/// A request's id as the miner wrote it may hold a name.
fn rename_id(id: &mut RequestId, to: &mut impl Pseudonyms) {
    if let RequestId::Other(json) = id
        && json.starts_with('"')
    {
        *json = to.words(json).into();
    }
}

fn rename_arc(name: &mut Arc<str>, to: &mut impl Pseudonyms) {
    *name = to.name(name).into();
}

fn rename_held(held: &mut HeldOff, to: &mut impl Pseudonyms) {
    if let HeldOff::Refused(words) = held {
        *words = to.words(words).into();
    }
}

fn rename_all(names: &mut [String], to: &mut impl Pseudonyms) {
    for name in names {
        *name = to.name(name);
    }
}

fn rename_address(address: &mut Address, to: &mut impl Pseudonyms) {
    address.host = to.name(&address.host);
}

/// The host of `host:port`; a port is no name.
fn host_of(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

fn rename_key(address: &str, to: &mut impl Pseudonyms) -> String {
    let host = host_of(address);
    [&to.name(host), &address[host.len()..]].concat()
}

fn rename_peer(peer: &mut SocketAddr, to: &mut impl Pseudonyms) {
    peer.set_ip(to.address(peer.ip()));
}

/// A config with pseudonyms for whatever an operator or a user chose as a name.
pub(crate) fn rename_config(config: &mut Config, to: &mut impl Pseudonyms) {
    rename_address(&mut config.listen, to);
    if let Some(metrics) = &mut config.metrics {
        rename_address(metrics, to);
    }
    for pool in &mut config.pools {
        // A pool without a name of its own is called by its key.
        if pool.name != pool.key {
            pool.name = to.name(&pool.name);
        }
        rename_address(&mut pool.address, to);
        pool.wallet = to.name(&pool.wallet);
        pool.password = pool.password.as_deref().map(|password| to.name(password));
    }
    let pins = take(&mut config.scheduler.pins);
    config.scheduler.pins = pins.into_iter().map(|(worker, pool)| (to.name(&worker), pool)).collect();
    rename_address(&mut config.dashboard.address, to);
    rename_all(&mut config.dashboard.allowed_hosts, to);
    config.logging.file = config.logging.file.as_deref().map(|file| to.name(file));
    config.recording.dir = to.name(&config.recording.dir);
    config.oracle.url = to.name(&config.oracle.url);
}

/// What survives a restart, with pseudonyms.
pub(crate) fn rename_memory(memory: &mut Memory, to: &mut impl Pseudonyms) {
    // A new field is to be looked at here.
    let Memory { pools, workers, oracle: _ } = memory;
    for (address, _) in pools {
        *address = rename_key(address, to);
    }
    for (worker, _) in workers {
        *worker = to.name(worker);
    }
}

impl Engine {
    /// Bytes that came from connections and wait for the rest of their line, in the order in which they came.
    pub(crate) fn held_bytes(&self) -> Vec<(Conn, Vec<u8>)> {
        let mut copy = self.clone();
        let mut all = Vec::new();
        copy.visit_held(&mut |conn, bytes| all.push((conn, bytes.to_vec())));
        all
    }

    fn visit_held(&mut self, visit: &mut impl FnMut(Conn, &mut [u8])) {
        for miner in self.miners.values_mut() {
            visit(Conn::Miner(miner.id), miner.framer.held());
            if let Stage::AwaitingPool { held, .. } | Stage::AwaitingProbes { held } = &mut miner.stage {
                visit(Conn::Miner(miner.id), held);
            }
        }
        for upstream in self.upstreams.values_mut() {
            visit(Conn::Upstream(upstream.id), upstream.framer.held());
        }
    }

    /// Replaces all names, addresses and payout scripts.
    pub(crate) fn rename(&mut self, to: &mut impl Pseudonyms) {
        rename_config(&mut self.config, to);
        self.visit_held(&mut |conn, bytes| to.held(conn, bytes));
        for miner in self.miners.values_mut() {
            rename_peer(&mut miner.peer, to);
            rename_arc(&mut miner.worker, to);
            rename_arc(&mut miner.password, to);
            miner.held_off.values_mut().for_each(|held| rename_held(held, to));
            if let Stage::AwaitingPool { subscribe, .. } = &mut miner.stage {
                rename_id(subscribe, to);
            }
        }
        for upstream in self.upstreams.values_mut() {
            rename_arc(&mut upstream.user, to);
            upstream.submits_mut().for_each(|submit| rename_id(&mut submit.id, to));
        }
        for group in self.groups.values_mut() {
            for held in group.links.iter_mut().filter_map(|link| link.held.as_mut()) {
                rename_held(held, to);
            }
            group.jobs.pool_jobs_mut().for_each(|job| to.coinbase(&mut job.coinb1, &mut job.coinb2));
        }
        self.oracle.visit_urls(&mut |url| rename_arc(url, to));
        for facts in &mut self.facts {
            rename_arc(&mut facts.host, to);
            // A pseudonym is no address. It is only looked for in coinbases, and changes nothing that is sent.
            facts.wallet = None;
        }
        let remembered = take(&mut self.remembered);
        self.remembered = remembered.into_iter().map(|(address, memory)| (rename_key(&address, to), memory)).collect();
        let workers = take(&mut self.workers);
        self.workers = workers.into_iter().map(|(worker, known)| (to.name(&worker).into(), known)).collect();
        let addresses: BTreeMap<IpAddr, u32> = take(&mut self.addresses);
        self.addresses = addresses.into_iter().map(|(address, count)| (to.address(address), count)).collect();
        let workers = take(&mut self.fleet.workers);
        let renamed = workers.into_iter().map(|(worker, known)| (to.name(&worker).into(), known));
        self.fleet.workers = renamed.collect();
        let visitors = take(&mut self.visitors);
        for (address, mut visitor) in visitors {
            visitor.renegotiated.iter_mut().for_each(|(worker, _)| rename_arc(worker, to));
            self.visitors.insert(to.address(address), visitor);
        }
    }

    /// Names and secrets that the engine holds, for the last check of a redacted recording.
    pub(crate) fn names(&self, take: &mut impl FnMut(&str)) {
        for pool in &self.config.pools {
            take(&pool.wallet);
            take(&pool.address.host);
            take(pool.password.as_deref().unwrap_or_default());
        }
        self.config.scheduler.pins.keys().for_each(|worker| take(worker));
        self.fleet.workers.keys().for_each(|worker| take(worker));
        for miner in self.miners.values() {
            take(&miner.worker);
            take(&miner.password);
        }
        self.upstreams.values().for_each(|upstream| take(&upstream.user));
        self.facts.iter().for_each(|facts| take(&facts.host));
        self.visitors.values().flat_map(|visitor| &visitor.renegotiated).for_each(|(worker, _)| take(worker));
        self.remembered.keys().for_each(|address| take(host_of(address)));
        self.workers.keys().for_each(|worker| take(worker));
    }

    /// Addresses that the engine holds.
    pub(crate) fn known_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.miners.values().map(|m| m.peer.ip()).chain(self.visitors.keys().copied())
    }
}
