//! Weights by the chains' hash rates: where more hash power than usual works on a chain, less of ours goes.
//!
//! The numbers come from the pools' own jobs (`history`) or from a server (`report`); both become [`Reading`]s. The
//! formula (`balance`) makes the wanted weights of them, and `pace` keeps noise from shaking the fleet. `gain` tells
//! what it was worth. Imports run one way: `balancer` → `pair`, `status`, `pace`, `gain`, `report` → `history` → `balance`.
//!
//! Everything is integers. Times are milliseconds since 1970 by the wall clock, which is an event; hash rates are
//! thousandths of hashes a second.

pub(crate) mod balance;
pub(crate) mod balancer;
pub(crate) mod gain;
pub(crate) mod history;
pub(crate) mod pace;
mod pair;
pub(crate) mod report;
mod status;
pub(crate) mod work;

pub use balance::{HashRate, Interval, Reading};
pub use balancer::OracleMemory;
pub use gain::Gain;
pub use history::{Block, ChainMemory, Doubt};
pub use pace::Pace;
pub use status::{ChainStatus, OracleState, OracleStatus};
