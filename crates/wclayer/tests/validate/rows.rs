//! The rows of the table: on entries by themselves, and on whole layers.

use crate::{Row, entries, whole};

pub(crate) fn rows() -> impl Iterator<Item = Row> {
    entries::rows().into_iter().chain(whole::rows())
}
