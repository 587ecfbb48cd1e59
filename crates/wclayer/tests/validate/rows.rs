//! The rows of the table: on single entries, and on whole layers.

use crate::{Row, entries, headers, whole};

pub(crate) fn rows() -> impl Iterator<Item = Row> {
    let rows = entries::rows().into_iter().chain(whole::rows());
    rows.chain(headers::rows())
}
