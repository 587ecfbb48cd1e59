//! `wclayer` as users see it: arguments in; files, output and exit codes out.

mod du;
mod export;
#[cfg(target_os = "linux")]
mod extract;
mod foreign_input;
mod full_disk;
mod golden;
#[cfg(unix)]
mod holes;
mod images;
mod import;
mod info;
#[cfg(unix)]
mod kill;
mod kinds;
mod leftovers;
mod look;
mod names;
mod query;
mod refused_input;
#[cfg(target_os = "linux")]
mod refused_resources;
mod remove;
mod schema;
#[cfg(unix)]
mod signals;
mod standard_streams;
mod stat;
mod support;
mod transport;
mod usage;
mod validate;
mod verify;
