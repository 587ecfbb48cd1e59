//! [`WriterSummary`]: the result of every writer in this module.

/// A writer's remarks on a finished layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriterSummary {
    /// The irregularities of the layer and how they were corrected, one sentence each.
    pub warnings: Vec<String>,
}
