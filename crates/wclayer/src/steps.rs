//! Counting the steps of an algorithm, so that a test can hold it to an order of growth: a time would
//! depend on the machine and its load.
//!
//! A step is an instruction of SQLite's virtual machine, or anything else that calls [`add`]. Each
//! thread counts its own, and only in the tests of this crate.

#[cfg(feature = "portable")]
use rusqlite::Connection;

/// Adds steps to the count.
#[inline]
pub(crate) fn add(steps: usize) {
    #[cfg(test)]
    counting::add(steps as i64);
    #[cfg(not(test))]
    let _ = steps;
}

/// Counts the steps of all queries to a database from now on.
#[cfg(feature = "portable")]
#[inline]
pub(crate) fn watch(connection: &Connection) {
    #[cfg(test)]
    counting::watch(connection);
    #[cfg(not(test))]
    let _ = connection;
}

#[cfg(test)]
mod counting;

#[cfg(test)]
pub(crate) use counting::{assert_linear, statements_of};

#[cfg(all(test, feature = "portable"))]
mod test_tar;
#[cfg(all(test, feature = "portable"))]
mod tests;
