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
mod counting {
    use std::cell::Cell;

    thread_local! {
        static STEPS: Cell<i64> = const { Cell::new(0) };
        static STATEMENTS: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn add(steps: i64) {
        STEPS.set(STEPS.get() + steps);
    }

    /// The count of a statement continues when it runs again, so the count at its start is subtracted.
    #[cfg(feature = "portable")]
    pub(super) fn watch(connection: &rusqlite::Connection) {
        use rusqlite::StatementStatus;
        use rusqlite::trace::{TraceEvent, TraceEventCodes};

        let events = TraceEventCodes::SQLITE_TRACE_STMT | TraceEventCodes::SQLITE_TRACE_PROFILE;
        let count = |event: TraceEvent<'_>| match event {
            TraceEvent::Stmt(statement, _) => {
                STATEMENTS.set(STATEMENTS.get() + 1);
                add(-i64::from(statement.get_status(StatementStatus::VmStep)));
            }
            TraceEvent::Profile(statement, _) => {
                add(i64::from(statement.get_status(StatementStatus::VmStep)));
            }
            _ => {}
        };
        connection.trace_v2(events, Some(count));
    }

    /// Returns the number of steps that this thread takes to do something.
    pub(crate) fn of<T>(work: impl FnOnce() -> T) -> i64 {
        let before = STEPS.get();
        work();
        STEPS.get() - before
    }

    /// Returns how many statements of SQLite this thread runs to do something.
    pub(crate) fn statements_of<T>(work: impl FnOnce() -> T) -> usize {
        let before = STATEMENTS.get();
        work();
        STATEMENTS.get() - before
    }

    /// Checks that work on an input twice as large takes about twice the steps: at most three times as
    /// many, where four would be quadratic. `work` prepares an input of a size, and returns the work to
    /// count.
    #[track_caller]
    pub(crate) fn assert_linear<W: FnOnce()>(size: usize, work: impl Fn(usize) -> W) {
        let [one, two] = [size, 2 * size].map(|size| of(work(size)));
        assert!(one >= size as i64, "only {one} steps were counted");
        assert!(
            two <= 3 * one,
            "{one} steps for {size}, {two} for twice as much"
        );
    }
}

#[cfg(test)]
pub(crate) use counting::{assert_linear, statements_of};

#[cfg(all(test, feature = "portable"))]
mod test_tar;
#[cfg(all(test, feature = "portable"))]
mod tests;
