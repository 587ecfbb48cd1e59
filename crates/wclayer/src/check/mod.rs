//! The rules on whole layers that every import enforces: `import` stops at the first broken one,
//! `validate` reports them all. They are checked on the index of a layer and a view of its parents.

mod links;
mod whole;

pub(crate) use links::{LinkEnd, Links};
pub(crate) use whole::{check, check_each};
