//! A new config while the loop runs: everything that the loop holds changes in one turn, or nothing does.

use std::io;
use std::mem::replace;

use dpmp_core::config::Config;
use dpmp_core::{Command, Event};

use super::EventLoop;
use crate::proxy::for_engine;
use crate::recording::Recording;

/// What the loop is to do with its recording.
pub(crate) enum RecordingChange {
    /// Go on.
    Keep,
    /// Go on within this many MiB.
    Resize(u32),
    /// Go on with another, or with none.
    Replace(Option<Box<Recording>>),
}

/// All that a new config changes in the loop.
pub(crate) struct Change {
    /// For the engine.
    pub(crate) config: Config,
    /// The weights that are in force stay, whatever the config says: nobody has edited those in the file.
    pub(crate) keep_weights: bool,
    /// Sockets on which miners come in from now on, in place of those before.
    pub(crate) listeners: Option<Vec<std::net::TcpListener>>,
    /// What becomes of the recording.
    pub(crate) recording: RecordingChange,
    /// Is told how it went, and given the recording that is no longer used, to be ended where waiting harms nobody.
    pub(crate) reply: Box<dyn FnOnce(io::Result<Option<Recording>>) + Send>,
}

impl EventLoop {
    pub(super) fn change(&mut self, change: Change) {
        let Change { mut config, keep_weights, listeners, recording, reply } = change;
        if let Some(listeners) = listeners
            && let Err(error) = self.listen(listeners)
        {
            // Nothing else has been touched yet.
            return reply(Err(error));
        }
        config = for_engine(config);
        let in_force = &self.engine.config().scheduler.weights;
        if keep_weights && in_force.len() == config.pools.len() {
            config.scheduler.weights.clone_from(in_force);
        }
        let old = match recording {
            RecordingChange::Keep => None,
            RecordingChange::Resize(max_mib) => {
                if let Some(recording) = &mut self.recording {
                    recording.resize(max_mib);
                }
                None
            }
            RecordingChange::Replace(new) => replace(&mut self.recording, new.map(|new| *new)),
        };
        self.step(Event::Command(Command::SetConfig(Box::new(config))));
        reply(Ok(old));
    }
}
