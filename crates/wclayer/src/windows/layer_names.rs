//! The ids that Windows derives from the names of layers (`NameToGuid`).
//!
//! An id is a GUID of version 5, a SHA-1 hash of a namespace and the name. The namespace is known
//! only to Windows, and other programs would not find layers under ids that we invented. Therefore
//! `vmcompute.dll` always provides the ids, even for layers that are created with
//! `computestorage.dll`.
//!
//! Source: hcsshim `internal/wclayer/nametoguid.go` and issue 1072.

use ntmeta::security::Guid;

use super::abi::{Hresult, Pcwstr, RawGuid};
use super::library::{Library, argument, check, imports};
use crate::error::ServiceError;

/// The DLL that has the call.
pub(super) const DLL: &str = "vmcompute.dll";
const FUNCTION: &str = "NameToGuid";

imports! {
    /// The export.
    struct Imports {
        name_to_guid: c"NameToGuid" fn(Pcwstr, *mut RawGuid),
    }
}

/// The call, if it is available.
pub(super) struct Names {
    imports: Option<Imports>,
}

impl Names {
    /// Loads the DLL; if the DLL is missing, so is the call.
    pub(super) fn load() -> Self {
        Self {
            imports: Library::load(DLL).ok().as_ref().map(Imports::of),
        }
    }

    /// Looks up the call in the DLL.
    pub(super) fn of(library: &Library) -> Self {
        Self {
            imports: Some(Imports::of(library)),
        }
    }

    fn function(&self) -> Option<unsafe extern "system" fn(Pcwstr, *mut RawGuid) -> Hresult> {
        self.imports.as_ref()?.name_to_guid
    }

    /// Returns whether the call is available.
    pub(super) fn is_available(&self) -> bool {
        self.function().is_some()
    }

    /// Returns the id of a name.
    pub(super) fn name_to_guid(&self, name: &str) -> Result<Guid, ServiceError> {
        let function = self.function().ok_or(ServiceError::Missing {
            function: FUNCTION,
            dll: DLL,
        })?;
        let wide = argument(DLL, FUNCTION, name)?;
        let mut guid = RawGuid::default();
        // SAFETY: the text ends with a NUL, and the output is writable.
        let returned = unsafe { function(wide.as_ptr(), &raw mut guid) };
        check(DLL, FUNCTION, returned, || format!("the name `{name}`"))?;
        Ok(Guid(guid.0))
    }
}
