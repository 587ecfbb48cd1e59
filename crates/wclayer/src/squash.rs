//! A chain of layers made into one layer.
//!
//! ```text
//! View ─ reader → hub → LayerWriter
//! ```
//!
//! What comes out depends on the view alone: entries in the order of their names, each file that
//! has several names with its content at the first of these.

use crate::chain::View;
use crate::error::{Error, Result};
use crate::hub::{self, LayerWriter, Progress};

/// What is to become one layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SquashOptions {
    /// Whether the lowest layer is left out: the result then goes on top of it, and still removes
    /// what the chain removes of it.
    pub keep_base: bool,
}

/// Writes all that is seen of a view into `writer`, and completes that.
///
/// # Errors
///
/// [`Error::OnlyBase`] when the base is to be kept and there is nothing on top of it; what reading
/// the view or writing the layer says; [`Error::Cancelled`].
pub fn squash<W: LayerWriter>(
    view: View,
    options: SquashOptions,
    writer: W,
    progress: &dyn Progress,
) -> Result<W::Output> {
    let depth = view.depth();
    let view = match options.keep_base {
        false => view,
        true if depth < 2 => return Err(Error::OnlyBase),
        true => view.only_nearest(depth - 1),
    };
    hub::copy(&mut view.reader(&[]), writer, progress)
}
