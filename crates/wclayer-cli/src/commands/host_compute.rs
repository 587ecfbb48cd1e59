//! The shared part of the commands for Windows layers: the choice of the service, and the parents.
//!
//! The code of the commands is the same on every system; only `connect` knows that the Host Compute
//! Service exists on Windows alone.

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
    /// vmcompute.dll if it exists, otherwise computestorage.dll
    #[default]
    Auto,
    /// The DLL that hcsshim and docker use
    Vmcompute,
    /// The DLL that Microsoft documents
    Computestorage,
}

// Not a doc comment: clap would use it as the description of the command.
// The choice of the service.
#[derive(Debug, Args)]
pub(crate) struct HostComputeOptions {
    /// DLL used to call the Host Compute Service
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
        output.step(format_args!("calling {}", host.service.dll()));
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

/// Completes the parents given for `layer` and prints them as steps, nearest first.
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
