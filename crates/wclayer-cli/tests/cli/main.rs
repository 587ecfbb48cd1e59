//! `wclayer` as its users meet it: arguments in, files, output and exit codes out.

mod du;
mod export;
#[cfg(target_os = "linux")]
mod extract;
mod foreign_input;
mod full_disk;
mod golden;
mod import;
mod info;
#[cfg(unix)]
mod kill;
mod look;
mod names;
mod query;
mod refused_input;
mod remove;
#[cfg(unix)]
mod signals;
mod stat;
mod support;
mod transport;
mod usage;
mod validate;
