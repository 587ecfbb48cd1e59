//! Layers of the Host Compute Service, on a Windows in memory.

// The fake names layers by the paths of Unix. Windows has its own tests: `tests/windows`.
#![cfg(not(windows))]
#![allow(clippy::unwrap_used)] // in the helpers of tests as in tests

mod base_layer;
mod base_reader;
mod calls;
mod diagnose;
mod failures;
mod layers;
mod paths;
mod privileges;
mod reparse_points;
mod round_trip;
mod rules;
mod scratch_layers;
mod support;
