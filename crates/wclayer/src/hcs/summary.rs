//! [`WriterSummary`]: the result of every writer of this room.

/// A writer's remarks on a finished layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriterSummary {
    /// The oddities of the layer and how they were fixed, one sentence each.
    pub warnings: Vec<String>,
}
