//! Who works where and until when. Weights are shares of work.
//!
//! | room | what is decided there |
//! | --- | --- |
//! | `plan` | the rule that weights and dwells make, the same for all who obey it |
//! | `cycle` | one miner's place in a plan: which pool it wants, until when |
//! | `even` | what hash rates tell of each other: equal machines count as equal |
//! | `spread` | how the phases of many miners lie, so that their sum is on target at every instant |
//! | `balance` | how much work each pool still needs beside miners that are held, and who works wholly for whom |
//!
//! All arithmetic is in integers. Nothing here knows a miner or a pool: only their numbers.

mod balance;
mod cycle;
mod even;
mod plan;
mod spread;

pub(crate) use balance::{Part, Role, WHOLE, assign, needs};
pub(crate) use cycle::Cycle;
pub(crate) use even::{Known, even};
pub(crate) use plan::Plan;
pub(crate) use spread::{Member, Spread, spread};
