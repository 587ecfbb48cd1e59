//! Layers of the Host Compute Service, on a Windows in memory.

mod base_layer;
mod base_reader;
mod diagnose;
mod scratch_layers;
