//! Which ends of a miner's connection are excused: those that the rules allow, and of which the proxy said why.

use dpmp_core::{CloseReason, MinerId};

use super::Model;
use crate::miner::SimMiner;

/// A worker may be made to subscribe again for a pool that changed once in this time.
const RENEGOTIATE_US: u64 = 600_000_000;
/// One that no pool fits as it is, once in this.
const RENEGOTIATE_IDLE_US: u64 = 60_000_000;

/// What the world knows of a miner whose connection is closed.
pub(in crate::world) struct Circumstances<'a> {
    pub(in crate::world) miner: &'a SimMiner,
    /// It did not read, or not fast enough, within the last minute.
    pub(in crate::world) slow: bool,
    /// A pool is out, or was a moment ago: one that gets a pool's own extranonce may have waited for it.
    pub(in crate::world) waits_for_pool: bool,
    /// How long the connection has stood.
    pub(in crate::world) age_us: u64,
}

impl Model {
    /// The engine closes a miner's connection: whether it may. The reason is in the step's notices.
    pub(in crate::world) fn may_close(
        &mut self,
        now_us: u64,
        id: MinerId,
        about: &Circumstances<'_>,
    ) -> Result<(), String> {
        let Some(side) = self.sides.get(&id) else { return Ok(()) };
        let Some(reason) = self.closing.get(&id) else { return Err("closed without a notice".into()) };
        let fine = match reason {
            CloseReason::Resubscribe if side.by_reconnect => true,
            CloseReason::Resubscribe => {
                let last = self.renegotiated.insert(side.miner, now_us);
                if !side.held_for_mask {
                    return Err("has to subscribe again, though no pool stopped to fit".into());
                }
                let idle = side.usable.iter().all(|pool| side.unfit.contains(pool));
                let every = if idle { RENEGOTIATE_IDLE_US } else { RENEGOTIATE_US };
                last.is_none_or(|last| now_us >= last + every)
            }
            CloseReason::SlowReader => about.slow,
            CloseReason::NextProfile => about.miner.spec().personality.label == "unknown",
            CloseReason::HandshakeTimeout if about.waits_for_pool => about.age_us >= 7_900_000,
            CloseReason::HandshakeTimeout => about.age_us >= 29_000_000 && (about.slow || !about.miner.stays()),
            CloseReason::TlsProbe => !about.miner.stays(),
            CloseReason::Draining => self.draining,
            _ => false,
        };
        if fine { Ok(()) } else { Err(format!("closed: {}", reason.text())) }
    }
}
