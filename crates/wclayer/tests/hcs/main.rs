//! Layers of the Host Compute Service, on an in-memory Windows.

// The fake uses Unix paths for layers. Windows has its own tests: `tests/windows`.
#![cfg(not(windows))]
#![allow(clippy::unwrap_used)] // in test helpers as in tests

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
