//! `wclayer` as its users meet it: arguments in, files, output and exit codes out.

mod export;
mod import;
mod info;
mod refused_input;
mod remove;
#[cfg(unix)]
mod signals;
mod support;
mod usage;
