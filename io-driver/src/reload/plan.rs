//! From one config to the next: everything that could fail is had first, then all of it changes hands.

use std::io;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use dpmp_core::config::{Config, Logging};
use dpmp_core::trace::EndReason;
use log::Level;

use super::Running;
use super::ports::{Binding, Bound, Ports, wanted};
use crate::event_loop::{Change, RecordingChange};
use crate::http::Site;
use crate::logs::{self, Output, line};
use crate::metrics::Metrics;
use crate::proxy::{bind_words, check_descriptors, show};
use crate::recording::Recording;
use crate::requests::Request;
use crate::settings::ConfigFile;

/// The loop has this long to take a config: it takes milliseconds.
const LOOP_TIME: Duration = Duration::from_secs(10);
/// A recording that ends has this long to reach the disk.
const RECORDING_TIME: Duration = Duration::from_secs(2);

/// What is ready to change hands. Dropped without [`Plan::carry_out`], it leaves nothing behind.
pub(super) struct Plan {
    config: Config,
    keep_weights: bool,
    limits_changed: bool,
    listen: Option<Binding>,
    sites: Vec<(Site, Option<Binding>)>,
    log: Option<Box<dyn Output>>,
    recording: RecordingChange,
}

impl Plan {
    /// Has everything that `new` needs and `old` did not. The error says what cannot be had, and what to do.
    pub(super) fn prepare(
        old: &Config,
        new: Config,
        ports: &Ports,
        file: &ConfigFile,
        metrics: &Metrics,
    ) -> Result<Plan, String> {
        let listen = if new.listen == *ports.miners.address() {
            None
        } else {
            let bound = Bound::bind(&new.listen, Some(&ports.miners)).map_err(|error| {
                let (place, why) = (show(&new.listen), bind_words(&error));
                format!("cannot listen for miners on {place}: {why}; choose another in listen.host and listen.port")
            })?;
            Some(bound)
        };
        let mut sites = Vec::new();
        for (site, before) in &ports.sites {
            let (want, have) = (wanted(*site, &new), before.as_ref().map(Bound::address));
            if want == have {
                continue;
            }
            let bound = want.map(|address| (address, Bound::bind(address, before.as_ref())));
            match bound {
                None => sites.push((*site, None)),
                Some((_, Ok(bound))) => sites.push((*site, Some(bound))),
                Some((address, Err(error))) => {
                    let words = site_words(*site, &show(address), &error);
                    if wanted(*site, old) != want {
                        return Err(words);
                    }
                    // It could not be had before either, and mining goes on without it.
                    line(Level::Warn, "port_still_taken").text("text", words).send();
                }
            }
        }
        let place = |logging: &Logging| (logging.file.clone(), logging.rotate_mib, logging.keep, logging.gzip);
        let log = if place(&old.logging) == place(&new.logging) {
            None
        } else {
            Some(logs::open(&new.logging, &file.path).map_err(|error| format!("{error:#}"))?)
        };
        let recording = recording(old, &new, file, metrics)?;
        let keep_weights = old.scheduler.weights == new.scheduler.weights;
        let limits_changed = old.limits != new.limits || old.pools.len() != new.pools.len();
        Ok(Plan { config: new, keep_weights, limits_changed, listen, sites, log, recording })
    }

    /// Puts it in force. An error means that the loop did not take it: nothing has changed.
    pub(super) fn carry_out(self, ports: &mut Ports, running: &Running) -> Result<(), String> {
        let Plan { config, keep_weights, limits_changed, listen, sites, log, recording } = self;
        let (bound, listeners) = listen.unzip();
        let (answer, answered) = sync_channel(1);
        let reply = Box::new(move |outcome| {
            // Fails only when nobody waits any more.
            let _ = answer.send(outcome);
        });
        let change = Change { config: config.clone(), keep_weights, listeners, recording, reply };
        running.handle.send(Request::Change(Box::new(change))).map_err(|error| error.to_string())?;
        let ended = match answered.recv_timeout(LOOP_TIME) {
            Ok(outcome) => outcome.map_err(|error| format!("the system refused a new listening socket: {error}"))?,
            Err(_) => return Err("the event loop did not answer".to_owned()),
        };
        if let Some(bound) = bound {
            let place = show(bound.address());
            ports.miners = bound;
            let addresses: Vec<String> = ports.miners().iter().map(ToString::to_string).collect();
            line(Level::Info, "dpmp_listening").text("addrs", addresses.join(", ")).text("moved_to", place).send();
        }
        for (site, binding) in sites {
            let (bound, sockets) = binding.unzip();
            running.server.listen(site, sockets.unwrap_or_default());
            ports.sites.insert(site, bound);
            let addresses: Vec<String> = ports.site(site).iter().map(ToString::to_string).collect();
            line(Level::Info, "site_moved").text("site", name(site)).text("addrs", addresses.join(", ")).send();
        }
        if let Some(log) = log {
            logs::redirect(log);
        }
        logs::configure(&config.logging);
        if limits_changed {
            check_descriptors(&config);
        }
        if let Some(ended) = ended {
            ended.finish(EndReason::Stopped, RECORDING_TIME);
        }
        Ok(())
    }
}

fn name(site: Site) -> &'static str {
    match site {
        Site::Metrics => "metrics",
        Site::Dashboard => "dashboard",
    }
}

fn site_words(site: Site, place: &str, error: &io::Error) -> String {
    let (name, why) = (name(site), bind_words(error));
    format!("cannot serve the {name} on {place}: {why}; choose another in {name}.host and {name}.port")
}

fn recording(old: &Config, new: &Config, file: &ConfigFile, metrics: &Metrics) -> Result<RecordingChange, String> {
    let (before, after) = (&old.recording, &new.recording);
    if before == after {
        return Ok(RecordingChange::Keep);
    }
    if !after.enabled {
        return Ok(RecordingChange::Replace(None));
    }
    if before.enabled && before.dir == after.dir {
        return Ok(RecordingChange::Resize(after.max_mib));
    }
    let folder = file.beside(&after.dir);
    let started = Recording::start(folder.clone(), after.max_mib, metrics.recording.clone());
    let started = started.map_err(|error| unwritable(&folder, &error))?;
    Ok(RecordingChange::Replace(Some(Box::new(started))))
}

fn unwritable(folder: &Path, error: &io::Error) -> String {
    format!("cannot record into {}: {error}; choose another folder in recording.dir", folder.display())
}
