//! A case and its possible outcomes.

use std::collections::BTreeSet;

use vectors::Check;

use crate::differences::Difference;

/// One vector, ready to run.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) run: Box<dyn FnOnce() -> Check<Outcome>>,
}

impl Case {
    pub(crate) fn new(
        name: impl Into<String>,
        run: impl FnOnce() -> Check<Outcome> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            run: Box::new(run),
        }
    }
}

/// How a case that does not fail compares with the reference.
pub(crate) enum Outcome {
    /// The same result, whether success or error.
    Matches,
    /// An intentionally different result, which was checked.
    Differs(BTreeSet<Difference>),
    /// The vectors mark the reference as unreliable here; everything that can be checked without it
    /// was checked.
    Unjudged,
}

impl From<BTreeSet<Difference>> for Outcome {
    fn from(differences: BTreeSet<Difference>) -> Self {
        if differences.is_empty() {
            Self::Matches
        } else {
            Self::Differs(differences)
        }
    }
}

impl From<Difference> for Outcome {
    fn from(difference: Difference) -> Self {
        Self::Differs([difference].into())
    }
}
