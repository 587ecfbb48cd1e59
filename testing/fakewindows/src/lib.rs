//! A Windows in memory: disks and the Host Compute Service, for tests on any system.
//!
//! [`FakeWindows`] implements the two traits through which `wclayer` sees Windows
//! ([`Volume`](wclayer::volume::Volume), [`LayerService`](wclayer::hcs::LayerService)), keeps all
//! that layers consist of, and does what the service does: `ImportLayer` turns a transport folder
//! into a layer, `ExportLayer` the other way, and so on (module `service`). It is strict where
//! Windows is: open files cannot be deleted, restored descriptors deny ordinary deletion, names
//! below reparse points do not resolve, states are checked.
//!
//! Every call is recorded and can be made to fail; afterwards a test asks what is left open.
//!
//! ```
//! use fakewindows::FakeWindows;
//! use wclayer::volume::{Privilege, Volume};
//!
//! let windows = FakeWindows::new();
//! windows.file("/c/layers/base/Files/a.txt", b"hello");
//! let host = windows.host_compute();
//! let privileges = host.volume.enable(&[Privilege::Backup, Privilege::Restore])?;
//! let root = host.volume.open_root("/c/layers/base".as_ref(), &privileges)?;
//! assert_eq!(windows.open_handles(), ["/c/layers/base"]);
//! drop(root);
//! assert_eq!(windows.data("/C/Layers/BASE/files/A.TXT").as_deref(), Some(&b"hello"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Wclayer's own unit tests cannot use it (their `wclayer` is another crate than this one's);
//! integration tests can.

mod code;
mod disk;
mod filter;
mod inspect;
mod layers;
mod service;
mod state;
mod stream;
#[cfg(test)]
mod tests;
mod volume;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ntmeta::StreamId;
use wclayer::hcs::{Function, HResult, HostCompute};
use wclayer::volume::Privilege;

pub use disk::Object;
pub use inspect::{Imported, Seen, Snapshot};
pub use service::FakeService;
pub use state::Call;
pub use stream::USUAL_ORDER;
pub use volume::{FakeFile, FakeRoot, FakeVolume};

use state::{Plan, State};

/// A machine; clones are the same machine.
#[derive(Clone)]
pub struct FakeWindows {
    state: Arc<Mutex<State>>,
}

impl Default for FakeWindows {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeWindows {
    /// Makes a machine with an empty disk and all calls of `vmcompute.dll`.
    pub fn new() -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new())),
        }
    }

    /// Makes another machine that is as this one is now.
    #[must_use]
    pub fn twin(&self) -> Self {
        let state = self.lock().clone();
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Returns the machine as `wclayer` sees it.
    pub fn host_compute(&self) -> HostCompute<FakeVolume> {
        HostCompute {
            service: Box::new(FakeService::new(self.clone())),
            volume: FakeVolume::new(self.clone()),
        }
    }

    /// Takes a call out of the DLL.
    #[must_use]
    pub fn without(self, function: Function) -> Self {
        self.lock().missing.insert(function);
        self
    }

    /// Takes a privilege from the user.
    pub fn deny(&self, privilege: Privilege) {
        self.lock().denied.insert(privilege);
    }

    /// Lets the `number`-th call from now, from 1, fail: calls of service and disks count.
    pub fn fail_at(&self, number: usize, hresult: HResult) {
        let mut state = self.lock();
        state.plan = Plan::FailAt(state.calls.len() + number, hresult);
    }

    /// Kills the process at the `number`-th call from now, from 1: that call and all after it fail
    /// and change nothing, until [`restart`](Self::restart).
    pub fn die_at(&self, number: usize) {
        let mut state = self.lock();
        state.plan = Plan::DieAt(state.calls.len() + number);
    }

    /// Starts a new process: all calls work, and what only a process has (handles, contexts,
    /// privileges) is gone. Temporary folders stay. Returns whether the last process was killed.
    pub fn restart(&self) -> bool {
        let mut state = self.lock();
        let was_dead = state.is_dead();
        state.plan = Plan::Work;
        state.handles.clear();
        state.contexts.clear();
        state.guards.clear();
        state.locks.clear();
        was_dead
    }

    /// Chooses the order in which `BackupRead` gives streams; those not named are left out.
    pub fn set_backup_order(&self, order: &[StreamId]) {
        self.lock().order = order.to_vec();
    }

    /// Lets `DestroyLayer` succeed without deleting anything.
    pub fn let_destroy_leave_the_layer(&self) {
        self.lock().destroy_leaves = true;
    }

    /// Sets what is free on the disk, in bytes.
    pub fn set_free_space(&self, bytes: u64) {
        self.lock().free_space = bytes;
    }

    /// Sets the JSON text that `GetBaseImages` returns.
    pub fn set_base_images(&self, json: &str) {
        self.lock().base_images = json.to_owned();
    }

    /// Returns all calls so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// Returns the calls of the service so far as text, in order: `ActivateLayer(/c/layers/a)`.
    pub fn service_calls(&self) -> Vec<String> {
        let state = self.lock();
        let on_service = state.calls.iter().filter(|call| call.on_service);
        on_service.map(Call::to_string).collect()
    }

    /// Forgets the calls so far.
    pub fn clear_calls(&self) {
        let mut state = self.lock();
        state.calls.clear();
        state.plan = Plan::Work;
    }

    /// Returns the paths of files and folders that are open.
    pub fn open_handles(&self) -> Vec<String> {
        let state = self.lock();
        state
            .handles
            .values()
            .map(|handle| handle.path.clone())
            .collect()
    }

    /// Returns the temporary folders that exist.
    pub fn temporary_folders(&self) -> Vec<PathBuf> {
        let mut state = self.lock();
        let all = state.temporary.clone();
        all.into_iter()
            .filter(|path| state.find(path).is_ok())
            .collect()
    }

    /// Returns the imports and exports entry by entry that were begun and not ended.
    pub fn contexts(&self) -> Vec<String> {
        self.lock().contexts.values().cloned().collect()
    }

    /// Returns the places that are locked.
    pub fn locks(&self) -> Vec<PathBuf> {
        self.lock().locks.iter().cloned().collect()
    }

    /// Returns the privileges that are on.
    pub fn enabled_privileges(&self) -> Vec<Privilege> {
        self.lock().guards.values().flatten().copied().collect()
    }

    /// Returns how many layers are active and how many of these are prepared.
    pub fn active_layers(&self) -> (usize, usize) {
        let state = self.lock();
        let prepared = state.active.values().filter(|layer| layer.prepared).count();
        (state.active.len(), prepared)
    }

    /// Returns the folders at which volumes appear.
    pub fn mounts(&self) -> Vec<PathBuf> {
        self.lock().mounts.keys().cloned().collect()
    }

    /// Returns what each `ImportLayer` so far found.
    pub fn imported(&self) -> Vec<Imported> {
        self.lock().imported.clone()
    }

    /// Returns what `GrantVmAccess` was called with: virtual machines and files.
    pub fn granted(&self) -> Vec<(String, PathBuf)> {
        self.lock().granted.clone()
    }

    /// Returns how often a name below a reparse point was asked for.
    pub fn traversals(&self) -> u32 {
        self.lock().disk.traversals
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
