//! A case and what can come of it.

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

/// How we compare to the reference, when we do not fail.
pub(crate) enum Outcome {
    /// The same result, both successes and refusals.
    Matches,
    /// Another result, on purpose, which was checked.
    Differs(BTreeSet<Difference>),
    /// The vectors themselves say that the reference is no witness here; what can be checked
    /// without it was.
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
