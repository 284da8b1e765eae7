//! What must never be lost: best shares and block candidates, in files of their own beside the config.

pub mod bests;
pub mod blocks;
pub(crate) mod books;
pub mod journal;
