//! Ports that move: the new one is bound before the old one is let go of.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};

use dpmp_core::config::{Address, Config};

use crate::http::{ServerHandle, Site};
use crate::listener::bind_all;

/// A bound address. It holds the sockets a second time, so that whoever moves them later needs nobody else for it: the
/// port is free when this is dropped and those that accept on it have dropped theirs.
#[derive(Debug)]
pub struct Bound {
    address: Address,
    sockets: Vec<TcpListener>,
}

/// A bound address, and the sockets for whoever accepts on it.
pub type Binding = (Bound, Vec<TcpListener>);

impl Bound {
    /// Binds an address. `before`: what it takes the place of; it may have the same port.
    pub fn bind(address: &Address, before: Option<&Bound>) -> io::Result<Binding> {
        let sockets = bind_all(address, before.map_or(&[], |before| &before.sockets))?;
        let copies = sockets.iter().map(TcpListener::try_clone).collect::<io::Result<Vec<_>>>()?;
        Ok((Bound { address: address.clone(), sockets }, copies))
    }

    /// The address as it was asked for.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The addresses that the name stands for, with the port that the system chose if port 0 was asked for.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }
}

/// Where everything listens now. A site that is off has none; one that this program does not serve is not there.
#[derive(Debug)]
pub struct Ports {
    pub(super) miners: Bound,
    pub(super) sites: BTreeMap<Site, Option<Bound>>,
}

impl Ports {
    /// Miners here, and no sites yet.
    pub fn new(miners: Bound) -> Ports {
        Ports { miners, sites: BTreeMap::new() }
    }

    /// Serves a site where the config wants it; from now on it moves with the config. Its routes are set.
    pub fn open(&mut self, site: Site, config: &Config, server: &ServerHandle) -> io::Result<()> {
        self.sites.insert(site, None);
        if let Some(address) = wanted(site, config) {
            let (bound, sockets) = Bound::bind(address, None)?;
            server.listen(site, sockets);
            self.sites.insert(site, Some(bound));
        }
        Ok(())
    }

    /// A site that is served as soon as the config wants it. Its routes are set.
    pub fn leave_off(&mut self, site: Site) {
        self.sites.insert(site, None);
    }

    /// Lets go of everything.
    pub fn close(&mut self) {
        self.miners.sockets.clear();
        self.sites.clear();
    }

    /// Where miners connect.
    pub fn miners(&self) -> Vec<SocketAddr> {
        self.miners.addresses()
    }

    /// Where a site is served; empty if nowhere.
    pub fn site(&self, site: Site) -> Vec<SocketAddr> {
        self.sites.get(&site).and_then(Option::as_ref).map(Bound::addresses).unwrap_or_default()
    }
}

/// Where the config wants a site; none if it is switched off.
pub fn wanted(site: Site, config: &Config) -> Option<&Address> {
    match site {
        Site::Metrics => config.metrics.as_ref(),
        Site::Dashboard => Some(&config.dashboard.address).filter(|_| config.dashboard.enabled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> Address {
        Address { host: host.to_owned(), port }
    }

    #[test]
    fn the_new_port_is_bound_beside_the_old_one() {
        let (old, _) = Bound::bind(&at("127.0.0.1", 0), None).unwrap();
        let port = old.addresses()[0].port();
        assert!(Bound::bind(&at("0.0.0.0", port), None).is_err(), "a stranger cannot have it");
        let (new, accepting) = Bound::bind(&at("0.0.0.0", port), Some(&old)).unwrap();
        assert!(Bound::bind(&at("0.0.0.0", port), None).is_err(), "nor afterwards");
        drop(old);
        assert!(Bound::bind(&at("127.0.0.1", port), None).is_err(), "nor when the old one is gone");
        std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        drop((new, accepting));
        Bound::bind(&at("127.0.0.1", port), None).unwrap();
    }
}
