//! `ProcessUtilityImage`, called only on what is really the layer's own folder.

use super::LayerService;
use crate::error::{Result, entry_error};
use crate::layout;
use crate::rules::Breach;
use crate::volume::Root;

/// Makes the utility VM of a layer ready for use; refuses a `UtilityVM` that is a reparse point.
pub(super) fn process_utility_vm<R: Root>(service: &dyn LayerService, layer: &R) -> Result<()> {
    let path = layout::path(layout::UTILITY_VM);
    let stat = layer.look(&path);
    let stat = stat.map_err(entry_error("open", layer.path(), &path))?;
    if !stat.is_some_and(|stat| stat.is_plain_directory()) {
        return Err(Breach::NotAPlainDirectory { path: path.clone() }.broken_by(&path));
    }
    Ok(service.process_utility_image(&layer.path().join(layout::UTILITY_VM))?)
}
