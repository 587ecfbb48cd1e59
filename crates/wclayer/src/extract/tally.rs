//! [`Tally`]: the report of one thread; [`SoFar`]: that of all threads.

use std::sync::Arc;

use super::made::lock;
use super::place::Ground;
use super::report::Extracted;

/// What an extraction has done so far, or had done when it failed; made by
/// [`ExtractWriter::so_far`](super::ExtractWriter::so_far).
#[derive(Debug, Clone)]
pub struct SoFar(pub(super) Arc<Ground>);

impl SoFar {
    /// Returns what was done. It is complete once the writer is dropped.
    pub fn extracted(&self) -> Extracted {
        let mut report = lock(&self.0.report).clone();
        report.replaced = self.0.replaced();
        report.tidy();
        report
    }
}

/// The report of one thread, which is added to that of all in the end, whatever that is.
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
