//! A Windows in memory: disks and the Host Compute Service, for tests on any system.
//!
//! [`FakeWindows`] implements the two traits that `wclayer` uses to access Windows
//! ([`Volume`](wclayer::volume::Volume), [`LayerService`](wclayer::hcs::LayerService)), stores
//! everything that layers consist of, and does the work of the service: `ImportLayer` converts a
//! transport folder to a layer, `ExportLayer` does the opposite, and so on (module `service`). It
//! is as strict as Windows: open files cannot be deleted, restored descriptors deny ordinary
//! deletion, names below reparse points do not resolve, and states are checked.
//!
//! Every call is recorded and can be made to fail. Afterwards, a test can check what is still open.
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
//! The unit tests of `wclayer` cannot use this crate, because it depends on another build of
//! `wclayer`; integration tests can.

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

/// A machine; clones refer to the same machine.
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
    /// Creates a machine with an empty disk and all calls of `vmcompute.dll`.
    pub fn new() -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new())),
        }
    }

    /// Creates another machine in the current state of this one.
    #[must_use]
    pub fn twin(&self) -> Self {
        let state = self.lock().clone();
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Returns the machine in the form that `wclayer` uses.
    pub fn host_compute(&self) -> HostCompute<FakeVolume> {
        HostCompute {
            service: Box::new(FakeService::new(self.clone())),
            volume: FakeVolume::new(self.clone()),
        }
    }

    /// Removes a call from the DLL.
    #[must_use]
    pub fn without(self, function: Function) -> Self {
        self.lock().missing.insert(function);
        self
    }

    /// Takes a privilege from the user.
    pub fn deny(&self, privilege: Privilege) {
        self.lock().denied.insert(privilege);
    }

    /// Makes the `number`-th call from now fail, counting from 1 all service and disk calls.
    pub fn fail_at(&self, number: usize, hresult: HResult) {
        let mut state = self.lock();
        state.plan = Plan::FailAt(state.calls.len() + number, hresult);
    }

    /// Kills the process at the `number`-th call from now, counting from 1: that call and all later
    /// ones fail and change nothing, until [`restart`](Self::restart).
    pub fn die_at(&self, number: usize) {
        let mut state = self.lock();
        state.plan = Plan::DieAt(state.calls.len() + number);
    }

    /// Starts a new process: all calls work, and the state of the old process (handles, contexts,
    /// privileges) is gone. Temporary folders stay. Returns whether the old process was killed.
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

    /// Sets the order in which `BackupRead` returns streams; streams not named are omitted.
    pub fn set_backup_order(&self, order: &[StreamId]) {
        self.lock().order = order.to_vec();
    }

    /// Makes `DestroyLayer` succeed without deleting anything.
    pub fn let_destroy_leave_the_layer(&self) {
        self.lock().destroy_leaves = true;
    }

    /// Sets the free space on the disk, in bytes.
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

    /// Returns the service calls so far as text, in order: `ActivateLayer(/c/layers/a)`.
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

    /// Returns the paths of open files and folders.
    pub fn open_handles(&self) -> Vec<String> {
        let state = self.lock();
        state
            .handles
            .values()
            .map(|handle| handle.path.clone())
            .collect()
    }

    /// Returns the existing temporary folders.
    pub fn temporary_folders(&self) -> Vec<PathBuf> {
        let mut state = self.lock();
        let all = state.temporary.clone();
        all.into_iter()
            .filter(|path| state.find(path).is_ok())
            .collect()
    }

    /// Returns the entry-by-entry imports and exports that have begun but not ended.
    pub fn contexts(&self) -> Vec<String> {
        self.lock().contexts.values().cloned().collect()
    }

    /// Returns the locked paths.
    pub fn locks(&self) -> Vec<PathBuf> {
        self.lock().locks.iter().cloned().collect()
    }

    /// Returns the enabled privileges.
    pub fn enabled_privileges(&self) -> Vec<Privilege> {
        self.lock().guards.values().flatten().copied().collect()
    }

    /// Returns the number of active layers, and how many of them are prepared.
    pub fn active_layers(&self) -> (usize, usize) {
        let state = self.lock();
        let prepared = state.active.values().filter(|layer| layer.prepared).count();
        (state.active.len(), prepared)
    }

    /// Returns the folders at which volumes are mounted.
    pub fn mounts(&self) -> Vec<PathBuf> {
        self.lock().mounts.keys().cloned().collect()
    }

    /// Returns the folders that each `ImportLayer` found so far.
    pub fn imported(&self) -> Vec<Imported> {
        self.lock().imported.clone()
    }

    /// Returns the arguments of `GrantVmAccess`: virtual machines and files.
    pub fn granted(&self) -> Vec<(String, PathBuf)> {
        self.lock().granted.clone()
    }

    /// Returns how often a name below a reparse point was looked up.
    pub fn traversals(&self) -> u32 {
        self.lock().disk.traversals
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
