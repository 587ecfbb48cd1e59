//! Layers of the Host Compute Service, on a Windows in memory.

mod calls;
mod failures;
mod layers;
mod lifecycle;
mod reparse_points;
mod round_trip;
mod rules;
mod support;
