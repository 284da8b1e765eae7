//! The Stratum v1 wire: bytes to typed messages ([`wire`], [`message`]) and typed values to bytes ([`encode`]). Nothing
//! here knows a session; past this layer only valid values exist.

pub(crate) mod encode;
pub(crate) mod hex;
pub(crate) mod message;
pub(crate) mod wire;
