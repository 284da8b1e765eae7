//! Names to addresses, off the loop: the system's resolver blocks, for half a minute if it likes. Each name under way
//! has a thread of its own, so that a dead name server of one pool does not hold up the other; connections that ask
//! for the same name meanwhile share its answer, and it is kept a few seconds for those that come right after.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use dpmp_core::{Span, Time, UpstreamId};

use crate::requests::{LoopHandle, Request};
use crate::token::MAX_ATTEMPTS;

/// How long an answer serves others: a farm that comes back asks once, not ten thousand times.
const KEEP: Span = Span::secs(10);
/// Names under way at once; there are at most eight pools, and a config may change.
const MAX_UNDER_WAY: usize = 32;

type Name = (Arc<str>, u16);
/// Addresses in the order in which they are to be tried, or what went wrong, in words.
pub(crate) type Addresses = Result<Arc<[SocketAddr]>, Arc<str>>;

/// The loop's end.
pub(crate) struct Resolver {
    under_way: BTreeMap<Name, Vec<UpstreamId>>,
    fresh: BTreeMap<Name, (Time, Addresses)>,
    answers: Receiver<(Name, Addresses)>,
    answer: Sender<(Name, Addresses)>,
    handle: LoopHandle,
}

impl Resolver {
    /// A resolver that wakes the loop when it has an answer.
    pub(crate) fn new(handle: LoopHandle) -> Resolver {
        let (answer, answers) = channel();
        Resolver { under_way: BTreeMap::new(), fresh: BTreeMap::new(), answers, answer, handle }
    }

    /// The addresses if they are known at once; none: [`Resolver::answers`] will tell.
    pub(crate) fn resolve(&mut self, now: Time, upstream: UpstreamId, host: &Arc<str>, port: u16) -> Option<Addresses> {
        if let Ok(ip) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Some(Ok(Arc::new([SocketAddr::new(ip, port)])));
        }
        let name = (host.clone(), port);
        if let Some((until, addresses)) = self.fresh.get(&name)
            && *until > now
        {
            return Some(addresses.clone());
        }
        if let Some(waiting) = self.under_way.get_mut(&name) {
            waiting.push(upstream);
            return None;
        }
        if self.under_way.len() >= MAX_UNDER_WAY {
            return Some(Err("too many names are being resolved".into()));
        }
        let (answer, handle, asked) = (self.answer.clone(), self.handle.clone(), name.clone());
        let started = thread::Builder::new().name("resolver".to_owned()).spawn(move || {
            let addresses = look_up(&asked.0, asked.1);
            // Both fail only when the loop has ended, and then nobody asks any more.
            let _ = answer.send((asked, addresses));
            let _ = handle.send(Request::Resolved);
        });
        match started {
            Ok(_) => {
                self.under_way.insert(name, vec![upstream]);
                None
            }
            Err(error) => Some(Err(format!("no thread to resolve the name: {error}").into())),
        }
    }

    /// Answers that have come in, with who waits for each. Ids may be dead meanwhile.
    pub(crate) fn answers(&mut self, now: Time) -> Vec<(Vec<UpstreamId>, Addresses)> {
        self.fresh.retain(|_, (until, _)| *until > now);
        let mut all = Vec::new();
        for (name, addresses) in self.answers.try_iter() {
            let waiting = self.under_way.remove(&name).unwrap_or_default();
            if addresses.is_ok() {
                self.fresh.insert(name, (now + KEEP, addresses.clone()));
            }
            all.push((waiting, addresses));
        }
        all
    }
}

fn look_up(host: &str, port: u16) -> Addresses {
    let mut found: Vec<SocketAddr> = Vec::new();
    let all = (host, port).to_socket_addrs().map_err(|error| -> Arc<str> {
        // The system's words begin with a general phrase; what matters comes after the colon.
        let text = error.to_string();
        let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
        format!("the name {host} cannot be resolved: {text}").into()
    })?;
    for address in all {
        if !found.contains(&address) && found.len() < MAX_ATTEMPTS {
            found.push(address);
        }
    }
    if found.is_empty() {
        return Err(format!("the name {host} has no address").into());
    }
    Ok(found.into())
}
