//! Simulated miners and pools around the dpmp engine.
