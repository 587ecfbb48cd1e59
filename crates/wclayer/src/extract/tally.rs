//! [`Tally`]: the report of one thread; [`SoFar`]: that of all threads.

use std::sync::Arc;

use super::made::lock;
use super::place::Ground;
use super::report::Extracted;

/// The progress of an extraction, also after a failure; returned by
/// [`ExtractWriter::so_far`](super::ExtractWriter::so_far).
#[derive(Debug, Clone)]
pub struct SoFar(pub(super) Arc<Ground>);

impl SoFar {
    /// Returns the report so far. It is complete once the writer is dropped.
    pub fn extracted(&self) -> Extracted {
        let mut report = lock(&self.0.report).clone();
        report.replaced = self.0.replaced();
        report.tidy();
        report
    }
}

/// The report of one thread, which is added to that of all threads when it is dropped.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) own: Extracted,
    ground: Arc<Ground>,
}

impl Tally {
    pub(super) fn new(ground: &Arc<Ground>) -> Self {
        Self {
            own: Extracted::default(),
            ground: Arc::clone(ground),
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        lock(&self.ground.report).merge(std::mem::take(&mut self.own));
    }
}
