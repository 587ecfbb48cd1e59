//! What the commands share that work on layers of Windows: the service they call, and how parents
//! are given to it.
//!
//! The code of the commands is the same on every system; only `connect` knows
//! that there is a Host Compute Service on Windows and nowhere else.

use std::path::Path;

use clap::{Args, ValueEnum};
use wclayer::ParentChain;
use wclayer::hcs::{HostCompute, resolve_parents};

use super::parent_options::ParentOptions;
use crate::errors::CliError;
use crate::output::Output;

/// The disks of this machine.
#[cfg(windows)]
pub(crate) type Disks = wclayer::windows::NtVolume;
/// The disks of this machine.
#[cfg(not(windows))]
pub(crate) type Disks = wclayer::volume::host::HostVolume;

/// The ways to reach the Host Compute Service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Api {
    /// vmcompute.dll where it is, else computestorage.dll
    #[default]
    Auto,
    /// What hcsshim and docker use
    Vmcompute,
    /// What Microsoft documents
    Computestorage,
}

// Not a doc comment: clap would take it for the command's description.
// Which service a command calls.
#[derive(Debug, Args)]
pub(crate) struct HostComputeOptions {
    /// The DLL through which Windows is asked
    #[arg(long, value_name = "API", default_value_t, value_enum)]
    pub(crate) api: Api,
}

impl HostComputeOptions {
    /// Returns whether this machine has the service.
    pub(crate) fn is_available(&self) -> bool {
        connect(self.api, "import").is_ok()
    }

    /// Opens the service for `command`.
    pub(crate) fn open(
        &self,
        command: &'static str,
        output: &Output,
    ) -> Result<HostCompute<Disks>, CliError> {
        let host = connect(self.api, command)?;
        output.step(format_args!("asking {}", host.service.dll()));
        Ok(host)
    }
}

#[cfg(windows)]
fn connect(api: Api, _command: &'static str) -> Result<HostCompute<Disks>, CliError> {
    use wclayer::windows;
    let api = match api {
        Api::Auto => windows::Api::Auto,
        Api::Vmcompute => windows::Api::Vmcompute,
        Api::Computestorage => windows::Api::Computestorage,
    };
    Ok(windows::host_compute(api)?)
}

#[cfg(not(windows))]
fn connect(_api: Api, command: &'static str) -> Result<HostCompute<Disks>, CliError> {
    Err(CliError::NeedsHostCompute { command })
}

/// Completes the parents given for `layer`, nearest first, and prints them as steps.
pub(crate) fn parents(
    host: &HostCompute<Disks>,
    layer: &Path,
    given: &ParentOptions,
    output: &Output,
) -> Result<ParentChain, CliError> {
    let parents = resolve_parents(&host.volume, layer, &given.chain())?;
    for parent in parents.iter_nearest_first() {
        output.step(format_args!("on top of {}", parent.display()));
    }
    Ok(parents)
}
