//! The state of the fake besides its disk: calls, planned failures, handles, contexts, layers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use ntmeta::StreamId;
use wclayer::hcs::{Function, HResult};
use wclayer::volume::Privilege;

use crate::Imported;
use crate::code::Code;
use crate::disk::{Disk, Names, ObjectId, names};
use crate::stream::USUAL_ORDER;

/// A call to the service or to a disk, including failed ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Whether this is a call to the service rather than to a disk.
    pub on_service: bool,
    /// The name: for example `ImportLayer` of the service, `create` of a disk.
    pub function: &'static str,
    /// The arguments, as text.
    pub arguments: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.function, self.arguments)
    }
}

/// The outcome of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Every call is executed normally.
    Work,
    /// The call with this number, from 1, fails; all others are executed.
    FailAt(usize, HResult),
    /// Every call from this number on fails and changes nothing: the process is dead.
    DieAt(usize),
}

/// An open file or folder.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    pub(crate) object: ObjectId,
    pub(crate) path: String,
    pub(crate) reads: bool,
    pub(crate) writes: bool,
}

/// The state of a layer in the service.
#[derive(Debug, Clone, Default)]
pub(crate) struct Activity {
    pub(crate) prepared: bool,
}

#[derive(Clone)]
pub(crate) struct State {
    pub(crate) disk: Disk,
    pub(crate) calls: Vec<Call>,
    pub(crate) plan: Plan,
    next_id: u64,
    pub(crate) handles: BTreeMap<u64, Handle>,
    pub(crate) contexts: BTreeMap<u64, String>,
    pub(crate) guards: BTreeMap<u64, Vec<Privilege>>,
    pub(crate) locks: BTreeSet<PathBuf>,
    pub(crate) temporary: Vec<PathBuf>,
    pub(crate) active: BTreeMap<Vec<Vec<u16>>, Activity>,
    pub(crate) mounts: BTreeMap<PathBuf, String>,
    pub(crate) missing: BTreeSet<Function>,
    pub(crate) denied: BTreeSet<Privilege>,
    pub(crate) imported: Vec<Imported>,
    pub(crate) granted: Vec<(String, PathBuf)>,
    pub(crate) order: Vec<StreamId>,
    pub(crate) destroy_leaves: bool,
    pub(crate) free_space: u64,
    pub(crate) base_images: String,
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            disk: Disk::new(),
            calls: Vec::new(),
            plan: Plan::Work,
            next_id: 0,
            handles: BTreeMap::new(),
            contexts: BTreeMap::new(),
            guards: BTreeMap::new(),
            locks: BTreeSet::new(),
            temporary: Vec::new(),
            active: BTreeMap::new(),
            mounts: BTreeMap::new(),
            missing: BTreeSet::new(),
            denied: BTreeSet::new(),
            imported: Vec::new(),
            granted: Vec::new(),
            order: USUAL_ORDER.to_vec(),
            destroy_leaves: false,
            free_space: 1 << 40,
            base_images: r#"{"Images":[]}"#.to_owned(),
        }
    }

    /// Records a call; an error means that it must fail without doing anything.
    pub(crate) fn call(
        &mut self,
        on_service: bool,
        function: &'static str,
        arguments: impl Into<String>,
    ) -> Result<(), HResult> {
        if self.is_dead() {
            return Err(Code::ABORTED.hresult());
        }
        self.calls.push(Call {
            on_service,
            function,
            arguments: arguments.into(),
        });
        match self.plan {
            Plan::FailAt(number, hresult) if number == self.calls.len() => Err(hresult),
            Plan::DieAt(number) if number <= self.calls.len() => Err(Code::ABORTED.hresult()),
            _ => Ok(()),
        }
    }

    /// Returns whether the process was killed, so that nothing changes any more.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.plan, Plan::DieAt(number) if number <= self.calls.len())
    }

    pub(crate) fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Opens an object. Others can open it for reading only.
    pub(crate) fn open(
        &mut self,
        object: ObjectId,
        path: String,
        reads: bool,
        writes: bool,
    ) -> Result<u64, Code> {
        let clash = |other: &Handle| {
            other.object == object
                && (writes && (other.reads || other.writes) || reads && other.writes)
        };
        if self.handles.values().any(clash) {
            return Err(Code::SHARING_VIOLATION);
        }
        let id = self.new_id();
        let handle = Handle {
            object,
            path,
            reads,
            writes,
        };
        self.handles.insert(id, handle);
        Ok(id)
    }

    /// Checks that an object is not open.
    pub(crate) fn check_closed(&self, object: ObjectId) -> Result<(), Code> {
        if self.handles.values().any(|handle| handle.object == object) {
            return Err(Code::SHARING_VIOLATION);
        }
        Ok(())
    }

    /// Checks that privileges are enabled.
    pub(crate) fn check_privileges(&self, wanted: &[Privilege]) -> Result<(), Code> {
        let on = |one: &Privilege| self.guards.values().any(|guard| guard.contains(one));
        if wanted.iter().all(on) {
            Ok(())
        } else {
            Err(Code::PRIVILEGE_NOT_HELD)
        }
    }

    /// Finds the object at a path of the machine.
    pub(crate) fn find(&mut self, path: &Path) -> Result<ObjectId, Code> {
        self.disk.find(crate::disk::ROOT, &names(path))
    }

    /// Returns the form of a path used to compare layers.
    pub(crate) fn layer_key(path: &Path) -> Vec<Vec<u16>> {
        let names: Names = names(path);
        names.iter().map(|name| crate::disk::key(name)).collect()
    }
}
